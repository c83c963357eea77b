"""Where a PDF page has images."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np

from models.decoding.glyphs import Affine, Box, moved_box, page_affine


def pictures(page: Any) -> list[Box]:
    """The boxes of a page's images, those inside of forms too."""
    import pypdfium2.raw as pdfium

    shown = page_affine(page)
    objects = (pdfium.FPDFPage_GetObject(page.raw, i) for i in range(pdfium.FPDFPage_CountObjects(page.raw)))
    return [box for each in objects for box in _pictures(each, shown)]


def _pictures(item: Any, affine: Affine, depth: int = 0) -> Iterator[Box]:
    import pypdfium2.raw as pdfium

    kind = pdfium.FPDFPageObj_GetType(item)
    if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
        sides = [ctypes.c_float() for _ in range(4)]
        if pdfium.FPDFPageObj_GetBounds(item, *sides):
            left, bottom, right, top = (side.value for side in sides)
            yield moved_box((left, bottom, right, top), affine)
    elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < 5:
        matrix = pdfium.FS_MATRIX()
        pdfium.FPDFPageObj_GetMatrix(item, matrix)
        inner = np.array([[matrix.a, matrix.c, matrix.e], [matrix.b, matrix.d, matrix.f], [0, 0, 1]])
        for i in range(pdfium.FPDFFormObj_CountObjects(item)):
            yield from _pictures(pdfium.FPDFFormObj_GetObject(item, i), affine @ inner, depth + 1)
