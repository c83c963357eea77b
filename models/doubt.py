"""What makes a reading doubtful besides the recogniser's own probabilities.

A recogniser knows the characters of its charset and no others. Lines in another script become the letters
that look most alike, and some of them surely; so does print that is seen through the paper, mirrored. Two
things give them away: letters are put together without regard to their case, and the page around them is
doubtful too. A recogniser that gives nothing for such letters leaves a hole in the line, with strokes in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from models.geometry import gray
from models.records import Image, Line

MIXED_WORDS = 2
"""Words with a capital behind a small letter that make a line doubtful: one may be a name, as McDonald."""
DOUBTFUL = 0.75
"""Where this part of a page's lines is doubtful, the others are doubtful too."""
HOLE = 1.5
"""Least length of a hole, with `NEAR` on both sides of it, in heights of the line."""
NEAR = 0.5
"""Heights of a line beside each character in which the strokes may be its own."""
STROKES = 0.5
"""Part of a hole's columns that cross strokes: letters come to .7 or more, gaps to less than .2."""


def mixes_case(text: str) -> bool:
    """Whether several words have a capital behind a small letter, as look-alikes of Cyrillic do: PaxyHok."""
    return sum(map(_mixed, text.split())) >= MIXED_WORDS


def _mixed(word: str) -> bool:
    return any(before.islower() and letter.isupper() for before, letter in pairwise(word))


def has_hole(crop: Image, noticed: Sequence[float]) -> bool:
    """Whether the widest stretch of a line in which nothing was read has strokes in it.

    A column crosses strokes where grey changes along the line by half as much as it does where it changes
    most. So gaps between columns of a table, and the rules of a form, are no strokes. Only rows in the
    upper half are looked at, above leading dots.

    Args:
        crop: of the line.
        noticed: where its characters were noticed, as fractions of its length, ascending.
    """
    height, width = crop.shape[:2]
    start, end = max(pairwise((0.0, *noticed, 1.0)), key=lambda stretch: stretch[1] - stretch[0])
    if (end - start) * width < HOLE * height:
        return False
    rows = gray(crop)[height // 5 : max(1, 3 * height // 5)].astype(np.float32)
    step = max(1, height // 8)
    changes = np.abs(rows[:, step:] - rows[:, :-step]).max(axis=0)
    inside = changes[round(start * width + NEAR * height) : round(end * width - NEAR * height)]
    return bool(np.mean(inside > np.percentile(changes, 90) / 2) >= STROKES)


def doubtful(lines: Sequence[Line]) -> bool:
    """Whether nearly all lines of a page need review; of a page without lines none does."""
    marked = sum(line.needs_review for line in lines)
    return marked >= max(1, DOUBTFUL * len(lines))


def marked_together(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines of a page; where nearly all of them need review, the others do too."""
    if not doubtful(lines):
        return tuple(lines)
    return tuple(line if line.needs_review else replace(line, needs_review=True) for line in lines)
