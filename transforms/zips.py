"""Zip archives, expanded member by member: a directory at the end tells what there is.

What is in a member that is an archive itself is not looked for.
"""

from __future__ import annotations

import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from models.records import InputError
from transforms.caps import Found, unpacks_too_far

_MAX_DIRECTORY = 16 << 20
"""Bytes of the directory, that of 200,000 members or so: zipfile keeps thirty times as many."""
_LONGEST_END = 65_557
"""Bytes at the end of a zip archive among which the end of its directory lies, behind it a comment."""
_END, _END_SIZE = b"PK\5\6", 22
_ENCRYPTED = 1
_UNKNOWN = 0xFFFF_FFFF
"""What the end's fields hold where a 64-bit one before it holds the numbers."""

_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError),
    *(struct.error, ValueError, NotImplementedError, RuntimeError),
)
"""What zipfile raises of what is broken or odd."""


def is_zip(start: bytes) -> bool:
    """Whether a file begins as a zip archive does, or as an empty one."""
    return start[:4] in (b"PK\3\4", _END)


def zip_members(
    file: BinaryIO, is_wanted: Callable[[str], bool], longest: int, max_bytes: int
) -> Iterator[Found]:
    """Yields the members of a zip archive; an error of a member is that member's alone.

    Args:
        file: the archive, seekable.
        is_wanted: whether a name is that of an image.
        longest: bytes that all that is unpacked may have.
        max_bytes: members larger than this are errors.

    Raises:
        InputError: it cannot be opened, or unpacks too far.
    """
    _check_directory(file)
    try:
        archive = zipfile.ZipFile(file)
    except _BROKEN as error:
        raise InputError("corrupt", f"The zip archive cannot be opened ({error}).") from error
    with archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        for number, member in enumerate(members, start=1):
            data = _data(archive, member, max_bytes) if is_wanted(member.filename) else None
            longest -= len(data) if isinstance(data, bytes) else 0
            if longest < 0:
                raise unpacks_too_far()
            yield member.filename, data, number / len(members)


def _check_directory(file: BinaryIO) -> None:
    """Makes sure that there is a directory, and that it can be held: zipfile reads it whole."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LONGEST_END))
    end = file.read(_LONGEST_END)
    at = end.rfind(_END)
    if at < 0 or len(end) < at + _END_SIZE:
        raise InputError("truncated", "The zip archive ends before its directory, which tells what is in it.")
    directory = int.from_bytes(end[at + 12 : at + 16], "little")
    if directory == _UNKNOWN:
        directory = _directory_of_64_bits(end[:at])
    if directory > _MAX_DIRECTORY:
        raise InputError(
            "too_large", f"The zip archive has a directory of {directory:,} bytes; it is not read."
        )
    file.seek(0)


def _directory_of_64_bits(end: bytes) -> int:
    at = end.rfind(b"PK\6\6")
    return int.from_bytes(end[at + 40 : at + 48], "little") if at >= 0 else _UNKNOWN


def _data(archive: zipfile.ZipFile, member: zipfile.ZipInfo, max_bytes: int) -> bytes | InputError:
    if member.flag_bits & _ENCRYPTED:
        return InputError("encrypted", "The member asks for a password: pack it without one.")
    if member.file_size > max_bytes:
        return InputError(
            "too_large", f"The member has {member.file_size:,} bytes, more than the cap of {max_bytes:,}."
        )
    try:
        with archive.open(member) as content:
            data = content.read(member.file_size + 1)
    except _BROKEN as error:
        return InputError("corrupt", f"The member cannot be unpacked ({error or type(error).__name__}).")
    if len(data) < member.file_size:
        return InputError("truncated", f"The member ends {member.file_size - len(data):,} bytes too early.")
    return data
