"""Encoded bytes to upright pages: nearly every image format that Pillow reads, PDF and HEIC.

What a file is, is seen from its first bytes, never from its name. Sizes are checked against `Limits` from the
header, before a pixel is decoded. Colour profiles are ignored: text does not need them.

    JPEG, WebP          OpenCV's decoder where it gives Pillow's pixels (8 bit grey or RGB), else Pillow
    other images        Pillow
    PDF                 PDFium, one page at a time (extra `[pdf]`)
    HEIC                pillow-heif (extra `[heic]`), turned as the container says, not EXIF

Pages of a TIFF and of a PDF are pages here too; of anything animated the first frame is taken.

Of a damaged file what is left is read, and `Page.damage` says what is missing, as far as that can be told; it
is an error of kind `truncated` where nothing is left.

    raster, jpeg    images: decoding, and what JPEG's markers tell
    damage          what of other images is missing, where their decoders pass over it
    words           what decoders print of damage
    pixels          grounds for what is transparent, square pixels, orientation
    apart           a process in which PDFs are drawn, for so long and no longer
    pdf             pages, drawn at the resolution of the scan on them
    pdf_parts       what they are drawn of
    text_layer      their own text, where that is whole and asked for
    glyphs          its signs and their places
    glyph_lines     lines of these
    pdf_objects     what is missing of a PDF, and what would never end
"""

from __future__ import annotations

from collections.abc import Iterator

from models.decoding import apart, pdf, raster
from models.limits import Limits
from models.records import InputError, Page

_DEFAULT = Limits()

__all__ = ["Limits", "decode", "decode_each"]


def decode(data: bytes, limits: Limits = _DEFAULT, one_channel: bool = False) -> Iterator[Page]:
    """Decodes a file to its pages, one at a time.

    Args:
        data: the encoded file.
        limits: how large pages may be, and how PDFs are rendered.
        one_channel: whether grey is enough: JPEGs then take half the time, and pages a third of the memory.

    Yields:
        Pages with `index`, `width`, `height` and `image`, or with lines in its place where the file has them
        as text and that is asked for; the caller knows the rest.

    Raises:
        InputError: at the first page that cannot be decoded, of kind

            empty          there are no bytes
            not_an_image   these bytes are no image or PDF
            truncated      the file ends before the image does, and nothing useful is there
            corrupt        it is of a known format, and broken
            too_large      more pixels or pages than the limits allow, or drawing that takes too long
            crashed        a PDF that brings down what draws it
            no_pages       a document without pages
            encrypted      a PDF that asks for a password
            unsupported    a format, or a variety of one, that nothing here decodes
            missing_extra  a format whose library is not installed
    """
    for page in decode_each(data, limits, one_channel):
        if isinstance(page, InputError):
            raise page
        yield page


def decode_each(
    data: bytes, limits: Limits = _DEFAULT, one_channel: bool = False
) -> Iterator[Page | InputError]:
    """Like `decode`, but yields the error in place of a document's page that cannot be decoded, and goes on.

    Raises:
        InputError: when the file as a whole cannot be decoded, or nothing behind the last page can.
    """
    if not data:
        raise InputError("empty", "The file is empty (0 bytes).")
    yield from (apart if pdf.is_pdf(data) else raster).pages(data, limits, one_channel)
