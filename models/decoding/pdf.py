"""PDF pages, rendered by PDFium."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from models.geometry import gray
from models.limits import Limits
from models.records import Image, InputError, Page

_POINTS_PER_INCH = 72
_MAX_SIDE = 65_000  # pixels, of a PDFium bitmap
_WRONG_PASSWORD = 4  # FPDF_ERR_PASSWORD

_IMAGES = (
    *(b"\xff\xd8", b"\x89PNG", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    *(b"RIFF", b"GIF8", b"BM"),
)
"""How JPEG, PNG, TIFF (BigTIFF too), WebP, GIF and BMP begin."""

_pdfium = threading.Lock()
"""PDFium must not be entered by two threads, whatever documents they work on."""


def is_pdf(data: bytes) -> bool:
    """Whether the bytes are a PDF; other readers too look for its signature in the first 1,024 bytes.

    An image's are not: its comment may tell of the PDF that it was made from.
    """
    return b"%PDF-" in data[:1024] and not data.startswith(_IMAGES)


def pages(data: bytes, limits: Limits, one_channel: bool) -> Iterator[Page | InputError]:
    """Yields the pages of a PDF; see `models.decoding.decode_each`."""
    with _pdfium:
        document = _open(data)
        count = len(document)
    try:
        if not count:
            raise InputError("no_pages", "The PDF has no pages.")
        for index in range(min(count, limits.max_pages)):
            yield _page(document, index, limits, one_channel)
        if count > limits.max_pages:
            raise limits.too_many_pages()
    finally:
        with _pdfium:
            document.close()


def _open(data: bytes) -> Any:
    library = _library()
    try:
        document = library.PdfDocument(data)
    except library.PdfiumError as error:
        # The error that PDFium reports may be an earlier document's: it sets none where there are no pages.
        if error.err_code == _WRONG_PASSWORD and b"/Encrypt" in data:
            raise InputError("encrypted", "The PDF asks for a password: save a copy without one.") from error
        raise InputError("corrupt", "The PDF cannot be opened: it is broken or has no pages.") from error
    if document.get_formtype():
        document.init_forms()  # What was filled into a form is drawn only then.
    return document


def _library() -> ModuleType:
    try:
        import pypdfium2
    except ImportError as error:
        raise InputError("missing_extra", "PDFs need pypdfium2: pip install 'ppocr-beam[pdf]'.") from error
    return pypdfium2  # type: ignore[no-any-return, unused-ignore]


def _page(document: Any, index: int, limits: Limits, one_channel: bool) -> Page | InputError:
    try:
        with _pdfium:
            image = _render(document, index, limits)
    except InputError as error:
        return error
    except Exception as error:  # PDFium's errors are one class, its wrapper's and numpy's are others.
        return InputError("corrupt", f"Page {index + 1} of the PDF cannot be rendered ({error}).")
    height, width = image.shape[:2]
    return Page(index=index, width=width, height=height, image=gray(image) if one_channel else image)


def _render(document: Any, index: int, limits: Limits) -> Image:
    page = document[index]
    try:
        width, height = page.get_size()
        bitmap = page.render(scale=_scale(width, height, limits))
        try:
            return np.array(bitmap.to_numpy()[..., :3])  # The bitmap's own memory goes with it.
        finally:
            bitmap.close()
    finally:
        page.close()


def _scale(width: float, height: float, limits: Limits) -> float:
    """Pixels a point: `pdf_dpi`, or what the limits allow of it; sides in points."""
    if not (0 < width < float("inf") and 0 < height < float("inf")):
        raise InputError("corrupt", f"The PDF's page is {width} x {height} points.")
    # A little less than the cap, since sides are rounded up.
    by_area = (limits.max_pixels / (width * height)) ** 0.5 * 0.999
    by_side = (2 * limits.target_side if limits.target_side else _MAX_SIDE) / max(width, height)
    return float(min(limits.pdf_dpi / _POINTS_PER_INCH, by_area, by_side))
