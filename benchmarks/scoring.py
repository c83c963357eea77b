"""How well an engine read: the same rule for every engine.

Detection is matched one to one, greedily by overlap, at an intersection over union of at least one half, as
the ICDAR 2015 robust reading competition does for scene text; words are counted as SROIE's task 2 does, as a
bag over the whole image.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein
from shapely.geometry import Polygon

DONT_CARE = "###"
"""Label of a region that need not be read; whatever lies mostly inside it is not counted."""


class Text(NamedTuple):
    """A piece of text and where it stands: corners as (x, y) in pixels, in order around the region.

    A label without corners says that the text is somewhere on the image.
    """

    corners: Sequence[Sequence[float]]
    text: str


Texts = Mapping[str, Sequence[Text]]
"""Image names and the texts on each."""


@dataclass(frozen=True, slots=True)
class Score:
    """What an engine reached over a set of images, each 0 to 1; None for places where labels have none.

    Attributes:
        detection: H-mean of the regions found.
        end_to_end: H-mean of the regions found whose text is right as well.
        words: F1 of the words read, wherever they stand.
        similarity: mean of 1 - normalised edit distance over matched regions.
    """

    detection: float | None
    end_to_end: float | None
    words: float
    similarity: float | None


def score(truth: Texts, read: Texts, fold: bool = False) -> Score:
    """Compares what was read with the labels.

    Args:
        truth: the labels; images that it does not name are left out.
        read: what an engine read; an image that it does not name counts as blank.
        fold: compare without case.
    """
    tally: Counter[str] = Counter()
    similarities: list[float] = []
    for image, labels in truth.items():
        _compare(labels, read.get(image, ()), fold, tally, similarities)
    words = _ratio(2 * tally["words right"], tally["words labelled"] + tally["words read"])
    if tally["labels"] and not any(label.corners for labels in truth.values() for label in labels):
        return Score(None, None, words, None)
    regions = tally["labels"] + tally["readings"]
    return Score(
        detection=_ratio(2 * tally["found"], regions),
        end_to_end=_ratio(2 * tally["right"], regions),
        words=words,
        similarity=_ratio(sum(similarities), len(similarities)),
    )


def _compare(
    labels: Sequence[Text],
    readings: Sequence[Text],
    fold: bool,
    tally: Counter[str],
    similarities: list[float],
) -> None:
    ignored = [_polygon(label) for label in labels if label.text == DONT_CARE]
    labels = [label for label in labels if label.text != DONT_CARE]
    readings = [reading for reading in readings if not _mostly_inside(_polygon(reading), ignored)]
    pairs = match([_polygon(label) for label in labels], [_polygon(reading) for reading in readings])
    for label, reading in pairs:
        expected, got = _normal(labels[label].text, fold), _normal(readings[reading].text, fold)
        tally["right"] += expected == got
        similarities.append(Levenshtein.normalized_similarity(expected, got))
    expected_words, words = _words(labels, fold), _words(readings, fold)
    tally.update(
        {
            "labels": len(labels),
            "readings": len(readings),
            "found": len(pairs),
            "words labelled": expected_words.total(),
            "words read": words.total(),
            "words right": (expected_words & words).total(),
        }
    )


def match(labels: Sequence[Polygon], readings: Sequence[Polygon]) -> list[tuple[int, int]]:
    """Pairs of indices, the best overlap first, each index at most once."""
    overlaps = sorted(
        (
            (overlap, i, j)
            for i, label in enumerate(labels)
            for j, reading in enumerate(readings)
            if (overlap := _overlap(label, reading)) >= 0.5
        ),
        reverse=True,
    )
    pairs: list[tuple[int, int]] = []
    matched_labels: set[int] = set()
    matched_readings: set[int] = set()
    for _, i, j in overlaps:
        if i not in matched_labels and j not in matched_readings:
            matched_labels.add(i)
            matched_readings.add(j)
            pairs.append((i, j))
    return pairs


def _overlap(a: Polygon, b: Polygon) -> float:
    """Intersection over union."""
    if not a.intersects(b):
        return 0.0
    shared = float(a.intersection(b).area)
    return _ratio(shared, float(a.area + b.area) - shared)


def _mostly_inside(region: Polygon, others: Sequence[Polygon]) -> bool:
    return any(region.area and region.intersection(other).area > region.area / 2 for other in others)


def _polygon(text: Text) -> Polygon:
    polygon = Polygon(text.corners)
    return polygon if polygon.is_valid else polygon.buffer(0)


def _words(texts: Iterable[Text], fold: bool) -> Counter[str]:
    return Counter(word for text in texts for word in _normal(text.text, fold).split())


def _normal(text: str, fold: bool) -> str:
    return " ".join((text.upper() if fold else text).split())


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def read_labels(path: Path) -> dict[str, list[Text]]:
    """Labels by file name; PPOCRLabel's format, `image<TAB>[{"transcription": …, "points": …}]` a line."""
    labels: dict[str, list[Text]] = {}
    for row in path.read_text(encoding="utf-8").removesuffix("\n").split("\n"):
        image, _, regions = row.partition("\t")
        labels[Path(image).name] = [
            Text(region["points"], region["transcription"]) for region in json.loads(regions)
        ]
    return labels


def read_expected(path: Path) -> dict[str, list[Text]]:
    """Labels that know no places, of each image's first page; JSON `{image: [[line, ...] for each page]}`."""
    expected = json.loads(path.read_text(encoding="utf-8"))
    return {image: [Text((), line) for line in pages[0]] for image, pages in expected.items() if pages}


def has_case(labels: Texts) -> bool:
    """Whether any label has a lower-case letter; where none has, case was not kept and cannot be asked."""
    return any(char.islower() for texts in labels.values() for text in texts for char in text.text)
