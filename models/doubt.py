"""What makes a reading doubtful besides the recogniser's own probabilities.

A recogniser knows the characters of its charset and no others. Lines in another script become the letters
that look most alike, and some of them surely; so does print that is seen through the paper, mirrored. Two
things give them away: letters are put together without regard to their case, and the page around them is
doubtful too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from models.records import Line

MIXED_WORDS = 2
"""So many words with a capital behind a small letter make a line doubtful: one may be a name, as McDonald."""
DOUBTFUL = 0.75
"""Part of a page's lines from which on their being doubtful makes the others doubtful too."""


def mixes_case(text: str) -> bool:
    """Whether several words have a capital behind a small letter, as look-alikes of Cyrillic do: PaxyHok."""
    return sum(map(_mixed, text.split())) >= MIXED_WORDS


def _mixed(word: str) -> bool:
    return any(before.islower() and letter.isupper() for before, letter in pairwise(word))


def doubtful(lines: Sequence[Line]) -> bool:
    """Whether nearly all lines of a page need review; of a page without lines none does."""
    marked = sum(line.needs_review for line in lines)
    return marked >= max(1, DOUBTFUL * len(lines))


def marked_together(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines of a page; where nearly all of them need review, the others do too."""
    if not doubtful(lines):
        return tuple(lines)
    return tuple(line if line.needs_review else replace(line, needs_review=True) for line in lines)
