"""Worker processes, and whole jobs that have two of them."""

from __future__ import annotations

import concurrent.futures
import contextlib
import importlib.util
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline import progress
from pipeline.__main__ import main
from pipeline.options import JobOptions
from pipeline.status import DONE, INTERRUPTED
from pipeline.waves import JobError
from pipeline.workers import WorkerDiedError, Workers, WorkersStuckError
from tests.builders import write_pages

PAGES = 30


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    listed = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.strip()
    return bool(listed) and not listed.startswith("Z")


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    """Process ids of all children of children."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    found = [child for child, parent in pairs if parent == pid]
    return found + [grandchild for child in found for grandchild in children(child)]


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers(2)
    workers.start()
    wait_until(lambda: all(tally[progress.READY] for tally in workers.tallies()))
    yield workers
    workers.stop()


def test_stopped_workers_are_gone_and_can_be_started_again(workers: Workers) -> None:
    first = workers.pids()
    assert len(set(first)) == 2
    assert all(map(alive, first))
    workers.stop()
    assert not any(map(alive, first))
    workers.start()
    assert not set(first) & set(workers.pids())
    assert len(workers.tallies()) == 4  # the dead ones' counts and peaks are kept


def test_a_killed_worker_is_replaced_and_the_other_kept(workers: Workers) -> None:
    victim, other = workers.pids()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not alive(victim))
    workers.start()
    assert other in workers.pids()
    assert victim not in workers.pids()
    assert len(workers.pids()) == 2


def test_the_process_that_workers_are_forked_from_is_deaf_to_ctrl_c(workers: Workers) -> None:
    (server,) = {int(Path(f"/proc/{pid}/stat").read_text().split()[3]) for pid in workers.pids()}
    status = dict(line.split(":", 1) for line in Path(f"/proc/{server}/status").read_text().splitlines())
    assert int(status["SigBlk"], 16) >> (signal.SIGINT - 1) & 1


def test_workers_end_with_a_killed_driver() -> None:
    code = (
        "import time; from pipeline.workers import Workers; workers = Workers(2); workers.start(); "
        "print(*workers.pids(), flush=True); time.sleep(600)"
    )
    driver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    pids = [int(pid) for pid in driver.stdout.readline().split()]
    assert len(pids) == 2
    driver.kill()
    driver.wait()
    driver.stdout.close()
    wait_until(lambda: not any(map(alive, pids)))


@pytest.fixture
def command(tmp_path: Path, bundle: str) -> Callable[[str, int, int], list[str]]:
    """The job's command line: output, workers, files in a wave."""
    write_pages(tmp_path / "in", PAGES)
    (tmp_path / "in" / "broken.png").write_text("not an image")

    def command(output: str, workers: int, wave_size: int) -> list[str]:
        return [
            *(
                sys.executable,
                "-m",
                "pipeline",
                "--input",
                str(tmp_path / "in"),
                "--output",
                str(tmp_path / output),
            ),
            *("--bundle", bundle, "--workers", str(workers), "--wave_size", str(wave_size)),
        ]

    return command


def rows(output: Path) -> list[dict[str, Any]]:
    paths = [*(output / "pages").glob("*.parquet"), *(output / "errors").glob("*.parquet")]
    found = [row for path in paths for row in pq.read_table(path).drop_columns(["run_id"]).to_pylist()]
    return sorted(found, key=repr)


def wait_for_marker(job: subprocess.Popen[str], output: Path) -> None:
    wait_until(lambda: (output / "_waves" / "00000.json").exists() or job.poll() is not None, 300)
    assert job.poll() is None, job.communicate()


def test_a_killed_worker_costs_no_row(command: Callable[[str, int, int], list[str]], tmp_path: Path) -> None:
    assert main(command("alone", 1, 100)[3:]) == DONE
    expected = rows(tmp_path / "alone")
    assert len(expected) == PAGES + 1

    job = subprocess.Popen(command("pair", 2, 10), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_marker(job, tmp_path / "pair")
    before = children(job.pid)
    worker = before[-1]
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)
    output, said = job.communicate()
    assert job.returncode == DONE, said
    assert f"Read {PAGES} pages" in output
    assert "Traceback" not in said
    assert rows(tmp_path / "pair") == expected
    assert not list((tmp_path / "pair").rglob("beam-temp*"))
    wait_until(lambda: not any(map(alive, before)))


POISON = """
import hashlib, os
sha256 = hashlib.sha256
def deadly(data=b"", **more):
    if bytes(data[:6]) == b"POISON":
        os._exit(1)
    return sha256(data, **more)
hashlib.sha256 = deadly
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_file_that_brings_workers_down_becomes_an_error_row(
    command: Callable[[str, int, int], list[str]], tmp_path: Path, workers: int
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(POISON)
    (tmp_path / "in" / "deadly.png").write_bytes(b"POISON")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{os.getcwd()}"}
    job = subprocess.run(command("out", workers, 100), capture_output=True, text=True, env=environment)
    assert job.returncode == DONE, job.stderr
    found = rows(tmp_path / "out")
    assert len(found) == PAGES + 2
    assert [row["kind"] for row in found if row["uri"].endswith("deadly.png")] == ["crashed"]
    assert "Traceback" not in job.stderr


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, id="ctrl-c"),
        pytest.param(signal.SIGTERM, id="sigterm", marks=pytest.mark.slow),
    ],
)
def test_interrupted_job_stops_cleanly_says_how_to_resume_and_does(
    command: Callable[[str, int, int], list[str]], tmp_path: Path, number: signal.Signals
) -> None:
    job = subprocess.Popen(command("out", 2, 5), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_marker(job, tmp_path / "out")
    processes = children(job.pid)
    job.send_signal(number)
    _, said = job.communicate(timeout=60)
    assert job.returncode == INTERRUPTED, said
    assert said.splitlines()[-1].startswith("ppocr-beam: Interrupted")
    assert "Traceback" not in said
    wait_until(lambda: not any(map(alive, processes)))
    again = subprocess.run(command("out", 2, 5), capture_output=True, text=True)
    assert again.returncode == DONE, again.stderr
    assert len(rows(tmp_path / "out")) == PAGES + 1


@pytest.mark.parametrize("moment", ["before it connects", "while it works"])
def test_a_worker_that_is_killed_is_noticed(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, moment: str, tmp_path: Path
) -> None:
    import apache_beam as beam

    from pipeline import runner

    victim = workers.pids()[0]
    if moment == "before it connects":
        monkeypatch.setattr(
            "multiprocessing.connection.Connection.send", lambda *_: os.kill(victim, signal.SIGKILL)
        )

    def kill(number: int) -> int:
        os.kill(victim, signal.SIGKILL)
        return number

    def work() -> None:
        with beam.Pipeline(runner=runner.local_runner(workers)) as pipeline:
            _ = pipeline | beam.Create([1]) | beam.Map(kill) | beam.Reshuffle() | beam.Map(print)

    with pytest.raises(WorkerDiedError):
        workers.attend(work)


class Ticks:
    """Stands for the looks at workers: each look is one step of a story, and no time passes.

    Args:
        steps: the story's, the outcome's the last one.
    """

    def __init__(self, steps: Iterator[None]) -> None:
        self._steps = steps

    def __call__(self, outcomes: Any, seconds: float) -> Any:
        done = next(self._steps, self) is self
        return concurrent.futures.wait(outcomes, None if done else 0)


def test_a_file_that_keeps_a_worker_is_told_and_one_that_gets_on_is_not(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.workers.SUSPECT_S", 1.0)
    one, other = workers.tallies()
    hold = threading.Event()

    def take(tally: progress.Tally, number: int) -> None:
        progress.adopt(tally)
        progress.take(number)
        progress.adopt(None)

    def slowly() -> Iterator[None]:
        take(one, 0)
        for _ in range(30):
            one[progress.SIGNS] += 1
            yield
        one[progress.PARTS] += progress.FILE
        yield from [None] * 30  # its file is read, the rows are being written
        hold.set()

    monkeypatch.setattr("pipeline.workers.wait", Ticks(slowly()))
    workers.attend(hold.wait)

    def stays() -> Iterator[None]:
        for number in (0, 2):
            take(one, number)
            yield
        one[progress.PARTS] += progress.FILE
        while True:
            take(other, 3)
            other[progress.PARTS] += progress.FILE
            yield

    hold.clear()
    monkeypatch.setattr("pipeline.workers.wait", Ticks(stays()))
    with pytest.raises(WorkersStuckError) as stuck:
        workers.attend(hold.wait)
    assert stuck.value.suspects == [0, 2]
    assert stuck.value.taken == 4
    hold.set()


def test_workers_that_never_take_a_file_are_no_file_s_fault(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.workers.STUCK_S", 1.0)
    hold = threading.Event()
    monkeypatch.setattr("pipeline.workers.wait", Ticks(itertools.repeat(None)))
    with pytest.raises(JobError, match="no worker process has taken a file"):
        workers.attend(hold.wait)
    hold.set()


def test_a_pipeline_s_own_failure_is_no_worker_s_death(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.workers.GRACE_S", 0.2)

    def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        workers.attend(work)


def test_a_death_that_a_pipeline_notices_first_is_a_death(workers: Workers) -> None:
    def work() -> None:
        os.kill(workers.pids()[0], signal.SIGKILL)
        raise RuntimeError("Channel closed prematurely.")

    with pytest.raises(WorkerDiedError):
        workers.attend(work)


def test_each_pipeline_begins_with_the_first_file(workers: Workers) -> None:
    assert workers.attend(lambda: [workers._turn.take() for _ in range(7)]) == list(range(7))
    assert workers.attend(lambda: workers._turn.take()) == 0


def test_a_worker_that_ends_before_it_begins_is_no_file_s_fault(workers: Workers) -> None:
    os.kill(workers.pids()[0], signal.SIGKILL)
    for tally in workers.tallies():
        tally[progress.READY] = 0
    with pytest.raises(RuntimeError, match="ended before it was ready"):
        workers.attend(lambda: time.sleep(20))


def test_models_are_loaded_before_they_are_asked_for(tmp_path: Path) -> None:
    missing = Workers(1, JobOptions(("a",), "out", bundle=str(tmp_path / "missing")))
    missing.start()
    try:  # the stages will say so, page by page
        wait_until(lambda: bool(missing.tallies()[0][progress.READY]))
    finally:
        missing.stop()


def test_a_pipeline_left_alone_finds_no_other_worker(workers: Workers) -> None:
    import apache_beam as beam

    from pipeline import runner

    left_alone = runner.local_runner(workers)
    runner.local_runner(workers)
    pipeline = beam.Pipeline(runner=left_alone)
    _ = pipeline | beam.Create([1])
    with pytest.raises(KeyError):
        pipeline.run()


def test_a_pipeline_s_services_are_on_a_socket_of_this_user_alone(workers: Workers, tmp_path: Path) -> None:
    import apache_beam as beam
    import grpc
    from apache_beam.portability.api import beam_artifact_api_pb2
    from apache_beam.portability.api import beam_artifact_api_pb2_grpc as service

    from pipeline import runner

    driver, report, folder = os.getpid(), tmp_path / "report", Path(workers.socket()).parent

    def look(_: int) -> None:  # in a worker, while the driver serves it
        held = {os.readlink(path) for path in Path(f"/proc/{driver}/fd").iterdir() if path.is_symlink()}
        tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
        listening = [line.split() for table in tables for line in table if line.split()[3] == "0A"]
        ports = [line[1] for line in listening if f"socket:[{line[9]}]" in held]
        socket = max(folder.iterdir(), key=lambda path: int(path.name))  # others were left alone before
        stub = service.ArtifactRetrievalServiceStub(grpc.insecure_channel(f"unix:{socket}"))
        try:
            list(stub.GetArtifact(beam_artifact_api_pb2.GetArtifactRequest(), timeout=20))
            answer = "answered"
        except grpc.RpcError as error:
            answer = error.code().name
        report.write_text(f"{ports} {folder.stat().st_mode & 0o777:o} {answer}")

    def work() -> None:
        with beam.Pipeline(runner=runner.local_runner(workers)) as pipeline:
            _ = pipeline | beam.Create([1]) | beam.Reshuffle() | beam.Map(look)

    workers.attend(work)
    assert report.read_text() == "[] 700 UNIMPLEMENTED"


def test_no_process_of_the_job_imports_torch(tmp_path: Path, bundle: str) -> None:
    assert importlib.util.find_spec("torch"), "it is installed, or this would prove nothing"
    write_pages(tmp_path / "in", 1)
    script = Path(sys.executable).with_name("ppocr-beam")
    command = [str(script), str(tmp_path / "in"), "--bundle", bundle, "--output", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == DONE
    imported = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    # In the driver, and in the process that workers are forked from.
    assert imported.count("apache_beam") == 2
    assert not [name for name in imported if name.startswith("torch.")]
