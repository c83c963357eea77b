"""Tar and zip archives and Parquet files of images, expanded member by member.

Of an archive one member is in memory at a time; of a Parquet file a data page of the images and one of
their names. Writers make pages of a megabyte, or of a thousand rows, whatever these hold.

Nothing is ever written: a member's name is a name and no path, whatever `..` or `/` stands in it.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Any, BinaryIO

from models.records import InputError
from transforms import zips
from transforms.seen import Seen, keys_of
from transforms.sources import is_image_name
from transforms.storage import file_name

_PARQUET = re.compile(r".*\.parquet", re.DOTALL | re.IGNORECASE)
_ARCHIVE = re.compile(r".*\.(tar|tar\.gz|tgz|zip)", re.DOTALL | re.IGNORECASE)

_MAX_HEADER = 1 << 20
"""Bytes of a tar member's extended header (a long name, PAX fields): tarfile reads it into memory whole."""

_PARQUET_BUFFER = 1 << 20
"""Bytes of a Parquet column that are read at a time. Without a buffer it is all of the column in a row group:
hundreds of megabytes of images. Of a remote file each request fetches 4 MiB, whatever is asked for here."""

_MAX_RATIO = 200
_FREE_BYTES = 1 << 30
"""An archive may unpack to this many times its size, or to this many bytes: images hardly compress, so that
more is a bomb and would keep a worker busy for hours."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive: its bytes, or why it, or all that comes behind it, cannot be read.

    Attributes:
        uri: `archive#name`; the archive's own where the archive as a whole is meant.
        data: the encoded image, or the error; None: the member is of another kind.
        end: part of the archive, 0 to 1, that is read when the member is.
    """

    uri: str
    data: bytes | InputError | None
    end: float = 1.0


def is_archive(uri: str) -> bool:
    """Whether a file of this name is expanded by `members`."""
    name = file_name(uri)
    return bool(_ARCHIVE.fullmatch(name) or _PARQUET.fullmatch(name))


def members(uri: str, file: BinaryIO, byte_size: int, max_bytes: int) -> Iterator[Member]:
    """Yields the members of a tar, tar.gz, zip or Parquet file; an error where none is an image.

    Args:
        uri: the archive's, for the members' names.
        file: the archive, seekable, at its start.
        byte_size: the archive's size.
        max_bytes: members larger than this are errors.
    """
    start = file.read(4)
    file.seek(0)
    if not start:
        yield Member(uri, InputError("empty", "The file is empty (0 bytes)."))
        return
    if start == b"PAR1":
        expanded = _parquet_members(uri, file, byte_size, max_bytes)
    elif zips.is_zip(start):
        expanded = _zip_members(uri, file, byte_size, max_bytes)
    else:
        expanded = _tar_members(uri, file, byte_size, start[:2] == b"\x1f\x8b", max_bytes)
    found = False
    try:
        for member in _each_by_its_own_name(uri, expanded):
            found = found or member.data is not None
            yield member
    except InputError as error:
        found = True
        yield Member(uri, error)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
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


class _Header(tarfile.TarInfo):
    """A tar header; where it is broken, reading ends with an error: tarfile would see the archive's end."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> Any:
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.EmptyHeaderError as error:  # type: ignore[attr-defined]
            raise InputError(
                "truncated", "The archive ends without its end mark; members may be missing."
            ) from error
        except tarfile.HeaderError as error:
            kind = "truncated" if "truncated" in str(error) else "corrupt"
            raise InputError(
                kind, f"The archive is no tar file, or broken from here on ({error})."
            ) from error
        if header.type in _EXTENDED and header.size > _MAX_HEADER:
            raise InputError(
                "corrupt", f"The archive has a header of {header.size:,} bytes; the rest is not read."
            )
        return header


_EXTENDED = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)


def _tar_members(
    uri: str, file: BinaryIO, byte_size: int, compressed: bool, max_bytes: int
) -> Iterator[Member]:
    longest = _longest(byte_size)
    # GzipFile, not tarfile's own: that one takes a cut-off stream for its end.
    stream = gzip.GzipFile(fileobj=file) if compressed else file
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as archive:
        for header in archive:  # not next(), which on Python 3.10 fails where there are no members
            archive.members = []  # type: ignore[attr-defined]  # tarfile keeps every header: a gigabyte for a million members.
            if archive.offset > longest and compressed:  # type: ignore[attr-defined]  # the member's end, as stored
                raise _unpacks_too_far()
            if header.isdir():
                continue
            data = _tar_data(archive, header, max_bytes) if _is_wanted(header.name) else None
            end = file.tell() / byte_size if byte_size else 0.0
            yield Member(f"{uri}#{_text(header.name)}", data, end)


def _zip_members(uri: str, file: BinaryIO, byte_size: int, max_bytes: int) -> Iterator[Member]:
    for name, data, end in zips.zip_members(file, _is_wanted, _longest(byte_size), max_bytes):
        yield Member(f"{uri}#{_text(name)}", data, end)


def _longest(byte_size: int) -> int:
    """Bytes that an archive of this size may unpack to."""
    return max(_FREE_BYTES, _MAX_RATIO * byte_size)


def _unpacks_too_far() -> InputError:
    return InputError("too_large", f"The archive unpacks to over {_MAX_RATIO} times its size; reading stops.")


def _is_wanted(name: str) -> bool:
    """Whether it is an image's name. macOS puts a `._a.jpg` that is none beside each `a.jpg`."""
    return is_image_name(name) and not name.rpartition("/")[2].startswith("._")


def _tar_data(archive: tarfile.TarFile, header: tarfile.TarInfo, max_bytes: int) -> bytes | InputError:
    if header.issparse():  # what it holds may be all holes, of a gigabyte in half a kilobyte
        return InputError("unsupported", "The member is a sparse file, of which only parts are stored.")
    if not header.isreg():
        return InputError("not_a_file", "The member is a link or a device; these are not followed.")
    if header.size > max_bytes:
        return InputError(
            "too_large", f"The member has {header.size:,} bytes, more than the cap of {max_bytes:,}."
        )
    content = archive.extractfile(header)
    data = content.read() if content else b""
    if len(data) < header.size:
        return InputError(
            "truncated", f"The archive ends {header.size - len(data):,} bytes before this member does."
        )
    return data


def _text(name: str) -> str:
    r"""Returns a member's name as text that can be stored: bytes that are not UTF-8 become `\xff`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _parquet_members(uri: str, file: BinaryIO, byte_size: int, max_bytes: int) -> Iterator[Member]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=_PARQUET_BUFFER)
    except (pa.ArrowException, OSError) as error:
        raise InputError("corrupt", f"The Parquet file cannot be opened ({_first_line(error)}).") from error
    path, names = _columns(parquet.schema_arrow)
    sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
    first_row, rows = 0, max(1, sum(sizes))  # the footer's own sum may be another
    unpacked, longest = 0, _longest(byte_size)
    for group, size in enumerate(sizes):
        try:
            found = _group_members(uri, parquet, group, first_row, (path, names), max_bytes)
            for read, (member, bytes_read) in enumerate(found, first_row + 1):
                unpacked += bytes_read
                if unpacked > longest:
                    raise _unpacks_too_far()
                yield replace(member, end=read / rows)
        except (pa.ArrowException, OSError) as error:
            message = f"Row group {group} (from row {first_row}) cannot be read on ({_first_line(error)})."
            yield Member(uri, InputError("corrupt", message), (first_row + size) / rows)
        first_row += size


def _group_members(
    uri: str, parquet: Any, group: int, first_row: int, columns: tuple[str, list[str]], max_bytes: int
) -> Iterator[tuple[Member, int]]:
    """The members of a row group, and what each took in memory."""
    path, names = columns
    # One row at a time: it may have as many bytes as a file. Threads would gain nothing on it.
    batches = parquet.iter_batches(1, row_groups=[group], columns=[path, *names], use_threads=False)
    for row, batch in enumerate(batches, first_row):
        data = batch.column(path.partition(".")[0])
        if "." in path:
            data = data.field("bytes")
        name = batch.column(names[0])[0] if names else None
        yield Member(_row_uri(uri, row, name), _row_data(data[0], max_bytes)), batch.nbytes


def _columns(schema: Any) -> tuple[str, list[str]]:
    """Returns the path of the column with the bytes, and the column with the names where there is one.

    Raises:
        InputError: there are no bytes of images.
    """
    import pyarrow as pa

    types = {field.name: field.type for field in schema}
    names = [name for name in ("uri", "path") if _is_text(types.get(name, pa.null()))][:1]
    if _is_binary(types.get("bytes")):
        return "bytes", names
    image = types.get("image", pa.null())
    children = {field.name: field.type for field in image} if pa.types.is_struct(image) else {}
    if _is_binary(children.get("bytes")):
        return "image.bytes", names
    found = ", ".join(types) or "none"
    raise InputError(
        "no_images", f"The Parquet file has neither a column bytes nor image.bytes; it has {found}."
    )


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind)  # Polars writes the latter


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return kind is not None and (pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _row_uri(uri: str, row: int, name: Any) -> str:
    given = b"" if name is None or not name.is_valid else name.as_buffer().to_pybytes()
    return f"{uri}#{given.decode('utf-8', 'backslashreplace') or row}"


def _row_data(value: Any, max_bytes: int) -> bytes | InputError:
    if not value.is_valid:
        return InputError("no_images", "The row has no bytes (null).")
    size = len(value.as_buffer())
    if size > max_bytes:
        return InputError("too_large", f"The row has {size:,} bytes, more than the cap of {max_bytes:,}.")
    data: bytes = value.as_py()
    return data


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
