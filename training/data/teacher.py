"""A recogniser (bundle or ONNX file) that reads crops: labels get their case, networks soft targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.bundle import RecognitionSpec, load_bundle
from models.records import UsageError
from training.data.crops import to_color

_WIDTH_STEP = 64  # crops are padded to a multiple of it, so that a reading does not depend on its neighbours


class Reading(NamedTuple):
    """What the teacher read, and the mean probability of the characters it kept."""

    text: str
    confidence: float


class Teacher:
    """A CTC recogniser that tells its probabilities.

    Args:
        path: a bundle (its name or folder), or an ONNX file as PP-OCR's are: the charset in its metadata
            (`character`, one a line; blank 0, space last), (N, 3, height, W) BGR as (v / 255 - .5) / .5 in.
        threads: it may use.

    Attributes:
        charset: the characters of its classes, the blank included as "".

    Raises:
        UsageError: no such bundle or file, no charset, or a model that tells decisions alone.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        import onnxruntime

        model, spec = _open(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        if spec is None:
            spec = _spec_of_metadata(model, self.session)
        self.charset = ("", *spec.charset)
        self.height, self.color = spec.height, spec.color
        self.mean, self.std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)

    def probabilities(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(T, classes) for one crop, (H, W) gray or (H, W, 3) BGR, padded on the right with nothing."""
        scaled, padded = self._widths(crop)
        resized = cv2.resize(to_color(crop, "gray" if self.color == "gray" else "bgr"), (scaled, self.height))
        pixels = resized[..., ::-1] if self.color == "rgb" else resized
        channels = np.atleast_3d(pixels).astype(np.float32) / 255
        tensor = np.zeros((1, channels.shape[2], self.height, padded), np.float32)
        tensor[0, :, :, :scaled] = ((channels - self.mean) / self.std).transpose(2, 0, 1)
        outputs: Any = self.session.run(None, {self.input: tensor})
        return np.asarray(outputs[0][0], np.float32)

    def columns(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(T, classes) of those columns that lie over the crop, without the padding's."""
        probabilities = self.probabilities(crop)
        scaled, padded = self._widths(crop)
        return probabilities[: -(-len(probabilities) * scaled // padded)]

    def read(self, crop: NDArray[np.uint8]) -> Reading:
        """The greedy CTC reading of one crop."""
        probabilities = self.probabilities(crop)
        best = probabilities.argmax(axis=1)
        kept = (best != 0) & (best != np.concatenate([[-1], best[:-1]]))
        if not kept.any():
            return Reading("", 0.0)
        text = "".join(self.charset[i] if i < len(self.charset) else "" for i in best[kept])
        return Reading(text, float(probabilities.max(axis=1)[kept].mean()))

    def _widths(self, crop: NDArray[np.uint8]) -> tuple[int, int]:
        scaled = max(8, round(crop.shape[1] * self.height / crop.shape[0]))
        return scaled, -(-scaled // _WIDTH_STEP) * _WIDTH_STEP


def _open(path: Path) -> tuple[Path, RecognitionSpec | None]:
    if path.is_file():
        return path, None
    bundle = load_bundle(str(path))
    spec = bundle.manifest.recognition
    if spec.output == "decision":
        raise UsageError(f"bundle {path} tells decisions only; a teacher must tell its probabilities")
    return bundle.model_path(spec), spec


def _spec_of_metadata(path: Path, session: Any) -> RecognitionSpec:
    character = session.get_modelmeta().custom_metadata_map.get("character")
    if not character:
        raise UsageError(f"{path} has no `character` list in its metadata and cannot be a teacher")
    half = (0.5, 0.5, 0.5)
    charset = (*character.split("\n"), " ")
    height = int(session.get_inputs()[0].shape[2])
    return RecognitionSpec(path.name, "", "bgr", half, half, height=height, charset=charset)
