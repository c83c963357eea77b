"""How a wave's pipeline is run: on this machine with workers that outlive it, or wherever Beam is told to."""

from __future__ import annotations

import multiprocessing.connection
import threading
from multiprocessing.process import BaseProcess
from typing import Any

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.portability.fn_api_runner.worker_handlers import GrpcWorkerHandler, WorkerHandler
from apache_beam.transforms import environments

from pipeline.options import JobOptions
from pipeline.workers import URN, Workers

WATCH_S = 1.0
"""Seconds between looks at whether a pipeline that has lost a worker has noticed."""

_pools: dict[bytes, Workers] = {}


class WorkersEnvironment(environments.Environment):
    """Beam's word for where user code runs: in the processes of a `Workers`."""

    def __init__(self, pool: bytes) -> None:
        super().__init__(environments.python_sdk_capabilities())
        self._pool = pool

    def to_runner_api_parameter(self, context: Any) -> tuple[str, bytes]:
        """Name and content of the environment in a pipeline's proto."""
        return URN, self._pool

    @staticmethod
    def from_runner_api_parameter(payload: bytes, *_: Any) -> WorkersEnvironment:
        """The environment that a proto describes."""
        return WorkersEnvironment(payload)


environments.Environment.register_urn(URN, bytes)(WorkersEnvironment)


@WorkerHandler.register_environment(URN, bytes)
class _Connection(GrpcWorkerHandler):
    """One worker's connection to one pipeline."""

    def __init__(self, payload: bytes, state: Any, provision_info: Any, grpc_server: Any) -> None:
        super().__init__(state, provision_info, grpc_server)
        self._pool = _pools[payload]
        self._stopped = threading.Event()

    def start_worker(self) -> None:
        process = self._pool.connect(self.control_address, self.worker_id)
        threading.Thread(target=self._watch, args=(process,), daemon=True).start()

    def stop_worker(self) -> None:
        """The worker itself has seen its connection close and waits for the next pipeline."""
        self._stopped.set()

    def _watch(self, process: BaseProcess) -> None:
        """Fails what Beam waits for when the worker is gone.

        Beam sees a connection that breaks, but waits for ever for a worker killed before it has connected.
        """
        while not self._stopped.is_set():
            if multiprocessing.connection.wait([process.sentinel], WATCH_S):
                self.control_conn.abort(RuntimeError("a worker process is gone"))
                self._stopped.wait(WATCH_S)


def beam_options(options: JobOptions, workers: Workers | None) -> PipelineOptions:
    """What the user passed through, and the number of workers where it is ours to say."""
    if options.runner is not None:
        return PipelineOptions([*options.beam, "--runner", options.runner])
    beam = PipelineOptions(list(options.beam))
    if workers is not None:
        beam.view_as(DirectOptions).direct_num_workers = workers.count
    return beam


def local_runner(workers: Workers | None) -> FnApiRunner:
    """Beam's local runner, named outright: `DirectRunner` may choose another one.

    Args:
        workers: the processes that do the work; None: this one does.
    """
    if workers is None:
        return FnApiRunner()
    pool = str(id(workers)).encode()
    _pools[pool] = workers
    return FnApiRunner(default_environment=WorkersEnvironment(pool))
