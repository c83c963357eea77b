"""Images: JPEG and WebP by OpenCV where it gives the right pixels, all else by Pillow."""

from __future__ import annotations

import functools
import io
import re
import warnings
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image as PilImage
from PIL import UnidentifiedImageError

from models.decoding.pixels import as_image, to_bgr, upright
from models.geometry import gray
from models.limits import Limits
from models.records import Image, InputError, Page

_LOST_ROWS = 1 / 20
"""Share of a JPEG's rows that may be missing at its end."""

_TRAILER = 64
"""Bytes at a JPEG's end among which its end mark is looked for."""

_MAX_SCANS = 200
"""Scans of a progressive JPEG: encoders write about 10; each costs a pass over all pixels, so a few kB of
thousands of scans would keep a worker busy for hours."""

_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
"""A JPEG's end mark, or a marker with a segment's length behind it. Other markers stand alone, amid pixels
too; and FF 00, there, is a byte of 255."""

_SCAN, _END = b"\xff\xda", b"\xff\xd9"

_PNG = b"\x89PNG\r\n\x1a\n"

_ORIENTATION = 0x0112
_SUBFILE_TYPE = 254
_REDUCED_OR_MASK = 1 | 4

_REDUCED = {
    1: (cv2.IMREAD_COLOR, cv2.IMREAD_GRAYSCALE),
    2: (cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
    4: (cv2.IMREAD_REDUCED_COLOR_4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    8: (cv2.IMREAD_REDUCED_COLOR_8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
}

# EPS would start Ghostscript on what the file says, WMF and the stubs call software of the platform, and the
# last four have no signature, so that any bytes may pass for them.
_REFUSED = frozenset(["EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "IMT", "IPTC", "PCD", "SPIDER"])
_COMMON = ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "JPEG2000", "AVIF", "PSD")

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})

# Pillow warns of odd metadata and of size: the first is no matter here, the second is checked by `Limits`.
warnings.filterwarnings("ignore", module=r"PIL\.")

PilImage.init()


def pages(data: bytes, limits: Limits, one_channel: bool) -> Iterator[Page | InputError]:
    """Yields the pages of an image file; see `models.decoding.decode_each`."""
    try:
        image = _open(data, limits)
    except Exception as error:
        raise _input_error(error, data, limits) from error
    with image:
        if image.format == "TIFF":
            yield from _frames(image, data, limits, one_channel)
        else:
            yield _page(image, data, limits, one_channel, index=0)


def _open(data: bytes, limits: Limits) -> PilImage.Image:
    """Opens an image: reads its header, no pixels yet."""
    # Pillow refuses at twice this number. The global is set, not lifted: some formats (ICO, GIF) show the
    # true size of what they contain only while they are read, and there only Pillow's own check works.
    PilImage.MAX_IMAGE_PIXELS = max(limits.max_pixels // 2, 1)
    if _is_heif(data):
        _register_heif()
        return PilImage.open(io.BytesIO(data), formats=["HEIF"])
    return PilImage.open(io.BytesIO(data), formats=_formats())


def _is_heif(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS


@functools.cache
def _formats() -> list[str]:
    """Pillow's formats that may be tried, the common ones first."""
    return [*_COMMON, *(name for name in PilImage.ID if name not in _REFUSED and name not in _COMMON)]


def _frames(
    image: PilImage.Image, data: bytes, limits: Limits, one_channel: bool
) -> Iterator[Page | InputError]:
    """Yields a TIFF's frames that are pages: thumbnails and masks are stored as frames too."""
    index = 0
    for frame in range(4 * limits.max_pages):
        try:
            image.seek(frame)
        except EOFError:
            return
        except Exception as error:  # The chain of frames is broken: nothing behind this one can be found.
            raise _input_error(error, data, limits) from error
        if index == limits.max_pages:
            break
        if frame == 0 or not _tag(image, _SUBFILE_TYPE) & _REDUCED_OR_MASK:
            yield _page_or_error(image, data, limits, one_channel, index)
            index += 1
    raise limits.too_many_pages()


def _page_or_error(
    image: PilImage.Image, data: bytes, limits: Limits, one_channel: bool, index: int
) -> Page | InputError:
    try:
        return _page(image, data, limits, one_channel, index)
    except InputError as error:
        return error


def _page(image: PilImage.Image, data: bytes, limits: Limits, one_channel: bool, index: int) -> Page:
    """Decodes the frame that an opened image stands at."""
    try:
        width, height = image.size
        limits.check_size(width, height)
        pixels = _pixels(image, data, limits, one_channel)
        orientation = _orientation(image)  # only now: it reads a PNG's pixels too, and tells no error
        if orientation >= 5:
            width, height = height, width
        return Page(index=index, width=width, height=height, image=upright(pixels, orientation))
    except Exception as error:
        raise _input_error(error, data, limits) from error


def _pixels(image: PilImage.Image, data: bytes, limits: Limits, one_channel: bool) -> Image:
    pixels = _bgr_or_gray(image, data, limits, one_channel)
    return gray(pixels) if one_channel else pixels


def _bgr_or_gray(image: PilImage.Image, data: bytes, limits: Limits, one_channel: bool) -> Image:
    if image.format in ("JPEG", "MPO"):
        return _jpeg(image, data, limits, one_channel)
    if image.format == "WEBP" and image.mode == "RGB":
        decoded = _opencv(data, reduction=1)
        if decoded is not None and decoded.shape[:2] == (image.height, image.width):
            return decoded
    pixels = to_bgr(image)
    if image.format == "PNG":
        _check_png(data)
    return pixels


def _check_png(data: bytes) -> None:
    """Compares the checksums of a PNG's pixels, which decoders pass over where what is left can be unpacked.

    Raises:
        InputError: one is wrong, or what follows is no chunk.
    """
    at = len(_PNG)
    while at + 12 <= len(data):
        length, kind = _number(data, at), data[at + 4 : at + 8]
        body = memoryview(data)[at + 4 : at + 8 + length]
        at += 12 + length
        if kind == b"IEND":
            return
        if not kind.isalpha() or kind == b"IDAT" and zlib.crc32(body) != _number(data, at - 4):
            raise InputError("corrupt", "The PNG is broken: its pixels do not fit their checksums.")


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _jpeg(image: PilImage.Image, data: bytes, limits: Limits, one_channel: bool) -> Image:
    if _has_too_many_scans(data):
        raise InputError("too_large", f"The JPEG has over {_MAX_SCANS} scans: decoding it would take hours.")
    usual = image.mode in ("L", "RGB")
    decoded = _opencv(data, limits.reduction(*image.size), one_channel) if usual else None
    # OpenCV fills in what a broken file lacks and does not tell; the fill is flat, as a white margin can be.
    if decoded is not None and (_ends(data) or _flat_rows(decoded) <= _LOST_ROWS * len(decoded)):
        return decoded
    try:
        strict = to_bgr(image)
        return strict if decoded is None else decoded
    except OSError:
        return _jpeg_without_end(data, bool(image.info.get("progressive")))


def _has_too_many_scans(data: bytes) -> bool:
    """Whether a JPEG has more than `_MAX_SCANS` scans.

    Goes from marker to marker, as decoders do: neither what a segment holds, such as a thumbnail, nor what
    lies behind the end mark, such as a film, is a scan of this image.
    """
    scans, at = 0, 2
    while scans <= _MAX_SCANS:
        marker = _MARKER.search(data, at)
        if marker is None or marker[0] == _END:
            return False
        scans += marker[0] == _SCAN
        end = marker.end()
        # The length counts its own two bytes; decoders pass over these where it says less.
        at = end + max(int.from_bytes(data[end : end + 2], "big"), 2)
    return True


def _ends(data: bytes) -> bool:
    """Whether a JPEG has its end mark, which pixels never hold; some writers put a few bytes behind it."""
    return data.find(_END, -_TRAILER) >= 0


def _jpeg_without_end(data: bytes, progressive: bool) -> Image:
    """Decodes what is there of a JPEG whose end is missing.

    Raises:
        InputError: more is missing than may be, or what is missing cannot be told.
    """
    with PilImage.open(io.BytesIO(data + _END), formats=["JPEG"]) as image:
        decoded = to_bgr(image)
    lost = _flat_rows(decoded) / len(decoded)
    if progressive:
        raise InputError("truncated", "The progressive JPEG ends too early.")
    if lost > _LOST_ROWS:
        raise InputError("truncated", f"The JPEG ends too early: about {lost:.0%} of its rows are missing.")
    return decoded


def _opencv(data: bytes, reduction: int, one_channel: bool = False) -> Image | None:
    flags = _REDUCED[reduction][one_channel] | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    return as_image(decoded) if decoded is not None else None


def _flat_rows(image: Image) -> int:
    """Counts the rows at the bottom that are one colour, the same in all: what is put for missing data."""
    color = image[-1, -1]
    for count, row in enumerate(image[::-1]):
        if (row != color).any():
            return count
    return len(image)


def _orientation(image: PilImage.Image) -> int:
    if image.format == "TIFF":  # Pillow turns these itself.
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Broken EXIF raises nearly anything, and is no reason to lose the page.
        return 1
    return value if value in range(1, 9) else 1


def _tag(image: PilImage.Image, tag: int) -> int:
    value = getattr(image, "tag_v2", {}).get(tag, 0)
    return value if isinstance(value, int) else 0


def _register_heif() -> None:
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise InputError(
            "missing_extra", "HEIC images need pillow-heif: pip install 'ppocr-beam[heic]'."
        ) from error
    register_heif_opener()


def _input_error(error: Exception, data: bytes, limits: Limits) -> InputError:
    """Gives what a decoder raised a kind and a sentence; Pillow's plugins raise any built-in error."""
    reason = str(error).strip() or type(error).__name__
    if isinstance(error, InputError):
        return error
    if isinstance(error, UnidentifiedImageError):
        return _unidentified(data)
    if isinstance(error, PilImage.DecompressionBombError):
        return InputError("too_large", f"The page has more pixels than the {limits.max_pixels:,} allowed.")
    if isinstance(error, MemoryError):
        return InputError("too_large", "The page needs more memory than there is.")
    if "truncated" in reason.lower() or isinstance(error, EOFError):
        return InputError("truncated", f"The image ends too early ({reason}).")
    if isinstance(error, NotImplementedError) or "support" in reason or "unknown" in reason:
        return InputError("unsupported", f"This variety of the format cannot be decoded ({reason}).")
    return InputError("corrupt", f"The image is broken ({reason}).")


def _unidentified(data: bytes) -> InputError:
    start = data[:32]
    accepts = {name: PilImage.OPEN[name][1] for name in _COMMON}
    known = next((name for name, accept in accepts.items() if accept and accept(start) is True), None)
    if known := "HEIF" if _is_heif(data) else known:
        return InputError("corrupt", f"The file starts like a {known} image, but its header is broken.")
    return InputError("not_an_image", f"The file is no image of a known format; it starts with {start!r}.")
