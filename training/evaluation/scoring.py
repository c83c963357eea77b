"""How well an engine read: the same rule for every engine.

Detection is matched one to one, greedily by overlap, at an intersection over union of at least one half, as
the ICDAR 2015 robust reading competition does for scene text; words are counted as SROIE's task 2 does, as a
bag over the whole image.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
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


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted on one image, or on several added up.

    Attributes:
        labels: regions to be found.
        readings: regions found that count, rightly or not.
        found: pairs of both that match.
        right: pairs whose text is right as well.
        words_labelled: words to be read.
        words_read: words read.
        words_right: words in common.
        similarity: sum over the pairs of 1 - normalised edit distance.
    """

    labels: int = 0
    readings: int = 0
    found: int = 0
    right: int = 0
    words_labelled: int = 0
    words_read: int = 0
    words_right: int = 0
    similarity: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def precision(self) -> float:
        """Part of the regions found that are there."""
        return _ratio(self.found, self.readings)

    @property
    def recall(self) -> float:
        """Part of the regions there that were found."""
        return _ratio(self.found, self.labels)

    @property
    def score(self) -> Score:
        """The counts as ratios."""
        return Score(
            detection=_ratio(2 * self.found, self.labels + self.readings),
            end_to_end=_ratio(2 * self.right, self.labels + self.readings),
            words=_ratio(2 * self.words_right, self.words_labelled + self.words_read),
            similarity=_ratio(self.similarity, self.found),
        )


def score(truth: Texts, read: Texts, fold: bool = False) -> Score:
    """Compares what was read with the labels.

    Args:
        truth: the labels; images that it does not name are left out.
        read: what an engine read; an image that it does not name counts as blank.
        fold: compare without case.
    """
    total = sum(tallies(truth, read, fold).values(), Tally()).score
    labels = [label for labels in truth.values() for label in labels]
    if labels and not any(label.corners for label in labels):
        return Score(None, None, total.words, None)
    return total


def tallies(truth: Texts, read: Texts, fold: bool = False) -> dict[str, Tally]:
    """What `score` counts, image by image."""
    return {image: tally(labels, read.get(image, ()), fold) for image, labels in truth.items()}


def tally(labels: Sequence[Text], readings: Sequence[Text], fold: bool = False) -> Tally:
    """Counts one image."""
    labels, readings = counted(labels, readings)
    pairs = match([polygon(label) for label in labels], [polygon(reading) for reading in readings])
    texts = [(normal(labels[i].text, fold), normal(readings[j].text, fold)) for i, j in pairs]
    expected, got = _words(labels, fold), _words(readings, fold)
    return Tally(
        labels=len(labels),
        readings=len(readings),
        found=len(pairs),
        right=sum(a == b for a, b in texts),
        words_labelled=expected.total(),
        words_read=got.total(),
        words_right=(expected & got).total(),
        similarity=sum(Levenshtein.normalized_similarity(a, b) for a, b in texts),
    )


def counted(labels: Sequence[Text], readings: Sequence[Text]) -> tuple[list[Text], list[Text]]:
    """The labels that are to be read, and the readings that do not lie mostly inside one that is not."""
    ignored = [polygon(label) for label in labels if label.text == DONT_CARE]
    return (
        [label for label in labels if label.text != DONT_CARE],
        [reading for reading in readings if not _mostly_inside(polygon(reading), ignored)],
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


def polygon(text: Text) -> Polygon:
    """A text's region; one whose sides cross is mended."""
    region = Polygon(text.corners)
    return region if region.is_valid else region.buffer(0)


def _words(texts: Iterable[Text], fold: bool) -> Counter[str]:
    return Counter(word for text in texts for word in normal(text.text, fold).split())


def normal(text: str, fold: bool) -> str:
    """A text with single spaces, and without case where that is asked for."""
    return " ".join((text.upper() if fold else text).split())


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def read_expected(path: Path) -> dict[str, list[Text]]:
    """Labels that know no places, of each image's first page; JSON `{image: [[line, ...] for each page]}`."""
    expected = json.loads(path.read_text(encoding="utf-8"))
    return {image: [Text((), line) for line in pages[0]] for image, pages in expected.items() if pages}


def has_case(labels: Texts) -> bool:
    """Whether any label has a lower-case letter; where none has, case was not kept and cannot be asked."""
    return any(char.islower() for texts in labels.values() for text in texts for char in text.text)
