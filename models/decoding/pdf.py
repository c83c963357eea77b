"""PDF pages, rendered by PDFium."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from models.decoding import pdf_objects
from models.geometry import gray
from models.limits import Limits, deciding_side
from models.records import Image, InputError, Page

_POINTS_PER_INCH = 72
_A4 = 595 * 842
"""Area of a page of A4 in square points."""
_MOST_NESTED = 5
"""Forms inside each other in which pictures are looked for."""
_MOST_OBJECTS = 100_000
"""Objects of a page among which pictures are looked for."""
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
            page = _page(document, index, limits, one_channel)
            yield replace(page, damage=damage.told(index)) if isinstance(page, Page) else page
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
        if not (0 < width < float("inf") and 0 < height < float("inf")):
            raise InputError("corrupt", f"The PDF's page is {width} x {height} points.")
        natural = _natural(page, width * height, limits)
        bitmap = page.render(scale=_scale(width, height, natural, limits))
        try:
            return np.array(bitmap.to_numpy()[..., :3])  # The bitmap's own memory goes with it.
        finally:
            bitmap.close()
    finally:
        page.close()


@dataclass(slots=True)
class _Seen:
    """What can be seen on a page: pixels and area in square points of pictures, and whether anything else."""

    pictures: list[tuple[int, float]]
    drawn: bool = False
    objects: int = 0


def _natural(page: Any, area: float, limits: Limits) -> float | None:
    """Pixels a square point of the scan on a page: of the finest pictures that cover half of it.

    Where other things can be seen too, it is no less than `pdf_dpi` gives.

    Raises:
        InputError: a picture has more pixels than may be.
    """
    raw = _library().raw
    seen = _Seen([])
    _look(raw.FPDFPage_CountObjects(page.raw), functools.partial(raw.FPDFPage_GetObject, page.raw), seen)
    largest = max((pixels for pixels, _ in seen.pictures), default=0)
    if largest > limits.max_pixels:
        told = f"The page shows a picture of {largest:,} pixels, more than the {limits.max_pixels:,} allowed."
        raise InputError("too_large", told)
    covered = 0.0
    for density, size in sorted(((pixels / size, size) for pixels, size in seen.pictures), reverse=True):
        covered += size
        if covered >= area / 2:
            return max(density, _asked(limits)) if seen.drawn else density
    return None


def _asked(limits: Limits) -> float:
    """Pixels a square point at `pdf_dpi`."""
    return (limits.pdf_dpi / _POINTS_PER_INCH) ** 2


def _look(count: int, get: Callable[[int], Any], seen: _Seen, magnified: float = 1.0, depth: int = 0) -> None:
    """Adds what can be seen of the objects of a page or a form.

    Args:
        count: of the objects.
        get: gives one of them.
        seen: is added to.
        magnified: how much larger areas are on the page than in the form.
        depth: of forms around this one.
    """
    raw = _library().raw
    text, picture, form = raw.FPDF_PAGEOBJ_TEXT, raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_FORM
    kind_of = raw.FPDFPageObj_GetType
    for number in range(min(count, _MOST_OBJECTS - seen.objects)):
        part = get(number)
        kind = kind_of(part)
        if kind == picture:
            seen.pictures.append((_pixels(part), max(magnified * _magnification(part), _LEAST_AREA)))
        elif kind == form and depth < _MOST_NESTED:
            inner = functools.partial(raw.FPDFFormObj_GetObject, part)
            scale = magnified * _magnification(part)
            _look(raw.FPDFFormObj_CountObjects(part), inner, seen, scale, depth + 1)
        elif not seen.drawn:
            seen.drawn = kind != text or raw.FPDFTextObj_GetTextRenderMode(part) != _INVISIBLE
    seen.objects += count


def _pixels(picture: Any) -> int:
    width, height = ctypes.c_uint(), ctypes.c_uint()
    _library().raw.FPDFImageObj_GetImagePixelSize(picture, width, height)
    return width.value * height.value


def _magnification(part: Any) -> float:
    """How much larger areas are outside an object than inside: a picture is 1 x 1 inside."""
    matrix = _library().raw.FS_MATRIX()
    _library().raw.FPDFPageObj_GetMatrix(part, matrix)
    return abs(matrix.a * matrix.d - matrix.b * matrix.c)


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
