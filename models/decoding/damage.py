"""What of an image is missing or broken, where its decoder passes over that."""

from __future__ import annotations

import zlib

from PIL import Image as PilImage

from models.records import InputError

_PNG = b"\x89PNG\r\n\x1a\n"

_FAX = frozenset(["group3", "group4", "tiff_ccitt"])
_FAX_HOLE = bytes(256)
"""Codes hold 7 zero bytes in a row at most; slow machines wrote up to 72 to fill a row's time."""

_OFFSETS, _TILE_OFFSETS = 273, 324
_SIZES, _TILE_SIZES = 279, 325
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT, _PLANAR = 278, 322, 323, 284


def sound_png(data: bytes) -> tuple[bytes, str | None]:
    """A PNG as far as its pixels fit their checksums, which decoders pass over.

    Returns:
        the bytes before the first chunk that is broken, and what is wrong with it; all bytes and None.

    Raises:
        InputError: the first chunk of pixels is broken.
    """
    at, sound = len(_PNG), 0
    while at + 12 <= len(data):
        length, kind = _big(data, at), data[at + 4 : at + 8]
        body = memoryview(data)[at + 4 : at + 8 + length]
        end = at + 12 + length
        if kind == b"IEND":
            break
        if (
            not kind.isalpha()
            or kind == b"IDAT"
            and end <= len(data)
            and zlib.crc32(body) != _big(data, end - 4)
        ):
            if not sound:
                raise InputError("corrupt", "The PNG is broken: its pixels do not fit their checksums.")
            return data[:at], f"The PNG is broken from byte {at:,} on: its pixels do not fit their checksums."
        sound += kind == b"IDAT"
        at = end
    return data, None


def filled_webp(data: bytes) -> tuple[bytes, str | None]:
    """A WebP with zeros in the place of its missing end, which decoders insist on, and what to say of it.

    Raises:
        InputError: more than nine tenths are missing.
    """
    told = 8 + int.from_bytes(data[4:8], "little")
    if told <= len(data):
        return data, None
    words = f"The WebP ends too early: {len(data):,} of its {told:,} bytes are there."
    if told > 10 * len(data):
        raise InputError("truncated", words)
    return data.ljust(told, b"\0"), words


def webp_hole(data: bytes, pixels: int) -> str | None:
    """What to say of a WebP with a hole of zeros, which decode as well as any other bytes.

    A page that is blank all over compresses to zeros, too: to one byte for every 10,000 pixels.
    """
    hole = bytes(256 + pixels // 8192)
    at = data.find(hole)
    return None if at < 0 else f"The WebP has a hole: from byte {at:,} on there are over {len(hole):,} zeros."


def tiff_damage(image: PilImage.Image, data: bytes) -> str | None:
    """What is missing of the frame at which a TIFF stands, as far as decoders do not tell."""
    tags = getattr(image, "tag_v2", {})
    tiled = _TILE_OFFSETS in tags
    offsets = _numbers(tags.get(_TILE_OFFSETS if tiled else _OFFSETS))
    wanted = _parts(image, tiled)
    if 0 < len(offsets) < wanted:
        return f"The TIFF lists {len(offsets):,} of its {wanted:,} {'tiles' if tiled else 'strips'}."
    if image.info.get("compression") not in _FAX:
        return None
    sizes = _numbers(tags.get(_TILE_SIZES if tiled else _SIZES))
    if 8 * sum(sizes) < image.height:  # a row takes a bit at least
        return f"The TIFF's {sum(sizes):,} bytes of pixels cannot hold its {image.height:,} rows."
    if any(_FAX_HOLE in data[at : at + size] for at, size in zip(offsets, sizes, strict=False)):
        return "The TIFF has a hole: there are zeros in the place of its pixels."
    return None


def _parts(image: PilImage.Image, tiled: bool) -> int:
    """Strips or tiles that a frame must have."""
    tags = getattr(image, "tag_v2", {})
    width, height = _number(tags.get(256), image.width), _number(tags.get(257), image.height)
    planes = len(image.getbands()) if tags.get(_PLANAR) == 2 else 1
    rows = _number(tags.get(_TILE_HEIGHT if tiled else _ROWS_PER_STRIP), height)
    across = -(-width // _number(tags.get(_TILE_WIDTH), width)) if tiled else 1
    return across * -(-height // rows) * planes


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) and value > 0 else default


def _numbers(value: object) -> tuple[int, ...]:
    values = value if isinstance(value, tuple) else (value,)
    return tuple(number for number in values if isinstance(number, int))


def _big(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")
