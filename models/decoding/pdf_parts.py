"""A PDF's page drawn, and what it is drawn of: texts, pictures, shapes, those inside of forms too."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from models.records import Image

_MOST_NESTED = 5
"""Forms inside each other that are looked into."""
MOST_PARTS = 100_000
"""Parts of a page that are looked at."""


class Part(NamedTuple):
    """One object of a page.

    Attributes:
        kind: FPDF_PAGEOBJ_TEXT and the others.
        item: PDFium's handle, valid while the page is open.
        magnified: how much larger areas are on the page than in the form that it is in.
        opened: whether it is a form whose parts follow; others are nested too deep.
    """

    kind: int
    item: Any
    magnified: float
    opened: bool


def draw(page: Any, scale: float, notes: bool = True) -> Image:
    """A page as it looks.

    Args:
        page: open (`pypdfium2.PdfPage`).
        scale: pixels a point.
        notes: whether notes and form fields are drawn too, whose text is not in the page's layer.
    """
    bitmap = page.render(scale=scale, may_draw_forms=notes, draw_annots=notes)
    try:
        return np.array(bitmap.to_numpy()[..., :3])  # The bitmap's own memory goes with it.
    finally:
        bitmap.close()


def parts(page: Any) -> Iterator[Part]:
    """Yields the first `MOST_PARTS` parts of a page (`pypdfium2.PdfPage`)."""
    import pypdfium2.raw as pdfium

    get = functools.partial(pdfium.FPDFPage_GetObject, page.raw)
    return islice(_walk(pdfium.FPDFPage_CountObjects(page.raw), get, 1.0, 0), MOST_PARTS)


def magnification(item: Any) -> float:
    """How much larger areas are outside an object than inside: a picture is 1 x 1 inside."""
    import pypdfium2.raw as pdfium

    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(item, matrix)
    return abs(matrix.a * matrix.d - matrix.b * matrix.c)


def _walk(count: int, get: Callable[[int], Any], magnified: float, depth: int) -> Iterator[Part]:
    import pypdfium2.raw as pdfium

    for item in map(get, range(count)):
        kind = pdfium.FPDFPageObj_GetType(item)
        opened = kind == pdfium.FPDF_PAGEOBJ_FORM and depth < _MOST_NESTED
        yield Part(kind, item, magnified, opened)
        if opened:
            inner = functools.partial(pdfium.FPDFFormObj_GetObject, item)
            scale = magnified * magnification(item)
            yield from _walk(pdfium.FPDFFormObj_CountObjects(item), inner, scale, depth + 1)
