"""Inference: one ONNX model, arrays in, arrays out, on one thread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.bundle import ModelFile
from models.records import UsageError


class Session:
    """An ONNX model on one intra-op thread.

    A worker process reads pages on one thread and there are as many processes as cores, so a second thread
    here would only take time from a neighbour.

    Args:
        path: the ONNX file.

    Raises:
        UsageError: the file is not a model that this version of ONNX Runtime can load.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised; printing it too would spoil the progress
        # Weights stored as int8 are unpacked once, now, and not at every call (half as slow again).
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own exceptions share no public base
            raise UsageError(f"{path} cannot be loaded: {str(error).splitlines()[0]}") from None
        self._input = self._session.get_inputs()[0].name

    def run(self, tensor: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """The model's outputs for one (N, C, H, W) float32 tensor."""
        outputs: Sequence[npt.NDArray[Any]] = self._session.run(None, {self._input: tensor})
        return outputs


class Normalizer:
    """Turns uint8 pixels into a model's input, `(v / 255 - mean) / std` with channels in the model's order.

    Args:
        model: says color, mean and std.
    """

    def __init__(self, model: ModelFile) -> None:
        self._order = (2, 1, 0) if model.color == "rgb" else range(len(model.mean))
        self._tables = [_table(mean, std) for mean, std in zip(model.mean, model.std, strict=True)]

    def __call__(self, pixels: npt.NDArray[np.uint8], out: npt.NDArray[np.float32]) -> None:
        """Writes normalised pixels into a tensor.

        Args:
            pixels: (H, W, 3), blue, green, red; or (H, W) for a model that takes grey.
            out: (C, H, W), overwritten.
        """
        planes = (pixels,) if pixels.ndim == 2 else cv2.split(pixels)
        for channel, (plane, table) in enumerate(zip(self._order, self._tables, strict=True)):
            cv2.LUT(planes[plane], table, dst=out[channel])


def _table(mean: float, std: float) -> npt.NDArray[np.float32]:
    """What each of the 256 values becomes; reading it takes half the time of arithmetic."""
    values = np.arange(256, dtype=np.float32)
    return values * np.float32(1 / (255 * std)) + np.float32(-mean / std)
