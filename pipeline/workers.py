"""Worker processes of the local runner that live as long as the job.

Beam's own `--direct_running_mode multi_processing` starts its workers anew for each pipeline: each time they
import Beam and load the models, several seconds for nothing. These are forked once from a process that has
imported everything (started before the driver itself imports Beam, so that both import at the same time), and
each wave's pipeline connects to them. They end with the driver, whatever ends it.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TypeVar

from pipeline import dealing, progress
from pipeline.nursery import Nursery
from pipeline.options import JobOptions
from pipeline.watch import Watch
from pipeline.waves import JobError

LOOK_S = 0.1
"""Seconds between looks at whether all workers live."""
SUSPECT_S = 180.0
"""Seconds without a sign of life at some file, which is then read again alone; storage may take 120 s."""
FILE_S = 300.0
"""Seconds without a sign of life at a file that is read alone, which is then given up."""
STUCK_S = 600.0
"""Seconds without progress of any worker after which none is awaited, whatever they are at."""
GRACE_S = 2.0
"""Seconds in which a process that is gone is seen to be so, after others have noticed."""

_nursery: Nursery | None = None
_sockets = itertools.count()


def prepare() -> Nursery:
    """Starts the process that workers are forked from, where there is none yet."""
    global _nursery
    if _nursery is None or not _nursery.lives():
        _nursery = Nursery.start()
    return _nursery


T = TypeVar("T")


class WorkerDiedError(Exception):
    """A worker process that was at work is gone, or has to go: killed, out of memory, or a file did it.

    Attributes:
        suspects: files that it may be for, by their numbers in the order in which they are taken.
        taken: how many files had been taken.
    """

    def __init__(self, suspects: Sequence[int] = (), taken: int = 0) -> None:
        super().__init__(f"after {taken} files, at {list(suspects)}")
        self.suspects = suspects
        self.taken = taken


class WorkersStuckError(WorkerDiedError):
    """A worker does not get on: its file takes for ever, as one may that was made to."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process, the driver's end of its pipe, and the tally it counts in."""

    pid: int
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
        self._turn = dealing.Turn()
        prepare()

    def start(self) -> None:
        """Starts all that do not run.

        Raises:
            RuntimeError: the process that they are forked from is gone.
        """
        self._workers = [worker for worker in self._workers if not _gone([worker])]
        while len(self._workers) < self.count:
            self._workers.append(self._fork(prepare()))
            self._tallies.append(self._workers[-1].tally)

    def _fork(self, nursery: Nursery) -> Worker:
        ours, its = multiprocessing.Pipe()
        file = progress.tally_file()
        try:
            pid = nursery.fork([its.fileno(), file, *self._turn.files()])
            worker = Worker(pid, ours, progress.tally_in(file))
        finally:
            its.close()
            os.close(file)
        with contextlib.suppress(OSError):  # it is gone already, as `attend` will see
            ours.send((self.count, self._options))
        return worker

    def kill(self) -> None:
        """Ends all at once, whatever they are doing."""
        for worker in self._workers:
            if not _gone([worker]):  # or its number may be another process's by now
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Ends all at once and waits until they have."""
        self.kill()
        for worker in self._workers:
            multiprocessing.connection.wait([worker.pipe])
            worker.pipe.close()
        self._workers = []

    def socket(self) -> str:
        """A name for a socket that no other user of the machine can reach."""
        return f"{prepare().folder}/{next(_sockets)}"

    def attend(self, work: Callable[[], T], alone: bool = False) -> T:
        """Does what needs all workers, such as running a pipeline, as long as all of them live and get on.

        Beam may wait for ever for a worker that is killed before or while it connects. So the work is done in
        a thread, which is left alone with its fate when a worker is gone. The first file is next again.

        Args:
            work: what to do.
            alone: whether each worker has but one file at hand, and takes its time for it.

        Raises:
            WorkerDiedError: one is gone.
            WorkersStuckError: one does not get on.
            RuntimeError: one is gone that was not ready to work, so that no file can be at fault.
            JobError: none has begun.
            Exception: whatever `work` raises otherwise.
        """
        self._turn.restart()
        watch = Watch([worker.tally for worker in self._workers], alone)
        outcome: Future[T] = Future()
        threading.Thread(target=_fulfil, args=(outcome, work), name="pipeline", daemon=True).start()
        while not wait([outcome], LOOK_S).done:
            self._raise_for_gone(watch)
            watch.look()
            _raise_for_stuck(watch, alone)
        if isinstance(outcome.exception(), Exception):
            self._raise_for_gone(watch, GRACE_S)
        return outcome.result()

    def _raise_for_gone(self, watch: Watch, seconds: float = 0.0) -> None:
        gone = _gone(self._workers, seconds)
        if any(worker.tally[progress.READY] for worker in gone):
            places = [place for place, worker in enumerate(self._workers) if worker in gone]
            raise WorkerDiedError(watch.suspects(places), watch.taken())
        if gone:
            raise RuntimeError("a worker process ended before it was ready to work; is there enough memory?")

    def crew(self) -> list[Worker]:
        """The workers that run now."""
        return list(self._workers)

    def tallies(self) -> list[progress.Tally]:
        """The tallies of all workers there ever were."""
        return list(self._tallies)

    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.pid for worker in self._workers]


def _gone(workers: list[Worker], seconds: float = 0.0) -> list[Worker]:
    """Those that are gone; waits for one of them to be, at most so long.

    A process's end of its pipe closes when it ends, at once.
    """
    closed = multiprocessing.connection.wait([worker.pipe for worker in workers], seconds)
    return [worker for worker in workers if worker.pipe in closed]


def _raise_for_stuck(watch: Watch, alone: bool) -> None:
    """Raises where files keep workers for too long; where each has one alone, once all are stuck or done."""
    stuck = watch.stuck(round((FILE_S if alone else SUSPECT_S) / LOOK_S))
    if stuck and not (alone and len(stuck) < len(watch.busy())):
        raise WorkersStuckError(watch.suspects(stuck), watch.taken())
    if watch.quiet() * LOOK_S <= STUCK_S:
        return
    if not watch.taken():
        raise JobError(
            f"no worker process has taken a file in {STUCK_S / 60:.0f} minutes: is one kept from it?"
        )
    if alone and not watch.busy():
        raise RuntimeError(
            f"all files are read, but in {STUCK_S / 60:.0f} minutes their rows were not written"
        )
    raise WorkersStuckError(watch.suspects(watch.places), watch.taken())


def _fulfil(outcome: Future[T], work: Callable[[], T]) -> None:
    try:
        outcome.set_result(work())
    except BaseException as error:
        outcome.set_exception(error)
