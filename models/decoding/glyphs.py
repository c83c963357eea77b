"""The glyphs of a PDF page as its text layer has them, with exact boxes, from PDFium.

Places are in points of the page as it is shown (turned, cropped), x to the right, y down from its top left.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Affine = npt.NDArray[np.float64]
"""(2, 3): a point (x, y, 1) of the PDF's own space to points of the shown page."""

Box = tuple[float, float, float, float]
"""left, top, right, bottom."""

INVISIBLE = (3, 7)
"""Text rendering modes that draw nothing: neither filled nor stroked, and clipped by alone."""

_FINE = 1000  # PDFium tells where a point is drawn in whole pixels: this many make a point


class LayerError(Exception):
    """A page whose layer is not to be trusted; the message is the reason, worded to be counted by."""


@dataclass(frozen=True, slots=True)
class Glyph:
    """A drawn sign, which may stand for several characters (a ligature).

    Attributes:
        text: its characters; empty where the layer cannot tell.
        box: of the outline, in the shown page.
        origin: where it stands on the baseline.
        advance: to the next glyph's place, in points; 0: not known.
        size: of the font, in points.
        direction: that the text runs in: 0 right, 1 down, 2 left, 3 up; -1: slanting, mirrored or set upright
            below each other.
        font: its name.
        number: its place in the layer, without spaces.
        spaced: whether the layer has a space before it.
        visible: whether it is drawn at all.
    """

    text: str
    box: Box
    origin: tuple[float, float]
    advance: float
    size: float
    direction: int
    font: str
    number: int
    spaced: bool
    visible: bool


def glyphs(page: Any, most: int | None = None) -> list[Glyph]:
    """The glyphs of a page (`pypdfium2.PdfPage`) in the layer's order; spaces are told by `Glyph.spaced`.

    Raises:
        LayerError: there are more than `most` characters; None: any number may be.
    """
    affine = page_affine(page)
    text_page = page.get_textpage()
    try:
        if most is not None and text_page.count_chars() > most:
            raise LayerError("too many characters")
        return list(_joined(_read(text_page.raw, affine)))
    finally:
        text_page.close()


def page_affine(page: Any) -> Affine:
    """Where PDFium draws a page's points at 72 dots an inch."""
    import pypdfium2.raw as pdfium

    width, height = (round(side * _FINE) for side in page.get_size())
    shown = []
    for corner in ((0.0, 0.0), (100.0, 0.0), (0.0, 100.0)):
        x, y = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(page.raw, 0, 0, width, height, 0, *corner, x, y)
        shown.append(np.array([x.value, y.value]) / _FINE)
    columns = [(shown[1] - shown[0]) / 100, (shown[2] - shown[0]) / 100, shown[0]]
    return np.stack(columns, axis=1)


def moved_box(box: Box, affine: Affine) -> Box:
    """The upright box about a box after an affine map."""
    (a, c, e), (b, d, f) = affine.tolist()  # plain numbers: NumPy takes ten times as long for four corners
    corners = [(x, y) for x in box[::2] for y in box[1::2]]
    across, down = [a * x + c * y + e for x, y in corners], [b * x + d * y + f for x, y in corners]
    return min(across), min(down), max(across), max(down)


def _joined(found: Iterator[Glyph]) -> Iterator[Glyph]:
    """Characters that stand at the very same place are one glyph: PDFium takes ligatures apart."""
    last: Glyph | None = None
    for glyph in found:
        if last is not None and last.text and (glyph.origin, glyph.box) == (last.origin, last.box):
            last = replace(last, text=last.text + glyph.text)
            continue
        if last is not None:
            yield last
        last = glyph
    if last is not None:
        yield last


def _read(layer: Any, affine: Affine) -> Iterator[Glyph]:
    import pypdfium2.raw as pdfium

    doubles = [ctypes.c_double() for _ in range(4)]
    left, right, bottom, top = doubles
    matrix, loose = pdfium.FS_MATRIX(), pdfium.FS_RECTF()
    name, flags = ctypes.create_string_buffer(200), ctypes.c_int()
    linear, number, spaced = affine[:, :2], 0, False
    for index in range(pdfium.FPDFText_CountChars(layer)):
        unmapped = pdfium.FPDFText_HasUnicodeMapError(layer, index) == 1
        code = 0 if unmapped else pdfium.FPDFText_GetUnicode(layer, index)
        text = "-" if pdfium.FPDFText_IsHyphen(layer, index) == 1 else chr(code) if code else ""
        if text.isspace() or pdfium.FPDFText_IsGenerated(layer, index) == 1:
            spaced = True
            continue
        pdfium.FPDFText_GetMatrix(layer, index, matrix)
        pdfium.FPDFText_GetCharBox(layer, index, left, right, bottom, top)
        box = moved_box((left.value, bottom.value, right.value, top.value), affine)
        pdfium.FPDFText_GetCharOrigin(layer, index, left, top)
        origin = affine @ (left.value, top.value, 1.0)
        pdfium.FPDFText_GetLooseCharBox(layer, index, loose)
        pdfium.FPDFText_GetFontInfo(layer, index, name, 200, flags)
        along, up = linear @ (matrix.a, matrix.b), linear @ (matrix.c, matrix.d)
        turns = direction(along, up) if loose.right >= loose.left else -1
        text_object = pdfium.FPDFText_GetTextObject(layer, index)
        mode = pdfium.FPDFTextObj_GetTextRenderMode(text_object) if text_object else 0
        yield Glyph(
            text=text,
            box=box,
            origin=(round(float(origin[0]), 3), round(float(origin[1]), 3)),
            advance=_advance((loose.left, loose.bottom, loose.right, loose.top), affine, turns),
            size=float(pdfium.FPDFText_GetFontSize(layer, index) * math.hypot(*up)),
            direction=turns,
            font=name.value.decode("utf-8", "replace"),
            number=number,
            spaced=spaced,
            visible=mode not in INVISIBLE,
        )
        number, spaced = number + 1, False


def _advance(loose: Box, affine: Affine, turns: int) -> float:
    """The length along the text of the box from a glyph's place to the next one's; 0 where it slants."""
    left, top, right, bottom = moved_box(loose, affine)
    return 0.0 if turns < 0 else bottom - top if turns % 2 else right - left


def direction(along: npt.NDArray[np.float64], up: npt.NDArray[np.float64]) -> int:
    """The quarter turns, clockwise, of text with these axes (y down); -1 where it slants or is mirrored."""
    if along[0] * up[1] - along[1] * up[0] >= 0:
        return -1
    turns = math.atan2(along[1], along[0]) / (math.pi / 2)
    nearest = round(turns)
    return nearest % 4 if abs(turns - nearest) < 0.01 else -1
