"""Worker processes of the local runner that live as long as the job.

Beam's own `--direct_running_mode multi_processing` starts its workers anew for each pipeline: each time they
import Beam and load the models, several seconds for nothing. These are forked once from a process that has
imported everything (started before the driver itself imports Beam, so that both import at the same time), and
each wave's pipeline connects to them. They end with the driver, whatever ends it: when it is gone,
their pipe is.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from pipeline import progress

URN = "ppocr-beam:environment:workers:v1"
_PRELOADED = ["pipeline.logs", "pipeline.graph", "apache_beam.runners.worker.sdk_worker", "onnxruntime"]


def prepare() -> None:
    """Starts the process that workers are forked from: it imports what they need in the meantime."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(_PRELOADED)
    forkserver.ensure_running()


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
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._tallies: list[progress.Tally] = []
        self._workers: list[Worker] = []
        self._next = 0
        prepare()  # a process with one thread: none of the driver's threads and connections come along
        self._context = multiprocessing.get_context("forkserver")

    def start(self) -> None:
        """Starts all that do not run."""
        self._workers = [worker for worker in self._workers if worker.process.is_alive()]
        while len(self._workers) < self.count:
            ours, theirs = self._context.Pipe()
            tally = progress.new_tally()
            process = self._context.Process(target=_work, args=(theirs, tally), daemon=True)
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

    def alive(self) -> bool:
        """Whether all of them live."""
        return all(worker.process.is_alive() for worker in self._workers)

    def connect(self, control_address: str, worker_id: str) -> BaseProcess:
        """Has the next worker connect to a pipeline's control service; returns the worker's process."""
        worker = self._workers[self._next % len(self._workers)]
        self._next += 1
        worker.pipe.send((control_address, worker_id))
        return worker.process

    def tallies(self) -> list[progress.Tally]:
        """The tallies of all workers there ever were."""
        return list(self._tallies)

    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.process.pid or 0 for worker in self._workers]


def _work(pipe: Connection, tally: progress.Tally) -> None:
    """A worker's life: serve the pipelines that the driver names, until the driver is gone."""
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the driver decides
    progress.adopt(tally)
    try:
        while True:
            control_address, worker_id = pipe.recv()
            harness = SdkHarness(control_address, worker_id=worker_id, state_cache_size=100 << 20)
            threading.Thread(target=harness.run, daemon=True).start()
    except EOFError:
        os._exit(0)  # a wave in progress is lost anyway, and its files are removed before it runs again
