"""Made lines, upright or upside down, for the direction classifier (paper, sections 2.2 and 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from models.records import Image
from training.synthesis.fonts import Face
from training.synthesis.lines import LineSource

_SYMMETRIC = frozenset("HINOSXZMWoszxlun0168952pdbq-–—=.:·•|+*#%/()[]_~ ")
"""Characters that upside down are themselves, or another: alone they do not tell which way is up."""


@dataclass(frozen=True, slots=True)
class DirectionSample:
    """One line: its image (see `LineSample`) and the degrees, 0 or 180, that it was turned by."""

    image: Image
    angle: int


class DirectionSource:
    """Makes lines of which half are turned; each is decided by (seed, index) alone.

    Args: see `LineSource`.

    Raises:
        UsageError: where no font is found.
    """

    def __init__(
        self, seed: int, charset: Sequence[str], *, color: bool = False, faces: Sequence[Face] | None = None
    ) -> None:
        self._seed = seed
        self._lines = LineSource(seed, charset, color=color, faces=faces)

    def sample(self, index: int) -> DirectionSample:
        """The line of this index (0 or more); one that could be read both ways is passed over for another."""
        for attempt in range(50):
            line = self._lines.sample(index + (attempt << 40))
            if tells_direction(line.text):
                break
        angle = 180 * Random(f"direction {self._seed} {index}").randrange(2)
        return DirectionSample(np.ascontiguousarray(line.image[::-1, ::-1]) if angle else line.image, angle)


def tells_direction(text: str) -> bool:
    """Whether two characters at least of a text show which way is up."""
    return sum(char not in _SYMMETRIC for char in text) >= 2
