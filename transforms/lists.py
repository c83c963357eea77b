"""Lists of files, given as input: a file with one URI a row.

    .txt                     one URI a line; lines that begin with `#` are comments
    .csv .jsonl .parquet     a column `uri`; columns `etag` and `byte_size` are used where there are any

A relative name is looked for beside the list, then in the working directory.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import posixpath
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, BinaryIO

from models.records import InputError, UsageError
from transforms import storage
from transforms.storage import Source, local
from transforms.storage.records import bare

Row = Mapping[str, Any]


def read_list(uri: str) -> Iterator[Source] | None:
    """The files that a list names, as a stream; None where the file is no list.

    Raises:
        UsageError: while streaming, when a row cannot be understood.
    """
    suffix = os.path.splitext(storage.file_name(uri))[1].lower()
    if suffix == ".parquet":
        rows = _parquet_rows(uri)
    else:
        rows = _ROWS[suffix](uri) if suffix in _ROWS else None
    return None if rows is None else (_source(row, uri) for row in rows)


def may_be_list(uri: str) -> bool:
    """Whether a file would be taken for a list by its name alone, if it were named as an input."""
    return os.path.splitext(storage.file_name(uri))[1].lower() in _ROWS


def _source(row: Row, origin: str) -> Source:
    uri, etag = row["uri"], row.get("etag")
    if not isinstance(uri, str):
        kind = type(uri).__name__
        raise UsageError(f"{storage.redacted(origin)}: the column uri must hold text; found {kind} {uri!r}.")
    try:
        uri.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{storage.redacted(origin)}: {storage.redacted(uri)!r} holds half a character (a surrogate)."
        ) from None
    given = Source(uri, _version(etag), _whole(row.get("byte_size")))
    if not storage.is_local(uri):
        return given
    if not storage.is_local(origin):
        return replace(given, uri=_joined(origin, uri))
    beside = os.path.normpath(os.path.join(os.path.dirname(local.path_of(origin)), local.path_of(uri)))
    for path in (beside, os.path.normpath(local.path_of(uri))):
        with contextlib.suppress(InputError):
            return storage.stat(local.uri_of(path))
    return replace(given, uri=local.uri_of(beside))


def _joined(origin: str, name: str) -> str:
    """The URI of what a list on a web server or in a bucket names by no URI."""
    web = storage.scheme(origin) in ("http", "https")
    if web and name.startswith("/"):
        return urllib.parse.urljoin(origin, name)  # a web server names no file of ours
    if name.startswith("/") or not {".", ".."} & set(name.split("/")):
        return storage.join(posixpath.dirname(storage.file_name(origin)), name)
    if web:
        return urllib.parse.urljoin(origin, f"./{name}")  # whose `./` makes a path of `file:...` too
    scheme, _, below = posixpath.dirname(origin).partition("://")
    bucket, *parts = below.split("/")
    for part in name.split("/"):  # not normpath: in a bucket `a//b` is not `a/b`
        if part not in (".", ".."):
            parts.append(part)
        elif part == ".." and not parts:
            raise UsageError(
                f"{storage.redacted(origin)}: {name!r} leads out of the bucket; name it by its full URI."
            )
        elif part == "..":
            parts.pop()
    return f"{scheme}://{'/'.join([bucket, *parts])}"


def _version(value: Any) -> str | None:
    """An etag as a list gives it; None for what can be none."""
    text = str(value) if value else ""
    return bare(text) if text.isprintable() else None


def _whole(value: Any) -> int | None:
    """A size as a list gives it, which pandas writes as `123.0`; None for what can be none."""
    try:
        size = int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return size if 0 < size < 1 << 63 else None


def _text_rows(uri: str) -> Iterator[Row]:
    with storage.open_file(uri) as file:
        for line in _text(file, uri):
            name = line.rstrip("\r\n")
            if name and not name.startswith("#"):  # a file that is called so is `./#...`
                yield {"uri": name}


def _csv_rows(uri: str) -> Iterator[Row]:
    shown = storage.redacted(uri)
    with storage.open_file(uri) as file:
        rows = csv.DictReader(_text(file, uri))
        try:
            if "uri" not in (rows.fieldnames or ()):
                found = ", ".join(rows.fieldnames or ()) or "nothing"
                raise UsageError(f"{shown}: a list of files needs a column called uri; found {found}.")
            yield from (row for row in rows if row["uri"])
        except csv.Error as error:
            raise UsageError(f"{shown}, line {rows.reader.line_num}: is not CSV ({error}).") from error


def _json_rows(uri: str) -> Iterator[Row]:
    with storage.open_file(uri) as file:
        for number, line in enumerate(_text(file, uri), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UsageError(f"{storage.redacted(uri)}, line {number}: is not JSON ({error}).") from error
            if not isinstance(row, dict) or not isinstance(row.get("uri"), str):
                raise UsageError(
                    f'{storage.redacted(uri)}, line {number}: must be an object with a string "uri".'
                )
            yield row


def _parquet_rows(uri: str) -> Iterator[Row] | None:
    """Returns a list's rows, or None where the file holds images or cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with storage.open_file(uri) as file:
            names = pq.read_schema(file).names
    except (pa.ArrowException, OSError, ValueError, InputError):
        return None
    if "uri" not in names or {"bytes", "image"} & set(names):
        return None
    return _parquet_batches(uri, [name for name in ("uri", "etag", "byte_size") if name in names])


def _parquet_batches(uri: str, columns: list[str]) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with storage.open_file(uri) as file:
            for batch in pq.ParquetFile(file).iter_batches(batch_size=10_000, columns=columns):
                yield from (row for row in batch.to_pylist() if row["uri"] not in (None, ""))
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(f"{storage.redacted(uri)}: the list cannot be read on ({reason}).") from error


def _text(file: BinaryIO, uri: str) -> Iterator[str]:
    """Yields a list's lines of text, ends kept; UTF-8 with or without a byte order mark."""
    try:
        yield from io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{storage.redacted(uri)}: a list of files must be UTF-8 text ({error.reason})."
        ) from error


_ROWS: Mapping[str, Callable[[str], Iterator[Row]]] = {
    ".txt": _text_rows,
    ".csv": _csv_rows,
    ".jsonl": _json_rows,
}
