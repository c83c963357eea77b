"""The manifest: which files there are to read, cut into waves, one Parquet file a wave.

`OUT/_manifest/00000.parquet` lists the files of wave 0, and so on. Files that are new since the last run (by
URI and etag) become new waves; a wave does not change once it is written, so that a resumed run and an
undisturbed one have the same waves, whatever `--wave_size` says the second time. But where a wave is read
again, files of which a later wave lists a newer version are left to that one.

A local file is new only if neither its name nor its place is listed: `scans` and `data/scans` may be one
folder, and the same name in another working folder may be the same file, moved. So each list tells the
working folder of the run that wrote it. What is still to be read is below that of the run that reads it.

A file's name is its URI as rows show it, without credentials and dates: a URL that was signed anew names the
same file. Files that are still to be read are read by the URL that was given last.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, islice

import pyarrow as pa
import pyarrow.parquet as pq

from models.records import UsageError
from pipeline.waves import numbered, rows_in
from transforms import storage
from transforms.seen import Keys, Seen, keys_of
from transforms.storage import Source

SCHEMA = pa.schema([("uri", pa.string()), ("etag", pa.string()), ("byte_size", pa.int64())])
GROUP_ROWS = 10_000
"""Rows held in memory at once, when a manifest is written and when it is read."""
FOLDER = b"folder"
"""Key of a list's metadata: what its relative names are below."""
_ANY = "\0"
"""In place of an etag, which has no such character: any."""


def wave_uri(output: str, wave: int) -> str:
    """Where a wave's files are listed."""
    return storage.join(output, "_manifest", f"{wave:05}.parquet")


def extend(
    output: str,
    sources: Iterable[Source],
    wave_files: int | None,
    shard: tuple[int, int] | None = None,
    done: Mapping[int, Mapping[str, str]] | None = None,
    check: Callable[[], None] = lambda: None,
) -> dict[int, int]:
    """Adds waves of those sources that no wave has yet.

    Args:
        output: the job's output.
        sources: all inputs, old and new.
        wave_files: most files in a wave; None for no bound.
        shard: I and N: add and return only waves whose numbers modulo N are I, of files whose digests modulo
            N are. So N runs that extend a manifest at the same time write none of each other's waves, even
            where they see different files.
        done: the waves that are done, each with the etags that files had when they were read, by redacted
            URI, where those are not the listed ones. Files of other waves will be read as they are then: a
            new version of one is nothing new. None: all waves are done, and as listed.
        check: asked before each list is written; raises where the output is no longer this run's.

    Returns:
        The number of files of each wave, old and new.

    Raises:
        UsageError: a list is damaged.
    """
    first, step = shard or (0, 1)
    listed = waves_of(output)
    pending = set[int]() if done is None else set(listed).difference(done)
    waves: dict[int, int] = {}
    seen, newer, signed = Seen(), Seen(), Seen()
    for wave in reversed(listed):
        waves[wave], own, outdated = 0, list[Keys](), set[str]()
        for written_in, group in _read(wave_uri(output, wave)):
            folder = os.getcwd() if wave in pending else written_in
            waves[wave] += len(group)
            _add(seen, group, folder)
            if changed := (done or {}).get(wave):
                _add(seen, list(_as_read(group, changed)), folder)
            if wave >= min(pending, default=wave + 1):
                files = _keys(_any_version(group))
                if wave in pending:
                    twice = newer.holds(files)
                    outdated |= {source.uri for source, again in zip(group, twice, strict=True) if again}
                    _add(seen, list(_any_version(group)), folder)
                    signed.add(keys_of(source.uri for source in group if _is_signed(source)))
                own.append(files)
        for files in own:
            newer.add(files)
        if outdated and wave % step == first:
            check()
            waves[wave] = _leave_out(wave_uri(output, wave), outdated)
    waves = {wave: size for wave, size in sorted(waves.items()) if wave % step == first}
    again = _Signatures(signed)
    fresh = _fresh(again.noted(sources) if pending else iter(sources), seen, first, step, bool(pending))
    while (source := next(fresh, None)) is not None:
        wave = max(waves, default=first - step) + step
        rest = islice(fresh, None if wave_files is None else wave_files - 1)
        waves[wave] = _write(wave_uri(output, wave), chain([source], rest), check)
    for wave in sorted(pending.intersection(waves)):
        again.renew(wave_uri(output, wave), check)
    return waves


class _Signatures:
    """The URLs with credentials that inputs give now, where they are not those that waves list.

    Args:
        listed: keys of the URLs that waves list which are still to be read.
    """

    def __init__(self, listed: Seen) -> None:
        self._listed = listed
        self._now: dict[str, str] = {}

    def noted(self, sources: Iterable[Source]) -> Iterator[Source]:
        """The same sources; those are noted on the way."""
        for source in sources:
            if _is_signed(source) and not self._listed.holds(keys_of([source.uri]))[0]:
                self._now[storage.redacted(source.uri)] = source.uri
            yield source

    def renew(self, uri: str, check: Callable[[], None]) -> None:
        """Writes a wave's file again with the URLs of now, where there are any."""

        def now(source: Source) -> Source:
            return replace(source, uri=self._now.get(storage.redacted(source.uri), source.uri))

        if self._now and any(now(source) != source for source in read_sources(uri)):
            _write(uri, map(now, read_sources(uri)), check)


def _is_signed(source: Source) -> bool:
    return storage.redacted(source.uri) != source.uri


def waves_of(output: str) -> list[int]:
    """Numbers of the waves that are listed, ascending."""
    return sorted(wave for wave, _ in numbered(output, "_manifest", "parquet"))


def files_of(output: str) -> dict[int, int]:
    """The number of files of each wave that is listed."""
    numbers = waves_of(output)
    with ThreadPoolExecutor(16) as pool:
        counts = pool.map(rows_in, [wave_uri(output, wave) for wave in numbers])
        return dict(zip(numbers, counts, strict=True))


def read_groups(uri: str) -> Iterator[list[Source]]:
    """A wave's sources, a group of rows at a time.

    Raises:
        UsageError: the file is damaged.
    """
    for _, group in _read(uri):
        yield group


def _read(uri: str) -> Iterator[tuple[str, list[Source]]]:
    """Groups of a wave's sources, and what relative names are below: the working folder unless it tells."""
    with storage.open_file(uri) as file:
        try:
            parquet = pq.ParquetFile(file)
            metadata = parquet.schema_arrow.metadata or {}
            folder = os.fsdecode(metadata[FOLDER]) if FOLDER in metadata else os.getcwd()
            for batch in parquet.iter_batches(batch_size=GROUP_ROWS):
                yield folder, [Source(**row) for row in batch.to_pylist()]
        except (pa.ArrowException, OSError, TypeError, ValueError) as error:
            raise UsageError(
                f"{uri}, a list of files to read, is damaged ({str(error).strip().splitlines()[0]}): "
                "put it back as it was, or choose another --output"
            ) from error


def read_sources(uri: str) -> Iterator[Source]:
    """A wave's sources in the order of the listing."""
    for group in read_groups(uri):
        yield from group


def _write(uri: str, sources: Iterator[Source], check: Callable[[], None] = lambda: None) -> int:
    """Writes a wave's file, all or nothing; returns its number of rows."""
    buffer, rows = io.BytesIO(), 0
    schema = SCHEMA.with_metadata({FOLDER: os.fsencode(os.getcwd())})
    with pq.ParquetWriter(buffer, schema, compression="zstd") as writer:
        while group := list(islice(sources, GROUP_ROWS)):
            rows += len(group)
            columns = [[getattr(source, name) for source in group] for name in SCHEMA.names]
            writer.write_table(pa.table(columns, schema))
    check()  # listing may have taken hours
    storage.write_atomic(uri, buffer.getvalue())
    return rows


def _leave_out(uri: str, outdated: set[str]) -> int:
    """Writes a wave's file again without some of its sources; returns its number of rows."""
    return _write(uri, (source for source in read_sources(uri) if source.uri not in outdated))


def write_part(output: str, name: str, sources: Iterable[Source]) -> str:
    """Lists a part of a wave for a run of its own; returns the file's URI. It is no wave's file."""
    uri = storage.join(output, "_manifest", f"{name}.part")
    _write(uri, iter(sources))
    return uri


def _fresh(
    sources: Iterator[Source], seen: Seen, first: int, step: int, any_pending: bool
) -> Iterator[Source]:
    here = os.getcwd()
    while group := list(islice(sources, GROUP_ROWS)):
        keys, places = _keys(group), _keys(_placed(group, here))
        new = ~seen.holds(places) & seen.add(keys)
        seen.add(places)
        if step > 1:
            new &= [int.from_bytes(key[:8], "big") % step == first for key in keys.tolist()]
        if any_pending:
            new &= ~seen.holds(_keys(_any_version(group)))
            new &= ~seen.holds(_keys(_any_version(_placed(group, here))))
        yield from (source for source, wanted in zip(group, new, strict=True) if wanted)


def _add(seen: Seen, sources: Sequence[Source], folder: str) -> None:
    """Adds files by their names and by their places."""
    seen.add(_keys(sources))
    seen.add(_keys(_placed(sources, folder)))


def _placed(sources: Iterable[Source], folder: str) -> Iterator[Source]:
    """The sources, local ones by their places."""
    return (replace(source, uri=storage.place(source.uri, folder)) for source in sources)


def _any_version(sources: Iterable[Source]) -> Iterator[Source]:
    """What stands, among keys, for a file whatever its version is."""
    return (replace(source, etag=_ANY) for source in sources)


def _as_read(sources: Iterable[Source], changed: Mapping[str, str]) -> Iterator[Source]:
    """The versions that were read of those files that had changed."""
    for source in sources:
        if etag := changed.get(storage.redacted(source.uri)):
            yield replace(source, etag=etag)


def _keys(sources: Iterable[Source]) -> Keys:
    """A key for each source, of its name and etag."""
    return keys_of(f"{storage.redacted(source.uri)}\0{source.etag or ''}" for source in sources)
