"""How well single lines are read and told upright from upside down, detection left aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from models.bundle import Bundle
from models.direction import DirectionClassifier
from models.reader import language_of
from models.recognition import Recognizer
from models.records import Line
from models.session import Session
from training.evaluation.scoring import normal

Pair = tuple[str, str]
"""A line's label and what was read."""


@dataclass(frozen=True, slots=True)
class LineScore:
    """Over a set of lines, each 0 to 1.

    Attributes:
        exact: share of lines that were read without a mistake.
        similarity: mean of 1 - normalised edit distance.
    """

    exact: float
    similarity: float


def read_lines(bundle: Bundle, lines: Sequence[Line]) -> list[Pair]:
    """Labels of upright lines and what the bundle's recogniser reads."""
    spec = bundle.manifest.recognition
    recognizer = Recognizer(spec, Session(bundle.model_path(spec)), language=language_of(bundle, spec))
    read = recognizer.read(lines)
    return [(line.text, got.text) for line, got in zip(lines, read, strict=True)]


def line_scores(pairs: Sequence[Pair]) -> dict[str, LineScore]:
    """Scores with case kept and folded, with spaces counted (runs as one) and ignored."""
    return {
        "as labelled": line_score(pairs),
        "without case": line_score(pairs, fold=True),
        "without spaces": line_score(pairs, spaces=False),
        "without either": line_score(pairs, fold=True, spaces=False),
    }


def line_score(pairs: Sequence[Pair], fold: bool = False, spaces: bool = True) -> LineScore:
    """Compares readings with labels.

    Args:
        pairs: labels and readings.
        fold: compare without case.
        spaces: whether spaces count.
    """
    texts = [(normal(label, fold), normal(read, fold)) for label, read in pairs]
    if not spaces:
        texts = [(label.replace(" ", ""), read.replace(" ", "")) for label, read in texts]
    count = max(len(texts), 1)
    return LineScore(
        sum(a == b for a, b in texts) / count,
        sum(Levenshtein.normalized_similarity(a, b) for a, b in texts) / count,
    )


def direction_scores(bundle: Bundle, upright: Sequence[Line], turned: Sequence[Line]) -> dict[str, float]:
    """Share of lines that the bundle's classifier calls rightly as they stand, and on their heads.

    Args:
        bundle: whose threshold decides, as in the job.
        upright: lines with their crops.
        turned: the same lines of images that are upside down.
    """
    spec = bundle.manifest.direction
    classifier = DirectionClassifier(spec, Session(bundle.model_path(spec)), "all")
    count = max(len(upright), 1)
    shares = {
        "upright": float((classifier.probabilities(upright) <= spec.threshold).sum() / count),
        "upside_down": float((classifier.probabilities(turned) > spec.threshold).sum() / count),
    }
    return {"accuracy": sum(shares.values()) / 2, **shares}
