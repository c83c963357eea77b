"""Waves that kill workers, or keep them: the files at fault are found and become error rows.

Decoders and engines are native code, and among millions of files there is one that makes them fall over,
take all memory, or run for ever. No exception can be caught then: the process is gone, or has to go.

Its tally tells which files it took last. Those are read again, each worker at one alone: the file that it
dies at or stays at is then known. The others are read as before.
"""

from __future__ import annotations

import io
import itertools
import logging
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from models.records import Failure
from pipeline import waves
from pipeline.dealing import ordered
from pipeline.manifest import write_part
from pipeline.status import reason
from pipeline.waves import JobError
from pipeline.workers import FILE_S, WorkerDiedError, WorkersStuckError
from transforms import storage
from transforms.storage import Source

if TYPE_CHECKING:
    from apache_beam.metrics.metric import MetricResults

ATTEMPTS = 3
"""Times that a wave, or a part of one, is tried in one run, for reasons that pass."""
LAST_TRIES = 2
"""Times that a file may kill workers when it is alone, before it is given up."""
CRASHED = "crashed"

Run = Callable[[str, str, bool], "Counts"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a pipeline did; the counts of a wave's parts add up.

    Attributes:
        files: files that workers took.
        pages: rows of pages.
        lines: lines of those.
        errors: rows of errors, by kind.
        microseconds: spent by stage.
        changed: files that had changed since they were listed.
        left_out: members of archives that are no images.
        damaged: pages of which something is missing in their files.
        doubtful: pages nearly all of whose lines need review.
    """

    files: int = 0
    pages: int = 0
    lines: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    microseconds: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    left_out: int = 0
    damaged: int = 0
    doubtful: int = 0

    @classmethod
    def of(cls, metrics: MetricResults) -> Counts:
        """The counts among a pipeline's metrics."""
        from transforms.metrics import (
            CHANGED,
            DAMAGED,
            DOUBTFUL,
            ERRORS,
            FILES,
            LEFT_OUT,
            MICROSECONDS,
            NAMESPACE,
        )

        found = metrics.query()
        ours = [
            {
                m.key.metric.name: m.result
                for m in found[kind]
                if m.key.metric.namespace == NAMESPACE and m.result is not None  # as Prism tells of 0
            }
            for kind in ("counters", "distributions")
        ]
        counters, spent = ours[0], {name: result.sum for name, result in ours[1].items()}
        return cls(
            counters.get(FILES, 0),
            counters.get("pages", 0),
            counters.get("lines", 0),
            _below(ERRORS, counters),
            _below(MICROSECONDS, spent),
            counters.get(CHANGED, 0),
            counters.get(LEFT_OUT, 0),
            counters.get(DAMAGED, 0),
            counters.get(DOUBTFUL, 0),
        )

    def __add__(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(
            self.files + other.files,
            self.pages + other.pages,
            self.lines + other.lines,
            self.errors + other.errors,
            self.microseconds + other.microseconds,
            self.changed + other.changed,
            self.left_out + other.left_out,
            self.damaged + other.damaged,
            self.doubtful + other.doubtful,
        )


@dataclass(frozen=True, slots=True)
class Part:
    """Files of a wave that are run together.

    Attributes:
        files: in the order in which they are taken, once they are listed.
        alone: whether each worker has but one of them at hand.
    """

    files: tuple[Source, ...]
    alone: bool


def rescue(
    run: Run, output: str, name: str, manifest: str, died: WorkerDiedError, facts: Mapping[str, str]
) -> Counts:
    """Runs a wave's files in parts, and gives up those that kill workers, or keep them, when they are alone.

    Args:
        run: runs a pipeline over a manifest, its data files' names beginning as told, and each worker at one
            file alone where that is asked for; raises `WorkerDiedError`.
        output: the job's output.
        name: the wave's.
        manifest: URI of the list of the wave's files.
        died: what happened when they were all run at once.
        facts: for the metadata of files with error rows.
    """
    waves.clean(output, name)
    parts = deque(_parts(Part(tuple(ordered(manifest)), False), died))
    total, deaths = Counts(), Counter[Source | None]()
    numbers = itertools.count()
    while parts:
        part, label = parts.popleft(), f"{name}-{next(numbers):05}"
        listed = write_part(output, label, part.files)
        part = replace(part, files=tuple(ordered(listed)))
        try:
            total += _run_part(run, output, label, listed, part)
        except WorkerDiedError as again:
            waves.clean(output, label)
            guilty = _guilty(part, again, deaths)
            for file in guilty:
                _write_error(output, f"{label}-{part.files.index(file):05}", file, facts)
            total += Counts(files=len(guilty), errors=Counter({CRASHED: len(guilty)} if guilty else {}))
            parts.extendleft(reversed(_parts(part, again, guilty)))
        finally:
            storage.delete(listed)
    return total


def _parts(part: Part, died: WorkerDiedError, guilty: Collection[Source] = ()) -> list[Part]:
    """What is left of a part of which workers died: the suspects alone; what else was taken; what was not."""
    taken, rest = part.files[: died.taken], part.files[died.taken :]
    suspects = [part.files[number] for number in sorted(died.suspects)]
    left = [file for file in suspects if file not in guilty]
    others = [file for number, file in enumerate(taken) if number not in died.suspects]
    cut = ((left, True), (others, part.alone), (rest, part.alone))
    return [Part(tuple(files), alone) for files, alone in cut if files]


def _guilty(part: Part, died: WorkerDiedError, deaths: Counter[Source | None]) -> list[Source]:
    """The files that are given up for a death; counts deaths by file, those that none was at under None.

    Raises:
        RuntimeError: workers die, and are at no file.
    """
    if not died.suspects:
        deaths[None] += 1
        if deaths[None] >= ATTEMPTS:
            raise RuntimeError("worker processes die or get stuck while they are at no file")
    if not part.alone:
        return []
    files = [part.files[number] for number in died.suspects]
    deaths.update(files)
    tries = 1 if isinstance(died, WorkersStuckError) else LAST_TRIES  # who is stuck would be so again
    return [file for file in files if deaths[file] >= tries]


def _run_part(run: Run, output: str, name: str, manifest: str, part: Part) -> Counts:
    for _ in range(ATTEMPTS - 1):
        try:
            return run(manifest, name, part.alone)
        except (WorkerDiedError, JobError):
            raise
        except Exception as error:
            _log.warning("%s failed (%s); trying it again", name, reason(error))
            waves.clean(output, name)
            write_part(output, name, part.files)  # cleaned away with the rest
    return run(manifest, name, part.alone)


def _write_error(output: str, name: str, source: Source, facts: Mapping[str, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from transforms.rows import ERRORS, error_row, with_facts

    message = (
        f"Reading it brings down the process that does so, or keeps it for {FILE_S / 60:.0f} minutes, also "
        "alone. Leave it out, give each process more memory (fewer --workers), or report it as a bug."
    )
    row = error_row(Failure(storage.redacted(source.uri), None, "read", CRASHED, message), facts["run_id"])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row], with_facts(ERRORS, facts)), buffer, compression="zstd")
    storage.write_atomic(storage.join(output, "errors", f"{name}-crashed.parquet"), buffer.getvalue())


def _below(prefix: str, values: Mapping[str, int]) -> Counter[str]:
    """The values whose names begin with a prefix, by the rest of their names."""
    return Counter({name[len(prefix) :]: value for name, value in values.items() if name.startswith(prefix)})
