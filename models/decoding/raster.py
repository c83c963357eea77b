"""Images: JPEG and WebP by OpenCV where it gives the right pixels, all else by Pillow."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as PilImage
from PIL import ImageOps, UnidentifiedImageError

from models.decoding import damage, jpeg
from models.decoding.pixels import as_image, squared_size, to_bgr, upright
from models.decoding.words import Words, listening
from models.geometry import gray
from models.limits import Limits
from models.records import Image, InputError, Page

_LEAST_LEFT = 1 / 20
"""Share of a damaged page's rows that must be left: of fewer there is no text to read."""

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
        file = _open(data, limits)
    except Exception as error:
        raise _input_error(error, data, limits) from error
    with file.image:
        if file.image.format == "TIFF":
            yield from _frames(file, limits, one_channel)
        else:
            yield _page(file, limits, one_channel, index=0)


@dataclass(frozen=True, slots=True)
class _File:
    """An opened image, the bytes that it is decoded from, and what is known to be missing of these."""

    image: PilImage.Image
    data: bytes
    damage: str | None


def _open(data: bytes, limits: Limits) -> _File:
    """Opens an image: reads its header, no pixels yet."""
    # Pillow refuses at twice this number. The global is set, not lifted: some formats (ICO, GIF) show the
    # true size of what they contain only while they are read, and there only Pillow's own check works.
    PilImage.MAX_IMAGE_PIXELS = max(limits.max_pixels // 2, 1)
    if _is_heif(data):
        _register_heif()
        return _File(PilImage.open(io.BytesIO(data), formats=["HEIF"]), data, None)
    told = None
    if data.startswith(b"\x89PNG"):
        data, told = damage.sound_png(data)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        data, told = damage.filled_webp(data)
    return _File(PilImage.open(io.BytesIO(data), formats=_formats()), data, told)


def _is_heif(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS


@functools.cache
def _formats() -> list[str]:
    """Pillow's formats that may be tried, the common ones first."""
    return [*_COMMON, *(name for name in PilImage.ID if name not in _REFUSED and name not in _COMMON)]


def _frames(file: _File, limits: Limits, one_channel: bool) -> Iterator[Page | InputError]:
    """Yields a TIFF's frames that are pages: thumbnails and masks are stored as frames too."""
    image, index = file.image, 0
    for frame in range(4 * limits.max_pages):
        try:
            image.seek(frame)
        except EOFError:
            return
        except Exception as error:  # The chain of frames is broken: nothing behind this one can be found.
            raise _input_error(error, file.data, limits) from error
        if index == limits.max_pages:
            break
        if frame == 0 or not _tag(image, _SUBFILE_TYPE) & _REDUCED_OR_MASK:
            yield _page_or_error(file, limits, one_channel, index)
            index += 1
    raise limits.too_many_pages()


def _page_or_error(file: _File, limits: Limits, one_channel: bool, index: int) -> Page | InputError:
    try:
        return _page(file, limits, one_channel, index)
    except InputError as error:
        return error


def _page(file: _File, limits: Limits, one_channel: bool, index: int) -> Page:
    """Decodes the frame that an opened image stands at."""
    image, words = file.image, Words()
    try:
        limits.check_size(*image.size)
        turned_by_pillow = image.format == "TIFF"
        sideways = turned_by_pillow and _tag(image, _ORIENTATION) >= 5
        across, down = _density(image)
        density = (down, across) if sideways else (across, down)
        with listening(words):
            pixels, told = _pixels(file, limits, one_channel)
        told = file.damage or told or words.damage
        if told and _rows_left(pixels) < _LEAST_LEFT * len(pixels):
            raise InputError("truncated", f"Nothing of the page is left. {told}")
        pixels, (width, height) = _squared(pixels, image.size, density, limits)
        orientation = 1 if turned_by_pillow else _orientation(image)  # only now: it reads a PNG's pixels too
        if orientation >= 5:
            width, height = height, width
        return Page(index=index, width=width, height=height, image=upright(pixels, orientation), damage=told)
    except Exception as error:
        failed = _input_error(error, file.data, limits)
        heard = words.damage or ""
        message = failed.message if heard in failed.message else f"{failed.message} {heard}"
        raise InputError(failed.kind, message) from error


def _squared(
    pixels: Image, size: tuple[int, int], density: tuple[float, float], limits: Limits
) -> tuple[Image, tuple[int, int]]:
    """The image with square pixels, and the page's size, which before a reduction is larger."""
    page = squared_size(*size, density)
    if page == size or page[0] * page[1] > limits.max_pixels:
        return pixels, size
    height, width = pixels.shape[:2]
    target = squared_size(width, height, density)
    return as_image(cv2.resize(pixels, target, interpolation=cv2.INTER_CUBIC)), page


def _density(image: PilImage.Image) -> tuple[float, float]:
    """Dots an inch, or any other length, across and down, as the file tells; equal where it does not."""
    told = (image.info.get(key) for key in ("dpi", "resolution", "jfif_density", "aspect"))
    try:
        across, down = next(filter(None, told), (1, 1))
        return float(across), float(down)
    except (TypeError, ValueError, ZeroDivisionError):
        return 1.0, 1.0


def _pixels(file: _File, limits: Limits, one_channel: bool) -> tuple[Image, str | None]:
    """The pixels, and what is known of their damage besides what the decoder says."""
    pixels, told = _bgr_or_gray(file, limits, one_channel)
    return (gray(pixels) if one_channel else pixels), told


def _bgr_or_gray(file: _File, limits: Limits, one_channel: bool) -> tuple[Image, str | None]:
    image, data = file.image, file.data
    if image.format in ("JPEG", "MPO"):
        return _jpeg(image, data, limits, one_channel)
    if image.format == "TIFF":
        told = damage.tiff_damage(image, data)
        return _by_pillow(image, data, told)
    if image.format == "WEBP":
        told = damage.webp_hole(data, image.width * image.height)
        decoded = _opencv(data, reduction=1) if image.mode == "RGB" else None
        if decoded is not None and decoded.shape[:2] == (image.height, image.width):
            return decoded, told
        return _by_pillow(image, data, told)
    return _by_pillow(image, data)


def _by_pillow(image: PilImage.Image, data: bytes, told: str | None = None) -> tuple[Image, str | None]:
    """Decodes what is there of an image; `told` is what is known to be missing."""
    try:
        image.load()
        return to_bgr(image), told
    except (PilImage.DecompressionBombError, MemoryError):
        raise
    except Exception as error:
        left = _left(image, data)
        if left is None:
            raise
        return to_bgr(left), told or _sentence(error)


def _left(image: PilImage.Image, data: bytes) -> PilImage.Image | None:
    """What a decoder that failed had filled in; None where it had not begun."""
    if image.format == "TIFF":  # Pillow decodes a page upon the one before.
        frame = image.tell()
        image = PilImage.open(io.BytesIO(data), formats=["TIFF"])
        image.seek(frame)
        with contextlib.suppress(Exception):
            image.load()
    try:
        if image.im.size != image.size:
            return None
    except Exception:
        return None
    image.tile = []  # type: ignore[attr-defined]  # what is left to decode
    if image.format == "TIFF":
        ImageOps.exif_transpose(image, in_place=True)  # as Pillow does with a whole one
    return image


def _sentence(error: Exception) -> str:
    reason = str(error).strip() or type(error).__name__
    if "truncated" in reason or isinstance(error, (EOFError, IndexError)):
        return f"The image ends too early ({reason})."
    return f"The image is broken ({reason})."


def _jpeg(image: PilImage.Image, data: bytes, limits: Limits, one_channel: bool) -> tuple[Image, str | None]:
    scans = jpeg.scans(data)
    told = None
    if not jpeg.ends(data) and jpeg.lacks_scans(scans, len(image.getbands())):
        told = "The JPEG ends before its last scan: it is coarser than it was."
    if image.mode in ("L", "RGB"):
        decoded = _opencv(jpeg.ended(data), limits.reduction(*image.size), one_channel)
        if decoded is not None:
            return decoded, told
    return _by_pillow(image, data, told)


def _opencv(data: bytes, reduction: int, one_channel: bool = False) -> Image | None:
    flags = _REDUCED[reduction][one_channel] | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    return as_image(decoded) if decoded is not None else None


def _rows_left(image: Image) -> int:
    """Counts the rows above those at the bottom that are one colour, as what is put for missing data is."""
    color = image[-1, -1]
    for count, row in enumerate(image[::-1]):
        if (row != color).any():
            return len(image) - count
    return 0


def _orientation(image: PilImage.Image) -> int:
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
        return InputError(
            "corrupt", f"The file starts like a {known} image, but its header is broken or cut off."
        )
    advice = " Zip archives are read where their names end in .zip." if start.startswith(b"PK\3\4") else ""
    return InputError(
        "not_an_image", f"The file is no image of a known format; it starts with {start!r}.{advice}"
    )
