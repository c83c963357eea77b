"""Reading: sources in, decoded pages out.

Storage has latency and pages take long to compute: while one is on its way through the stages, threads read
the next ones' bytes. How far they run ahead is bounded by files and by bytes, and the order is kept. Archives
are not read ahead: they are streams, whose members come without latency.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, cast

import apache_beam as beam

from models.decoding import Limits, decode_each
from models.records import Failure, InputError
from transforms import archives, metrics, storage
from transforms.elements import Element, PageOrFailure
from transforms.prefetch import Prefetcher
from transforms.sources import Source

_log = logging.getLogger(__name__)

READ = "read"
DECODE = "decode"

MAX_BYTES = 1 << 30
"""Bytes of the largest encoded file that is read; archives may be larger, their members not."""

THREADS = 8
AHEAD_FILES = 8
AHEAD_BYTES = 64 << 20
_UNKNOWN_SIZE = AHEAD_BYTES // AHEAD_FILES
"""Bytes of a file that is read ahead where the listing tells no size."""


def _untold(part: float) -> None:
    """Where nobody watches how far reading is."""


class ReadPages(beam.PTransform):
    """Reads and decodes files: a collection of `Source` in, of `Page` and `Failure` out.

    Every source gives at least one element. Nothing is raised: what cannot be read is a `Failure`.

    Args:
        limits: of decoding.
        one_channel: whether to decode pages in grey, for a bundle whose models all take that.
        max_bytes: larger files are refused before they are read.
        threads: reads under way at a time, in each worker process.
        private_hosts: whether https:// may lead to addresses that are not public.
        ahead: asked before each file, how many may be read ahead, if fewer than `AHEAD_FILES`; for workers
            who would take them from each other.
        advance: told what part of a file has been read since the last call: after each member of an archive,
            else after the whole file; and 0 while an archive is read. The parts of a file add up to 1.
        carry: columns of Parquet files, and `json` of other archives, that rows take along.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        one_channel: bool = False,
        max_bytes: int = MAX_BYTES,
        threads: int = THREADS,
        private_hosts: bool = False,
        ahead: Callable[[], int] | None = None,
        advance: Callable[[float], None] = _untold,
        carry: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._work = _Read(
            limits or Limits(), one_channel, max_bytes, threads, private_hosts, ahead, advance, carry
        )

    def expand(self, sources: beam.PCollection) -> beam.PCollection:
        """Applies the stage to sources."""
        return sources | beam.ParDo(self._work).with_output_types(Element)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A file's bytes and what a page's record says of them."""

    uri: str
    etag: str | None
    sha256: str
    data: bytes
    carried: str | None = None


def fetch(source: Source, max_bytes: int = MAX_BYTES) -> Encoded | Failure:
    """Reads a file; runs in a thread."""
    try:
        if (source.byte_size or 0) > max_bytes:  # as listed; a download from gs:// does not tell beforehand
            now = storage.stat(source.uri).byte_size or 0
            if now > max_bytes:
                raise storage.too_large(source.uri, now, max_bytes)
        blob = storage.read(source.uri, max_bytes)
        return encoded(source.uri, blob.etag, blob.data)
    except Exception as error:
        return failure(source.uri, None, READ, error)


def encoded(uri: str, etag: str | None, data: bytes, carried: str | None = None) -> Encoded:
    """A file's bytes with their digest."""
    return Encoded(storage.redacted(uri), etag, hashlib.sha256(data).hexdigest(), data, carried)


def decode_pages(file: Encoded, limits: Limits, one_channel: bool) -> Iterator[PageOrFailure]:
    """Decodes a file's pages, one at a time."""
    try:
        outcomes = enumerate(decode_each(file.data, limits, one_channel))
        while True:
            with metrics.timed(DECODE):
                index, page = next(outcomes, (0, None))
            if page is None:
                return
            if isinstance(page, InputError):
                yield failure(file.uri, index, DECODE, page)
            else:
                if page.damage:
                    _log.info("%s, page %d, is damaged: %s", file.uri, index, page.damage)
                yield replace(
                    page,
                    uri=file.uri,
                    etag=file.etag,
                    sha256=file.sha256,
                    byte_size=len(file.data),
                    carried=file.carried,
                )
    except Exception as error:
        yield failure(file.uri, None, DECODE, error)


def archive_pages(
    source: Source,
    limits: Limits,
    one_channel: bool,
    max_bytes: int = MAX_BYTES,
    advance: Callable[[float], None] = _untold,
    carry: Sequence[str] = (),
) -> Iterator[PageOrFailure]:
    """Reads and decodes an archive's members, one at a time; `advance` and `carry` are as in `ReadPages`."""
    read, left_out = 0.0, 0
    try:
        found = storage.stat(source.uri)
        note_change(source, found.etag)
        with storage.open_file(source.uri, found) as opened:
            file = cast(BinaryIO, _Watched(opened, advance))
            for member in archives.members(source.uri, file, found.byte_size or 0, max_bytes, carry):
                if member.data is None:
                    left_out += 1
                elif isinstance(member.data, InputError):
                    yield failure(member.uri, None, READ, member.data)
                else:
                    file_in_it = encoded(member.uri, found.etag, member.data, member.carried)
                    yield from decode_pages(file_in_it, limits, one_channel)
                end = min(1.0, max(read, member.end))  # a broken archive's sizes may be wrong
                advance(end - read)
                read = end
    except Exception as error:
        yield failure(source.uri, None, READ, error)
    if left_out:
        metrics.count(metrics.LEFT_OUT, left_out)
        _log.info("%s: left out %d members that are no images", storage.redacted(source.uri), left_out)
    advance(1.0 - read)


class _Watched:
    """A file that tells of each read that got something: passing over a large member may take long."""

    def __init__(self, file: BinaryIO, advance: Callable[[float], None]) -> None:
        self._file = file
        self._advance = advance

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        if data:
            self._advance(0.0)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def note_change(source: Source, etag: str | None) -> None:
    """Counts a file that is not the one that was listed: it is read as it is now."""
    if source.etag and etag and source.etag != etag:
        metrics.count(metrics.CHANGED)
        _log.info("%s has changed since it was listed; it is read as it is now", storage.redacted(source.uri))


def failure(uri: str, page: int | None, stage: str, error: Exception) -> Failure:
    """The failure that an error means; one that nobody foresaw is `unreadable` and keeps its own words."""
    if isinstance(error, InputError):
        return Failure(storage.redacted(uri), page, stage, error.kind, storage.redacted(error.message))
    said = storage.redacted(f"{type(error).__name__}: {error}")
    return Failure(
        storage.redacted(uri), page, stage, "unreadable", f"Reading it failed unexpectedly ({said})."
    )


def _told_size(source: Source) -> int:
    return source.byte_size or _UNKNOWN_SIZE


class _Read(beam.DoFn):
    def __init__(
        self,
        limits: Limits,
        one_channel: bool,
        max_bytes: int,
        threads: int,
        private_hosts: bool,
        ahead: Callable[[], int] | None,
        advance: Callable[[float], None],
        carry: Sequence[str],
    ) -> None:
        self._carry = tuple(carry)
        self._limits = limits
        self._one_channel = one_channel
        self._max_bytes = max_bytes
        self._threads = threads
        self._private_hosts = private_hosts
        self._ahead = ahead
        self._advance = advance

    def setup(self) -> None:
        storage.allow_private_hosts(self._private_hosts)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="read")

    def start_bundle(self) -> None:
        self._fetched = Prefetcher(self._pool, self._fetch, AHEAD_BYTES)

    def process(self, source: Source) -> Iterator[PageOrFailure]:
        archive = archives.is_archive(source.uri)
        size = 0 if archive else _told_size(source)
        for fetched in self._fetched.put(source, size, 0 if archive else self._may_stay()):
            yield from self._pages(*fetched)

    def finish_bundle(self) -> Iterator[Any]:
        window = beam.transforms.window.GlobalWindow()
        for fetched in self._fetched.drain():
            for page in self._pages(*fetched):
                yield beam.utils.windowed_value.WindowedValue(page, window.max_timestamp(), (window,))

    def teardown(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _may_stay(self) -> int:
        """Files that may wait for their turn while their bytes are read."""
        return AHEAD_FILES if self._ahead is None else min(AHEAD_FILES, self._ahead())

    def _fetch(self, source: Source) -> Encoded | Failure | None:
        """What is read ahead: nothing of an archive, or of a file that is larger than was told."""
        if archives.is_archive(source.uri):
            return None
        told = min(_told_size(source), self._max_bytes)
        file = fetch(source, told)
        larger = isinstance(file, Failure) and file.kind == "too_large" and told < self._max_bytes
        return None if larger else file

    def _pages(self, source: Source, future: Future[Encoded | Failure | None]) -> Iterator[PageOrFailure]:
        with metrics.timed(READ):
            file = future.result()
        if file is None and archives.is_archive(source.uri):
            yield from archive_pages(
                source, self._limits, self._one_channel, self._max_bytes, self._advance, self._carry
            )
            return
        if file is None:
            with metrics.timed(READ):
                file = fetch(source, self._max_bytes)
        if isinstance(file, Failure):
            yield file
        else:
            note_change(source, file.etag)
            yield from decode_pages(file, self._limits, self._one_channel)
        self._advance(1.0)
