"""Does an exported model still say what its checkpoint says? Asked through the job's own stages."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from models.bundle import DetectionSpec, DirectionSpec, RecognitionSpec
from models.detection import Detector, find_regions
from models.direction import DirectionClassifier
from models.geometry import turn
from models.recognition import Recognizer
from models.records import Line, Page, UsageError
from models.session import Session
from training.evaluation.labelled import holds_pages, labelled_images, labelled_lines, labelled_page, spread
from training.evaluation.scoring import Tally, Text, normal, tally
from training.graph import Spec, Trained, example, with_decision
from training.specimen import specimen_crops, specimen_page


@dataclass(frozen=True, slots=True)
class Checked:
    """An exported model beside what it came from.

    Attributes:
        size: of the file in bytes.
        milliseconds: of one call on one thread, for the input that `example` gives.
        deviation: largest difference of a probability from the checkpoint's.
        agreement: share of decisions that are the checkpoint's: texts of lines, directions, or of a page's
            text pixels twice those in common over the sum of both.
        accuracy: share of lines whose text or whose direction is right, or a detector's H-mean.
    """

    size: int
    milliseconds: float
    deviation: float
    agreement: float
    accuracy: float


class TwinSession(Session):
    """An exported model that notes, call by call, how far it is from the network that it came from."""

    def __init__(self, path: Path, trained: Trained) -> None:
        super().__init__(path)
        self.trained = trained
        self.deviation = 0.0

    def run(self, tensor: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """The exported model's outputs."""
        outputs = super().run(tensor)
        with torch.inference_mode():
            expected = self.trained.network(torch.from_numpy(tensor))
        self.deviation = max(self.deviation, deviation(self.trained.spec, expected, outputs))
        return outputs


class TorchSession(Session):
    """The network itself, in the place of an exported model."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def run(self, tensor: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """The network's outputs."""
        with torch.inference_mode():
            outputs = self.network(torch.from_numpy(tensor))
        return [each.numpy() for each in (outputs if isinstance(outputs, tuple) else (outputs,))]


def deviation(spec: Spec, expected: Tensor, outputs: Sequence[npt.NDArray[Any]]) -> float:
    """Largest difference of probabilities.

    A recogniser's class may differ where two are equally likely: what counts is how much less likely the
    class it decided on is than the best one. One that tells probabilities is compared by these.
    """
    if isinstance(spec, RecognitionSpec) and spec.output == "probabilities":
        expected = expected.softmax(2)
    if not isinstance(spec, RecognitionSpec) or spec.output == "probabilities":
        return float(np.abs(outputs[0] - expected.numpy()).max(initial=0))
    probabilities = expected.softmax(2)
    classes, said = (torch.from_numpy(each.reshape(*each.shape[:2], -1)) for each in outputs)
    best = probabilities.topk(classes.shape[2], 2).values
    chosen = probabilities.gather(2, classes)
    return max(0.0, *(float(apart.abs().max()) for apart in (said - best, best - chosen) if apart.numel()))


Samples = Sequence[Line] | Sequence[Page]
"""Labelled lines with crops for a recogniser or a direction classifier, labelled pages for a detector."""


def specimens(spec: Spec) -> Samples:
    """Made samples for where no real ones are at hand."""
    if isinstance(spec, DetectionSpec):
        return [specimen_page(seed) for seed in range(3)]
    return specimen_crops(60)


def labelled_samples(spec: Spec, labels: Path, count: int) -> Samples:
    """Real samples, evenly spread over a label file: at most `count` lines, or a tenth as many pages.

    Raises:
        UsageError: the file names no usable image, or a detector is to be checked on lines.
    """
    images = labelled_images(labels)
    if isinstance(spec, DetectionSpec):
        if not holds_pages(images):
            raise UsageError(f"{labels} holds lines, not pages: a detector needs Label.txt or ICDAR labels")
        return [labelled_page(image) for image in spread(images, max(1, count // 10))]
    return spread(list(labelled_lines(spread(images, count))), count)


def decide(spec: Spec, session: Session, samples: Samples) -> list[Any]:
    """What the job makes of the outputs: texts, directions (each line both ways up), or maps of text."""
    if isinstance(spec, RecognitionSpec):
        return [line.text for line in Recognizer(spec, session).read(_lines(samples))]
    if isinstance(spec, DirectionSpec):
        both = [*_lines(samples), *(turn(line) for line in _lines(samples))]
        probabilities = DirectionClassifier(spec, session, "all").probabilities(both)
        return (probabilities > spec.threshold).tolist()
    detector = Detector(spec, session)
    return [detector.probability_map(page.image) for page in _pages(samples) if page.image is not None]


def _lines(samples: Samples) -> list[Line]:
    return [sample for sample in samples if isinstance(sample, Line)]


def _pages(samples: Samples) -> list[Page]:
    return [sample for sample in samples if isinstance(sample, Page)]


def accuracy(spec: Spec, decided: Sequence[Any], samples: Samples, fold: bool) -> float:
    """Share of lines whose text or whose direction is right, or the H-mean of the lines that maps hold."""
    if isinstance(spec, RecognitionSpec):
        pairs = zip(_lines(samples), decided, strict=True)
        right = [normal(line.text, fold) == normal(text, fold) for line, text in pairs]
    elif isinstance(spec, DirectionSpec):
        right = [turned == (i >= len(samples)) for i, turned in enumerate(decided)]
    else:
        return h_mean(spec, decided, _pages(samples))
    return sum(right) / max(len(right), 1)


def h_mean(spec: DetectionSpec, maps: Sequence[npt.NDArray[np.float32]], pages: Sequence[Page]) -> float:
    """Detection H-mean over pages (see `training.evaluation.scoring`)."""
    total = Tally()
    for page, probability in zip(pages, maps, strict=True):
        found = find_regions(probability, spec, page.width, page.height)
        labels = [Text(line.polygon.tolist(), line.text) for line in page.lines]
        total += tally(labels, [Text(quad.tolist(), "") for quad, _ in found])
    return total.score.detection or 0.0


def agreement(spec: Spec, a: Sequence[Any], b: Sequence[Any]) -> float:
    """Share of decisions in common; of text pixels, twice those in common over the sum of both."""
    if not isinstance(spec, DetectionSpec):
        return sum(x == y for x, y in zip(a, b, strict=True)) / max(len(a), 1)
    masks = [(x > spec.threshold, y > spec.threshold) for x, y in zip(a, b, strict=True)]
    both = sum(int((x & y).sum()) for x, y in masks)
    each = sum(int(x.sum()) + int(y.sum()) for x, y in masks)
    return 2 * both / each if each else 1.0


def check(trained: Trained, model: onnx.ModelProto, samples: Samples, fold: bool = False) -> Checked:
    """Runs an exported model on samples beside the network that it came from.

    Args:
        trained: what it came from.
        model: with weights of any kind.
        samples: to run on.
        fold: whether texts are right without case.
    """
    spec, data = trained.spec, model.SerializeToString()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(data)
        session = TwinSession(path, trained)
        expected = decide(spec, TorchSession(with_decision(trained)), samples)
        decided = decide(spec, session, samples)
        took = milliseconds(Session(path), example(spec))
    return Checked(
        size=len(data),
        milliseconds=took,
        deviation=session.deviation,
        agreement=agreement(spec, expected, decided),
        accuracy=accuracy(spec, decided, samples, fold),
    )


def milliseconds(session: Session, tensor: npt.NDArray[np.float32], calls: int = 9) -> float:
    """Median processor time of a call, the first two left out; an engine's own threads count too."""
    times = []
    for _ in range(calls + 2):
        start = time.process_time()
        session.run(tensor)
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times[2:])
