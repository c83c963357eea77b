"""Confidences that mean something: a bundle's calibration and thresholds, found on labelled pages.

A character's calibrated confidence is the chance that it is right (`models.ctc.calibrated`). Lines count
where their region matches a label's. They are compared without spaces, as labels differ in those, and without
case where the labels have none.
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from models import ctc
from models.bundle import Bundle, RecognitionSpec, load_bundle, new_part, write_bundle
from models.options import ReadOptions
from models.reader import Reader
from models.records import InputError, Line
from training.data.labels import LabelledImage
from training.evaluation.readings import truth_of
from training.evaluation.scoring import Text, counted, has_case, match, normal, polygon

Values = npt.NDArray[np.float64]
Confidences = npt.NDArray[np.float32]

RIGHT_MARKED = 0.05
"""Share of the right lines that are marked for review, at most, on each set."""
BINS = 10


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line that was read, whatever its confidence.

    Attributes:
        words: what it says.
        confidences: of its characters, (n,), as the network gives them.
        right: of each character whether it is right; None where no label matches the line.
        whole: whether all is right; None where no label matches, or where the line is part of its label: that
            it was cut short, the recogniser cannot know.
    """

    words: tuple[str, ...]
    confidences: Confidences
    right: npt.NDArray[np.bool_] | None = None
    whole: bool | None = None


@dataclass(frozen=True, slots=True)
class ReadPage:
    """The words that are labelled on a page, and the lines read, those where nobody need read left out."""

    words: Counter[str]
    lines: tuple[ReadLine, ...]


@dataclass(frozen=True, slots=True)
class Quality:
    """How a recogniser's confidences do on a set, each 0 to 1.

    Attributes:
        error: expected calibration error of characters.
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
    """Reads labelled pages, with confidences as the network gives them, and compares.

    Raises:
        UsageError: two images have the same file name.
    """
    truth = truth_of(images)
    fold = not has_case(truth)
    plain = replace(bundle.manifest.recognition, confidence_scale=1.0, confidence_shift=0.0)
    bundle = replace(bundle, manifest=replace(bundle.manifest, recognition=plain))
    reader = Reader(bundle, ReadOptions(min_confidence=0.0, chars=True))
    return [
        compare(truth[image.path.name], lines, fold)
        for image, lines in ((image, _lines(reader, image.path)) for image in images)
    ]


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
    confidences = np.array([char.confidence for char in line.chars], np.float32)
    if label is None:
        return ReadLine(words, confidences)
    read, expected = _letters(line.text, fold), _letters(label, fold)
    right = np.array([char.isspace() for char in line.text])
    at = np.flatnonzero(~right)
    for tag, begin, end, *_ in Levenshtein.opcodes(read, expected):
        right[at[begin:end]] = tag == "equal"
    part = len(read) < len(expected) and "".join(read) in "".join(expected)
    return ReadLine(words, confidences, right, None if part else read == expected)


def _letters(text: str, fold: bool) -> list[str]:
    return [char.upper() if fold else char for char in text if not char.isspace()]


def calibrate(sets: Mapping[str, Sequence[ReadPage]], spec: RecognitionSpec) -> RecognitionSpec:
    """The calibration and the thresholds that are best for sets of pages, each of which counts as much.

    `min_confidence` gives the best word F1. `review_threshold` is the largest that marks no more than
    `RIGHT_MARKED` of the right lines of any set.
    """
    scale, shift = platt([_characters(pages) for pages in sets.values()])
    spec = replace(spec, confidence_scale=round(scale, 4), confidence_shift=round(shift, 4))
    grid = [round(0.01 * step, 2) for step in range(100)]
    totals = np.mean([_word_f1s(pages, spec, grid) for pages in sets.values()], axis=0)
    spec = replace(spec, min_confidence=grid[int(totals.argmax())])
    least = [
        np.quantile(right, RIGHT_MARKED, method="lower")
        for pages in sets.values()
        if len(right := _right(pages, spec))
    ]
    return replace(spec, review_threshold=float(np.floor(100 * min(least, default=0.0)) / 100))


def platt(sets: Iterable[tuple[Confidences, npt.NDArray[np.bool_]]]) -> tuple[float, float]:
    """Scale and shift for `models.ctc.calibrated`, by Newton's method; each set counts as much.

    Args:
        sets: characters' probabilities and whether they are right, (n,) both.
    """
    sets = [(sure, right) for sure, right in sets if len(sure)]
    if not sets:
        return 1.0, 0.0
    sure = np.clip(np.concatenate([sure for sure, _ in sets]).astype(float), 1e-6, 1 - 1e-6)
    right = np.concatenate([right for _, right in sets]).astype(float)
    weight = np.concatenate([np.full(len(sure), 1 / len(sure)) for sure, _ in sets])
    inputs = np.stack([np.log(sure / (1 - sure)), np.ones(len(sure))], axis=1)
    found = np.array([1.0, 0.0])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-inputs @ found))
        slope = inputs.T @ (weight * (chance - right)) + _PRIOR * (found - [1.0, 0.0])
        bend = (inputs.T * (weight * chance * (1 - chance))) @ inputs + _PRIOR * np.eye(2)
        found -= np.linalg.solve(bend, slope)
    return max(float(found[0]), 0.05), float(found[1])


_PRIOR = 1e-4
"""What holds the two values near 1 and 0 where there are few mistakes to learn from."""


def measure(pages: Sequence[ReadPage], spec: RecognitionSpec) -> Quality:
    """How confidences and thresholds do on a set."""
    sure, right = _characters(pages)
    if spec.calibrated:
        sure = ctc.calibrated(sure, spec.confidence_scale, spec.confidence_shift)
    lines = [(line.whole, _certainty(line, spec)) for line in _kept(pages, spec) if line.whole is not None]
    marked = [(whole, certainty < spec.review_threshold) for whole, certainty in lines]
    wrongs = [mark for whole, mark in marked if not whole]
    rights = [mark for whole, mark in marked if whole]
    return Quality(
        error=expected_error(sure, right),
        wrong=len(wrongs) / max(len(marked), 1),
        caught=sum(wrongs) / max(len(wrongs), 1),
        marked=sum(rights) / max(len(rights), 1),
        words=_word_f1s(pages, spec, [spec.min_confidence])[0],
    )


def expected_error(sure: Confidences, right: npt.NDArray[np.bool_]) -> float:
    """How far confidence and share of the right are apart, in bins of equal width (ECE)."""
    if not len(sure):
        return 0.0
    numbers = np.minimum((sure * BINS).astype(int), BINS - 1)
    apart = np.bincount(numbers, weights=sure - right.astype(float), minlength=BINS)
    return float(np.abs(apart).sum() / len(sure))


def _characters(pages: Sequence[ReadPage]) -> tuple[Confidences, npt.NDArray[np.bool_]]:
    lines = [line for page in pages for line in page.lines if line.right is not None]
    sure = [line.confidences for line in lines] or [np.zeros(0, np.float32)]
    right = [line.right for line in lines if line.right is not None] or [np.zeros(0, np.bool_)]
    return np.concatenate(sure), np.concatenate(right)


def _confidences(line: ReadLine, spec: RecognitionSpec) -> Confidences:
    if not spec.calibrated:
        return line.confidences
    return ctc.calibrated(line.confidences, spec.confidence_scale, spec.confidence_shift)


def _certainty(line: ReadLine, spec: RecognitionSpec) -> float:
    confidences = _confidences(line, spec)
    return ctc.certainty(confidences) if spec.calibrated else float(confidences.min())


def _kept(pages: Iterable[ReadPage], spec: RecognitionSpec) -> Iterator[ReadLine]:
    for page in pages:
        yield from (line for line in page.lines if _confidences(line, spec).mean() >= spec.min_confidence)


def _right(pages: Sequence[ReadPage], spec: RecognitionSpec) -> list[float]:
    """The certainties of the lines that are right."""
    return [_certainty(line, spec) for line in _kept(pages, spec) if line.whole]


def _word_f1s(pages: Sequence[ReadPage], spec: RecognitionSpec, thresholds: Sequence[float]) -> list[float]:
    """Word F1 with each of ascending values of `min_confidence`."""
    labelled = sum(page.words.total() for page in pages)
    right, read = np.zeros(len(thresholds)), np.zeros(len(thresholds))
    for page in pages:
        lines = [(_confidences(line, spec).mean(), line.words) for line in page.lines]
        for number, least in enumerate(thresholds):
            words = Counter(word for sure, words in lines if sure >= least for word in words)
            read[number] += words.total()
            right[number] += (words & page.words).total()
    return list(2 * right / np.maximum(labelled + read, 1))


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
