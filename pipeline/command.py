"""What the command does once its options are read: make sure that it can be done, then do it.

What takes long to import is imported where it is needed: a mistake is told at once, and the process that
workers are forked from starts before the driver imports any of that.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from models.bundle import Bundle
from models.records import UsageError
from pipeline import waves
from pipeline.lock import Lock
from pipeline.options import JobOptions, engine_title, result_options, with_engine
from pipeline.status import DONE, FAILED, INTERRUPTED, TOO_MANY_ERRORS, USAGE, reason, say, tell
from pipeline.waves import HandedOver, JobError, Marker
from pipeline.workers import Workers, prepare
from transforms import storage
from transforms.bundles import open_bundle
from transforms.sources import list_sources
from transforms.storage import Source

if TYPE_CHECKING:
    from pipeline.driver import Job
    from pipeline.summary import Summary

_RESUME = "Run the same command again to resume."


def command(options: JobOptions) -> int:
    """Does the job; returns the exit status."""
    try:
        with interruptible() as running:
            summary = _do(options, running)
    except HandedOver as handed:
        return say(DONE, str(handed))
    except UsageError as error:
        return say(USAGE, str(error))
    except JobError as error:
        return say(FAILED, f"{str(error).rstrip('.')}. {_RESUME}")
    except KeyboardInterrupt:
        return say(INTERRUPTED, f"Interrupted: the waves that are done stay done. {_RESUME}")
    except Exception as error:
        logging.debug("unexpected", exc_info=True)
        return say(FAILED, f"{type(error).__name__}: {reason(error)}. {_RESUME}")
    if summary is None:
        return say(DONE, "there is nothing in this share")
    return _end(options, summary)


def _do(options: JobOptions, running: list[Job]) -> Summary | None:
    """Does the job; None where there is nothing to do.

    Args:
        options: what was asked for.
        running: is given the job once it runs.
    """
    left_out: Counter[str] = Counter()
    options = with_engine(options)
    storage.allow_private_hosts(options.allow_private_hosts)
    bundle = open_bundle(options.bundle, check=True, second=options.read.second)
    options = replace(options, read=options.read.settled(bundle.manifest))
    sources = list_sources(options.inputs, left_out)
    if not options.local:
        check_runner(options)
    with Lock(options.output, options.shard) as lock:
        done = resume(options, bundle)
        if options.local:
            prepare()
        job = build(options, bundle, lock, done, sources, left_out)
        if not job.files and not done:
            return None
        running.append(job)
        return run(job, lock, done)


def _end(options: JobOptions, summary: Summary) -> int:
    """Tells what was done; returns the exit status, which is the job's whether or not anybody reads it."""
    if error := tell(str(summary)):
        say(
            DONE, f"all is done; its summary cannot be printed ({error.strerror}): see {options.output}/_runs"
        )
    if summary.error_rate > options.max_error_rate:
        rate, most = summary.error_rate, options.max_error_rate
        return say(TOO_MANY_ERRORS, f"{rate:.1%} of the rows are errors, --max_error_rate is {most:.1%}.")
    return DONE


def check_runner(options: JobOptions) -> None:
    """Refuses what Beam would refuse wave by wave; see `pipeline.runner.check`."""
    from pipeline import runner

    runner.check(options)


def resume(options: JobOptions, bundle: Bundle) -> dict[int, Marker]:
    """What earlier runs have done, and shall not be done again.

    Raises:
        UsageError: they had another bundle, or other options that change rows; or what they left is not
            whole, or was written by a newer version.
    """
    done = waves.markers(options.output)
    read = result_options(options)
    waves.refuse_mixing(options.output, done, bundle.id, bundle.manifest.name, read)
    waves.refuse_unlisted(options.output, done)
    first, step = options.shard or (0, 1)
    if step == 1:  # or other shards write here too
        waves.sweep(options.output)
    waves.tidy(options.output, {wave: done[wave] for wave in done if wave % step == first})
    return {wave: marker for wave, marker in done.items() if not (options.retry_errors and marker.retryable)}


def build(
    options: JobOptions,
    bundle: Bundle,
    lock: Lock,
    done: Mapping[int, Marker],
    sources: Iterator[Source],
    left_out: Mapping[str, int],
) -> Job:
    """Cuts the inputs into waves."""
    # From here on, Beam's machinery is wanted: it is imported while `prepare`'s process imports it too.
    from pipeline import manifest
    from pipeline.driver import Job

    versions = {wave: marker.changed for wave, marker in done.items()}
    files = manifest.extend(
        options.output,
        islice(sources, options.limit),
        options.wave_files,
        options.shard,
        versions,
        lock.check,
    )
    pending = {wave: size for wave, size in files.items() if wave not in done}
    count = min(options.workers, max(pending.values(), default=0))
    workers = Workers(count, options) if options.local and count else None
    run_id = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:6]}"
    return Job(options, bundle, run_id, pending, left_out, workers)


def run(job: Job, lock: Lock, done: Mapping[int, Marker]) -> Summary:
    """Does the waves that are not done; shows how far it is, and keeps a record of what it did."""
    from pipeline.driver import run_waves
    from pipeline.progress import PEAK, Progress
    from pipeline.summary import save, summarize

    start = time.monotonic()
    tallies = job.workers.tallies if job.workers is not None else list
    finished: list[Marker] = []
    try:
        with Progress(sum(job.files.values()), tallies) as shown:
            finished.extend(run_waves(job, lock, shown))
    finally:
        if job.workers is not None:
            job.workers.stop()
    peaks = [tally[PEAK] for tally in tallies() if tally[PEAK]]
    options = job.options
    seconds = time.monotonic() - start
    summary = summarize(
        job.run_id,
        options.output,
        engine_title(options),
        finished,
        done.values(),
        seconds,
        peaks,
        job.left_out,
    )
    save(summary)
    return summary


@contextlib.contextmanager
def interruptible() -> Iterator[list[Job]]:
    """Makes Ctrl-C and SIGTERM end its block: the first one in good order, the second one at once.

    Yields:
        A list for the jobs whose workers are ended at the first one, so that Beam waits for nobody.
    """
    jobs: list[Job] = []
    asked: list[int] = []

    def interrupt(number: int, frame: Any) -> None:
        if asked:
            with contextlib.suppress(
                OSError
            ):  # not through Python's own, which may be in the middle of a line
                os.write(2, b"ppocr-beam: Interrupted twice: ends at once.\n")
            os._exit(INTERRUPTED)  # workers end with this process
        asked.append(number)
        for job in jobs:
            job.interrupted.set()
            if job.workers is not None:
                job.workers.kill()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield jobs
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
