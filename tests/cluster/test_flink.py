"""The job on a real Flink cluster on this machine, where somebody has Beam's job server for it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import ENVIRONMENT, free_port, process, rows, run_job, tool

JAR = os.environ.get("FLINK_JOB_SERVER_JAR", "")
"""Such as .../beam-runners-flink-2.2-job-server-2.77.0.jar, from Maven Central."""
SLOTS = 2
CONFIGURATION = """
jobmanager.rpc.address: localhost
jobmanager.rpc.port: {rpc}
jobmanager.bind-host: localhost
jobmanager.memory.process.size: 1600m
rest.address: localhost
rest.port: {rest}
taskmanager.bind-host: localhost
taskmanager.host: localhost
taskmanager.memory.process.size: 1728m
taskmanager.numberOfTaskSlots: {slots}
"""

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        not JAR, reason="Flink did NOT run: set FLINK_JOB_SERVER_JAR to Beam's job server to run it"
    ),
]


@pytest.fixture(scope="module")
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Starts a job manager and a task manager of the job server's version; gives their REST address."""
    home = Path(tool("flink/home")).resolve()
    folder = tmp_path_factory.mktemp("flink")
    for path in (home / "conf").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    rest = free_port()
    text = CONFIGURATION.format(rest=rest, rpc=free_port(), slots=SLOTS)
    (folder / "config.yaml").write_text(text)
    here = {"FLINK_CONF_DIR": str(folder), "FLINK_LOG_DIR": str(folder)}
    master = [str(home / "bin" / "jobmanager.sh"), "start-foreground"]
    worker = [str(home / "bin" / "taskmanager.sh"), "start-foreground"]
    with process(master, rest, here), process(worker, rest, here):
        yield f"http://localhost:{rest}"


def test_rows_are_those_of_a_local_run(flink: str, pages: Path, expected: list[str], tmp_path: Path) -> None:
    output = str(tmp_path / "out")
    version = re.search(r"flink-(\d+\.\d+)-", Path(JAR).name)
    assert version, f"{JAR} does not tell the version of Flink in its name"
    run_job(
        pages,
        *("--input", str(pages / "in"), "--output", output, "--runner", "FlinkRunner"),
        *("--flink_master", flink, "--flink_version", version[1], "--flink_job_server_jar", JAR),
        *("--environment_type", "LOOPBACK", "--parallelism", str(SLOTS)),
    )
    assert rows(output) == expected


def test_cluster_is_of_the_job_server_s_version(flink: str) -> None:
    found = subprocess.run(
        [tool("flink/home/bin/flink"), "--version"], env=ENVIRONMENT, capture_output=True, text=True
    )
    version = re.search(r"flink-(\d+\.\d+)-", Path(JAR).name)
    assert version and f"Version: {version[1]}." in found.stdout
