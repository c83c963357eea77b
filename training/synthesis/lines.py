"""Made images of single text lines, for the recogniser (paper, section 3.1).

A line is drawn as coverage (text, neighbouring lines, rules), put into place by one perspective warp that
also rotates, scales and crops as a detector's box would, and then given a look: what paper, ink, scanner or
camera do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import cast

import cv2
import numpy as np

from models.records import Image
from training.synthesis import looks
from training.synthesis.drawing import Setting, draw_text, ink_rows, stamp
from training.synthesis.east_asian import EastAsianText, east_asian_faces
from training.synthesis.fonts import Face, FontBook, usable_faces
from training.synthesis.pixels import Box, Floats, Mask, floats, homography, share, soften, thicken, warp
from training.synthesis.text import TextSource

SIZES = (26, 30, 34, 38, 44)
"""Pixels an em before the last warp: few, so that opened fonts are used again."""

MAX_ASPECT = 46.0
"""A line's width is at most this many times its height: longer ones are condensed."""


@dataclass(frozen=True, slots=True)
class LineSample:
    """One made line.

    Attributes:
        image: uint8, (H, W), or (H, W, 3) in blue, green, red where colour was asked for; H is 28 to 56.
        text: what it says; all characters are in the charset.
    """

    image: Image
    text: str


@dataclass(frozen=True, slots=True)
class Look:
    """A kind of line: how likely, in what kind of face, set how, bent how much, and what gives its pixels."""

    weight: float
    face: str
    render: Callable[[Mask, Random, bool], Image]
    jitter: float = 0.0
    bend: float = 0.3
    scene: bool = False


class LineSource:
    """Makes lines; each is decided by (seed, index) alone, whatever process or order asks for it.

    Args:
        seed: of the whole set.
        charset: the characters to use. Each has a floor frequency of about one line in a thousand.
        color: whether images have three channels (blue, green, red); else they are gray and made faster.
        faces: the fonts; by default all usable ones of this machine but those held out for development sets.
        language: Chinese or Japanese lines, by a key of `east_asian.LANGUAGES`; empty = Latin script.

    Raises:
        UsageError: where no font is found.

    Example:
        >>> source = LineSource(0, charset)
        >>> sample = source.sample(12)   # sample.image, sample.text
    """

    def __init__(
        self,
        seed: int,
        charset: Sequence[str],
        *,
        color: bool = False,
        faces: Sequence[Face] | None = None,
        language: str = "",
    ) -> None:
        self._seed = seed
        self._color = color
        self._texts = EastAsianText(charset, language) if language else TextSource(charset)
        if faces is None:
            faces = east_asian_faces(charset, language) if language else usable_faces(charset)
        self._book = FontBook(faces)

    def sample(self, index: int) -> LineSample:
        """The line of this index (0 or more)."""
        rng = Random(f"line {self._seed} {index}")
        look = rng.choices(list(LOOKS.values()), [look.weight for look in LOOKS.values()])[0]
        return self._make(look, rng)

    def sample_look(self, name: str, index: int) -> LineSample:
        """The line of this index in a look by name (a key of `LOOKS`)."""
        return self._make(LOOKS[name], Random(f"{name} {self._seed} {index}"))

    def _make(self, look: Look, rng: Random) -> LineSample:
        text = self._texts.sign(rng) if look.scene and rng.random() < 0.75 else self._texts.line(rng)
        face, text = self._book.pick(
            rng, text, look.face if rng.random() < 0.8 else rng.choice(("any", "common", "plain"))
        )
        text = " ".join(text.split()) or next(filter(face.draws, self._texts.characters))
        canvas, box = self._compose(face, text, look, rng)
        mask = _place(canvas, box, look.bend, rng)
        image = look.render(mask, rng, self._color)
        return LineSample(np.ascontiguousarray(image), text)

    def _compose(self, face: Face, text: str, look: Look, rng: Random) -> tuple[Mask, Box]:
        """The line on a canvas with what stands around it, and the box that a label would give it."""
        setting = _setting(look, rng)
        mask, baseline = draw_text(face, text, setting, rng)
        pad = mask.shape[0]
        canvas = np.zeros((mask.shape[0] + 2 * pad, mask.shape[1] + 2 * pad), np.uint8)
        stamp(canvas, mask, pad, pad)
        top, bottom = _label_rows(mask, baseline, setting.size, rng)
        box = (pad, pad + top, pad + mask.shape[1], pad + bottom)
        if not look.scene and rng.random() < 0.45:
            _neighbours(canvas, mask, setting.size, pad, rng)
        if rng.random() < 0.12:
            _rules(canvas, box, rng)
        return canvas, box


def _neighbours(canvas: Mask, mask: Mask, size: int, top: int, rng: Random) -> None:
    """Lines above and below, so near that they peek into the crop.

    They are the line itself, cut and moved: drawing others would cost half as much again for little.
    """
    pitch = round(size * rng.uniform(0.95, 1.35))
    for shift in (-pitch, pitch):
        if rng.random() < 0.75:
            other = np.roll(mask, rng.randrange(mask.shape[1]), axis=1)[
                :, : max(8, round(mask.shape[1] * rng.uniform(0.2, 1.3)))
            ]
            stamp(
                canvas,
                other,
                top + rng.choice((0, 0, rng.randint(-80, 80), mask.shape[1] - other.shape[1])),
                top + shift,
            )


def _setting(look: Look, rng: Random) -> Setting:
    spacing = stretch = 0.0
    if rng.random() < 0.18:
        spacing = rng.choice(
            (rng.uniform(-0.05, 0.0), rng.uniform(0.0, 0.12), rng.uniform(0.1, 0.45 if look.scene else 0.3))
        )
    stretch = rng.choice((1.0, 1.0, rng.uniform(0.72, 1.25), rng.uniform(0.9, 1.1)))
    # Justified print, and faces whose spaces are narrow: what is a gap between words is told by the letters'.
    gap = rng.choice((1.0, 1.0, rng.uniform(0.55, 1.0), rng.uniform(1.0, 2.2)))
    return Setting(rng.choice(SIZES), spacing, look.jitter * rng.random(), stretch, gap)


def _label_rows(mask: Mask, baseline: int, size: int, rng: Random) -> tuple[float, float]:
    """Top and bottom as labels have them: tight to the ink, or as tall as any line of that font."""
    top, bottom = ink_rows(mask)
    if rng.random() < 0.5 or bottom - top < 0.4 * size:
        top, bottom = (
            min(top, baseline - round(0.72 * size)),
            max(bottom, baseline + round(rng.uniform(0.0, 0.22) * size)),
        )
    return top, bottom


def _rules(canvas: Mask, box: Box, rng: Random) -> None:
    """An underline, a box's edge or a stroke across, drawn in place."""
    left, top, right, bottom = (round(value) for value in box)
    height, ink = bottom - top, rng.randint(90, 255)
    for _ in range(rng.randint(1, 2)):
        thick = rng.randint(1, max(1, height // 16))
        y = rng.choice(
            (
                bottom + rng.randint(0, height // 5),
                bottom + rng.randint(0, height // 5),
                top - rng.randint(0, height // 5),
                (top + bottom) // 2 if rng.random() < 0.3 else bottom,
            )
        )
        if rng.random() < 0.75:
            cv2.line(
                canvas,
                (0 if rng.random() < 0.6 else left, y),
                (canvas.shape[1], y + rng.randint(-1, 1)),
                ink,
                thick,
            )
        else:
            x = rng.choice((left - rng.randint(2, 8), right + rng.randint(2, 8), rng.randint(left, right)))
            cv2.line(canvas, (x, 0), (x + rng.randint(-2, 2), canvas.shape[0]), ink, thick)


def _place(canvas: Mask, box: Box, bend: float, rng: Random) -> Mask:
    """Warps the box, with margins as a detector leaves them, onto an image of 28 to 56 pixels height."""
    left, top, right, bottom = box
    height = bottom - top
    above, below = (rng.uniform(-0.06, 0.25) * height for _ in range(2))
    before, behind = (rng.uniform(-0.04, 0.3) * height for _ in range(2))
    if rng.random() < 0.3:
        above, below, before, behind = (rng.uniform(0.0, 0.1) * height for _ in range(4))
    corners = floats(
        [
            [left - before, top - above],
            [right + behind, top - above],
            [right + behind, bottom + below],
            [left - before, bottom + below],
        ]
    )
    rows = rng.randint(30, 50)
    aspect = min((corners[1, 0] - corners[0, 0]) / max(corners[3, 1] - corners[0, 1], 1), MAX_ASPECT)
    columns = max(8, round(rows * aspect))
    corners = _tilt(corners, height, bend, rng)
    if rng.random() < bend * 0.4:
        canvas = _curve(canvas, height, bend, rng)
    target = floats([[0, 0], [columns, 0], [columns, rows], [0, rows]])
    matrix = homography(corners, target)
    return warp(canvas, matrix, columns, rows)


def _tilt(corners: np.ndarray, height: float, bend: float, rng: Random) -> np.ndarray:
    """The corners moved: a slight turn, a slant, and a perspective of up to `bend` line heights."""
    length = corners[1, 0] - corners[0, 0]
    reach = 0.14 * height
    rise = max(-reach, min(reach, rng.gauss(0, 0.012 + 0.03 * bend) * length))
    slack = abs(rise) * 0.4  # a box around tilted text is taller, too
    moved = (
        corners + floats([[0, -rise - slack], [0, rise - slack], [0, rise + slack], [0, -rise + slack]]) / 2
    )
    moved[2:, 0] += rng.gauss(0, 0.08 + 0.25 * bend) * height if rng.random() < 0.5 else 0
    if rng.random() < bend:
        moved += floats([[rng.uniform(-1, 1), rng.uniform(-0.6, 0.6)] for _ in range(4)]) * (
            0.22 * bend * height
        )
    return np.asarray(moved, np.float32)


def _curve(canvas: Mask, height: float, bend: float, rng: Random) -> Mask:
    """Columns shifted along an arc or a wave, as on a bottle, a curled page or a round sign."""
    rows, columns = canvas.shape
    x = np.arange(columns, dtype=np.float32)
    wave = np.sin(x * (math.pi * rng.choice((1.0, 1.0, 2.0, 0.5)) / columns) + rng.choice((0.0, 0.0, 1.5)))
    shift = (wave - wave.mean()) * np.float32(rng.uniform(-0.2, 0.2) * bend * height)
    map_x = np.broadcast_to(x, (rows, columns))
    map_y = np.arange(rows, dtype=np.float32)[:, None] + shift[None]
    return cast(Mask, cv2.remap(canvas, np.ascontiguousarray(map_x), map_y, cv2.INTER_LINEAR))


# What gives a mask its pixels, one function a look.


def _finish(image: Image, rng: Random, strength: float = 1.0) -> Image:
    """What any camera, scanner and file may add, in the order in which they do."""
    if rng.random() < 0.25 * strength:
        image = looks.light(image, rng, rng.uniform(0.05, 0.45))
    if rng.random() < 0.28:
        image = looks.coarsen(image, rng, rng.uniform(1.2, 2.6 if rng.random() < 0.85 else 3.3))
    if rng.random() < 0.35:
        image = looks.blur(image, rng, rng.uniform(0.4, 1.3))
    if rng.random() < 0.4 * strength:
        image = looks.grain(image, rng, rng.uniform(1, 10 if rng.random() < 0.8 else 22))
    if rng.random() < 0.3:
        image = looks.jpeg(image, rng.randint(18, 85))
    return image


def _inked(
    mask: Mask,
    rng: Random,
    color: bool,
    level: tuple[float, float],
    ink: tuple[float, float],
    contrast: float,
) -> Image:
    """Ink of a random darkness on paper of a random lightness, slightly tinted where colour is asked for."""
    ground = looks.paper(rng, mask.shape, rng.uniform(*level), rng.uniform(0, contrast))
    dark = rng.uniform(*ink)
    if not color:
        return looks.paint(ground, mask, dark)
    tint = 0.12 if rng.random() < 0.75 else 0.5
    return looks.paint(
        ground,
        mask,
        dark,
        looks.colour_near(rng, float(ground.mean()), tint * rng.random()),
        looks.colour_near(rng, dark, tint),
    )


def clean(mask: Mask, rng: Random, color: bool) -> Image:
    """Print on white, or a screen shot."""
    return _finish(_inked(mask, rng, color, (215, 255), (0, 90), 4), rng, 0.6)


def laser(mask: Mask, rng: Random, color: bool) -> Image:
    """An office document, scanned."""
    if rng.random() < 0.5:
        mask = looks.spread(mask, rng, rng.uniform(-0.6, 0.8))
    if rng.random() < 0.3:
        mask = looks.fade(mask, rng, rng.uniform(0.1, 0.3), 1)
    return _finish(_inked(mask, rng, color, (195, 252), (5, 110), 9), rng)


def thermal(mask: Mask, rng: Random, color: bool) -> Image:
    """A receipt: thin or fat gray print, faded in patches and bands, with dropped dots."""
    whole = mask
    if rng.random() < 0.6:
        mask = looks.spread(mask, rng, rng.uniform(-0.8, 0.8))
    if rng.random() < 0.5:
        mask = looks.banding(mask, rng, rng.uniform(0.1, 0.6))
    if rng.random() < 0.5:
        mask = looks.fade(mask, rng, rng.uniform(0.15, 0.5), rng.choice((1, 3, 9, 30)))
    if rng.random() < 0.3:
        mask = looks.speckle(mask, rng, rng.uniform(0.005, 0.1), rng.uniform(0, 0.003))
    return _finish(_inked(looks.legible(whole, mask), rng, color, (190, 255), (20, 160), 8), rng)


def dot_matrix(mask: Mask, rng: Random, color: bool) -> Image:
    """An impact printer's dots, sharp or run together."""
    mask = looks.legible(mask, looks.dots(mask, rng, mask.shape[0] / rng.uniform(10, 20)))
    if rng.random() < 0.7:
        mask = soften(mask, rng.uniform(0.5, 1.2))
    if rng.random() < 0.5:
        mask = looks.fade(mask, rng, rng.uniform(0.1, 0.4), 3)
    return _finish(_inked(mask, rng, color, (200, 253), (10, 130), 7), rng)


def typewriter(mask: Mask, rng: Random, color: bool) -> Image:
    """Struck characters: uneven, bled, often copied since."""
    struck = soften(mask, rng.uniform(0.4, 1.0))
    if rng.random() < 0.55:
        mask = looks.fade(struck, rng, rng.uniform(0.1, 0.45), rng.choice((1, 3, 9)))
    else:
        mask = looks.binarise(
            looks.fade(struck, rng, rng.uniform(0.0, 0.2), 3), rng, roughness=rng.uniform(10, 40)
        )
    return _finish(_inked(looks.legible(struck, mask), rng, color, (195, 255), (5, 100), 8), rng)


def fax(mask: Mask, rng: Random, color: bool) -> Image:
    """A fax or an old copy: two levels, coarse, bled or broken, with pepper and salt."""
    if rng.random() < 0.5:
        mask = looks.coarsen(mask, rng, rng.uniform(1.0, 2.0))
    mask = looks.legible(
        mask, looks.binarise(mask, rng, rng.choice((0.0, 0.6, 1.0, 1.5)), rng.uniform(5, 60))
    )
    mask = looks.speckle(
        mask, rng, rng.choice((0, rng.uniform(0.002, 0.08))), rng.choice((0, rng.uniform(0.0005, 0.02)))
    )
    if rng.random() < 0.3:
        mask = looks.spread(mask, rng, rng.uniform(-0.5, 1.0))
    image = _inked(mask, rng, color, (225, 255), (0, 50), 2)
    return _finish(image, rng, 0.4) if rng.random() < 0.6 else image


def inverted(mask: Mask, rng: Random, color: bool) -> Image:
    """Light on dark: headings of tables, screens, labels."""
    ground = looks.paper(rng, mask.shape, rng.uniform(5, 130), rng.uniform(0, 10))
    bright = min(255.0, float(ground.mean()) + rng.uniform(70, 230))
    colours = (
        (looks.colour_near(rng, float(ground.mean()), 0.6), looks.colour_near(rng, bright, 0.2))
        if color
        else (None, None)
    )
    return _finish(looks.paint(ground, mask, bright, *colours), rng)


def tinted(mask: Mask, rng: Random, color: bool) -> Image:
    """Print on coloured, patterned or stained paper: cheques, tickets, forms."""
    level = rng.uniform(130, 235)
    ground = (
        looks.busy(rng, mask.shape, level)
        if rng.random() < 0.5
        else looks.paper(rng, mask.shape, level, rng.uniform(5, 30))
    )
    ink = max(0.0, level - rng.uniform(60, 190))
    colours = (
        (looks.colour_near(rng, level, 0.5), looks.colour_near(rng, ink, 0.5)) if color else (None, None)
    )
    return _finish(looks.paint(ground, mask, ink, *colours), rng)


def sign(mask: Mask, rng: Random, color: bool) -> Image:
    """Letters in a photo: any colour on any ground, outlined, shadowed, worn, blurred."""
    level = rng.uniform(10, 245)
    gap = rng.choice((-1, 1)) * rng.uniform(35, 200)
    ink = level + gap if 0 <= level + gap <= 255 else level - gap
    ink = min(255.0, max(0.0, ink))
    ground = (
        looks.busy(rng, mask.shape, level)
        if rng.random() < 0.6
        else looks.paper(rng, mask.shape, level, rng.uniform(2, 25))
    )
    colours = (
        (looks.colour_near(rng, level, 0.9), looks.colour_near(rng, ink, 0.9)) if color else (None, None)
    )
    image_ground = ground
    if rng.random() < 0.3:
        image_ground = _under(ground, mask, level, ink, rng)
    if rng.random() < 0.25:
        mask = looks.fade(mask, rng, rng.uniform(0.1, 0.45), rng.choice((3, 9, 30)))
    image = looks.paint(image_ground, mask, ink, *colours)
    if rng.random() < 0.5:
        image = looks.light(image, rng, rng.uniform(0.1, 0.6))
    if rng.random() < 0.25:  # far away, or in motion
        image = looks.blur(looks.coarsen(image, rng, rng.uniform(1.5, 3.2)), rng, rng.uniform(0.5, 1.8))
    return _finish(image, rng)


def _under(ground: Floats, mask: Mask, level: float, ink: float, rng: Random) -> Floats:
    """A shadow beside the letters, an outline or a glow around them, laid on the ground."""
    thick = max(1, mask.shape[0] // rng.randint(9, 22))
    shift = floats([[1, 0, rng.randint(-thick, thick)], [0, 1, rng.randint(1, thick + 1)]])
    if rng.random() < 0.5:
        halo = cast(Mask, cv2.warpAffine(mask, shift, mask.shape[::-1]))
    else:
        halo = thicken(mask, 2 * thick + 1, cv2.MORPH_ELLIPSE)
    if rng.random() < 0.5:
        halo = soften(halo, rng.uniform(0.5, 2.0))
    tone = rng.choice((0.0, 255.0, level / 2))
    if abs(tone - ink) < 80:
        tone = 0.0 if ink > 127 else 255.0
    return np.asarray(ground + (tone - ground) * share(halo), np.float32)


LOOKS: dict[str, Look] = {
    "clean": Look(12, "plain", clean, bend=0.1),
    "laser": Look(16, "common", laser, bend=0.15),
    "thermal": Look(20, "mono", thermal),
    "thermal_plain": Look(8, "common", thermal),
    "dot_matrix": Look(5, "mono", dot_matrix),
    "typewriter": Look(6, "mono", typewriter, jitter=0.03, bend=0.15),
    "fax": Look(9, "common", fax, bend=0.15),
    "inverted": Look(3, "plain", inverted),
    "tinted": Look(6, "any", tinted),
    "sign": Look(18, "bold", sign, bend=1.0, scene=True),
    "sign_plain": Look(12, "any", sign, bend=0.8, scene=True),
    "sign_script": Look(3, "script", sign, bend=0.6, scene=True),
}
"""The looks by name, with their shares."""
