"""The bare limit: the inference engine alone, on the tensors that the job gives it, one thread a process.

Pages go through in the job's batches and with the options that it has by default.

Usage: python -m benchmarks.bare BUNDLE LIST SECONDS

LIST names an image a line; they go through over and over until the engine has had so many seconds. Prints
{"images": N, "seconds": S}: for N images, S seconds inside the engine.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.bundle import Bundle, ModelFile, RecognitionSpec, load_bundle
from models.decoding import decode
from models.detection import Detector
from models.direction import DirectionClassifier
from models.options import DEFAULTS
from models.reader import PageStage, language_of, rectifier
from models.recognition import Recognizer
from models.records import Page
from models.rereading import Rereader
from models.session import Session, open_session
from pipeline.options import JobOptions
from transforms.handler import FULL, parts

Call = tuple["Recorder", npt.NDArray[np.float32]]


class Recorder(Session):
    """A session that remembers what it was asked."""

    def __init__(self, path: Path, calls: list[Call]) -> None:
        self._model = open_session(path)
        self._calls = calls

    def run(self, tensor: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """Runs the model and remembers the tensor."""
        self._calls.append((self, tensor.copy()))
        return self._model.run(tensor)

    def again(self, tensor: npt.NDArray[np.float32]) -> None:
        """Runs the model, and nothing else."""
        self._model.run(tensor)


def main(bundle_name: str, listing: str, at_least: str) -> None:
    """Reads the images to see the tensors, and runs those again against the clock, batch by batch."""
    cv2.setNumThreads(1)
    paths = Path(listing).read_text(encoding="utf-8").splitlines()
    bundle = load_bundle(bundle_name)
    calls: list[Call] = []
    find, read = stages(bundle, calls)
    images, seconds = 0, 0.0
    while seconds < float(at_least):
        images += len(paths)
        for batch in _batches(
            page
            for path in paths
            for pixels in decode(Path(path).read_bytes(), one_channel=bundle.manifest.one_channel)
            for page in find([pixels])
        ):
            read(batch)
            start = time.perf_counter()
            for session, tensor in calls:
                session.again(tensor)
            seconds += time.perf_counter() - start
            calls.clear()
    print(json.dumps({"images": images, "seconds": seconds}))


def stages(bundle: Bundle, calls: list[Call]) -> tuple[PageStage, PageStage]:
    """What finds and cuts out lines page by page, and what reads those of a batch of pages.

    Args:
        bundle: with one recogniser or two.
        calls: gets what the models are asked.
    """
    manifest = bundle.manifest

    def recorder(model: ModelFile) -> Recorder:
        return Recorder(bundle.model_path(model), calls)

    def recognizer(spec: RecognitionSpec) -> Recognizer:
        return Recognizer(spec, recorder(spec), language=language_of(bundle, spec))

    detect = Detector(manifest.detection, recorder(manifest.detection))
    rectify = rectifier(bundle)
    direct = DirectionClassifier(manifest.direction, recorder(manifest.direction), "sample")
    recognize = recognizer(manifest.recognition)
    below = DEFAULTS.below(manifest)
    if manifest.second is None or below is None:
        return lambda pages: rectify(detect(pages)), lambda pages: recognize(direct(pages))
    reread = Rereader(manifest.recognition, recognizer(manifest.second), below)
    return (
        lambda pages: rectify(detect(pages)),
        lambda pages: reread(recognize.read_pages(direct(pages))),
    )


def _batches(pages: Iterable[Page]) -> Iterator[list[Page]]:
    """Pages as Beam batches them for direction and recognition."""
    batch: list[Page] = []
    taken, size = 0, JobOptions((), "").recognition_batch
    for page in pages:
        needs = parts(size, page)
        if taken + needs > FULL:
            yield batch
            batch, taken = [], 0
        batch.append(page)
        taken += needs
    yield batch


if __name__ == "__main__":
    main(*sys.argv[1:])
