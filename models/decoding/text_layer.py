"""Lines of a PDF page's text layer, where the layer is whole: it says all that is printed, and no more.

Whether it does is judged strictly: a page of which anything speaks against it is read from its image.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from models.decoding import glyph_lines
from models.decoding.glyphs import Glyph, LayerError, glyphs
from models.decoding.pdf_parts import MOST_PARTS, draw, magnification, parts
from models.geometry import gray
from models.records import Image, Line

MOST_CHARS = 20_000
"""Characters of a page, spaces included: a page of a newspaper has fewer."""
MOST_PICTURED = 0.05
"""Share of a page that its pictures may cover together: logos do, what holds text is larger."""
MOST_CURVES = 200
"""Curves of a page's shapes: what is written in outlines has ten or more a letter."""
MOST_SEGMENTS = 20_000
"""Lines and curves of a page's shapes that are looked at."""
LEAST_CONTRAST = 24
"""Grey levels between a glyph and its paper."""
_LEAST_SCALE, _INK_SCALE = 1.0, 1.5
"""Pixels a point at which ink is looked for, as far as the page may have as many."""
_UPSIDE_DOWN = 2  # see Glyph.direction


def text_lines(page: Any, scale: float) -> tuple[Line, ...]:
    """The lines of a page's layer, each as sure as can be.

    Args:
        page: open (`pypdfium2.PdfPage`).
        scale: pixels a point in which polygons are given.

    Raises:
        LayerError: the layer is not whole.
    """
    width, height = page.get_size()
    if scale < _LEAST_SCALE:
        raise LayerError("too small to be checked")
    _refuse_notes(page)
    _refuse_other_than_text(page, width * height)
    shown = [glyph for glyph in glyphs(page, MOST_CHARS) if _stands_on(glyph, width, height)]
    if not shown:
        raise LayerError("no text")
    if not all(glyph.visible and glyph.size > 0 for glyph in shown):
        raise LayerError("invisible text")
    lines = _faultless(shown)
    _refuse_without_ink(shown, page, min(_INK_SCALE, scale))
    most = np.array([width, height]) * scale
    return tuple(_line(line, np.clip(line.quad * scale, 0, most)) for line in lines)


def has_ink(tones: Image, glyph: Glyph, scale: float) -> bool:
    """Whether a glyph's box holds tones that differ; of what has no outline (a font's empty sign), not."""
    x0, y0, x1, y1 = (value * scale for value in glyph.box)
    part = tones[max(0, int(y0) - 1) : int(y1) + 2, max(0, int(x0) - 1) : int(x1) + 2]
    return bool(part.size) and int(part.max()) - int(part.min()) >= LEAST_CONTRAST


def _refuse_notes(page: Any) -> None:
    """Refuses pages with notes, stamps and form fields, whose text is not in the layer; links show none."""
    import pypdfium2.raw as pdfium

    for number in range(pdfium.FPDFPage_GetAnnotCount(page.raw)):
        note = pdfium.FPDFPage_GetAnnot(page.raw, number)
        kind = pdfium.FPDFAnnot_GetSubtype(note)
        pdfium.FPDFPage_CloseAnnot(note)
        if kind != pdfium.FPDF_ANNOT_LINK:
            raise LayerError("notes or form fields")


def _refuse_other_than_text(page: Any, area: float) -> None:
    """Refuses pages with pictures or shapes that may hold text."""
    import pypdfium2.raw as pdfium

    found = list(parts(page))
    if len(found) == MOST_PARTS or any(p.kind == pdfium.FPDF_PAGEOBJ_FORM and not p.opened for p in found):
        raise LayerError("too many parts")
    pictures = [part for part in found if part.kind == pdfium.FPDF_PAGEOBJ_IMAGE]
    if sum(part.magnified * magnification(part.item) for part in pictures) > MOST_PICTURED * area:
        raise LayerError("pictures")
    if _has_many_curves(part.item for part in found if part.kind == pdfium.FPDF_PAGEOBJ_PATH):
        raise LayerError("drawings")


def _has_many_curves(paths: Iterable[Any]) -> bool:
    import pypdfium2.raw as pdfium

    curves = segments = 0
    for path in paths:
        count = pdfium.FPDFPath_CountSegments(path)
        segments += count
        if segments > MOST_SEGMENTS:
            return True
        found = (pdfium.FPDFPath_GetPathSegment(path, number) for number in range(count))
        # Each curve is three of what PDFium calls segments.
        curves += (
            sum(pdfium.FPDFPathSegment_GetType(each) == pdfium.FPDF_SEGMENT_BEZIERTO for each in found) // 3
        )
    return curves > MOST_CURVES


def _stands_on(glyph: Glyph, width: float, height: float) -> bool:
    left, top, right, bottom = glyph.box
    return 0 <= left + right <= 2 * width and 0 <= top + bottom <= 2 * height


def _faultless(shown: Sequence[Glyph]) -> list[glyph_lines.Line]:
    if glyph_lines.disagreeing_fonts(shown):
        raise LayerError("other letters")
    lines = glyph_lines.lines_of(shown)
    if faults := [line.fault for line in lines if line.fault]:
        raise LayerError(faults[0])
    return lines


def _refuse_without_ink(shown: Iterable[Glyph], page: Any, scale: float) -> None:
    """Refuses text in the paper's colour, or covered: every letter and digit is to be seen."""
    tones = gray(draw(page, scale, notes=False))
    if not all(has_ink(tones, glyph, scale) for glyph in shown if glyph.text.isalnum()):
        raise LayerError("text without ink")


def _line(line: glyph_lines.Line, polygon: Any) -> Line:
    return Line(
        polygon=polygon.astype(np.float32),
        detection_score=1.0,
        direction=180 if line.glyphs[0].direction == _UPSIDE_DOWN else 0,
        text=line.text,
        confidence=1.0,
        probability=1.0,
    )
