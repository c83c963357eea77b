"""Parquet files of images, expanded row by row.

Of the images and of their names one data page each is in memory. Writers make pages of a megabyte, or of a
thousand rows, whatever these hold; but a page of a few bytes may claim to unpack to gigabytes, which pyarrow
takes at once. So each page's claim is looked at as it goes by, before pyarrow sees it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from models.records import InputError
from transforms.caps import MAX_RATIO, longest_unpacked, unpacks_too_far
from transforms.carry import columns_text
from transforms.thrift import CutOffError, PageHeader, page_header

_BUFFER = 1 << 20
"""Bytes of a column that are read at a time. Without a buffer it is all of the column in a row group:
hundreds of megabytes of images. Of a remote file each request fetches 4 MiB, whatever is asked for here."""
_FREE_PAGE = 64 << 20
"""Bytes that a page may unpack to, however small it is; else as many times its size as an archive may."""
_MAX_FOOTER = 16 << 20
"""Bytes of the footer, which tells of every row group: pyarrow takes forty times as many for it."""
_MAX_PAGE_HEADER = 1 << 20
_FOOTER_END = 8
_LEAST_ROW = 512
"""Bytes that a row counts for at least, as a member of a tar has: a few bytes store nulls by the billion."""
_MAX_NAME = 4096
"""Bytes of a row's name; a longer one is none."""

Row = tuple[str, bytes | InputError, float, str | None]
"""A row's name, its bytes, the part of the file that is read with it, and what it takes along."""
WHOLE = ""
"""The name where the file as a whole is meant."""


def parquet_rows(file: BinaryIO, byte_size: int, max_bytes: int, carry: Sequence[str] = ()) -> Iterator[Row]:
    """Yields the rows of a Parquet file; what is wrong with a row group is that one's alone.

    Args:
        file: the file, seekable.
        byte_size: its size.
        max_bytes: images larger than this are errors.
        carry: names of plain columns to take along; null where there is none of that name.

    Raises:
        InputError: it cannot be opened, has no column of images, or unpacks too far.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_footer(file, byte_size)
    pages = _Pages(file, byte_size)
    try:
        parquet = pq.ParquetFile(pages, pre_buffer=False, buffer_size=_BUFFER)
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise InputError("corrupt", f"The Parquet file cannot be opened ({_first_line(error)}).") from error
    path, names = _columns(parquet.schema_arrow)
    along = _plain_columns(parquet.schema_arrow, carry)
    groups = [parquet.metadata.row_group(group) for group in range(parquet.num_row_groups)]
    rows = max(1, sum(group.num_rows for group in groups))  # the footer's own sum may be another
    first_row, left = 0, longest_unpacked(byte_size)
    for number, group in enumerate(groups):
        try:
            pages.expect(_chunks(group, {path, *names, *along}))
            found = _group_rows(parquet, number, first_row, path, names, max_bytes, along)
            for read, (name, data, unpacked, values) in enumerate(found, first_row + 1):
                left -= max(unpacked, _LEAST_ROW)
                if left < 0:
                    raise unpacks_too_far()
                text = columns_text(dict.fromkeys(carry) | values) if carry else None
                yield name, data, read / rows, text
        except (pa.ArrowException, OSError, _ClaimError) as error:
            message = f"Row group {number} (from row {first_row}) cannot be read on ({_first_line(error)})."
            yield WHOLE, InputError("corrupt", message), (first_row + group.num_rows) / rows, None
        first_row += group.num_rows


def _check_footer(file: BinaryIO, byte_size: int) -> None:
    file.seek(max(0, byte_size - _FOOTER_END))
    length = int.from_bytes(file.read(_FOOTER_END)[:4], "little")
    if _MAX_FOOTER < length <= byte_size:  # else pyarrow says what is wrong
        raise InputError("too_large", f"The Parquet file has a footer of {length:,} bytes; it is not read.")
    file.seek(0)


class _ClaimError(Exception):
    """A page claims more than there can be."""


@dataclass(slots=True)
class _Chunk:
    """Where a column's next page begins in a row group, and where its last one ends."""

    next: int
    end: int


def _chunks(group: Any, paths: set[str]) -> list[_Chunk]:
    columns = [group.column(index) for index in range(group.num_columns)]
    chunks = []
    for column in columns:
        if column.path_in_schema in paths:
            starts = [column.data_page_offset]
            if column.has_dictionary_page and column.dictionary_page_offset:
                starts.append(column.dictionary_page_offset)
            chunks.append(_Chunk(min(starts), min(starts) + column.total_compressed_size))
    return chunks


class _Pages:
    """A Parquet file that looks at the pages which are read of it, before who reads them does."""

    closed = False

    def __init__(self, file: BinaryIO, byte_size: int) -> None:
        self._file = file
        self._byte_size = byte_size
        self._chunks: Sequence[_Chunk] = ()

    def expect(self, chunks: Sequence[_Chunk]) -> None:
        """Says where the pages of the next row group are."""
        self._chunks = chunks

    def read(self, size: int = -1) -> bytes:
        """Reads as a file does.

        Raises:
            _ClaimError: what is read holds the header of a page that claims too much.
        """
        start = self._file.tell()
        left = max(0, self._byte_size - start)  # some files take memory for all that is asked for
        data = self._file.read(left if size < 0 else min(size, left))
        for chunk in self._chunks:
            self._look(chunk, start, data)
        return data

    def _look(self, chunk: _Chunk, start: int, data: bytes) -> None:
        end = start + len(data)
        while start <= chunk.next < min(end, chunk.end):
            header = self._header(chunk.next, data[chunk.next - start :], end)
            unpacked, stored = header.unpacked, header.stored
            if chunk.next + header.length + stored > self._byte_size:
                raise _ClaimError(f"a page claims {stored:,} bytes, more than there are")
            if unpacked > max(_FREE_PAGE, MAX_RATIO * stored):
                raise _ClaimError(f"a page of {stored:,} bytes claims to unpack to {unpacked:,}")
            chunk.next += header.length + stored

    def _header(self, at: int, data: bytes, end: int) -> PageHeader:
        try:
            return page_header(data)
        except CutOffError:
            pass
        except ValueError as error:
            raise _ClaimError(str(error)) from error
        more = self._file.read(_MAX_PAGE_HEADER)
        self._file.seek(end)
        try:
            return page_header(data + more)
        except (CutOffError, ValueError) as error:
            raise _ClaimError(f"the page at byte {at:,} has no header that can be read") from error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Seeks as a file does."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._file.tell()

    def close(self) -> None:
        """Leaves it open: it is another's."""

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """No."""
        return False


def _plain_columns(schema: Any, carry: Sequence[str]) -> list[str]:
    """Those of the columns asked for that are there, and hold plain values."""
    import pyarrow as pa

    return [each.name for each in schema if each.name in carry and not pa.types.is_nested(each.type)]


def _group_rows(
    parquet: Any, group: int, first_row: int, path: str, names: list[str], max_bytes: int, along: list[str]
) -> Iterator[tuple[str, bytes | InputError, int, dict[str, Any]]]:
    """Names and bytes of a row group's rows, what each took in memory, and the scalars of columns `along`."""
    columns = list(dict.fromkeys((path, *names, *along)))
    # One row at a time: it may have as many bytes as a file. Threads would gain nothing on it.
    batches = parquet.iter_batches(1, row_groups=[group], columns=columns, use_threads=False)
    for row, batch in enumerate(batches, first_row):
        data = batch.column(path.partition(".")[0])
        if "." in path:
            data = data.field("bytes")
        name = batch.column(names[0])[0] if names else None
        values = {each: batch.column(each)[0] for each in along}
        yield _row_name(row, name), _row_data(data[0], max_bytes), batch.nbytes, values


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


def _row_name(row: int, name: Any) -> str:
    given = b"" if name is None or not name.is_valid else name.as_buffer()
    return bytes(given).decode("utf-8", "backslashreplace") if 0 < len(given) <= _MAX_NAME else str(row)


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
