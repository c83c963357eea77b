"""A sheet of paper to write on: it draws texts and rules, and remembers where each line of text stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import cv2
import numpy as np

from models.records import Image, Quad
from training.synthesis.drawing import Setting, draw_text, stamp
from training.synthesis.fonts import Face, load_font
from training.synthesis.pixels import Box, Colour, Floats, Mask, resize, to_bytes

JOIN_GAP = 1.6
"""Neighbours on a row with a gap of fewer line heights than this are one line, as SROIE labels them."""


class PageLine(NamedTuple):
    """A line of text on a page.

    Attributes:
        quad: float32 (4, 2), x and y in pixels, clockwise from the text's top left corner as it is read.
        text: what it says.
    """

    quad: Quad
    text: str


@dataclass(frozen=True, slots=True)
class Pen:
    """A face at a size, and how it is set."""

    face: Face
    size: int
    spacing: float = 0.0
    jitter: float = 0.0
    stretch: float = 1.0

    @property
    def setting(self) -> Setting:
        return Setting(self.size, self.spacing, self.jitter, self.stretch)

    def width(self, text: str) -> float:
        """About how many pixels wide `text` will be."""
        natural = load_font(self.face.path, self.size).getlength(text)
        return natural * self.stretch + self.spacing * self.size * len(text)


class Sheet:
    """Layers of coverage that become one picture at the end.

    Attributes:
        ink: dark print, uint8 (H, W).
        light: print in the paper's colour upon panels, uint8 (H, W).
        ground: what is printed under the text: panels and pictures, as lightness 0 to 255, uint8 (H, W).
        found: the lines so far: box and text.

    Args:
        width: in pixels.
        height: in pixels.
        rng: for what is uneven in writing.
        allowed: the characters that may be written.
    """

    def __init__(self, width: int, height: int, rng: Random, allowed: frozenset[str]) -> None:
        self.width, self.height, self.rng = width, height, rng
        self._allowed = allowed
        self.ink: Mask = np.zeros((height, width), np.uint8)
        self.light: Mask = np.zeros((height, width), np.uint8)
        self.ground: Mask = np.full((height, width), 255, np.uint8)
        self.found: list[tuple[Box, str]] = []

    def text(
        self,
        text: str,
        pen: Pen,
        x: float,
        baseline: float,
        align: float = 0.0,
        fit: float = 0.0,
        light: bool = False,
        label: bool = True,
    ) -> Box | None:
        """Writes one line of text.

        Args:
            text: what the face cannot draw, or the charset lacks, is left out.
            pen: face and setting.
            x: where the line stands, in pixels.
            baseline: likewise.
            align: 0 where `x` is its left end, 0.5 its middle, 1 its right end.
            fit: a width that the line is stretched to, where it nearly has it, as in justified columns.
            light: whether to write in the paper's colour.
            label: whether it counts as text; rules made of characters do not.

        Returns:
            The box of the ink, or None where nothing was drawn: no glyphs, no room, or text there already.
        """
        able = pen.face.glyph_set & self._allowed
        text = " ".join("".join(char for char in text if char in able).split())
        if not text:
            return None
        mask, above = draw_text(pen.face, text, pen.setting, self.rng)
        if fit and 0.9 < fit / mask.shape[1] < 1.12:
            mask = resize(mask, fit, mask.shape[0], cv2.INTER_LINEAR)
        left, top = round(x - align * mask.shape[1]), round(baseline - above)
        rows = np.flatnonzero(mask.max(axis=1) > 60)
        if not rows.size:
            return None
        box = (left, top + int(rows[0]), left + mask.shape[1], top + int(rows[-1]) + 1)
        if box[0] < 1 or box[1] < 1 or box[2] > self.width - 1 or box[3] > self.height - 1:
            return None
        if any(_overlap(box, other) for other, _ in self.found):
            return None
        stamp(self.light if light else self.ink, mask, left, top)
        if label:
            self.found.append((_at_least(box, baseline, pen.size), text))
        return box

    def row(self, cells: Sequence[tuple[str, float, float]], pen: Pen, baseline: float) -> None:
        """Writes cells (text, x, align) on one baseline; those that stand near each other become one line."""
        start = len(self.found)
        for text, x, align in cells:
            self.text(text, pen, x, baseline, align)
        self.found[start:] = join_near(self.found[start:], JOIN_GAP * pen.size * 0.8)

    def rule(self, x0: float, y0: float, x1: float, y1: float, thick: int = 1, tone: int = 255) -> None:
        """A straight line of ink."""
        cv2.line(self.ink, (round(x0), round(y0)), (round(x1), round(y1)), tone, thick, cv2.LINE_AA)

    def frame(self, box: Box, thick: int = 1, tone: int = 255) -> None:
        """A rectangle of ink."""
        x0, y0, x1, y1 = (round(value) for value in box)
        cv2.rectangle(self.ink, (x0, y0), (x1, y1), tone, thick)

    def panel(self, box: Box, lightness: int) -> None:
        """A filled rectangle under the text."""
        x0, y0, x1, y1 = (max(0, round(value)) for value in box)
        self.ground[y0:y1, x0:x1] = lightness

    def lines(self) -> list[PageLine]:
        """The lines so far, each box widened by the little that labels leave around the ink."""
        return [PageLine(quad_of(pad_box(box)), text) for box, text in self.found]

    def picture(self, paper: Colour, texture: Floats, ink: Colour, tint: Colour | None = None) -> Image:
        """The sheet as uint8 (H, W, 3), blue, green, red.

        Args:
            paper: the paper's colour.
            texture: (H, W) lightness to add to it.
            ink: the colour of the print.
            tint: the colour that panels darken towards; gray by default.
        """
        base = np.asarray(paper, np.float32) + texture[..., None]
        if self.ground.min() < 255:
            share = (self.ground.astype(np.float32) * (1 / 255))[..., None]
            base = base * share + np.asarray(tint or (0, 0, 0), np.float32) * (1 - share)
        cover = (self.ink.astype(np.float32) * (1 / 255))[..., None]
        base += (np.asarray(ink, np.float32) - base) * cover
        if self.light.any():
            cover = (self.light.astype(np.float32) * (1 / 255))[..., None]
            base += (np.asarray(paper, np.float32) - base) * cover
        return to_bytes(base)


def join_near(found: Sequence[tuple[Box, str]], gap: float) -> list[tuple[Box, str]]:
    """Joins boxes of one row, in order from the left, where they stand fewer than `gap` pixels apart."""
    joined: list[tuple[Box, str]] = []
    for box, text in sorted(found, key=lambda item: item[0][0]):
        if joined and box[0] - joined[-1][0][2] < gap:
            last, words = joined.pop()
            box = (last[0], min(last[1], box[1]), max(last[2], box[2]), max(last[3], box[3]))
            text = f"{words} {text}"
        joined.append((box, text))
    return joined


def pad_box(box: Box) -> Box:
    """A box with the margin that people leave when they draw it by hand."""
    margin = max(1.0, 0.06 * (box[3] - box[1]))
    return box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin


def quad_of(box: Box) -> Quad:
    """The corners of a box, clockwise from the top left."""
    x0, y0, x1, y1 = box
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)


def _overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share more than what tight lines do."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    tall = min(one[3], other[3]) - max(one[1], other[1])
    return wide > 0 and tall > 0.3 * min(one[3] - one[1], other[3] - other[1])


def _at_least(box: Box, baseline: float, size: int) -> Box:
    """Dots and dashes get a box as tall as small letters: people draw it so, and a sliver cannot be found."""
    return box[0], min(box[1], baseline - 0.45 * size), box[2], max(box[3], baseline)
