"""Worker processes of the local runner that live as long as the job.

Beam's own `--direct_running_mode multi_processing` starts its workers anew for each pipeline: each time they
import Beam and load the models, several seconds for nothing. These are forked once from a process that has
imported everything (started before the driver itself imports Beam, so that both import at the same time), and
each wave's pipeline connects to them. They end with the driver, whatever ends it: when it is gone,
their pipe is.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TypeVar

from pipeline import dealing, progress
from pipeline.options import JobOptions

LOOK_S = 0.1
"""Seconds between looks at whether all workers live."""
STUCK_S = 600.0
"""Seconds without progress of any worker, after which they are taken to be kept for ever by a file."""
GRACE_S = 2.0
"""Seconds in which a process that is gone is seen to be so, after others have noticed."""
_PRELOADED = [
    "pipeline.lean",
    "pipeline.logs",
    "pipeline.graph",
    "apache_beam.runners.worker.sdk_worker",
    "onnxruntime",
]


def prepare() -> None:
    """Starts the process that workers are forked from: it imports what they need in the meantime.

    Ctrl-C reaches all processes of a terminal; this one is deaf to it, or it would print a traceback.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(_PRELOADED)
    resource_tracker.ensure_running()  # or the next one does it, and lets the signal through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


T = TypeVar("T")


class WorkerDiedError(Exception):
    """A worker process that was at work is gone, or has to go: killed, out of memory, or a file did it."""


class WorkersStuckError(WorkerDiedError):
    """No worker gets on: some file takes for ever, as one may that was made to."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process, the driver's end of its pipe, and the tally it counts in."""

    process: BaseProcess
    pipe: Connection
    tally: progress.Tally


class Workers:
    """The worker processes of a job.

    Args:
        count: how many.
        options: the job's, for what workers load before they are asked to; None: nothing.
    """

    def __init__(self, count: int, options: JobOptions | None = None) -> None:
        self.count = count
        self._options = options
        self._tallies: list[progress.Tally] = []
        self._workers: list[Worker] = []
        prepare()  # a process with one thread: none of the driver's threads and connections come along
        self._context = multiprocessing.get_context("forkserver")
        self._turn: dealing.Turn  # each crew's own

    def start(self) -> None:
        """Starts all that do not run."""
        self._workers = [worker for worker in self._workers if not _gone([worker])]
        if not self._workers:
            self._turn = dealing.Turn(self._context)  # whoever was killed may have held the old one
        while len(self._workers) < self.count:
            ours, theirs = self._context.Pipe()
            tally = progress.new_tally()
            given = (theirs, tally, self._turn, self._options)
            process = self._context.Process(target=_work, args=given, daemon=True)
            process.start()
            theirs.close()
            self._tallies.append(tally)
            self._workers.append(Worker(process, ours, tally))

    def stop(self) -> None:
        """Ends all at once, whatever they are doing."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers = []

    def attend(self, work: Callable[[], T]) -> T:
        """Does what needs all workers, such as running a pipeline, for as long as all of them live.

        Beam may wait for ever for a worker that is killed before or while it connects. So the work is done in
        a thread, which is left alone with its fate when a worker is gone. The first file is next again.

        Raises:
            WorkerDiedError: one is gone.
            WorkersStuckError: none gets on.
            RuntimeError: one is gone that was not ready to work, so that no file can be at fault.
            Exception: whatever `work` raises otherwise.
        """
        self._turn.restart()
        outcome: Future[T] = Future()
        threading.Thread(target=_fulfil, args=(outcome, work), name="pipeline", daemon=True).start()
        looks, before = 0, self._progress()
        while not wait([outcome], LOOK_S).done:
            _raise_for(_gone(self._workers))
            now = self._progress()
            looks, before = (looks + 1 if now == before else 0), now
            if looks * LOOK_S > STUCK_S:  # by looks, not by the clock: the machine may have slept
                raise WorkersStuckError
        error = outcome.exception()
        if isinstance(error, Exception):
            _raise_for(_gone(self._workers, GRACE_S))
        return outcome.result()

    def _progress(self) -> list[list[int]]:
        return [list(worker.tally) for worker in self._workers]

    def crew(self) -> list[Worker]:
        """The workers that run now."""
        return list(self._workers)

    def tallies(self) -> list[progress.Tally]:
        """The tallies of all workers there ever were."""
        return list(self._tallies)

    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.process.pid or 0 for worker in self._workers]


def _gone(workers: list[Worker], seconds: float = 0.0) -> list[Worker]:
    """Those that are gone; waits for one of them to be, at most so long.

    A process's end of its pipe closes when it ends, at once. Its exit status comes later, by way of the
    process that it was forked from.
    """
    closed = multiprocessing.connection.wait([worker.pipe for worker in workers], seconds)
    return [worker for worker in workers if worker.pipe in closed]


def _raise_for(gone: list[Worker]) -> None:
    if any(worker.tally[progress.READY] for worker in gone):
        raise WorkerDiedError
    if gone:
        raise RuntimeError("a worker process ended before it was ready to work; is there enough memory?")


def _fulfil(outcome: Future[T], work: Callable[[], T]) -> None:
    try:
        outcome.set_result(work())
    except BaseException as error:
        outcome.set_exception(error)


def _work(pipe: Connection, tally: progress.Tally, turn: dealing.Turn, options: JobOptions | None) -> None:
    """A worker's life: serve the pipelines that the driver names, until the driver is gone."""
    from apache_beam.runners.worker import sdk_worker

    # Beam prints what failed in a worker, as a traceback; the driver says the same in one line.
    vars(sdk_worker)["print"] = lambda *words, **_: logging.debug(" ".join(map(str, words)))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the driver decides
    progress.adopt(tally)
    dealing.adopt(turn)
    if options is not None:
        from pipeline import logs
        from pipeline.graph import load_models

        if options.verbose:
            logs.show()
        with contextlib.suppress(Exception):  # the stages will say what is wrong, page by page
            load_models(options)  # while the driver builds its first pipeline
    tally[progress.READY] = 1
    try:
        while True:
            control_address, worker_id = pipe.recv()
            harness = sdk_worker.SdkHarness(control_address, worker_id=worker_id, state_cache_size=100 << 20)
            threading.Thread(target=harness.run, daemon=True).start()
    except EOFError:
        os._exit(0)  # a wave in progress is lost anyway, and its files are removed before it runs again
