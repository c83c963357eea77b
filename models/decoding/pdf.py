"""PDF pages, rendered by PDFium."""

from __future__ import annotations

import contextlib
import ctypes
import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

from models.decoding import pdf_objects
from models.decoding.glyphs import LayerError
from models.decoding.pdf_parts import draw, magnification, parts
from models.decoding.text_layer import text_lines
from models.geometry import gray
from models.limits import Limits, deciding_side
from models.records import InputError, Page

_POINTS_PER_INCH = 72
_A4 = 595 * 842
"""Area of a page of A4 in square points."""
_LEAST_AREA = 1e-9
_INVISIBLE = 3  # FPDF_TEXTRENDERMODE_INVISIBLE: the text that was read in a scan lies unseen on it
_MAX_SIDE = 65_000  # pixels, of a PDFium bitmap
_MOST_PIXELS = 40_000_000  # drawing takes six bytes for each; a screenshot of 1,000 x 30,000 has fewer
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
    damage = pdf_objects.check(data)
    with _pdfium:
        document = _open(data)
        count = len(document)
    try:
        if not count:
            raise InputError("no_pages", "The PDF has no pages.")
        for index in range(min(count, limits.max_pages)):
            told = damage.told(index)
            page = _page(document, index, limits, one_channel, whole=told is None)
            yield replace(page, damage=told) if isinstance(page, Page) else page
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


def _page(document: Any, index: int, limits: Limits, one_channel: bool, whole: bool) -> Page | InputError:
    try:
        with _pdfium:
            page = document[index]
            try:
                return replace(_read(page, limits, one_channel, whole), index=index)
            finally:
                page.close()
    except InputError as error:
        return error
    except Exception as error:  # PDFium's errors are one class, its wrapper's and numpy's are others.
        return InputError("corrupt", f"Page {index + 1} of the PDF cannot be rendered ({error}).")


def _read(page: Any, limits: Limits, one_channel: bool, whole: bool) -> Page:
    """The page with its text layer's lines where they are asked for and all is whole, else its image."""
    width, height = page.get_size()
    if not (0 < width < float("inf") and 0 < height < float("inf")):
        raise InputError("corrupt", f"The PDF's page is {width} x {height} points.")
    scale = _scale(width, height, _natural(page, width * height, limits), limits)
    if whole and limits.pdf_text == "prefer":
        with contextlib.suppress(LayerError, _library().PdfiumError):
            size = math.ceil(width * scale), math.ceil(height * scale)  # as PDFium's wrapper draws it
            return Page(width=size[0], height=size[1], lines=text_lines(page, scale), text_from="pdf")
    image = draw(page, scale)
    return Page(width=image.shape[1], height=image.shape[0], image=gray(image) if one_channel else image)


def _natural(page: Any, area: float, limits: Limits) -> float | None:
    """Pixels a square point of the scan on a page: of the finest pictures that cover half of it.

    Where other things can be seen too, it is no less than `pdf_dpi` gives.

    Raises:
        InputError: a picture has more pixels than may be.
    """
    raw = _library().raw
    pictures, drawn = list[tuple[int, float]](), False
    for kind, item, magnified, opened in parts(page):
        if kind == raw.FPDF_PAGEOBJ_IMAGE:
            pictures.append((_pixels(item), max(magnified * magnification(item), _LEAST_AREA)))
        elif not (drawn or opened):
            unseen = kind == raw.FPDF_PAGEOBJ_TEXT and raw.FPDFTextObj_GetTextRenderMode(item) == _INVISIBLE
            drawn = not unseen
    largest = max((pixels for pixels, _ in pictures), default=0)
    if largest > limits.max_pixels:
        told = f"The page shows a picture of {largest:,} pixels, more than the {limits.max_pixels:,} allowed."
        raise InputError("too_large", told)
    covered = 0.0
    for density, size in sorted(((pixels / size, size) for pixels, size in pictures), reverse=True):
        covered += size
        if covered >= area / 2:
            return max(density, _asked(limits)) if drawn else density
    return None


def _asked(limits: Limits) -> float:
    """Pixels a square point at `pdf_dpi`."""
    return (limits.pdf_dpi / _POINTS_PER_INCH) ** 2


def _pixels(picture: Any) -> int:
    width, height = ctypes.c_uint(), ctypes.c_uint()
    _library().raw.FPDFImageObj_GetImagePixelSize(picture, width, height)
    return width.value * height.value


def _scale(width: float, height: float, natural: float | None, limits: Limits) -> float:
    """Pixels a point at which a page is drawn: `pdf_dpi`, or what the limits allow of it.

    A scan is drawn at its own resolution, but a small page with no more pixels than A4 has at `pdf_dpi`, and
    a large one with no fewer. Of a page longer than three widths these three are bounded, as of an image: its
    letters may be no larger than on a shorter one. No page has more than `_MOST_PIXELS`.

    Args:
        width: of the page in points.
        height: likewise.
        natural: pixels a square point of the scan that the page shows; None: it shows none.
        limits: of decoding.
    """
    area, asked = width * height, _asked(limits)
    least, most = sorted((asked, asked * _A4 / area))
    density = asked if natural is None else min(max(natural, least), most)
    # A little less than the cap, since sides are rounded up.
    by_area = (min(limits.max_pixels, _MOST_PIXELS) / area) ** 0.5 * 0.999
    by_side = _MAX_SIDE / max(width, height)
    by_target = 2 * limits.target_side / deciding_side(width, height) if limits.target_side else by_side
    return float(min(density**0.5, by_area, by_side, by_target))
