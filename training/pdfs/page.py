"""One PDF page as a labelled picture, or the reason why it is none.

A page is left out where its text layer is not what is printed; a line that cannot be trusted is "###".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.decoding.glyph_lines import Line, disagreeing_fonts, lines_of
from models.decoding.glyphs import Box, LayerError, glyphs
from models.decoding.pdf_parts import draw
from models.decoding.text_layer import has_ink
from models.geometry import gray
from models.records import Image
from training.data.charset import Charset
from training.pdfs.pictures import pictures
from training.synthesis.pixels import floats
from training.synthesis.sheet import PageLine, quad_of

IGNORED = "###"
POINTS_PER_INCH = 72

MOST_PIXELS = 16_000_000
"""A larger page is drawn at fewer dots an inch."""
LEAST_SIZE = 6.5
"""Pixels an em below which nobody reads a line."""
MOST_BAD = 1 / 3
"""Share of lines with a fault above which the page is left out."""
MOST_UNINKED = 0.1
"""Share of glyphs without ink above which the layer is not what is printed."""
LARGE_PICTURE = 0.5
"""Share of a page that a picture may cover before the text is taken for a layer over a scan."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A page as it is drawn.

    Attributes:
        image: uint8 (H, W, 3), blue, green, red.
        lines: with quads in pixels; the text of what nobody is judged by is `IGNORED`.
    """

    image: Image
    lines: tuple[PageLine, ...]


def labelled_page(page: Any, dpi: float, charset: Charset | None = None) -> Drawn:
    """Draws a page (`pypdfium2.PdfPage`) with the lines of its layer.

    Args:
        page: open.
        dpi: dots an inch, less for a page that is too large for it.
        charset: lines with other characters are ignored; None: any.

    Raises:
        LayerError: the page has no text, or the layer is not to be trusted.
    """
    width, height = page.get_size()
    if not (0 < width < 20_000 and 0 < height < 20_000):
        raise LayerError("odd size")
    shown = [each for each in glyphs(page) if _within(each.box, width, height)]
    if not shown:
        raise LayerError("no text")
    if sum(not each.visible for each in shown) > MOST_UNINKED * len(shown):
        raise LayerError("invisible text")
    images = [_clipped(box, width, height) for box in pictures(page)]
    if any(_area(box) > LARGE_PICTURE * width * height for box in images):
        raise LayerError("text over a picture of the whole page")
    lines = lines_of([each for each in shown if each.visible])
    faults = _faults(lines, charset)
    if sum(map(bool, faults)) > MOST_BAD * len(lines):
        raise LayerError(f"bad lines: {_commonest(faults)}")
    scale = min(dpi / POINTS_PER_INCH, (MOST_PIXELS / (width * height)) ** 0.5)
    image = draw(page, scale, notes=False)
    return Drawn(image, tuple(_inked_lines(image, lines, faults, images, scale)))


def _faults(lines: Sequence[Line], charset: Charset | None) -> list[str]:
    """What is wrong with each line; empty where nothing is."""
    odd = disagreeing_fonts(glyph for line in lines for glyph in line.glyphs)
    return [line.fault or _fault(line, odd, charset) for line in lines]


def _fault(line: Line, odd_fonts: frozenset[str], charset: Charset | None) -> str:
    if any(glyph.font in odd_fonts for glyph in line.glyphs):
        return "other letters"
    return "not in the charset" if charset is not None and charset.missing(line.text) else ""


def _commonest(faults: Sequence[str]) -> str:
    found = [fault for fault in faults if fault]
    return max(sorted(set(found)), key=found.count)


def _inked_lines(
    image: Image, lines: Sequence[Line], faults: Sequence[str], images: Sequence[Box], scale: float
) -> Iterator[PageLine]:
    """The lines in pixels, those ignored whose ink is not where the layer says, and the pictures.

    Raises:
        LayerError: too many glyphs have no ink.
    """
    tones = gray(image)
    inked = [[has_ink(tones, glyph, scale) for glyph in line.glyphs] for line in lines]
    flat = [each for line in inked for each in line]
    if flat.count(False) > MOST_UNINKED * len(flat):
        raise LayerError("text without ink")
    for line, fault, ink in zip(lines, faults, inked, strict=True):
        quad = floats(_padded(line.quad * scale))
        if not any(ink):
            continue
        sure = not fault and all(ink) and line.size * scale >= LEAST_SIZE and covers_ink(tones, line, scale)
        yield PageLine(quad, line.text if sure else IGNORED)
    for box in images:
        centres = (line.quad.mean(axis=0) for line in lines)
        if not any(box[0] < x < box[2] and box[1] < y < box[3] for x, y in centres) and _area(box) > 64:
            yield PageLine(quad_of(box) * np.float32(scale), IGNORED)


def _padded(quad: npt.NDArray[np.float64], least: float = 0.4) -> npt.NDArray[np.float64]:
    """The quad, wider by what a pixel's rounding takes, as boxes in points have a margin already."""
    along, down = quad[1] - quad[0], quad[3] - quad[0]
    along, down = along / np.hypot(*along) * least, down / np.hypot(*down) * least
    return quad + np.array([-along - down, along - down, along + down, -along + down])


def covers_ink(tones: Image, line: Line, scale: float) -> bool:
    """Whether the ink along a line lies in its glyphs' boxes: none is printed that the layer lacks."""
    (left, top), (right, bottom) = line.quad.min(axis=0) * scale, line.quad.max(axis=0) * scale
    x, y = max(0, round(left)), max(0, round(top))
    part = tones[y : round(bottom), x : round(right)]
    if not part.size:
        return False
    paper = int(np.median(part)) if part.size < 400 else _commonest_tone(part)
    ink = np.abs(part.astype(np.int16) - paper) > 60
    for glyph in line.glyphs:
        x0, y0, x1, y1 = (value * scale for value in glyph.box)
        ink[max(0, int(y0) - y - 1) : int(y1) - y + 3, max(0, int(x0) - x - 2) : int(x1) - x + 3] = False
    upright = line.glyphs[0].direction % 2 == 0
    heights = ink.sum(axis=0 if upright else 1)
    size = line.size * scale
    return int((heights > 0.25 * size).sum()) <= max(2.0, 0.15 * size)


def _commonest_tone(part: Image) -> int:
    return int(np.bincount(part.ravel() // 8, minlength=32).argmax()) * 8 + 4


def _within(box: Box, width: float, height: float) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height


def _clipped(box: Box, width: float, height: float) -> Box:
    return max(0.0, box[0]), max(0.0, box[1]), min(width, box[2]), min(height, box[3])


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
