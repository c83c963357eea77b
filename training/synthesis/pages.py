"""Made pages with line quads, for the detector and for end-to-end development sets (paper, section 3.1).

layout (receipt, form, document, ...) -> sheet -> print -> paper -> scan or photo -> PageSample
scene -> PageSample
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import cv2
import numpy as np

from models.records import Image
from training.synthesis import capture, documents, forms, looks, receipts
from training.synthesis.fonts import Face, FontBook, usable_faces
from training.synthesis.pixels import Mask, soften
from training.synthesis.scenes import WordCrop, scene
from training.synthesis.sheet import PageLine, Sheet
from training.synthesis.text import TextSource

Layout = Callable[[TextSource, FontBook, Random], Sheet]

LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "receipt": (receipts.receipt,),
    "form": (forms.form,),
    "document": (documents.dense, documents.dense, documents.letter, documents.invoice, documents.tables),
}
"""What is drawn on paper, by kind; a scene is the fourth kind."""

PRINTS: dict[str, dict[str, int]] = {
    "receipt": {"thermal": 60, "laser": 25, "copy": 10, "dots": 5},
    "form": {"laser": 35, "copy": 50, "thermal": 15},
    "document": {"laser": 70, "copy": 25, "thermal": 5},
}
"""How each kind is printed, with weights; see `printed`."""

MIX: dict[str, float] = {"receipt": 0.33, "form": 0.22, "document": 0.22, "scene": 0.23}
"""Shares of the kinds by default."""


@dataclass(frozen=True, slots=True, eq=False)
class PageSample:
    """One made page.

    Attributes:
        image: uint8 (H, W, 3), blue, green, red.
        lines: each line's quad, inside the image, and text.
        kind: receipt, form, document or scene.
    """

    image: Image
    lines: tuple[PageLine, ...]
    kind: str


class PageSource:
    """Makes pages; each is decided by (seed, index) alone, whatever process or order asks for it.

    Args:
        seed: of the whole set.
        charset: the characters to use.
        mix: the kinds and their weights (a key of `MIX` each).
        faces: the fonts; by default all usable ones of this machine but those held out for development sets.
        words: real word crops to paste into scenes.
        longest: longest side of most images in pixels; it varies from 0.75 to 1.25 times this.

    Raises:
        UsageError: where no font is found.
    """

    def __init__(
        self,
        seed: int,
        charset: Sequence[str],
        *,
        mix: Mapping[str, float] = MIX,
        faces: Sequence[Face] | None = None,
        words: Sequence[WordCrop] = (),
        longest: int = 960,
    ) -> None:
        self._seed, self._mix, self._words, self._longest = seed, dict(mix), words, longest
        self._texts = TextSource(charset)
        self._book = FontBook(usable_faces(charset) if faces is None else faces)

    def sample(self, index: int) -> PageSample:
        """The page of this index (0 or more)."""
        rng = Random(f"page {self._seed} {index}")
        kind = rng.choices(list(self._mix), list(self._mix.values()))[0]
        longest = round(self._longest * rng.uniform(0.75, 1.25))
        if kind == "scene":
            shape = (longest, round(longest * rng.uniform(0.55, 0.95)))
            image, lines = scene(
                self._texts, self._book, rng, shape if rng.random() < 0.75 else shape[::-1], self._words
            )
        else:
            image, lines = self._paper(kind, longest, rng)
        if rng.random() < 0.03:
            image, lines = capture.upside_down(image, lines)
        image, kept = _keep_inside(image, lines)
        return PageSample(np.ascontiguousarray(image), kept, kind)

    def _paper(self, kind: str, longest: int, rng: Random) -> tuple[Image, list[PageLine]]:
        sheet = rng.choice(LAYOUTS[kind])(self._texts, self._book, rng)
        image = printed(sheet, kind, rng)
        if rng.random() < 0.12:
            image = capture.creases(image, rng)
        take = (
            capture.photographed if rng.random() < (0.35 if kind == "receipt" else 0.2) else capture.scanned
        )
        size = (longest, longest) if kind != "receipt" else (round(longest * 0.8), round(longest * 1.25))
        image, lines = take(image, sheet.lines(), rng, size)
        return capture.camera(image, rng), lines


def printed(sheet: Sheet, kind: str, rng: Random) -> Image:
    """A sheet as its printer leaves it: thermal, impact, laser, or copied and faxed."""
    way = rng.choices(list(PRINTS[kind]), list(PRINTS[kind].values()))[0]
    sheet.ink = looks.legible(sheet.ink, _impression(sheet.ink, way, rng))
    dark = rng.uniform(20, 150) if way == "thermal" else rng.uniform(0, 70)
    level = rng.uniform(222, 255) if rng.random() < 0.75 else rng.uniform(165, 225)
    texture = looks.paper(rng, sheet.ink.shape, 0, rng.choice((0, 3, 10)) * rng.random())
    tint = rng.choice((0.0, 0.0, 0.0, 0.04, 0.06, 0.25))
    background = looks.colour_near(rng, level, tint * rng.random())
    ink = looks.colour_near(rng, dark, rng.choice((0, 0, 0, 0.1, 0.5)))
    panels = looks.colour_near(rng, rng.uniform(0, 80), 0.5) if rng.random() < 0.3 else None
    return sheet.picture(background, texture, ink, panels)


def _impression(ink: Mask, way: str, rng: Random) -> Mask:
    """What a way of printing (a key in `PRINTS`) makes of clean coverage."""
    if way == "thermal":
        return _thermal(ink, rng)
    if way == "dots":
        return soften(looks.dots(ink, rng, rng.uniform(1.6, 2.4)), 0.7)
    if way == "copy":
        ink = looks.binarise(ink, rng, rng.choice((0.0, 0.6, 0.9)), rng.uniform(5, 35))
        holes, specks = (
            rng.choice((0, rng.uniform(0.001, 0.03))),
            rng.choice((0, rng.uniform(0.00005, 0.004))),
        )
        return looks.speckle(ink, rng, holes, specks)
    return looks.spread(ink, rng, rng.uniform(-0.5, 0.7)) if rng.random() < 0.4 else ink


def _thermal(ink: Mask, rng: Random) -> Mask:
    if rng.random() < 0.5:
        ink = looks.spread(ink, rng, rng.uniform(-0.7, 0.7))
    if rng.random() < 0.5:
        ink = looks.fade(ink, rng, rng.uniform(0.1, 0.35), rng.choice((3, 9, 30)))
    if rng.random() < 0.3:
        ink = looks.banding(ink, rng, rng.uniform(0.1, 0.35))
    return ink


def _keep_inside(image: Image, lines: Sequence[PageLine]) -> tuple[Image, tuple[PageLine, ...]]:
    """Drops lines cut by the picture's edge, and paints them over, as unlabelled text would teach wrongly."""
    height, width = image.shape[:2]
    kept = tuple(line for line in lines if capture.inside(line.quad, width, height))
    if len(kept) < len(lines):
        image = image.copy()
        for line in lines:
            if not capture.inside(line.quad, width, height):
                corner = np.clip(line.quad[0], 0, [width - 1, height - 1]).astype(int)
                tone = [int(value) for value in image[corner[1], corner[0]]]
                cv2.fillConvexPoly(image, np.round(line.quad).astype(np.int32), tone)
    return image, kept
