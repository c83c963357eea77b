"""Lines out of a page's glyphs, cut as the job's labels are: at gaps of one and a half heights.

Pure functions; places are points of the shown page as in `models.decoding.glyphs`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

import cv2
import numpy as np
import numpy.typing as npt

from models.decoding.glyphs import Box, Glyph, LayerError
from models.spelling import normalize

CUT_GAP = 1.3
"""A gap of as many ems parts lines: one and a half heights of a line's ink,"""
CUT_GAP_APART = 0.6
"""and of as many where the layer goes on elsewhere: columns, cells."""
WORD_GAP = 0.16
"""A gap of as many ems parts words."""
WORD_GAP_TURNED = 0.22
"""The same where only the outlines tell the gap, not the font's widths."""

MOST_RUNS = 2000
"""Stretches of a page's text that are put together to lines: each is compared with all others."""

_ACCENTS = {
    "`": "\u0300", "\u00b4": "\u0301", "\u02c6": "\u0302", "^": "\u0302", "\u02dc": "\u0303", "~": "\u0303",
    "\u00af": "\u0304", "\u02d8": "\u0306", "\u02d9": "\u0307", "\u00a8": "\u0308", "\u02da": "\u030a",
    "\u02dd": "\u030b", "\u02c7": "\u030c", "\u00b8": "\u0327", "\u02db": "\u0328",
}  # fmt: skip
"""Accents that stand alone in a layer, as old TeX fonts set them over a letter."""

_TALL, _SMALL = frozenset("bdfhkl"), frozenset("acemnorsuvwxz")
"""Letters that rise above the others, and some of the others."""

_LOW_QUOTES = {"\u201d": "\u201e", "\u2019": "\u201a"}
"""Quotes and what they are where they stand on the baseline."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text.

    Attributes:
        glyphs: along the line.
        text: what it says, NFC, ligatures apart.
        quad: (4, 2) float64, clockwise from the text's top left, about the ink.
        size: of its largest font, in points.
        fault: why nobody should be judged by it; empty: nothing is wrong.
    """

    glyphs: tuple[Glyph, ...]
    text: str
    quad: npt.NDArray[np.float64]
    size: float
    fault: str = ""


@dataclass(slots=True)
class _Run:
    """Glyphs in a row, in the frame of their direction: u along the line, v down from it."""

    glyphs: list[Glyph]
    begin: float
    end: float
    baseline: float
    size: float
    top: float
    bottom: float

    @property
    def numbers(self) -> tuple[int, int]:
        return self.glyphs[0].number, self.glyphs[-1].number

    def add(self, other: _Run) -> None:
        """Takes in another run; the larger letters tell the baseline."""
        if other.size > self.size:
            self.baseline = other.baseline
        self.glyphs += other.glyphs
        self.end, self.size = max(self.end, other.end), max(self.size, other.size)
        self.top, self.bottom = min(self.top, other.top), max(self.bottom, other.bottom)


def lines_of(glyphs: Sequence[Glyph]) -> list[Line]:
    """All lines of a page, of each direction; slanting ones have a fault.

    Raises:
        LayerError: the text is in more than `MOST_RUNS` pieces.
    """
    groups: dict[int, list[Glyph]] = defaultdict(list)
    for glyph in glyphs:
        if glyph.size > 0:
            groups[glyph.direction].append(glyph)
    slanting = _neighbours(groups.pop(-1, []))
    upright = {
        direction: _runs(_with_low_quotes(_with_accents(members, direction), direction), direction)
        for direction, members in groups.items()
    }
    if len(slanting) + sum(map(len, upright.values())) > MOST_RUNS:
        raise LayerError("too many pieces")
    lines = [_slanting(run) for run in slanting]
    for direction, runs in upright.items():
        lines += [line_of(run.glyphs, direction) for run in _merged(runs)]
    return sorted(_crossed(lines), key=lambda line: min(glyph.number for glyph in line.glyphs))


_FRAMES = tuple(np.array([[x, y], [-y, x]], np.float64) for x, y in ((1, 0), (0, 1), (-1, 0), (0, -1)))
"""Of each direction: unit vectors along the text and down from it, as rows."""


def in_frame(box: Box, direction: int) -> Box:
    """A box seen from where the text stands upright."""
    x0, y0, x1, y1 = box
    return ((x0, y0, x1, y1), (y0, -x1, y1, -x0), (-x1, -y1, -x0, -y0), (-y1, x0, -y0, x1))[direction]


def _place(glyph: Glyph, direction: int) -> tuple[float, float, float]:
    """Begin, end and baseline of a glyph; the end is that of its advance, as far as it is known."""
    x, y = glyph.origin
    u, v = ((x, y), (y, -x), (-x, -y), (-y, x))[direction]
    if direction == 0 and glyph.advance:
        return u, u + glyph.advance, v
    box = in_frame(glyph.box, direction)
    return min(u, box[0]), box[2], v


def _runs(glyphs: Sequence[Glyph], direction: int) -> list[_Run]:
    """Glyphs that follow each other in the layer and on a baseline."""
    runs: list[_Run] = []
    for glyph in glyphs:
        begin, end, baseline = _place(glyph, direction)
        _, top, _, bottom = in_frame(glyph.box, direction)
        alone = _Run([glyph], begin, end, baseline, glyph.size, top, bottom)
        if runs and _goes_on(runs[-1], alone):
            runs[-1].add(alone)
        else:
            runs.append(alone)
    return runs


def _goes_on(run: _Run, glyph: _Run) -> bool:
    """Whether a glyph is the next one of a run: on its baseline, not back and not far ahead."""
    size = max(glyph.size, run.size)
    level = abs(glyph.baseline - run.baseline) < 0.08 * size
    return level and glyph.begin >= run.begin and -0.6 * glyph.size < glyph.begin - run.end < CUT_GAP * size


def _merged(runs: Sequence[_Run]) -> list[_Run]:
    """Runs side by side joined: raised and lowered ones, and what the layer has in another order."""
    lines: list[_Run] = []
    for run in sorted(runs, key=lambda each: (each.begin, each.glyphs[0].number)):
        near = [line for line in lines if _side_by_side(line, run)]
        if near:
            min(near, key=lambda each: (abs(each.baseline - run.baseline), -each.end)).add(run)
        else:
            lines.append(run)
    return lines


def _side_by_side(line: _Run, run: _Run) -> bool:
    size, gap = max(line.size, run.size), run.begin - line.end
    if not -0.3 * size < gap < CUT_GAP * size or not (_level(line, run) or _inked_alike(line, run)):
        return False
    follows = any(abs(first - last) == 1 for first in run.numbers for last in _ends(line))
    return gap < (CUT_GAP if follows else CUT_GAP_APART) * size


def _level(one: _Run, other: _Run) -> bool:
    """Whether half of the smaller one's letters, by its baseline, stand beside the other's."""
    top = max(one.baseline - 0.7 * one.size, other.baseline - 0.7 * other.size)
    bottom = min(one.baseline + 0.2 * one.size, other.baseline + 0.2 * other.size)
    return bottom - top > 0.45 * min(one.size, other.size)


def _inked_alike(one: _Run, other: _Run) -> bool:
    """Whether their ink stands side by side: roots and large brackets hang from their baselines."""
    height = min(one.bottom - one.top, other.bottom - other.top)
    shared = min(one.bottom, other.bottom) - max(one.top, other.top)
    return height > 0.4 * min(one.size, other.size) and shared > 0.7 * height


def _ends(line: _Run) -> tuple[int, int]:
    numbers = [glyph.number for glyph in line.glyphs[-40:]]
    return min(numbers), max(numbers)


def line_of(glyphs: Sequence[Glyph], direction: int) -> Line:
    """A line of glyphs: its text, the quad about its ink, and what is wrong with it."""
    ordered = sorted(glyphs, key=lambda each: (_place(each, direction)[0], each.number))
    size = max(glyph.size for glyph in ordered)
    text = clean(_spaced(ordered, direction))
    boxes = np.array([in_frame(glyph.box, direction) for glyph in ordered])
    baseline = median(_place(glyph, direction)[2] for glyph in ordered if glyph.size > 0.8 * size)
    # Dots and dashes get a box as tall as small letters, as in made pages.
    left, top = boxes[:, 0].min(), min(boxes[:, 1].min(), baseline - 0.45 * size)
    right, bottom = boxes[:, 2].max(), max(boxes[:, 3].max(), baseline)
    margin = 0.06 * (bottom - top)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    corners += margin * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    quad = corners @ _FRAMES[direction]
    return Line(tuple(ordered), text, quad, size, _fault(ordered, text, boxes))


def _fault(glyphs: Sequence[Glyph], text: str, boxes: npt.NDArray[np.float64]) -> str:
    if any(not glyph.text for glyph in glyphs) or not text:
        return "unmapped"
    if any(char == "\ufffd" or unicodedata.category(char) in ("Co", "Cn", "Cc", "Cs") for char in text):
        return "unmapped"
    if any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in text):
        return "right to left"  # glyphs are ordered from the left
    if any(unicodedata.combining(char) for char in text):
        return "accents"
    widths = boxes[:, 2] - boxes[:, 0]
    shared = np.minimum(boxes[:-1, 2], boxes[1:, 2]) - np.maximum(boxes[:-1, 0], boxes[1:, 0])
    narrower = np.minimum(widths[:-1], widths[1:])
    if (shared > 0.6 * narrower + 0.2).any():
        return "stacked"
    return ""


def _with_accents(glyphs: Sequence[Glyph], direction: int) -> list[Glyph]:
    """Accents that are glyphs of their own joined with the letters under or over them.

    The layer may have them far from their letters: PDFium puts off what stands left of where it is.
    """
    letters = [glyph for glyph in glyphs if not _accent(glyph)]
    places = np.array([(*in_frame(g.box, direction), _place(g, direction)[2]) for g in letters]).reshape(
        -1, 5
    )
    joined, alone = dict(enumerate(letters)), list[Glyph]()
    for glyph in glyphs:
        if not (mark := _accent(glyph)):
            continue
        left, top, right, bottom = in_frame(glyph.box, direction)
        over = np.minimum(places[:, 2], right) - np.maximum(places[:, 0], left)
        apart = np.abs(places[:, 4] - _place(glyph, direction)[2])
        near = np.flatnonzero((over > 0.5 * (right - left)) & (apart < 0.5 * glyph.size))
        number = int(near[np.argmin(apart[near])]) if near.size else -1
        both = _composed(joined[number].text, mark) if near.size else ""
        if both:
            joined[number] = replace(joined[number], text=both, box=_union(joined[number].box, glyph.box))
        else:
            alone.append(glyph)
    return sorted([*joined.values(), *alone], key=lambda each: each.number)


def _with_low_quotes(glyphs: Sequence[Glyph], direction: int) -> list[Glyph]:
    """Closing quotes set as low as a comma are opening ones: old TeX fonts have no others."""
    raised = list(glyphs)
    for i, (quote, after) in enumerate(pairwise(glyphs)):
        low = _LOW_QUOTES.get(quote.text)
        drop = _place(quote, direction)[2] - _place(after, direction)[2]
        if low and 0.3 * after.size < drop < after.size:
            raised[i] = replace(quote, text=low, origin=_moved(quote.origin, direction, -drop))
    return raised


def _moved(origin: tuple[float, float], direction: int, down: float) -> tuple[float, float]:
    x, y = np.array(origin) + _FRAMES[direction][1] * down
    return float(x), float(y)


def _accent(glyph: Glyph) -> str:
    """The combining accent that a glyph alone is; empty: it is none."""
    if glyph.text and all(unicodedata.combining(char) for char in glyph.text):
        return glyph.text
    return _ACCENTS.get(glyph.text, "")


def _composed(letter: str, mark: str) -> str:
    """A letter with an accent as one character; empty where there is none such."""
    plain = {"\u0131": "i", "\u0237": "j"}.get(letter, letter)
    both = unicodedata.normalize("NFC", plain + mark)
    return both if len(both) == len(plain) == 1 else ""


def _union(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _spaced(glyphs: Sequence[Glyph], direction: int) -> str:
    """The text with a space wherever the layer has one, or a gap is wide."""
    places = [_place(glyph, direction) for glyph in glyphs]
    gaps = [
        (after[0] - before[1]) / max(one.size, other.size)
        for one, other, before, after in zip(glyphs, glyphs[1:], places, places[1:], strict=False)
    ]
    least = WORD_GAP if direction == 0 else WORD_GAP_TURNED
    least += min(0.3, max(0.0, median(gaps))) if gaps else 0.0  # letters may be set apart
    text = glyphs[0].text
    for gap, one, other in zip(gaps, glyphs, glyphs[1:], strict=False):
        told = other.spaced and 0 < other.number - one.number < 3 and gap > 0.05
        text += (" " if told or gap > least else "") + other.text
    return text


def clean(text: str) -> str:
    """A layer's text as labels spell it: NFC, ligatures apart, plain spaces, leader dots cut to three."""
    apart = "".join(unicodedata.normalize("NFKC", c) if "\ufb00" <= c <= "\ufb06" else c for c in text)
    plain = "".join(c for c in apart.replace("\u00ad", "-") if unicodedata.category(c) != "Cf")
    return normalize(re.sub(r"\s*\.(?:\s*\.){3,}", "... ", plain))


def _neighbours(glyphs: Sequence[Glyph]) -> list[list[Glyph]]:
    """Slanting glyphs that follow each other within an em and a half."""
    runs: list[list[Glyph]] = []
    for glyph in glyphs:
        last = runs[-1][-1] if runs else glyph
        near = math.dist(glyph.origin, last.origin) < 1.5 * max(glyph.size, last.size)
        if runs and near:
            runs[-1].append(glyph)
        else:
            runs.append([glyph])
    return runs


def _slanting(glyphs: Sequence[Glyph]) -> Line:
    size = max(glyph.size for glyph in glyphs)
    boxes = np.array([glyph.box for glyph in glyphs]) + 0.06 * size * np.array([-1, -1, 1, 1])
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2).astype(np.float32)
    quad = cv2.boxPoints(cv2.minAreaRect(corners)).astype(np.float64)
    return Line(tuple(glyphs), "", quad, size, "slanting")


def _crossed(lines: Sequence[Line]) -> list[Line]:
    """Marks lines that lie over each other by more than a third of the smaller one."""
    if len(lines) < 2:
        return list(lines)
    low, high = (np.array([edge(line.quad, axis=0) for line in lines]) for edge in (np.min, np.max))
    areas = np.prod(high - low, axis=1)
    shared = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    over = np.prod(np.maximum(shared, 0), axis=2) / np.minimum(areas[:, None], areas[None])
    np.fill_diagonal(over, 0)
    crossed = (over > 0.34).any(axis=1)
    return [
        replace(line, fault=line.fault or "crossed") if cross else line
        for line, cross in zip(lines, crossed, strict=True)
    ]


def disagreeing_fonts(glyphs: Iterable[Glyph]) -> frozenset[str]:
    """Fonts whose outlines are not the letters that the layer says: tall letters no taller than small ones.

    That tells encodings that were made up, and small capitals, which the layer calls small letters.
    """
    tall: dict[str, list[float]] = defaultdict(list)
    small: dict[str, list[float]] = defaultdict(list)
    for glyph in glyphs:
        if glyph.direction == 0 and glyph.size > 0:
            height = (glyph.origin[1] - glyph.box[1]) / glyph.size
            if glyph.text in _TALL:
                tall[glyph.font].append(height)
            elif glyph.text in _SMALL:
                small[glyph.font].append(height)
    return frozenset(
        font
        for font in tall.keys() & small.keys()
        if np.mean(np.array(tall[font]) > 1.12 * median(small[font])) < 0.8
    )
