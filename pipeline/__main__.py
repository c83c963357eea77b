"""The command `ppocr-beam`, also `python -m pipeline`.

    ppocr-beam --input scans/ --output out

Beam is imported only when there is work to do: a mistake in the command line is told within a second.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from models.bundle import Bundle
from models.records import InputError, UsageError
from pipeline import manifest, progress, waves
from pipeline.driver import Job, JobError, run_waves
from pipeline.lock import Lock
from pipeline.options import JobOptions, parse, result_options
from pipeline.summary import Summary, save, summarize
from pipeline.waves import Marker
from pipeline.workers import Workers, prepare
from transforms.bundles import open_bundle
from transforms.sources import list_sources
from transforms.storage import Source

DONE, FAILED, USAGE, TOO_MANY_ERRORS, INTERRUPTED = 0, 1, 2, 3, 130
_RESUME = "Run the same command again to resume."


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    logging.basicConfig(level=logging.WARNING, format="ppocr-beam: %(message)s")
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
        bundle, sources = check(options)
        with Lock(options.output) as lock:
            done = waves.markers(options.output)
            job = build(options, bundle, done, sources)
            summary = run(job, lock, done)
    except UsageError as error:
        return _say(USAGE, str(error))
    except JobError as error:
        return _say(FAILED, f"{str(error).rstrip('.')}. {_RESUME}")
    except KeyboardInterrupt:
        return _say(INTERRUPTED, f"Interrupted: the waves that are done stay done. {_RESUME}")
    except Exception as error:
        logging.debug("unexpected", exc_info=True)
        return _say(FAILED, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}. {_RESUME}")
    print(summary)
    if summary.error_rate > options.max_error_rate:
        return _say(TOO_MANY_ERRORS, f"{summary.error_rate:.1%} of the rows are errors, --max_error_rate is "
                                     f"{options.max_error_rate:.1%}.")  # fmt: skip
    return DONE


def check(options: JobOptions) -> tuple[Bundle, Iterator[Source]]:
    """Makes sure that the job can be done, before anything is written.

    Returns:
        The bundle, and the inputs' files as a stream.

    Raises:
        UsageError: it cannot; says why.
    """
    bundle = open_bundle(options.bundle, check=True)
    try:
        done = waves.markers(options.output)
    except InputError as error:
        raise UsageError(f"the output cannot be written: {error.message}") from None
    read = result_options(options.read)
    waves.refuse_mixing(options.output, done, bundle.id, bundle.manifest.name, read)
    return bundle, list_sources(options.inputs)


def build(options: JobOptions, bundle: Bundle, done: Mapping[int, Marker], sources: Iterator[Source]) -> Job:
    """Cuts the inputs into waves and gets the worker processes ready."""
    parallel = options.local and options.workers > 1
    if parallel:
        prepare()
    files = manifest.extend(options.output, islice(sources, options.limit), options.wave_files)
    pending = {wave: size for wave, size in files.items() if wave not in done}
    count = min(options.workers, max(pending.values(), default=0))
    workers = Workers(count) if parallel and count > 1 else None
    run_id = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:6]}"
    return Job(options, bundle, run_id, pending, workers)


def run(job: Job, lock: Lock, done: Mapping[int, Marker]) -> Summary:
    """Does the waves that are not done; shows how far it is, and keeps a record of what it did."""
    start = time.monotonic()
    tallies = _tallies(job)
    finished: list[Marker] = []
    with _interruptible(job), progress.Progress(sum(job.files.values()), tallies) as shown:
        finished.extend(run_waves(job, lock, shown))
    peaks = [tally[progress.PEAK] for tally in tallies() if tally[progress.PEAK]]
    options = job.options
    summary = summarize(job.run_id, options.output, finished, done.values(), time.monotonic() - start, peaks)
    save(summary)
    return summary


def _tallies(job: Job) -> Callable[[], list[progress.Tally]]:
    """Gives the tallies of whoever does the work: worker processes, this one, or a cluster that has none."""
    if job.workers is not None:
        return job.workers.tallies
    if not job.options.local:
        return list
    mine = progress.new_tally()
    progress.adopt(mine)
    return lambda: [mine]


@contextlib.contextmanager
def _interruptible(job: Job) -> Iterator[None]:
    """Ends the workers with the block, and at once on Ctrl-C or SIGTERM, so that Beam waits for nobody."""

    def interrupt(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        job.interrupted.set()
        if job.workers is not None:
            job.workers.stop()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if job.workers is not None:
            job.workers.stop()


def _say(status: int, message: str) -> int:
    print(f"ppocr-beam: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
