"""Waves that kill workers: halved until the file at fault stands alone, which becomes an error row.

Decoders and engines are native code, and among millions of files there is one that makes them fall over,
take all memory, or run for ever. No exception can be caught then: the process is gone, or has to go.
"""

from __future__ import annotations

import io
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.records import Failure
from pipeline import waves
from pipeline.manifest import write_part
from pipeline.status import reason
from pipeline.workers import WorkerDiedError
from transforms import storage
from transforms.storage import Source

if TYPE_CHECKING:
    from apache_beam.metrics.metric import MetricResults

ATTEMPTS = 3
"""Times that a wave, or a part of one, is tried in one run, for reasons that pass."""
LAST_TRIES = 2
"""Times that a file may kill workers when it is alone, before it is given up."""
CRASHED = "crashed"


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
    """

    files: int = 0
    pages: int = 0
    lines: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    microseconds: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    left_out: int = 0

    @classmethod
    def of(cls, metrics: MetricResults) -> Counts:
        """The counts among a pipeline's metrics."""
        from transforms.metrics import CHANGED, ERRORS, FILES, LEFT_OUT, MICROSECONDS, NAMESPACE

        found = metrics.query()
        ours = [
            {m.key.metric.name: m.result for m in found[kind] if m.key.metric.namespace == NAMESPACE}
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
        )


def rescue(
    run: Callable[[str, str], Counts],
    output: str,
    name: str,
    sources: Sequence[Source],
    facts: Mapping[str, str],
) -> Counts:
    """Runs a wave's files in parts, and gives up those that kill workers when they are alone.

    Args:
        run: runs a pipeline over a manifest, its data files' names beginning as told; raises
            `WorkerDiedError`.
        output: the job's output.
        name: the wave's.
        sources: the wave's files.
        facts: for the metadata of the file with the error row.
    """
    waves.clean(output, name)
    if len(sources) == 1:
        return _rescue_one(run, output, name, sources[0], facts)
    half = len(sources) // 2
    total = Counts()
    for part, files in ((f"{name}-a", sources[:half]), (f"{name}-b", sources[half:])):
        try:
            total += _run_part(run, output, part, files)
        except WorkerDiedError:
            total += rescue(run, output, part, files, facts)
    return total


def _rescue_one(
    run: Callable[[str, str], Counts], output: str, name: str, source: Source, facts: Mapping[str, str]
) -> Counts:
    for _ in range(LAST_TRIES - 1):  # it has been alone once already
        try:
            return _run_part(run, output, f"{name}-x", [source])
        except WorkerDiedError:
            waves.clean(output, name)
    _write_error(output, name, source, facts)
    return Counts(files=1, errors=Counter({CRASHED: 1}))


def _run_part(run: Callable[[str, str], Counts], output: str, name: str, sources: Sequence[Source]) -> Counts:
    for _ in range(ATTEMPTS - 1):
        try:
            return _try_part(run, output, name, sources)
        except WorkerDiedError:
            raise
        except Exception as error:
            _log.warning("%s failed (%s); trying it again", name, reason(error))
            waves.clean(output, name)
    return _try_part(run, output, name, sources)


def _try_part(run: Callable[[str, str], Counts], output: str, name: str, sources: Sequence[Source]) -> Counts:
    manifest = write_part(output, name, sources)
    try:
        return run(manifest, name)
    finally:
        storage.delete(manifest)


def _write_error(output: str, name: str, source: Source, facts: Mapping[str, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from transforms.rows import ERRORS, error_row, with_facts

    message = (
        "Reading it brings down the process that does so, or keeps it for ever, also alone. "
        "Leave it out, or report it as a bug."
    )
    row = error_row(Failure(storage.redacted(source.uri), None, "read", CRASHED, message), facts["run_id"])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row], with_facts(ERRORS, facts)), buffer, compression="zstd")
    storage.write_atomic(storage.join(output, "errors", f"{name}-crashed.parquet"), buffer.getvalue())


def _below(prefix: str, values: Mapping[str, int]) -> Counter[str]:
    """The values whose names begin with a prefix, by the rest of their names."""
    return Counter({name[len(prefix) :]: value for name, value in values.items() if name.startswith(prefix)})
