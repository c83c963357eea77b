"""The driver: runs one wave after another, and survives what happens meanwhile."""

from __future__ import annotations

import functools
import importlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from models.bundle import Bundle
from models.records import InputError
from pipeline import logs as logs  # before Beam is imported
from pipeline import waves
from pipeline.keeping import keep_good
from pipeline.lock import Lock
from pipeline.manifest import read_sources, wave_uri
from pipeline.options import JobOptions, engine_title, result_options
from pipeline.progress import Progress
from pipeline.rescue import ATTEMPTS, Counts, rescue
from pipeline.status import reason
from pipeline.waves import HandedOver, JobError, Marker
from pipeline.workers import WorkerDiedError, Workers

MODEL_FAILURE = "model_failure"
BROKEN = 3
"""Pages on which the models must have failed, and no other, for the models to be taken for broken."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A run that is about to do some waves.

    Attributes:
        options: what was asked for.
        bundle: opened and checked.
        run_id: the run's name.
        files: the number of files of each wave that is to be done.
        left_out: files of other kinds that the inputs' folders hold, by suffix.
        workers: processes for a local run; None: a cluster does the work, or there is none.
        interrupted: set when the run shall end.
        alone: whether each worker is to have but one file at hand.
    """

    options: JobOptions
    bundle: Bundle
    run_id: str
    files: Mapping[int, int]
    left_out: Mapping[str, int]
    workers: Workers | None
    interrupted: threading.Event = field(default_factory=threading.Event)
    alone: bool = False

    def check(self) -> None:
        """Ends the run if it was interrupted.

        Raises:
            KeyboardInterrupt: it was. The signal's handler raises it too, but may do so inside code that lets
                no exception through, such as a finaliser.
        """
        if self.interrupted.is_set():
            raise KeyboardInterrupt

    @property
    def stage(self) -> str:
        """Where the run writes what is not finished."""
        return waves.stage(self.options.output, self.run_id)

    def name_of(self, wave: int) -> str:
        """What the names of the data files begin with that the run writes of a wave."""
        return waves.name_of(wave, self.run_id)

    @property
    def facts(self) -> dict[str, str]:
        """What the data files' metadata says."""
        options = {name: str(value) for name, value in result_options(self.options).items()}
        return {
            "bundle": self.bundle.manifest.name,
            "bundle_id": self.bundle.id,
            "engine": engine_title(self.options),
            "run_id": self.run_id,
            **options,
        }


def run_waves(job: Job, lock: Lock, shown: Progress) -> Iterator[Marker]:
    """Does the waves in order; yields the marker of each when it is committed.

    Raises:
        JobError: a wave failed `ATTEMPTS` times, or its files cannot be put in place.
        UsageError: another run has taken over the output.
    """
    if job.files:
        # Beam is imported here while the process that workers are forked from imports it too.
        importlib.import_module("pipeline.graph")
    for wave in sorted(job.files):
        start = time.monotonic()
        counts = _try_wave(job, lock, wave, shown)
        lock.check()  # or its files may be gone, which would look like rows that got lost
        marker = _marker(job, wave, counts, time.monotonic() - start)
        try:
            waves.commit(job.options.output, marker, lock.check)
        except InputError as error:
            lock.check()
            raise JobError(f"wave {wave} was read, but its files cannot be put in place: {error}") from error
        shown.end(marker.pages, sum(marker.errors.values()))
        yield marker
    waves.unstage(job.options.output, job.run_id)


def _try_wave(job: Job, lock: Lock, wave: int, shown: Progress) -> Counts:
    """Runs a wave until it is through."""
    name, manifest = job.name_of(wave), wave_uri(job.options.output, wave)
    for attempt in range(1, ATTEMPTS + 1):
        lock.check()
        waves.clear(job.options.output, wave)
        shown.begin(job.files[wave])
        try:
            return run_once(job, manifest, name)
        except WorkerDiedError as died:
            return _rescued(job, wave, manifest, died)
        except JobError:
            raise
        except HandedOver as handed:
            files, pending = job.files[wave], sum(job.files.values())
            raise HandedOver(f"{handed} ({files:,} of {pending:,} files)") from None
        except Exception as error:
            if attempt == ATTEMPTS:
                raise JobError(
                    f"wave {wave} failed {ATTEMPTS} times, at last with: {reason(error)}"
                ) from error
            _log.warning("wave %d failed (%s); trying it again", wave, reason(error))
    raise JobError(f"wave {wave} failed {ATTEMPTS} times")


def _rescued(job: Job, wave: int, manifest: str, died: WorkerDiedError) -> Counts:
    """Does a wave in parts, to find the files that workers die of."""
    _log.warning("wave %d: a worker died, or a file keeps it; looking for the file at fault", wave)

    def run(manifest: str, name: str, alone: bool) -> Counts:
        return run_once(replace(job, alone=alone), manifest, name)

    try:
        return rescue(run, job.stage, job.name_of(wave), manifest, died, job.facts)
    except Exception as error:
        raise JobError(f"wave {wave} failed in parts too, at last with: {reason(error)}") from error


def run_once(job: Job, manifest: str, name: str) -> Counts:
    """Runs a pipeline over the files of a manifest.

    Args:
        job: whose files they are.
        manifest: URI of the list.
        name: what the names of its data files begin with.

    Raises:
        KeyboardInterrupt: the run shall end.
        WorkerDiedError: a worker process is gone, or has to go.
        Exception: whatever Beam raises.
    """
    job.check()
    work = functools.partial(_run_pipeline, job, manifest, name)
    if job.workers is None:
        return work()
    try:
        job.workers.start()
        return job.workers.attend(work, job.alone)
    except Exception:
        job.check()
        job.workers.stop()
        raise


def _run_pipeline(job: Job, manifest: str, name: str) -> Counts:
    import apache_beam as beam

    from pipeline import graph, runner

    options = job.options
    if job.alone:
        options = replace(options, detection_batch=1, recognition_batch=1)
    takers = job.workers.count if job.workers is not None else 0
    beam_runner = runner.local_runner(job.workers) if job.workers is not None else None
    pipeline = beam.Pipeline(runner=beam_runner, options=runner.beam_options(options, job.workers))
    awaited = runner.awaited(pipeline.options)
    output = job.stage if awaited else options.output  # nobody would take them from the stage
    wave_job = graph.WaveJob(
        manifest,
        name,
        options,
        output,
        job.bundle.id,
        job.run_id,
        job.bundle.manifest.one_channel,
        job.bundle.manifest.second is not None,
        job.facts,
        takers,
        job.alone,
    )
    graph.build(pipeline, wave_job)
    result = pipeline.run()
    if not awaited:
        told = name.removesuffix(f"-{job.run_id}")
        raise HandedOver(f"{told}: the graph is made; who runs it will find no marker of it when it is done")
    try:
        state = result.wait_until_finish()
    except KeyboardInterrupt:
        if not options.local:
            result.cancel()  # or the cluster would go on writing beside the next run
        raise
    if state not in (None, "DONE"):
        raise RuntimeError(f"Beam's job ended in the state {state}")
    try:
        return Counts.of(result.metrics())
    except Exception as error:
        if options.local:
            raise
        _log.warning("%s: the cluster tells no metrics (%s): lines are not counted", name, reason(error))
        return Counts()


def _marker(job: Job, wave: int, counts: Counts, seconds: float) -> Marker:
    """Adds up a wave.

    Raises:
        JobError: files and counters differ, so that rows must have got lost; or the models are broken.
    """
    output, name = job.options.output, job.name_of(wave)
    written = waves.rows(job.stage, name, "pages"), waves.rows(job.stage, name, "errors")
    counted = counts.pages, sum(counts.errors.values())
    if not job.options.local:  # clusters may count work twice that they did twice, or not at all
        counts = replace(counts, errors=waves.kinds(job.stage, name))
    elif counts.files != job.files[wave]:
        raise JobError(f"wave {wave}: {counts.files} of {job.files[wave]} files were taken")
    elif written != counted:
        raise JobError(
            f"wave {wave}: {written} rows of pages and errors in {output}, but {counted} were made"
        )
    _refuse_broken(job.stage, name, wave, written[0], counts)
    changed: Mapping[str, str] = {}
    if counts.changed:
        changed = waves.changed(job.stage, name, read_sources(wave_uri(output, wave)))
    kept = keep_good(waves.earlier_rows(output, wave), job.stage, name)
    return Marker(
        wave=wave,
        files=job.files[wave],
        pages=written[0] + kept.pages,
        lines=counts.lines + kept.lines,
        errors=dict(sorted((kept.errors if kept.pages else counts.errors).items())),
        microseconds=dict(sorted(counts.microseconds.items())),
        seconds=round(seconds, 3),
        bundle=job.bundle.manifest.name,
        bundle_id=job.bundle.id,
        options=result_options(job.options),
        run_id=job.run_id,
        engine=engine_title(job.options),
        changed=dict(changed),
        left_out=counts.left_out,
        ended=round(time.time(), 3),
        name=name,
        kept=kept.pages,
        damaged=counts.damaged,
        doubtful=counts.doubtful,
    )


def _refuse_broken(stage: str, name: str, wave: int, pages: int, counts: Counts) -> None:
    """Ends the job where the models failed on every page: no page is at fault, and the next ones would fail.

    Raises:
        JobError: says how they failed.
    """
    if pages or counts.errors.get(MODEL_FAILURE, 0) < BROKEN:
        return
    message = next(waves.messages(stage, name, MODEL_FAILURE), "")
    waves.clean(stage, name)
    raise JobError(f"wave {wave}: the models failed on every page, such as: {message}")
