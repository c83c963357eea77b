"""`ppocr-beam report OUT`: how far a job is, from its output alone, wherever that and the job are.

It reads the list of files, the markers of the waves that are done, and the locks; no rows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence

from models.records import UsageError
from pipeline import waves
from pipeline.commands.running import add_output, run
from pipeline.lock import owners, seems_alive
from pipeline.progress import counted, duration
from pipeline.waves import Marker


def main(argv: Sequence[str] | None = None) -> int:
    """Prints how far the job is that writes the output named; returns the exit status."""
    return run("report", add_output, lambda args: print(report(args.output)), argv)


def report(output: str) -> str:
    """A few lines: waves and files done, rows, rate, who is writing.

    Raises:
        UsageError: no job has written there.
        InputError: the output cannot be read.
    """
    from pipeline.manifest import files_of  # --help does without Parquet

    done, listed = waves.markers(output), files_of(output)
    if not listed:
        raise UsageError(f"{output} has no list of files; is it what a job was given as --output?")
    markers = list(done.values())
    files, read = sum(listed.values()), sum(marker.files for marker in markers)
    pages, lines = (sum(getattr(marker, name) for marker in markers) for name in ("pages", "lines"))
    errors = sum((Counter(marker.errors) for marker in markers), Counter())
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(errors.items()))
    told = [
        f"Waves: {len(done):,} of {len(listed):,} done, {read:,} of {counted(files, 'file')}.",
        f"Rows: {counted(pages, 'page')} with {counted(lines, 'line')}, {counted(errors.total(), 'error')}"
        + (f": {kinds}." if kinds else "."),
    ]
    seconds = worked(markers)
    if seconds and read:
        left = "" if read >= files else f"; at this rate, {duration((files - read) * seconds / read)} left"
        told.append(
            f"Rate: {(pages + errors.total()) / seconds:.2f} pages/s in the waves that are done{left}."
        )
    living = 0
    for owner in owners(output):
        alive = seems_alive(owner)
        living += alive
        does = "writes it" if alive else "wrote it and seems to be gone"
        age = duration(max(0.0, time.time() - owner.time))
        told.append(f"Process {owner.pid} on {owner.host} {does}; its last sign of life was {age} ago.")
    if read < files and not living:
        told.append("Nobody writes it now: the same command again resumes.")
    return "\n".join(told)


def worked(markers: Iterable[Marker]) -> float:
    """Seconds in which at least one of these waves was under way: shards do theirs at the same time.

    As far as the clocks of the machines agree. Waves whose markers tell no time count one after another.
    """
    markers = list(markers)
    total = sum(marker.seconds for marker in markers if not marker.ended)
    until = 0.0
    for start, end in sorted(
        (marker.ended - marker.seconds, marker.ended) for marker in markers if marker.ended
    ):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total
