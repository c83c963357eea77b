"""Words of a line: CTC tells about where each stands, and the ink between two of them where both end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

import cv2
import numpy as np
import numpy.typing as npt

from models.cells import ADVANCE
from models.ctc import Reading
from models.geometry import gray
from models.records import Image

ALONE = (
    ("\u3000", "\u30ff"), ("\u31f0", "\u31ff"), ("\u3400", "\u4dbf"), ("\u4e00", "\u9fff"),
    ("\uf900", "\ufaff"), ("\uff66", "\uff9f"), ("\U00020000", "\U0003ffff"),
)  # fmt: skip
"""First and last characters of what is written without spaces: Han, kana and their signs."""
INKED = 0.15
"""From the least to the most inked columns of a crop, how far a column is that holds a part of a letter."""
USUAL = (0.05, 0.9)
"""The quantiles that stand for the least and the most inked column: a few may be specks."""
CORE = (0.1, 0.9)
"""The part of a crop's height that is looked at: other lines may reach into the rest."""
END = 0.4
"""A gap this wide in advances of a letter, in front of the first letter or behind the last, ends the line."""

AIR = 0.05
"""Heights of the crop that a word reaches beyond its ink, since strokes fade out; half a gap at most."""
NEAR = 0.25
"""How far from the middle of two characters without a space they may part, in advances of a letter."""

Gaps = list[tuple[int, int]]
"""First column of each stretch of a crop without ink, and the column behind its last."""


def spans(text: str) -> Iterator[range]:
    """The indices of each word's characters: spaces part words, and each of `ALONE` is one."""
    start = 0
    for i, char in enumerate(text):
        alone = any(first <= char <= last for first, last in ALONE)
        if (alone or char.isspace()) and start < i:
            yield range(start, i)
        if alone and not char.isspace():
            yield range(i, i + 1)
        if alone or char.isspace():
            start = i + 1
    if start < len(text):
        yield range(start, len(text))


def extents(words: Sequence[range], reading: Reading, steps: float, crop: Image) -> npt.NDArray[np.float64]:
    """Where words stand along their line.

    CTC notices a letter somewhere about its middle. Between the last letter of a word and the first one of
    the next, the widest stretch without ink is the space. The line begins at the nearest stretch in front of
    its first letter that is about as wide as a space, and ends likewise. Where there is none, as in print
    that touches, a letter is taken to be as wide as the line's others.

    Args:
        words: indices of their characters, ascending; at least one.
        reading: the line.
        steps: how many steps the crop takes, padding left out.
        crop: that was read, (h, w) or (h, w, 3).

    Returns:
        (N, 2), where each begins and ends, a little air included, as fractions of the crop's width.
    """
    height, width = crop.shape[:2]
    noticed = ((reading.steps + 0.5) * (width / steps)).tolist()
    letters = [i for word in words for i in word]
    between = [noticed[j] - noticed[i] for i, j in pairwise(letters) if j == i + 1]
    advance, air = median(between) if between else ADVANCE * height, AIR * height
    gaps = _gaps(crop)
    mirrored = [(width - end, width - begin) for begin, end in reversed(gaps)]
    edges = [_begin(noticed[letters[0]], gaps, END * advance) - air]
    for one, other in pairwise((word[0], word[-1]) for word in words):
        touching = other[0] == one[1] + 1
        end, begin = _parted(noticed[one[1]], noticed[other[0]], gaps, advance, touching)
        some = min(air, (begin - end) / 2)
        edges += [end + some, begin - some]
    edges.append(width - _begin(width - noticed[letters[-1]], mirrored, END * advance) + air)
    return np.clip(np.array(edges).reshape(-1, 2) / width, 0.0, 1.0)


def _gaps(crop: Image) -> Gaps:
    """The stretches of columns without ink. A rule along the line is in all columns, and counts as none."""
    pixels = gray(crop)
    top, bottom = (round(part * len(pixels)) for part in CORE)
    core = pixels[top : max(bottom, top + 1)].astype(np.float32)
    # What std() and percentile() say, at a third and a twentieth of their time.
    mean, of_squares = (cv2.reduce(of, 0, cv2.REDUCE_AVG)[0] for of in (core, core * core))
    spread = np.sqrt(np.maximum(of_squares - mean * mean, 0))
    ranked = np.sort(spread)
    least, most = (ranked[int(part * (len(ranked) - 1))] for part in USUAL)
    free = np.concatenate([[False], spread < least + INKED * (most - least), [False]])
    borders = np.flatnonzero(free[1:] != free[:-1]).reshape(-1, 2)
    return [(begin, end) for begin, end in borders.tolist()]


def _begin(first: float, gaps: Gaps, least: float) -> float:
    """Where the letter begins that is noticed at `first`, the first one of its line."""
    ends = [end for begin, end in gaps if begin < first and (not begin or min(end, first) - begin >= least)]
    return min(max(ends, default=0), first)


def _parted(one: float, other: float, gaps: Gaps, advance: float, touching: bool) -> tuple[float, float]:
    """Where the word of a letter noticed at `one` ends, and where that of the next, at `other`, begins.

    Between characters without a space only what is near the middle parts them: they have gaps of their own.
    """
    middle = (one + other) / 2
    reach = NEAR * advance if touching else (other - one) / 2
    found = [
        (min(end, middle + reach) - max(begin, middle - reach), begin, end)
        for begin, end in gaps
        if begin < middle + reach and end > middle - reach
    ]
    if found:
        _, begin, end = max(found)
        return begin, end
    return min(one + advance / 2, middle), max(other - advance / 2, middle)
