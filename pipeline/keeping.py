"""What a wave that is read again keeps of its earlier rows: a good one stays until a good one replaces it.

Signatures expire, storage is away, a package is missing: a file that was read well may fail the next time.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import compress

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import waves
from transforms import storage
from transforms.rows import GROUP_ROWS
from transforms.seen import Keys, Seen, keys_of

Row = tuple[str, int | None]
"""A row's URI and page; None: an error of the file as a whole."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept of a wave's earlier rows.

    Attributes:
        pages: rows of pages.
        lines: lines of those.
        errors: rows of errors that the wave has now, by kind; empty where nothing was kept.
    """

    pages: int = 0
    lines: int = 0
    errors: Counter[str] = field(default_factory=Counter)


def keep_good(earlier: Mapping[str, list[str]], stage: str, name: str) -> Kept:
    """Puts earlier rows of pages beside a wave's new ones, in the place of errors that came instead of them.

    Where a file failed as a whole, its earlier errors are kept with its earlier pages.

    Args:
        earlier: URIs of the data files of the wave's earlier rows, by kind.
        stage: where the new ones are.
        name: what the new files' names begin with.
    """
    new = {kind: waves.files(stage, name, kind) for kind in waves.KINDS}
    if not earlier["pages"]:
        return Kept()
    failed = {row for uri in new["errors"] for rows in _rows(uri) for row in rows}
    good, saved = Seen(), set[Row]()
    for rows in (rows for uri in new["pages"] if failed for rows in _rows(uri)):
        good.add(_keys(rows))
    pages = lines = 0
    for number, uri in enumerate(earlier["pages"] if failed else ()):
        table = _missed(uri, good, failed, saved)
        pages += table.num_rows
        lines += pc.sum(pc.list_value_length(table["lines"])).as_py() or 0
        _put(table, storage.join(stage, "pages", f"{name}-kept-{number:05}.parquet"))
    if not pages:
        return Kept()
    whole = {row for row in saved if row[1] is None}
    for number, uri in enumerate(earlier["errors"]):
        table = _missed(uri, good, whole, set())
        _put(table, storage.join(stage, "errors", f"{name}-kept-{number:05}.parquet"))
    for uri in new["errors"]:
        _put(_filtered(uri, lambda rows: [row not in saved for row in rows]), uri)
    return Kept(pages, lines, waves.kinds(stage, name))


def _missed(uri: str, good: Seen, failed: set[Row], saved: set[Row]) -> pa.Table:
    """The earlier rows that failed and are not there again; adds to `saved` the errors that they replace."""

    def missed(rows: list[Row]) -> list[bool]:
        errors = [failed.intersection(_errors_of(row)) for row in rows]
        wanted = [bool(found) for found in errors]
        new = iter(good.add(_keys(compress(rows, wanted))).tolist())
        wanted = [lost and next(new) for lost in wanted]
        saved.update(*compress(errors, wanted))
        return wanted

    return _filtered(uri, missed)


def _errors_of(row: Row) -> Iterator[Row]:
    """The errors in which a row may have got lost: the page's, the file's, that of an archive it lies in."""
    yield row
    yield from ((name, None) for name in waves.names(row[0]))


def _rows(uri: str) -> Iterator[list[Row]]:
    """A file's rows by name, a row group at a time."""
    with storage.open_file(uri) as file:
        parquet = pq.ParquetFile(file)
        for group in range(parquet.num_row_groups):
            yield _named(parquet.read_row_group(group, ["uri", "page"]))


def _named(table: pa.Table) -> list[Row]:
    return list(zip(table["uri"].to_pylist(), table["page"].to_pylist(), strict=True))


def _filtered(uri: str, choose: Callable[[list[Row]], list[bool]]) -> pa.Table:
    """The rows of a file that are chosen; of row groups without any no more is read than names."""
    with storage.open_file(uri) as file:
        parquet = pq.ParquetFile(file)
        tables = [parquet.schema_arrow.empty_table()]
        for group in range(parquet.num_row_groups):
            wanted = choose(_named(parquet.read_row_group(group, ["uri", "page"])))
            if any(wanted):
                tables.append(parquet.read_row_group(group).filter(pa.array(wanted)))
    return pa.concat_tables(tables)


def _put(table: pa.Table, uri: str) -> None:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=GROUP_ROWS, compression="zstd")
    storage.write_atomic(uri, buffer.getvalue())


def _keys(rows: Iterable[Row]) -> Keys:
    return keys_of(f"{uri}\0{page}" for uri, page in rows)
