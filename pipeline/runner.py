"""How a wave's pipeline is run: on this machine with workers that outlive it, or wherever Beam is told to."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

from apache_beam.options.pipeline_options import (
    DirectOptions,
    GoogleCloudOptions,
    PipelineOptions,
    TestOptions,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.portability.fn_api_runner.worker_handlers import GrpcWorkerHandler, WorkerHandler
from apache_beam.runners.runner import create_runner
from apache_beam.transforms import environments

from models.records import UsageError
from pipeline.options import JobOptions
from pipeline.services import Services
from pipeline.status import reason
from pipeline.workers import Worker, Workers

URN = "ppocr-beam:environment:workers:v1"

CLUSTER = ("--no_save_main_session", "--number_of_worker_harness_threads=1")
"""Said first, so that the user may say otherwise: all that workers run lies in modules, and a process works
on one page at a time, as on this machine."""

_crews: dict[bytes, Iterator[Worker]] = {}
_numbers = itertools.count()


class WorkersEnvironment(environments.Environment):
    """Beam's word for where user code runs: in the processes of a crew."""

    def __init__(self, crew: bytes) -> None:
        super().__init__(environments.python_sdk_capabilities())
        self._crew = crew

    def to_runner_api_parameter(self, context: Any) -> tuple[str, bytes]:
        """Name and content of the environment in a pipeline's proto."""
        return URN, self._crew

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
        self._worker = next(_crews[payload])

    def port_from_worker(self, port: str) -> str:
        """The address of one of the pipeline's services, which is no port."""
        return port

    def start_worker(self) -> None:
        """Has the worker connect to the pipeline's control service."""
        self._worker.pipe.send((self.control_address, self.worker_id))

    def stop_worker(self) -> None:
        """The worker itself has seen its connection close and waits for the next pipeline."""


def beam_options(options: JobOptions, workers: Workers | None) -> PipelineOptions:
    """What the user passed through, and the number of workers where it is ours to say."""
    if options.runner is not None:
        return PipelineOptions([*CLUSTER, *options.beam, "--runner", options.runner])
    beam = PipelineOptions(list(options.beam))
    if workers is not None:
        beam.view_as(DirectOptions).direct_num_workers = workers.count
    return beam


def check(options: JobOptions) -> None:
    """Asks Beam about the runner and its options before there is a wave to fail.

    Raises:
        UsageError: there is no such runner, or it lacks an option.
    """
    beam = beam_options(options, None)
    try:
        runner = create_runner(str(options.runner))
        errors = PipelineOptionsValidator(beam, runner).validate()
    except (ValueError, ImportError, AttributeError) as error:
        errors = [reason(error)]
    if errors:
        raise UsageError(f"--runner {options.runner}: {str(errors[0]).strip()}")


def awaited(options: PipelineOptions) -> bool:
    """Whether a pipeline's result tells how it ended: not where its graph is only written down."""
    template = options.view_as(GoogleCloudOptions).template_location
    return not template and not options.view_as(TestOptions).dry_run


def local_runner(workers: Workers) -> FnApiRunner:
    """Beam's local runner, named outright: `DirectRunner` may choose another one.

    From now on Beam offers services of this process to the workers alone, see `pipeline.services`.

    Args:
        workers: the processes that do the work.
    """
    vars(worker_handlers)["GrpcServer"] = functools.partial(Services, workers.socket)
    _crews.clear()  # a pipeline that was left alone when a worker died shall find no other one
    crew = str(next(_numbers)).encode()
    _crews[crew] = itertools.cycle(workers.crew())
    return FnApiRunner(default_environment=WorkersEnvironment(crew))
