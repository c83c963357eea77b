"""Tar archives, plain or gzipped, expanded member by member.

Headers are read here and not by tarfile, which keeps every one, adds up PAX fields for ever, and in Pythons
before 3.11.10 can be kept busy for hours by a header of a kilobyte (CVE-2024-6232).

Source of the format: POSIX.1-2008, pax, "ustar Interchange Format" and "pax Interchange Format"; for what GNU
adds, GNU tar's manual, "Basic Tar Format".
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from models.records import InputError
from transforms.caps import Found, unpacks_too_far

_BLOCK = 512
_MAX_HEADER = 1 << 20
"""Bytes of an extended header (a long name, PAX fields), which is read whole."""
_LONG_NAME, _LONG_LINK, _SPARSE = b"L", b"K", b"S"
_PAX, _PAX_OF_ALL = (b"x", b"X"), b"g"
_EXTENDED = (_LONG_NAME, _LONG_LINK, *_PAX, _PAX_OF_ALL)
_FOLDER = b"5"
_FILES = (b"0", b"\0", b"7", _SPARSE)
_BARE = (b"1", b"2", b"3", b"4", _FOLDER, b"6")
"""Links, devices, folders and pipes: no data follows, whatever their size says."""
_WANTED = (b"path", b"size")
"""PAX fields that matter here, beside those of sparse files."""
_SPARSE_FIELD = b"GNU.sparse."
_SPARSE_NAME = b"GNU.sparse.name"
_MAX_NAME = 4096
"""Bytes of a member's name: more than any system can give a file."""
_LONGEST_LENGTH = 8
"""Digits of a PAX field's length: more than a header may have."""


@dataclass(frozen=True, slots=True)
class _Header:
    kind: bytes
    name: bytes
    size: int
    sparse: bool = False


def tar_members(
    file: BinaryIO,
    byte_size: int,
    is_wanted: Callable[[str], bool],
    longest: int,
    max_bytes: int,
) -> Iterator[Found]:
    """Yields the members of a tar or tar.gz file, but for folders.

    Args:
        file: the archive, seekable, at its start.
        byte_size: its size.
        is_wanted: whether a name is that of an image.
        longest: bytes that a gzipped archive may unpack to.
        max_bytes: members larger than this are errors.

    Raises:
        InputError: it is no tar, broken, or claims more than there can be; what came before has been yielded.
        EOFError, OSError, zlib.error: of gzip.
    """
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    stream = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
    for header in _members(stream, longest if packed else byte_size, packed):
        if header.kind != _FOLDER:
            name = header.name.decode("utf-8", "backslashreplace")
            data = _data(stream, header, max_bytes) if is_wanted(name) else None
            yield name, data, file.tell() / byte_size if byte_size else 0.0


def _members(stream: BinaryIO, end: int, packed: bool) -> Iterator[_Header]:
    """The headers of members, each with the stream at its data; none that claims to go past the end."""
    of_all: dict[bytes, bytes] = {}
    of_next: dict[bytes, bytes] = {}
    while header := _next_header(stream):
        if header.kind in _EXTENDED:
            fields = _extended(header.kind, _extended_bytes(stream, header))
            (of_all if header.kind == _PAX_OF_ALL else of_next).update(fields)
            continue
        header = _with_fields(header, {**of_all, **of_next})
        of_next = {}
        start, size = stream.tell(), 0 if header.kind in _BARE else header.size
        if start + size > end:
            raise _ends_too_late(header, packed)
        yield header
        stream.seek(start + _padded(size))


def _ends_too_late(header: _Header, packed: bool) -> InputError:
    if packed:
        return unpacks_too_far()
    return InputError(
        "truncated", f"The archive ends before its next member does, which claims {header.size:,} bytes."
    )


def _data(stream: BinaryIO, header: _Header, max_bytes: int) -> bytes | InputError:
    if header.sparse:  # what it holds may be all holes, of a gigabyte in half a kilobyte
        return InputError("unsupported", "The member is a sparse file, of which only parts are stored.")
    if header.kind not in _FILES:
        return InputError("not_a_file", "The member is a link or a device; these are not followed.")
    if header.size > max_bytes:
        return InputError(
            "too_large", f"The member has {header.size:,} bytes, more than the cap of {max_bytes:,}."
        )
    data = stream.read(header.size)
    if len(data) < header.size:
        return InputError(
            "truncated", f"The archive ends {header.size - len(data):,} bytes before this member does."
        )
    return data


def _next_header(stream: BinaryIO) -> _Header | None:
    """The header of 512 bytes that comes next; None: the archive's end mark does."""
    block = stream.read(_BLOCK)
    if not block:
        raise InputError("truncated", "The archive ends without its end mark; members may be missing.")
    if len(block) < _BLOCK:
        raise _broken("truncated", "truncated header")
    if not any(block):
        return None
    spaces = block[:148] + b" " * 8 + block[156:]
    if _number(block[148:156]) not in (sum(spaces), sum(struct.unpack("512b", spaces))):
        raise _broken("corrupt", "bad checksum")
    kind, name, prefix = block[156:157], _string(block[:100]), _string(block[345:500])
    if kind == b"\0" and name.endswith(b"/"):
        kind = _FOLDER
    if prefix and kind not in (_LONG_NAME, _LONG_LINK, _SPARSE):
        name = prefix + b"/" + name
    if kind == _SPARSE:
        _pass_map(stream, block[482])
    return _Header(kind, name, _number(block[124:136]), kind == _SPARSE)


def _pass_map(stream: BinaryIO, more: int) -> None:
    """Passes over the blocks that say where a sparse file has data, for which its header has no room."""
    while more:
        block = stream.read(_BLOCK)
        if len(block) < _BLOCK:
            raise _broken("truncated", "truncated header")
        more = block[504]


def _extended_bytes(stream: BinaryIO, header: _Header) -> bytes:
    if header.size > _MAX_HEADER:
        raise InputError(
            "corrupt", f"The archive has a header of {header.size:,} bytes; the rest is not read."
        )
    data = stream.read(_padded(header.size))
    if len(data) < header.size:
        raise _broken("truncated", "truncated header")
    return data[: header.size]


def _extended(kind: bytes, data: bytes) -> dict[bytes, bytes]:
    """What an extended header says, as PAX fields."""
    if kind == _LONG_NAME:
        return {b"path": _string(data)}
    return {} if kind == _LONG_LINK else dict(_pax_fields(data))


def _pax_fields(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The fields that matter here. Each is `LENGTH KEY=VALUE` and a line's end, LENGTH that of all of it."""
    at = 0
    while at < len(data) and data[at]:
        space = data.find(b" ", at, at + _LONGEST_LENGTH + 1)
        length = data[at:space] if space > at else b""
        if not length.isdigit() or int(length) <= space - at:
            raise _broken("corrupt", "an extended header's field has no length")
        key, _, value = data[space + 1 : at + int(length) - 1].partition(b"=")
        if key in _WANTED or key.startswith(_SPARSE_FIELD):
            yield key, value
        at += int(length)


def _with_fields(header: _Header, fields: Mapping[bytes, bytes]) -> _Header:
    name = fields.get(_SPARSE_NAME) or fields.get(b"path") or header.name
    size = fields.get(b"size", b"")
    if not size:
        number = header.size
    elif size.isdigit() and len(size) < 20:
        number = int(size)
    else:
        raise _broken("corrupt", "a size that is no number")
    if len(name) > _MAX_NAME:
        raise _broken("corrupt", f"a name of {len(name):,} bytes")
    sparse = header.sparse or any(key.startswith(_SPARSE_FIELD) for key in fields)
    return replace(header, name=name, size=number, sparse=sparse)


def _number(field: bytes) -> int:
    """A number of octal digits, or, where the first bit is set, of 256."""
    if field[0] & 0x80:
        number = int.from_bytes(field, "big", signed=True) if field[0] == 0xFF else _of_256(field)
    else:
        digits = _string(field).strip() or b"0"
        if not all(digit in b"01234567" for digit in digits):
            raise _broken("corrupt", "a number that is none")
        number = int(digits, 8)
    if number < 0:
        raise _broken("corrupt", "a size below 0")
    return number


def _of_256(field: bytes) -> int:
    return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")


def _string(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _broken(kind: str, why: str) -> InputError:
    return InputError(kind, f"The archive is no tar file, or broken from here on ({why}).")
