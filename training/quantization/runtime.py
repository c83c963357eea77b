"""Networks in an inference engine: as full int8 kernels, and as something that a task can score."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.session import OpenVinoSession, Session


class ModelSession(Session):
    """An ONNX model in memory on one thread.

    Args:
        model: to run.
        int8: run int8 kernels where QuantizeLinear and DequantizeLinear surround a layer. Off, weights are
            unpacked when the model is loaded, as the job does it.
    """

    def __init__(self, model: onnx.ModelProto, int8: bool) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.disable_quant_qdq", "0" if int8 else "1")
        # Without VNNI, products of uint8 and int8 are summed in 16 bits, which overflow; uint8 both do not.
        options.add_session_config_entry("session.x64quantprecision", "1")
        self._session = ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name


def openvino_session(model: onnx.ModelProto) -> Session:
    """An ONNX model in OpenVINO, which runs int8 kernels where Q and DQ surround a layer.

    Raises:
        UsageError: OpenVINO cannot load it, such as an LSTM whose weights are int8.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(model.SerializeToString())
        return OpenVinoSession(path)


class SessionNetwork(nn.Module):
    """A session in a network's place, for scoring.

    Args:
        session: to ask.
        classes: of a recogniser, whose best one becomes scores of classes again; 0 = no recogniser.
    """

    def __init__(self, session: Session, classes: int = 0) -> None:
        super().__init__()
        self.session, self.classes = session, classes

    def forward(self, image: Tensor) -> Tensor:
        """What the network says."""
        outputs: Sequence[npt.NDArray[Any]] = self.session.run(np.ascontiguousarray(image.numpy()))
        first = torch.from_numpy(outputs[0])
        return F.one_hot(first[..., 0], self.classes).float() if self.classes else first
