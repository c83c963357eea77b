"""What a JPEG's markers tell: how many scans there are, whether it ends, and what of it is missing."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from models.records import InputError

_TRAILER = 64
"""Bytes at a JPEG's end among which its end mark is looked for."""

_MAX_SCANS = 200
"""Scans of a progressive JPEG: encoders write about 10; each costs a pass over all pixels, so a few kB of
thousands of scans would keep a worker busy for hours."""

_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
"""A JPEG's end mark, or a marker with a segment's length behind it. Other markers stand alone, amid pixels
too; and FF 00, there, is a byte of 255."""

_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_ALL_COEFFICIENTS = (1 << 64) - 1


def scans(data: bytes) -> list[bytes]:
    """Finds the headers of a JPEG's scans, without their marker and length.

    Goes from marker to marker, as decoders do: neither what a segment holds, such as a thumbnail, nor what
    lies behind the end mark, such as a film, is a scan of this image.

    Raises:
        InputError: there are over `_MAX_SCANS`.
    """
    found: list[bytes] = []
    at = 2
    while (marker := _MARKER.search(data, at)) and marker[0] != _END:
        end = marker.end()
        # The length counts its own two bytes; decoders pass over these where it says less.
        at = end + max(int.from_bytes(data[end : end + 2], "big"), 2)
        if marker[0] == _SCAN:
            found.append(data[end + 2 : at])
        if len(found) > _MAX_SCANS:
            raise InputError(
                "too_large", f"The JPEG has over {_MAX_SCANS} scans: decoding it would take hours."
            )
    return found


def ends(data: bytes) -> bool:
    """Whether a JPEG has its end mark, which pixels never hold; some writers put a few bytes behind it."""
    return data.find(_END, -_TRAILER) >= 0


def ended(data: bytes) -> bytes:
    """The same with an end mark: decoders then tell whether anything else is missing."""
    return data if ends(data) else data + _END


def lacks_scans(headers: Iterable[bytes], components: int) -> bool:
    """Whether the scans leave out bits of coefficients: those of a progressive JPEG come one after the other.

    ITU-T T.81, B.2.3: components and their tables, first and last coefficient, bits that are still to come.

    Args:
        headers: of `scans`.
        components: of the image, such as 3 for YCbCr.
    """
    whole: defaultdict[int, int] = defaultdict(int)
    for header in headers:
        count = header[0] if header else 0
        if len(header) < 2 * count + 4:
            continue
        first, last, bits = header[2 * count + 1 : 2 * count + 4]
        if bits & 15 == 0:
            for component in header[1 : 2 * count + 1 : 2]:
                whole[component] |= (2 << last) - (1 << first)
    return sum(found & _ALL_COEFFICIENTS == _ALL_COEFFICIENTS for found in whole.values()) < components
