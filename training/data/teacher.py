"""A recogniser as an ONNX file that reads crops for us: labels get their case, networks soft targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

_WIDTH_STEP = 64  # crops are padded to a multiple of it, so that a reading does not depend on its neighbours


class Reading(NamedTuple):
    """What the teacher read, and the mean probability of the characters it kept."""

    text: str
    confidence: float


class Teacher:
    """A CTC recogniser with its charset in the metadata: `character`, one a line; blank 0, space last.

    Args:
        path: the ONNX file: (N, 3, height, W) BGR as (v / 255 - .5) / .5 in, (N, T, classes) probabilities
            out.
        threads: it may use.

    Raises:
        ValueError: the model carries no charset.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        character = self.session.get_modelmeta().custom_metadata_map.get("character")
        if not character:
            raise ValueError(f"{path} has no `character` list in its metadata and cannot be a teacher")
        self.charset = ["", *character.split("\n"), " "]
        self.height = int(self.session.get_inputs()[0].shape[2])

    def probabilities(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(T, classes) for one BGR crop (H, W, 3)."""
        height, width = crop.shape[:2]
        scaled_width = max(8, round(width * self.height / height))
        padded_width = -(-scaled_width // _WIDTH_STEP) * _WIDTH_STEP
        resized = cv2.resize(crop, (scaled_width, self.height)).astype(np.float32)
        tensor = np.zeros((1, 3, self.height, padded_width), np.float32)
        tensor[0, :, :, :scaled_width] = ((resized / 255 - 0.5) / 0.5).transpose(2, 0, 1)
        outputs: Any = self.session.run(None, {self.session.get_inputs()[0].name: tensor})
        return np.asarray(outputs[0][0], np.float32)

    def columns(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(T, classes) of those columns that lie over the crop, without the padding's."""
        probabilities = self.probabilities(crop)
        scaled_width = max(8, round(crop.shape[1] * self.height / crop.shape[0]))
        padded_width = -(-scaled_width // _WIDTH_STEP) * _WIDTH_STEP
        return probabilities[: -(-len(probabilities) * scaled_width // padded_width)]

    def read(self, crop: NDArray[np.uint8]) -> Reading:
        """The greedy CTC reading of one crop."""
        probabilities = self.probabilities(crop)
        best = probabilities.argmax(axis=1)
        kept = (best != 0) & (best != np.concatenate([[-1], best[:-1]]))
        if not kept.any():
            return Reading("", 0.0)
        text = "".join(self.charset[i] if i < len(self.charset) else "" for i in best[kept])
        return Reading(text, float(probabilities.max(axis=1)[kept].mean()))
