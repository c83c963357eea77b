"""The bare limit: the inference engine alone, on the tensors that the job gives it, one thread a process.

Usage: python -m benchmarks.bare BUNDLE LIST

LIST names an image a line. Prints {"images": N, "seconds": S}: for N images, S seconds inside the engine.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.bundle import load_bundle
from models.decoding import Limits, decode
from models.detection import Detector
from models.direction import DirectionClassifier
from models.geometry import rectify
from models.recognition import Recognizer
from models.records import Page
from models.session import Session

GROUP = 4
"""Pages whose lines are recognised together, as in the job by default."""

Call = tuple["Recorder", npt.NDArray[np.float32]]


class Recorder(Session):
    """A session that remembers what it was asked."""

    def __init__(self, path: Path, calls: list[Call]) -> None:
        super().__init__(path)
        self._calls = calls

    def run(self, tensor: npt.NDArray[np.float32]) -> Any:
        """Runs the model and remembers the tensor."""
        self._calls.append((self, tensor.copy()))
        return super().run(tensor)

    def again(self, tensor: npt.NDArray[np.float32]) -> None:
        """Runs the model, and nothing else."""
        super().run(tensor)


def groups(paths: list[str], one_channel: bool) -> Iterator[list[Page]]:
    """Decoded pages, `GROUP` at a time."""
    pages: list[Page] = []
    for path in paths:
        pages.extend(decode(Path(path).read_bytes(), Limits(), one_channel))
        if len(pages) >= GROUP:
            yield pages
            pages = []
    if pages:
        yield pages


def main(bundle_name: str, listing: str) -> None:
    """Reads the images once to see the tensors, and runs those again against the clock, a group at a time."""
    cv2.setNumThreads(1)
    paths = Path(listing).read_text(encoding="utf-8").splitlines()
    bundle = load_bundle(bundle_name)
    manifest = bundle.manifest
    calls: list[Call] = []
    detect = Detector(manifest.detection, Recorder(bundle.model_path(manifest.detection), calls))
    direct = DirectionClassifier(
        manifest.direction, Recorder(bundle.model_path(manifest.direction), calls), "sample"
    )
    recognize = Recognizer(manifest.recognition, Recorder(bundle.model_path(manifest.recognition), calls))
    seconds = 0.0
    for pages in groups(paths, manifest.one_channel):
        calls.clear()
        recognize(direct([rectify(page) for one in pages for page in detect([one])]))
        start = time.perf_counter()
        for session, tensor in calls:
            session.again(tensor)
        seconds += time.perf_counter() - start
    print(json.dumps({"images": len(paths), "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
