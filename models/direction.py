"""Direction classification: lines that stand on their heads are turned (PP-OCR section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from models.bundle import DirectionSpec
from models.geometry import fit_height, run_across, turn
from models.records import Line, Page
from models.session import Normalizer, Session

Mode = Literal["all", "sample"]
SAMPLE = 5
"""Lines of a page that are asked first in `sample` mode: the longest ones, where the classifier is surest."""
BATCH = 16
SQUEEZE = 2.0
"""A line too long for the model's width is squeezed by at most this; of a longer one the middle is shown.

Squeezed further, letters are no letters any more: PP-OCR's own classifier then calls 70 % of long printed
lines right, and 79 % of their middles."""


SHORT = 2.0
"""A line must be this many times longer than high to tell how it stands: a 9 on its head is a 6."""

Answers = dict[int, float]
"""Of the lines of a page that were asked, by number: how probably each is upside down."""


class DirectionClassifier:
    """Turns upside-down lines and fills their direction.

    A line of which the model is not sure stands as most of its page's sure lines do: short lines and lines of
    figures tell little, pages are rarely mixed. So do single letters and digits. Lines across most others,
    such as spines and labels of axes, are all asked, and stand as most of their own: they tell nothing of the
    page.

    Args:
        spec: how pixels enter the model, and from which probability it is sure.
        session: the model.
        mode: `all` asks every line. `sample` asks a few of a page's longest lines; where most of those are
            surely upright and none is surely upside down, the rest is taken to be upright, else it is asked.
    """

    def __init__(self, spec: DirectionSpec, session: Session, mode: Mode = "sample") -> None:
        self.spec = spec
        self.mode = mode
        self._session = session
        self._normalize = Normalizer(spec)

    def __call__(self, pages: Sequence[Page]) -> list[Page]:
        """Classifies the lines of each page.

        Raises:
            ValueError: a line has no crop.
        """
        answers: list[Answers] = [{} for _ in pages]
        groups = [_groups(page) for page in pages]
        self._ask(
            pages, [self._first(page, *of_page) for page, of_page in zip(pages, groups, strict=True)], answers
        )
        rests = [self._rest(along, found) for (along, _), found in zip(groups, answers, strict=True)]
        self._ask(pages, rests, answers)
        return [
            self._turned(self._turned(page, along, found), across, found)
            for page, (along, across), found in zip(pages, groups, answers, strict=True)
        ]

    def _first(self, page: Page, along: Sequence[int], across: Sequence[int]) -> Sequence[int]:
        if self.mode == "all":
            return range(len(page.lines))
        return [*sorted(along, key=lambda i: -_aspect(page.lines[i]))[:SAMPLE], *across]

    def _rest(self, along: Sequence[int], found: Answers) -> Sequence[int]:
        """The lines along the page not asked yet, where those asked do not speak for an upright page."""
        asked = [found[i] for i in along if i in found]
        upright = sum(p < 1 - self.spec.threshold for p in asked)
        if 2 * upright > len(asked) and all(p <= self.spec.threshold for p in asked):
            return ()
        return [i for i in along if i not in found]

    def _ask(self, pages: Sequence[Page], chosen: Sequence[Sequence[int]], answers: list[Answers]) -> None:
        wanted = [(p, i) for p, numbers in enumerate(chosen) for i in numbers]
        upside_down = self.probabilities([pages[p].lines[i] for p, i in wanted])
        for (p, i), probability in zip(wanted, upside_down.tolist(), strict=True):
            answers[p][i] = probability

    def _turned(self, page: Page, group: Sequence[int], found: Answers) -> Page:
        """The page with those lines of a group turned that stand on their heads."""
        asked = {i: found[i] for i in group if i in found}
        threshold = self.spec.threshold
        telling = {i: p for i, p in asked.items() if _aspect(page.lines[i]) >= SHORT} or asked
        heads = sum(p > threshold for p in telling.values())
        feet = sum(p < 1 - threshold for p in telling.values())
        least = 1 - threshold if heads > feet else threshold
        lines = list(page.lines)
        for i, p in asked.items():
            if p > least if i in telling else heads > feet:
                lines[i] = replace(turn(lines[i]), direction=180, direction_confidence=p)
            else:
                lines[i] = replace(lines[i], direction=0, direction_confidence=1 - p)
        return replace(page, lines=tuple(lines))

    def probabilities(self, lines: Sequence[Line]) -> npt.NDArray[np.float32]:
        """The probability of each line to be upside down: (N,) float32.

        Raises:
            ValueError: a line has no crop.
        """
        channels, height, width = len(self.spec.mean), self.spec.height, self.spec.width
        parts = []
        for start in range(0, len(lines), BATCH):
            chunk = lines[start : start + BATCH]
            tensor = np.zeros((len(chunk), channels, height, width), np.float32)
            for line, row in zip(chunk, tensor, strict=True):
                shown = middle(line, SQUEEZE * width / height)
                pixels = fit_height(shown, height, (width,), self.spec.color == "gray", squeeze=1.0)
                self._normalize(pixels, row[:, :, : pixels.shape[1]])
            parts.append(self._session.run(tensor)[0][:, 1])
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def middle(line: Line, aspect: float) -> Line:
    """The line with no more of its crop than `aspect` times its height, cut out of the middle."""
    if line.crop is None or _aspect(line) <= aspect:
        return line
    height, width = line.crop.shape[:2]
    columns = max(1, round(aspect * height))
    start = (width - columns) // 2
    return replace(line, crop=np.ascontiguousarray(line.crop[:, start : start + columns]))


def _groups(page: Page) -> tuple[list[int], list[int]]:
    """The lines that run along most of the page's text, and those that run across it, by number."""
    if not page.lines:
        return [], []
    across = run_across(np.stack([line.polygon for line in page.lines]))
    return np.flatnonzero(~across).tolist(), np.flatnonzero(across).tolist()


def _aspect(line: Line) -> float:
    return 0.0 if line.crop is None else line.crop.shape[1] / line.crop.shape[0]
