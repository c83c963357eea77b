"""Texts as coverage masks: Pillow draws, with HarfBuzz's shaping where Pillow has it (raqm)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.synthesis.fonts import Face, load_font
from training.synthesis.pixels import Mask, resize


@dataclass(frozen=True, slots=True)
class Setting:
    """How a text is set, beside its face.

    Attributes:
        size: pixels an em.
        spacing: extra space between characters as a fraction of the size.
        jitter: how far a typewriter's characters leave the baseline, as a fraction of the size.
        stretch: width as a multiple of the natural one.
        gap: width of the spaces between words as a multiple of the face's own.
    """

    size: int
    spacing: float = 0.0
    jitter: float = 0.0
    stretch: float = 1.0
    gap: float = 1.0


def draw_text(face: Face, text: str, setting: Setting, rng: Random) -> tuple[Mask, int]:
    """Draws one line of text, tight to its ink at the left and right, at full line height.

    Returns:
        The mask and the baseline's row. Its height depends on face and size alone.
    """
    apart = bool(setting.spacing or setting.jitter)
    font = load_font(face.path, setting.size, shaped=not apart)
    ascent, descent = font.getmetrics()
    # Accented capitals overshoot the ascent of many fonts.
    above, below = ascent + setting.size // 4, descent + setting.size // 6
    pieces = list(text) if apart else [text] if setting.gap == 1.0 else re.split("( )", text)
    places = _places(font, pieces, setting)
    image = Image.new("L", (int(places[-1]) + setting.size * 2, above + below))
    pen = ImageDraw.Draw(image)
    for piece, x in zip(pieces, places, strict=False):
        shift = rng.gauss(0, setting.jitter) * setting.size if apart else 0.0
        ink = 255 if not setting.jitter else rng.randint(185, 255)
        pen.text((setting.size + x, above + shift), piece, fill=ink, font=font, anchor="ls")
    mask = _trim_sides(np.asarray(image, np.uint8))
    if setting.stretch != 1.0:
        mask = resize(mask, mask.shape[1] * setting.stretch, mask.shape[0], cv2.INTER_LINEAR)
    return mask, above


def _places(font: ImageFont.FreeTypeFont, pieces: Sequence[str], setting: Setting) -> list[float]:
    """The x of each piece and the end: pieces are characters, words and the spaces between them, or all."""
    x, places = 0.0, [0.0]
    for piece in pieces:
        x += font.getlength(piece) * (setting.gap if piece == " " else 1.0) + setting.spacing * setting.size
        places.append(x)
    return places


def _trim_sides(mask: Mask) -> Mask:
    inked = np.flatnonzero(mask.max(axis=0))
    return mask[:, inked[0] : inked[-1] + 1] if inked.size else mask[:, :1]


def ink_rows(mask: Mask) -> tuple[int, int]:
    """The first row with ink and the one after the last; the whole height where there is none."""
    rows = np.flatnonzero(mask.max(axis=1) > 40)
    return (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, mask.shape[0])


def stamp(canvas: Mask, mask: Mask, left: int, top: int) -> None:
    """Adds `mask` onto `canvas` in place (the darker wins), cut at the canvas's edges."""
    height, width = canvas.shape
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + mask.shape[0], height), min(left + mask.shape[1], width)
    if y0 < y1 and x0 < x1:
        target = canvas[y0:y1, x0:x1]
        np.maximum(target, mask[y0 - top : y1 - top, x0 - left : x1 - left], out=target)
