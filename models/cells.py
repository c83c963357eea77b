"""Cells of a table that a detector took for one line, told by the gaps between what was read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
import numpy.typing as npt

from models.ctc import Reading
from models.records import Quad

OF_GAPS = 1.6
"""A gap parts cells where it is this many times as wide as the line's others: words of justified text stand
far apart too, but all of them."""
OF_LETTERS = 1.3
"""And this many times as wide as a letter: a typewriter's spaces are as wide as one."""
ADVANCE = 0.5
"""From one letter to the next, in heights of a line, where no two letters of it tell."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A part of a line.

    Attributes:
        reading: of the part alone; its steps count from `begin`.
        begin: step of the line at which it begins; may have a fraction.
        end: likewise.
    """

    reading: Reading
    begin: float
    end: float


def cells(reading: Reading, steps: float, height: float, gap: float) -> list[Cell]:
    """Cuts a line between words that stand unusually far apart.

    CTC notices a letter about its middle. So the gap between two words is the distance of the letters beside
    it, less what lies between two letters of a word.

    Args:
        reading: the line.
        steps: how many steps its crop takes, padding left out.
        height: of the line, in steps.
        gap: least width of a gap that parts cells, in heights of the line; 0: none does.

    Returns:
        The cells from start to end; of a line that is not cut the line alone.
    """
    whole = [Cell(reading, 0.0, steps)]
    if not gap or " " not in reading.text:
        return whole
    # In lists: a line has few letters, and NumPy takes seven times as long.
    noticed, within, between = reading.steps.tolist(), list[float](), list[tuple[int, int]]()
    letters = [i for i, char in enumerate(reading.text) if char != " "]
    for i, j in pairwise(letters):
        if j == i + 1:
            within.append(noticed[j] - noticed[i])
        else:
            between.append((i, j))
    advance = median(within) if within else ADVANCE * height
    gaps = [(noticed[j] - noticed[i] - advance) / height for i, j in between]
    least = max(gap, OF_LETTERS * advance / height)
    cuts = [
        pair
        for number, (pair, wide) in enumerate(zip(between, gaps, strict=True))
        if wide > least and wide > OF_GAPS * _median(gaps[:number] + gaps[number + 1 :])
    ]
    if not cuts:
        return whole
    firsts, lasts = [0, *(j for _, j in cuts)], [*(i for i, _ in cuts), len(reading.text) - 1]
    begins = [0.0, *(noticed[j] + 0.5 - advance / 2 for _, j in cuts)]
    ends = [*(noticed[i] + 0.5 + advance / 2 for i, _ in cuts), steps]
    return [
        Cell(
            Reading(
                reading.text[first : last + 1],
                reading.confidences[first : last + 1],
                reading.steps[first : last + 1] - begin,
            ),
            begin,
            end,
        )
        for first, last, begin, end in zip(firsts, lasts, begins, ends, strict=True)
    ]


def _median(values: list[float]) -> float:
    return median(values) if values else 0.0


def parts(polygon: Quad, places: npt.NDArray[np.float64]) -> Quad:
    """The parts of a line's polygon between pairs of fractions of its length, (N, 2): (N, 4, 2)."""
    where = np.clip(places, 0.0, 1.0).astype(np.float32)[:, [0, 1, 1, 0], None]
    across = polygon[[1, 1, 2, 2]] - polygon[[0, 0, 3, 3]]
    return polygon[[0, 0, 3, 3]] + across * where
