"""Waves: what of the manifest is done, and what a wave that was not finished has left behind.

A wave is done when its marker `OUT/_waves/00000.json` exists. Names of data files say which run they are of,
and the marker says which of them are the wave's: a kill at any moment leaves a wave as it was before or as it
is afterwards, and others' files are removed by the next run.

A run writes into a folder of its own, `OUT/_staged/RUN/`, from where finished files, the marker last, move to
their places. Whoever takes an output over empties that folder first. A run that was only suspended, and goes
on, then has nothing left to move: not even between a look at its lock and the step that the lock is for.
"""

from __future__ import annotations

import contextlib
import json
import logging
import posixpath
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

from models.records import UsageError
from transforms import storage
from transforms.storage import Source, local

FOLDER = "_waves"
STAGED = "_staged"
KINDS = ("pages", "errors")
_HELD = (*KINDS, "_manifest", FOLDER)
"""Folders of a stage: rows, lists of parts of waves, markers."""
TEMPORARY = "beam-temp-"
"""What the names of the folders begin with that Beam writes into, beside its files, until it renames them."""
RETRYABLE = frozenset(
    ("changed", "crashed", "forbidden", "missing_extra", "model_failure", "timeout", "unavailable")
)
"""Kinds of errors whose reasons may have passed. A file that was not there is a new one when it is."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


_BEFORE: Mapping[str, Any] = {
    "carry": None,
    "second": None,
    "second_below": None,
    "words": False,
    "nfkc": False,
}
"""What markers of versions that lacked an option meant by it."""
_LARGEST = 1 << 53
"""No number in a marker is larger, either way: up to here a float holds each whole number."""


class JobError(Exception):
    """The job failed for a reason that is neither the user's nor a page's; one line, exit status 1."""


class NewerError(Exception):
    """A marker was written by a newer version; names what is not known here."""


class HandedOver(Exception):  # noqa: N818 - no error
    """A wave's graph is written down for somebody else to run, or for nobody: a template, or a dry run."""


@dataclass(frozen=True, slots=True)
class Marker:
    """What is known of a wave that is done.

    Attributes:
        wave: its number.
        files: files listed in it.
        pages: rows in pages/.
        lines: lines of those.
        errors: rows in errors/, by kind.
        microseconds: spent by stage, summed over workers.
        seconds: from its start to its end.
        bundle: name of the bundle.
        bundle_id: its id.
        options: those that change rows, see `pipeline.options.result_options`.
        run_id: the run that did it.
        engine: what ran the models, see `pipeline.options.engine_title`.
        changed: etags that files had when they were read, by redacted URI, where those are not the listed
            ones.
        left_out: members of archives that are no images, as far as the runner's counters tell.
        ended: when it was done, in seconds since 1970 by the clock of its run; 0 in markers that do not tell.
        name: what the names of its data files begin with, see `name_of`; empty where any of the wave's do.
        kept: pages that could not be read again, so that their earlier rows stay; see `pipeline.keeping`.
        damaged: pages read by this run of which something is missing in their files, as far as the runner's
            counters tell.
        doubtful: likewise those nearly all of whose lines need review.
    """

    wave: int
    files: int
    pages: int
    lines: int
    errors: dict[str, int]
    microseconds: dict[str, int]
    seconds: float
    bundle: str
    bundle_id: str
    options: dict[str, Any] = field(default_factory=dict)
    run_id: str = ""
    engine: str = ""
    changed: dict[str, str] = field(default_factory=dict)
    left_out: int = 0
    ended: float = 0.0
    name: str = ""
    kept: int = 0
    damaged: int = 0
    doubtful: int = 0

    @classmethod
    def of(cls, values: Any) -> Marker:
        """A marker from its JSON.

        Raises:
            NewerError: it says things that are not known here.
            TypeError: something is missing, or of a wrong type.
        """
        if unknown := sorted(set(values).difference(cls.__slots__)) if isinstance(values, dict) else []:
            raise NewerError(", ".join(map(repr, unknown)))
        marker = cls(**values)
        for name, kind in get_type_hints(cls).items():
            if not isinstance(
                getattr(marker, name), (int, float) if kind is float else get_origin(kind) or kind
            ):
                raise TypeError(f"{name} is of a wrong type")
        counted = (*marker.errors.values(), *marker.microseconds.values())
        if not all(isinstance(number, int) for number in counted):
            raise TypeError("errors or microseconds are no numbers")
        numbers = (value for value in asdict(marker).values() if isinstance(value, (int, float)))
        if not all(abs(number) <= _LARGEST for number in (*numbers, *counted)):
            raise TypeError("a number is out of range")
        return marker

    @property
    def retryable(self) -> int:
        """How many pages failed for reasons that may have passed."""
        return sum(number for kind, number in self.errors.items() if kind in RETRYABLE)


def name_of(wave: int, run_id: str = "") -> str:
    """What the names of the data files begin with that a run writes of a wave; without a run, any run."""
    return f"wave-{wave:05}-{run_id}" if run_id else f"wave-{wave:05}"


def stage(output: str, run_id: str) -> str:
    """Where a run writes what is not finished: like an output, and its own."""
    return storage.join(output, STAGED, run_id)


def markers(output: str) -> dict[int, Marker]:
    """The markers of the waves that are done, by number.

    Raises:
        UsageError: one of them was written by a newer version.
    """
    uris = [uri for _, uri in numbered(output, FOLDER, "json")]
    with ThreadPoolExecutor(16) as pool:
        found = [marker for marker in pool.map(_marker, uris) if marker is not None]
    return {marker.wave: marker for marker in sorted(found, key=lambda marker: marker.wave)}


def numbered(output: str, name: str, suffix: str) -> Iterator[tuple[int, str]]:
    """The files that are called by a wave's number, each with that number.

    Args:
        output: the job's output.
        name: the folder in it that they lie in; what lies in folders below it is somebody's copy.
        suffix: theirs, without the dot.
    """
    folder = storage.join(output, name, "")
    for source in storage.list_files(folder):
        if match := re.fullmatch(rf"(\d+)\.{suffix}", storage.below(folder, source.uri)):
            yield int(match[1]), source.uri


def _marker(uri: str) -> Marker | None:
    """Reads a marker; None, with a word in the log, for one that says nothing: its wave is read again."""
    data = storage.read(uri).data
    try:
        return Marker.of(json.loads(data))
    except NewerError as error:
        raise UsageError(
            f"{uri} was written by a newer version of ppocr-beam (it says {error}): use that version"
        ) from None
    except (ValueError, TypeError) as error:
        _log.warning("%s is damaged (%s): its wave is read again", uri, error)
        return None


def _marker_uri(output: str, wave: int) -> str:
    return storage.join(output, FOLDER, f"{wave:05}.json")


def commit(output: str, marker: Marker, check: Callable[[], None]) -> None:
    """Moves a wave's files to their places, declares it done, and removes what earlier runs wrote of it.

    Args:
        output: the job's output.
        marker: the wave's.
        check: asked before the first of these steps; raises where the output is no longer this run's.

    Raises:
        InputError: a file could not be moved, such as one that another run has removed.
    """
    own = stage(output, marker.run_id)
    staged = storage.join(own, FOLDER, f"{marker.name}.json")
    storage.write_atomic(staged, json.dumps(asdict(marker), ensure_ascii=False, indent=1).encode())
    moves = [
        (uri, storage.join(output, kind, posixpath.basename(uri)))
        for kind in KINDS
        for uri in files(own, marker.name, kind)
    ]
    # Named now: a run that stands still after this deletes nothing that others write in the meantime.
    earlier = [uri for kind in KINDS for uri in files(output, name_of(marker.wave), kind)]
    check()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda move: storage.move(*move), moves))
        storage.move(staged, _marker_uri(output, marker.wave))
        list(pool.map(storage.delete, earlier))


def earlier_rows(output: str, wave: int) -> dict[str, list[str]]:
    """The data files, by kind, of a wave that is done again; all that there are if its marker is damaged."""
    uri = _marker_uri(output, wave)
    if not storage.exists(uri):
        return {kind: [] for kind in KINDS}
    marker = _marker(uri)
    name = (marker and marker.name) or name_of(wave)
    return {kind: files(output, name, kind) for kind in KINDS}


def rows(output: str, name: str, kind: str) -> int:
    """Rows in data files of a kind, by the files' own word.

    Args:
        output: the job's output.
        name: a wave's or a part's, see `name_of`.
        kind: pages or errors.
    """
    return sum(_of_each(rows_in, output, name, kind))


def kinds(output: str, name: str) -> Counter[str]:
    """Rows of errors by kind, by the files' own word; `name` as for `rows`."""
    return sum(_of_each(_kinds, output, name, "errors"), Counter())


def changed(output: str, name: str, sources: Iterable[Source]) -> dict[str, str]:
    """The etags that a wave's rows have, by redacted URI, where those are not the listed ones.

    Args:
        output: the job's output.
        name: the wave's.
        sources: its files, as listed.
    """
    listed = {storage.redacted(source.uri): source for source in sources}
    found = {}
    for versions in _of_each(_versions, output, name, "pages"):
        for uri, etag in versions:
            source = next((listed[file] for file in names(uri) if file in listed), None)
            if source and source.etag and etag and source.etag != etag:
                found[storage.redacted(source.uri)] = etag
    return found


def names(uri: str) -> Iterator[str]:
    """The file that a row's URI names, or the archives that it may be a member of: any name may hold `#`."""
    yield uri
    while "#" in uri:
        uri = uri.rpartition("#")[0]
        yield uri


def messages(output: str, name: str, kind: str) -> Iterator[str]:
    """What a wave's error rows of a kind say."""
    import pyarrow.parquet as pq

    for uri in files(output, name, "errors"):
        with storage.open_file(uri) as file:
            rows = pq.read_table(file, columns=["kind", "message"]).to_pylist()
        yield from (row["message"] for row in rows if row["kind"] == kind)


def _of_each(ask: Callable[[str], T], output: str, name: str, kind: str) -> list[T]:
    """Asks data files of a kind, many at a time."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(ask, [uri for uri in files(output, name, kind) if uri.endswith(".parquet")]))


def rows_in(uri: str) -> int:
    """The number of rows of a Parquet file, by its own word."""
    import pyarrow.parquet as pq

    with storage.open_file(uri) as file:
        count: int = pq.ParquetFile(file).metadata.num_rows
    return count


def _kinds(uri: str) -> Counter[str]:
    import pyarrow.parquet as pq

    with storage.open_file(uri) as file:
        return Counter(pq.read_table(file, columns=["kind"])["kind"].to_pylist())


def _versions(uri: str) -> set[tuple[str, str | None]]:
    import pyarrow.parquet as pq

    with storage.open_file(uri) as file:
        table = pq.read_table(file, columns=["uri", "etag"])
    return set(zip(table["uri"].to_pylist(), table["etag"].to_pylist(), strict=True))


def clean(folder: str, name: str) -> None:
    """Removes from a stage what an attempt at a wave, or at a part of one, has left."""
    for kind in _HELD:
        for uri in files(folder, name, kind):
            storage.delete(uri)
        if storage.is_local(folder):  # object stores have no folders that could stay behind
            for temporary in Path(local.path_of(storage.join(folder, kind))).glob(f"{TEMPORARY}{name}-*"):
                shutil.rmtree(temporary, ignore_errors=True)


def clear(output: str, wave: int) -> None:
    """Removes what any run has staged of a wave."""
    folder = storage.join(output, STAGED, "")
    runs = {storage.below(folder, source.uri).split("/")[0] for source in storage.list_files(folder)}
    for run_id in sorted(runs):
        clean(stage(output, run_id), name_of(wave))


def tidy(output: str, done: Mapping[int, Marker]) -> None:
    """Removes data files of waves that are done, and are not theirs: a kill came between two steps."""
    for kind in KINDS:
        folder = storage.join(output, kind, "")
        for source in list(storage.list_files(folder, "wave-")):
            base = storage.below(folder, source.uri)
            match = re.match(r"wave-(\d+)-", base)
            marker = done.get(int(match[1])) if match else None
            if marker and not base.startswith(f"{marker.name or name_of(marker.wave)}-"):
                storage.delete(source.uri)


def unstage(output: str, run_id: str) -> None:
    """Removes a run's stage."""
    _remove(stage(output, run_id))
    if storage.is_local(output):
        with contextlib.suppress(OSError):  # another share's run has its own there
            Path(local.path_of(storage.join(output, STAGED))).rmdir()


def _remove(folder: str) -> None:
    if storage.is_local(folder):
        shutil.rmtree(local.path_of(folder), ignore_errors=True)
        return
    for source in list(storage.list_files(f"{folder}/")):
        storage.delete(source.uri)


def sweep(output: str) -> None:
    """Removes what killed or suspended runs have left unfinished; nobody else may write in the output."""
    _remove(storage.join(output, STAGED))
    if storage.is_local(output):  # object stores have no half-written files: a put is seen when it is whole
        for path in Path(local.path_of(output)).glob("*/.*.tmp"):
            if re.fullmatch(r"\.[0-9a-f]{32}\.tmp", path.name):
                path.unlink(missing_ok=True)


def files(output: str, name: str, kind: str) -> list[str]:
    """Files of a kind, temporary ones included."""
    begins = (f"{name}-", f"{TEMPORARY}{name}-")  # not all that there is: there may be thousands of waves
    folder = storage.join(output, kind, "")
    return [source.uri for begin in begins for source in storage.list_files(folder, begin)]


def refuse_mixing(
    output: str, done: Mapping[int, Marker], bundle_id: str, bundle: str, options: Mapping[str, Any]
) -> None:
    """Makes sure that one output holds the pages of one bundle, read with one set of options.

    Raises:
        UsageError: names what differs and what to do.
    """
    advice = f"choose another --output, or delete {output} to read everything again"
    for marker in done.values():
        before = {**_BEFORE, **marker.options}
        if marker.bundle_id != bundle_id:
            raise UsageError(
                f"{output} holds pages read with the bundle {marker.bundle} ({marker.bundle_id[:12]}), "
                f"not with {bundle} ({bundle_id[:12]}): {advice}"
            )
        for name, value in options.items():
            if name in before and before[name] != value:
                raise UsageError(
                    f"{output} holds pages read with {name} = {before[name]}, not {value}: {advice}"
                )


def refuse_unlisted(output: str, done: Iterable[int]) -> None:
    """Makes sure that it is known which files were read: a new list would get the number of one that was.

    Raises:
        UsageError: names a wave that is done, and its list.
    """
    listed = {wave for wave, _ in numbered(output, "_manifest", "parquet")}
    if lost := sorted(set(done) - listed):
        uri = storage.join(output, "_manifest", f"{lost[0]:05}.parquet")
        raise UsageError(
            f"{uri} is gone, but wave {lost[0]} is done: which files it read cannot be told; "
            "put the list back, or choose another --output"
        )
