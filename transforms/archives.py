"""Tar and zip archives and Parquet files of images, expanded member by member.

Of an archive one member is in memory at a time; of a Parquet file a data page of the images and one of
their names. What a header claims is compared with the file's size before anything is taken for it.

Nothing is ever written: a member's name is a name and no path, whatever `..` or `/` stands in it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import BinaryIO, cast

from models.records import InputError
from transforms import parquets, tars, zips
from transforms.caps import Budget, Found, Timed, longest_unpacked
from transforms.carry import JSON, is_json, with_json
from transforms.seen import Seen, keys_of
from transforms.sources import is_image_name
from transforms.storage import file_name

_PARQUET = re.compile(r".*\.parquet", re.DOTALL | re.IGNORECASE)
_ARCHIVE = re.compile(r".*\.(tar|tar\.gz|tgz|zip)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive: its bytes, or why it, or all that comes behind it, cannot be read.

    Attributes:
        uri: `archive#name`; the archive's own where the archive as a whole is meant.
        data: the encoded image, or the error; None: the member is of another kind.
        end: part of the archive, 0 to 1, that is read when the member is.
        carried: what its rows take along, see `transforms.carry`.
    """

    uri: str
    data: bytes | InputError | None
    end: float = 1.0
    carried: str | None = None


def is_archive(uri: str) -> bool:
    """Whether a file of this name is expanded by `members`."""
    name = file_name(uri)
    return bool(_ARCHIVE.fullmatch(name) or _PARQUET.fullmatch(name))


def members(
    uri: str, file: BinaryIO, byte_size: int, max_bytes: int, carry: Sequence[str] = ()
) -> Iterator[Member]:
    """Yields the members of a tar, tar.gz, zip or Parquet file; an error where none is an image.

    Args:
        uri: the archive's, for the members' names.
        file: the archive, seekable, at its start.
        byte_size: the archive's size.
        max_bytes: members larger than this are errors.
        carry: names of columns of a Parquet file to take along; `carry.JSON` for the `.json` beside an image.
    """
    start = file.read(4)
    file.seek(0)
    budget = Budget(byte_size)
    file = cast(BinaryIO, Timed(file, budget))
    if not start:
        yield Member(uri, InputError("empty", "The file is empty (0 bytes)."))
        return
    if start == b"PAR1":
        expanded = _parquet_members(uri, file, byte_size, max_bytes, carry)
    elif zips.is_zip(start):
        expanded = _zip_members(uri, file, byte_size, max_bytes, JSON in carry)
    else:
        expanded = _tar_members(uri, file, byte_size, max_bytes, JSON in carry)
    found = False
    try:
        for member in budget.held(_each_by_its_own_name(uri, expanded)):
            found = found or member.data is not None
            yield member
    except InputError as error:
        found = True
        yield Member(uri, error)
    except (EOFError, zlib.error, OSError) as error:
        found = True
        kind = "truncated" if "end of" in str(error) or "ended" in str(error) else "corrupt"
        yield Member(uri, InputError(kind, f"The archive is broken ({error}); what came before is read."))
    if not found:
        yield Member(uri, InputError("no_images", "The archive holds no images."))


def _each_by_its_own_name(uri: str, members: Iterator[Member]) -> Iterator[Member]:
    """The members; one whose name an earlier one has gets its number behind it: rows are told by names."""
    seen = Seen()
    for number, member in enumerate(members):
        if member.data is not None and member.uri != uri:
            names = chain([member.uri], (f"{member.uri}#{i}" for i in count(number)))
            member = replace(member, uri=next(name for name in names if seen.add(keys_of([name]))[0]))
        yield member


def _tar_members(
    uri: str, file: BinaryIO, byte_size: int, max_bytes: int, with_notes: bool
) -> Iterator[Member]:
    wanted, longest = _wanted(with_notes), longest_unpacked(byte_size)
    yield from _named(uri, tars.tar_members(file, byte_size, wanted, longest, max_bytes), with_notes)


def _zip_members(
    uri: str, file: BinaryIO, byte_size: int, max_bytes: int, with_notes: bool
) -> Iterator[Member]:
    members = zips.zip_members(file, _wanted(with_notes), longest_unpacked(byte_size), max_bytes)
    yield from _named(uri, ((_text(name), data, end) for name, data, end in members), with_notes)


def _named(uri: str, found: Iterator[Found], with_notes: bool) -> Iterator[Member]:
    noted = with_json(found) if with_notes else ((*each, None) for each in found)
    for name, data, end, carried in noted:
        yield Member(f"{uri}#{name}", data, end, carried)


def _wanted(with_notes: bool) -> Callable[[str], bool]:
    return (lambda name: _is_wanted(name) or is_json(name)) if with_notes else _is_wanted


def _is_wanted(name: str) -> bool:
    """Whether it is an image's name. macOS puts a `._a.jpg` that is none beside each `a.jpg`."""
    return is_image_name(name) and not name.rpartition("/")[2].startswith("._")


def _text(name: str) -> str:
    r"""Returns a member's name as text that can be stored: bytes that are not UTF-8 become `\xff`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _parquet_members(
    uri: str, file: BinaryIO, byte_size: int, max_bytes: int, carry: Sequence[str]
) -> Iterator[Member]:
    for name, data, end, carried in parquets.parquet_rows(file, byte_size, max_bytes, carry):
        yield Member(uri if name == parquets.WHOLE else f"{uri}#{name}", data, end, carried)
