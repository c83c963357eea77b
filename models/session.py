"""Inference: one ONNX model, arrays in, arrays out, on one thread of one of two engines."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.bundle import ModelFile
from models.engine import Engine, choose, precision
from models.records import UsageError


class Session:
    """An ONNX model on one thread of ONNX Runtime.

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
        # A plan of memory for every size of page and line saves no time, and takes almost half of the memory.
        options.enable_mem_pattern = False
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


class OpenVinoSession(Session):
    """An ONNX model on one thread of OpenVINO, in bfloat16 where the CPU multiplies it.

    Sizes of inputs stay open: a model compiled for one shape is a little faster, but each takes a fifth of a
    second and 15 MB, and pages come in hundreds of sizes.

    Args:
        path: the ONNX file.

    Raises:
        UsageError: the file is not a model that this version of OpenVINO can load.
    """

    def __init__(self, path: Path) -> None:
        settings = {
            "INFERENCE_NUM_THREADS": 1,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # or all worker processes would share the first core
            "INFERENCE_PRECISION_HINT": precision("openvino"),
            "CPU_RUNTIME_CACHE_CAPACITY": 100,  # with the default, 5,000, memory grows with each size of page
        }
        try:
            self._request = _openvino().compile_model(str(path), "CPU", settings).create_infer_request()
        except RuntimeError as error:
            raise UsageError(f"{path} cannot be loaded: {_last_line(error)}") from None

    def run(self, tensor: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """The model's outputs for one (N, C, H, W) float32 tensor."""
        return tuple(self._request.infer([tensor], share_inputs=True).values())


@functools.lru_cache(maxsize=1)
def _openvino() -> Any:
    """OpenVINO's one entry, which loads its plug-ins once a process."""
    import openvino

    return openvino.Core()


def _last_line(error: Exception) -> str:
    return next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)


def open_session(path: Path, engine: Engine = "auto") -> Session:
    """Loads an ONNX model into an engine.

    Raises:
        UsageError: the engine is not installed, or cannot load the file.
    """
    return OpenVinoSession(path) if choose(engine) == "openvino" else Session(path)


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
