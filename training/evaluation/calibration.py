"""Confidences that mean something: a bundle's calibration and thresholds, found on labelled pages.

A line's calibrated confidence is the chance that it is right (`models.ctc.chance`). Lines count where their
region matches a label's. They are compared without spaces, as labels differ in those, and without case where
the labels have none.
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models import ctc
from models.bundle import Bundle, RecognitionSpec, load_bundle, new_part, write_bundle
from models.options import ReadOptions
from models.reader import Reader
from models.recognition import judged
from models.records import InputError, Line
from training.data.labels import LabelledImage
from training.evaluation.readings import truth_of
from training.evaluation.scoring import Text, counted, has_case, match, normal, polygon

Probabilities = npt.NDArray[np.float32]

RIGHT_MARKED = 0.05
"""Share of the right lines that are marked for review, at most, in the mean of the sets."""
BINS = 10


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line that was read, whatever its confidence.

    Attributes:
        words: what it says.
        probabilities: of its characters, (n,), n at least 1.
        right: whether it is right; None where no label matches, or where the line is part of its label: the
            recogniser cannot know that it was cut short.
    """

    words: tuple[str, ...]
    probabilities: Probabilities
    right: bool | None = None

    @property
    def mean(self) -> float:
        """What `min_confidence` is compared with."""
        return float(self.probabilities.mean())

    @property
    def log_odds(self) -> float:
        """Those of its certainty."""
        return ctc.log_odds(ctc.certainty(self.probabilities))


@dataclass(frozen=True, slots=True)
class ReadPage:
    """The words that are labelled on a page, and the lines read, those where nobody need read left out."""

    words: Counter[str]
    lines: tuple[ReadLine, ...]


@dataclass(frozen=True, slots=True)
class Quality:
    """How a recogniser's confidences do on a set, each 0 to 1.

    Attributes:
        error: expected calibration error of lines.
        wrong: share of the lines that are wrong.
        caught: share of the wrong lines that are marked for review.
        marked: share of the right lines that are marked too.
        words: word F1.
    """

    error: float
    wrong: float
    caught: float
    marked: float
    words: float


def read_pages(bundle: Bundle, images: Sequence[LabelledImage]) -> list[ReadPage]:
    """Reads labelled pages with the first recogniser, and compares every line, whatever its confidence.

    Raises:
        UsageError: two images have the same file name.
    """
    truth = truth_of(images)
    fold = not has_case(truth)
    reader = Reader(bundle, ReadOptions(min_confidence=0.0, chars=True, second_below=0.0))
    paths = [image.path for image in images]
    return [compare(truth[path.name], _lines(reader, path), fold) for path in paths]


def _lines(reader: Reader, path: Path) -> tuple[Line, ...]:
    try:
        return next(reader.read_bytes(path.read_bytes())).lines
    except (InputError, OSError) as error:
        print(f"{path} counts as blank: {error}", file=sys.stderr)
        return ()


def compare(labels: Sequence[Text], lines: Sequence[Line], fold: bool = False) -> ReadPage:
    """A page's lines beside its labels.

    Args:
        labels: of the page.
        lines: read with `chars`.
        fold: compare without case.
    """
    kept = [line for line in lines if counted(labels, [_text(line)])[1]]
    labels, _ = counted(labels, ())
    pairs = match([polygon(label) for label in labels], [polygon(_text(line)) for line in kept])
    label_of = {j: labels[i].text for i, j in pairs}
    words = Counter(word for label in labels for word in normal(label.text, fold).split())
    return ReadPage(words, tuple(_compared(line, label_of.get(j), fold) for j, line in enumerate(kept)))


def _text(line: Line) -> Text:
    return Text(line.polygon.tolist(), line.text)


def _compared(line: Line, label: str | None, fold: bool) -> ReadLine:
    assert line.chars is not None  # they were asked for
    words = tuple(normal(line.text, fold).split())
    probabilities = np.array([char.confidence for char in line.chars], np.float32)
    if label is None:
        return ReadLine(words, probabilities)
    read, expected = _letters(line.text, fold), _letters(label, fold)
    part = len(read) < len(expected) and read in expected
    return ReadLine(words, probabilities, None if part else read == expected)


def _letters(text: str, fold: bool) -> str:
    return "".join(normal(text, fold).split())


def calibrate(
    sets: Mapping[str, Sequence[ReadPage]], spec: RecognitionSpec, min_confidence: float | None = None
) -> RecognitionSpec:
    """The calibration and the thresholds that are best for sets of pages, each of which counts as much.

    `min_confidence` gives the best word F1, and `review_threshold` marks at most `RIGHT_MARKED` of the right
    lines, both in the mean of the sets.

    Args:
        sets: by name.
        spec: of the recogniser that read them.
        min_confidence: this, in the place of the best one.
    """
    if min_confidence is None:
        words = np.mean([word_f1s(pages, _GRID) for pages in sets.values()], axis=0)
        min_confidence = _GRID[int(words.argmax())]
    spec = replace(spec, min_confidence=min_confidence)
    lines = [known(pages, spec) for pages in sets.values()]
    scale, shift = platt(lines)
    spec = replace(spec, confidence_scale=round(scale, 4), confidence_shift=round(shift, 4))
    right = [[judged(line.probabilities, spec)[0] for line in of_set if line.right] for of_set in lines]
    marked = np.mean([np.less.outer(sure, _GRID).mean(axis=0) for sure in right if sure] or [_GRID], axis=0)
    # 0 would switch off the marks of `models.doubt` too.
    threshold = max(_GRID[1], _GRID[int((marked <= RIGHT_MARKED).sum()) - 1])
    return replace(spec, review_threshold=threshold)


_GRID = [step / 100 for step in range(100)]


def platt(sets: Iterable[Sequence[ReadLine]]) -> tuple[float, float]:
    """Scale and shift for `models.ctc.chance`, by Newton's method; each set counts as much.

    Args:
        sets: lines of which it is known whether they are right.
    """
    sets = [lines for lines in sets if lines]
    if not sets:
        return 1.0, 0.0
    lines = [line for of_set in sets for line in of_set]
    inputs = np.array([[line.log_odds, 1.0] for line in lines])
    right = np.array([float(bool(line.right)) for line in lines])
    weight = np.concatenate([np.full(len(of_set), 1 / len(of_set)) for of_set in sets])
    found = np.array(_PLAIN)
    for _ in range(50):
        chance = 1 / (1 + np.exp(-inputs @ found))
        slope = inputs.T @ (weight * (chance - right)) + _PRIOR * (found - _PLAIN)
        bend = (inputs.T * (weight * chance * (1 - chance))) @ inputs + _PRIOR * np.eye(2)
        step = np.linalg.solve(bend, slope)
        # Newton's steps lead away from the best where nearly all lines are very sure: then shorter ones.
        lengths = 0.5 ** np.arange(20)
        found -= step * min(
            lengths, key=lambda length: _surprise(found - length * step, inputs, right, weight)
        )
    return max(float(found[0]), 0.05), float(found[1])


def _surprise(
    values: npt.NDArray[np.float64],
    inputs: npt.NDArray[np.float64],
    right: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64],
) -> float:
    """What Newton's method makes small: weighted log loss, and how far the values are from the plain ones."""
    odds = inputs @ values
    return float(
        weight @ (np.logaddexp(0, odds) - right * odds) + _PRIOR / 2 * ((values - _PLAIN) ** 2).sum()
    )


_PLAIN = (1.0, 0.0)
_PRIOR = 1e-3
"""What holds the two values near 1 and 0 where there are few mistakes to learn from."""


def measure(pages: Sequence[ReadPage], spec: RecognitionSpec) -> Quality:
    """How confidences and thresholds do on a set."""
    lines = known(pages, spec)
    found = [judged(line.probabilities, spec) for line in lines]
    sure, right = np.array([each[0] for each in found]), np.array([bool(line.right) for line in lines], bool)
    marked = np.array([each[1] for each in found], bool)
    return Quality(
        error=expected_error(sure, right),
        wrong=_share(~right),
        caught=_share(marked[~right]),
        marked=_share(marked[right]),
        words=word_f1s(pages, [spec.min_confidence])[0],
    )


def _share(which: npt.NDArray[np.bool_]) -> float:
    return float(which.mean()) if len(which) else 0.0


def expected_error(sure: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float:
    """How far confidence and share of the right are apart, in bins of equal width (ECE)."""
    if not len(sure):
        return 0.0
    numbers = np.minimum((sure * BINS).astype(int), BINS - 1)
    apart = np.bincount(numbers, weights=sure - right.astype(float), minlength=BINS)
    return float(np.abs(apart).sum() / len(sure))


def known(pages: Iterable[ReadPage], spec: RecognitionSpec) -> list[ReadLine]:
    """The lines that are not dropped and of which it is known whether they are right."""
    lines = (line for page in pages for line in page.lines)
    return [line for line in lines if line.right is not None and line.mean >= spec.min_confidence]


def word_f1s(pages: Sequence[ReadPage], thresholds: Sequence[float]) -> list[float]:
    """Word F1 with each of these values of `min_confidence`."""
    labelled = sum(page.words.total() for page in pages)
    right, read = np.zeros(len(thresholds)), np.zeros(len(thresholds))
    for page in pages:
        lines = [(line.mean, line.words) for line in page.lines]
        for number, least in enumerate(thresholds):
            words = Counter(word for mean, words in lines if mean >= least for word in words)
            read[number] += words.total()
            right[number] += (words & page.words).total()
    return [float(value) for value in 2 * right / np.maximum(labelled + read, 1)]


def write_calibrated(name_or_folder: str | Path, spec: RecognitionSpec, output: Path) -> Bundle:
    """Writes a copy of a bundle with another recognition part; models that a package holds stay there.

    Raises:
        UsageError: `output` is in use.
    """
    bundle = load_bundle(name_or_folder)
    aside = new_part(output)
    try:
        if not bundle.manifest.package:
            shutil.copytree(bundle.folder, aside, dirs_exist_ok=True)
        write_bundle(replace(bundle.manifest, recognition=spec), aside)
        aside.replace(output)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return load_bundle(output)
