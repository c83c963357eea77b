"""The driver: runs one wave after another, and survives what happens meanwhile."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.bundle import Bundle
from pipeline import logs as logs  # before Beam is imported
from pipeline import waves
from pipeline.lock import Lock
from pipeline.manifest import wave_uri
from pipeline.options import JobOptions, result_options
from pipeline.progress import Progress
from pipeline.waves import Marker
from pipeline.workers import Workers

if TYPE_CHECKING:
    from apache_beam.metrics.metric import MetricResults

ATTEMPTS = 3
"""Times that a wave is tried in one run: a worker may be killed for reasons that pass, such as memory."""

_log = logging.getLogger(__name__)


class JobError(Exception):
    """The job failed for a reason that is neither the user's nor a page's; one line, exit status 1."""


@dataclass(frozen=True, slots=True)
class Job:
    """A run that is about to do some waves.

    Attributes:
        options: what was asked for.
        bundle: opened and checked.
        run_id: the run's name.
        files: the number of files of each wave that is to be done.
        workers: processes for a local run; None: the driver's own process, or a cluster, does the work.
    """

    options: JobOptions
    bundle: Bundle
    run_id: str
    files: Mapping[int, int]
    workers: Workers | None


def run_waves(job: Job, lock: Lock, shown: Progress) -> Iterator[Marker]:
    """Does the waves in order; yields the marker of each when it is committed.

    Raises:
        JobError: a wave failed `ATTEMPTS` times.
        UsageError: another run has taken over the output.
    """
    if job.files:
        importlib.import_module(
            "pipeline.graph"
        )  # and Beam, while the process to fork workers from does so too
    for wave in sorted(job.files):
        lock.check()
        start = time.monotonic()
        metrics = _try_wave(job, wave, shown)
        marker = _marker(job, wave, metrics, time.monotonic() - start)
        lock.check()
        waves.commit(job.options.output, marker)
        shown.end(marker.pages, sum(marker.errors.values()))
        yield marker


def _try_wave(job: Job, wave: int, shown: Progress) -> MetricResults:
    for attempt in range(1, ATTEMPTS + 1):
        waves.clean(job.options.output, wave)
        if job.workers is not None:
            job.workers.start()
        shown.begin(job.files[wave])
        try:
            return _run_pipeline(job, wave)
        except Exception as error:
            reason = _reason(error)
            if attempt == ATTEMPTS:
                raise JobError(f"wave {wave} failed {ATTEMPTS} times, at last with: {reason}") from error
            _log.warning("wave %d failed (%s); trying it again", wave, reason)
            if job.workers is not None:
                job.workers.stop()
    raise AssertionError("unreachable")


def _run_pipeline(job: Job, wave: int) -> MetricResults:
    """Runs one wave's pipeline to its end."""
    import apache_beam as beam

    from pipeline import graph, runner

    options = job.options
    facts = {
        "bundle": job.bundle.manifest.name,
        "bundle_id": job.bundle.id,
        "run_id": job.run_id,
        **{name: str(value) for name, value in result_options(options.read).items()},
    }
    wave_job = graph.WaveJob(
        wave_uri(options.output, wave), waves.name_of(wave), options, job.bundle.id, job.run_id, facts
    )
    beam_runner = runner.local_runner(job.workers) if options.local else None
    pipeline = beam.Pipeline(runner=beam_runner, options=runner.beam_options(options, job.workers))
    graph.build(pipeline, wave_job)
    result = pipeline.run()
    try:
        state = result.wait_until_finish()
    except KeyboardInterrupt:
        if not options.local:
            result.cancel()  # or the cluster would go on writing beside the next run
        raise
    if state not in (None, "DONE"):
        raise RuntimeError(f"Beam's job ended in the state {state}")
    metrics: MetricResults = result.metrics()
    return metrics


def _marker(job: Job, wave: int, metrics: MetricResults, seconds: float) -> Marker:
    """Adds up a wave.

    Raises:
        JobError: files and counters differ, so that rows must have got lost.
    """
    from transforms.metrics import ERRORS, MILLISECONDS, NAMESPACE

    output = job.options.output
    found = metrics.query()
    counters = {c.key.metric.name: c.result for c in found["counters"] if c.key.metric.namespace == NAMESPACE}
    spent = {
        d.key.metric.name: d.result.sum for d in found["distributions"] if d.key.metric.namespace == NAMESPACE
    }
    errors = _below(ERRORS, counters)
    written = waves.rows(output, wave, "pages"), waves.rows(output, wave, "errors")
    counted = counters.get("pages", 0), sum(errors.values())
    if job.options.local and written != counted:  # clusters may count work twice that they did twice
        raise JobError(
            f"wave {wave}: {written} rows of pages and errors in {output}, but {counted} were made"
        )
    return Marker(
        wave=wave,
        files=job.files[wave],
        pages=written[0],
        lines=counters.get("lines", 0),
        errors=errors,
        milliseconds=_below(MILLISECONDS, spent),
        seconds=round(seconds, 3),
        bundle=job.bundle.manifest.name,
        bundle_id=job.bundle.id,
        options=result_options(job.options.read),
        run_id=job.run_id,
    )


def _below(prefix: str, values: Mapping[str, int]) -> dict[str, int]:
    """The values whose names begin with a prefix, by the rest of their names."""
    return {name[len(prefix) :]: value for name, value in sorted(values.items()) if name.startswith(prefix)}


def _reason(error: BaseException) -> str:
    """The last line that says something: Beam's errors hold whole tracebacks of workers."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1] if lines else type(error).__name__
    return text if len(text) <= 300 else text[:300] + "…"
