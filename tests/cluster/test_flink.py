"""The job on a real Flink cluster on this machine, where somebody has Beam's job server for it."""

from __future__ import annotations

import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import START_S, free_port, process, rows, run_job, tool

JAR = os.environ.get("FLINK_JOB_SERVER_JAR", "")
"""Such as .../beam-runners-flink-2.2-job-server-2.77.0.jar, from Maven Central."""
VERSION = (re.findall(r"flink-(\d+\.\d+)-", Path(JAR).name) or [""])[0]
SLOTS = 2
CONFIGURATION = """
jobmanager.rpc.address: localhost
jobmanager.rpc.port: {rpc}
rest.address: localhost
rest.port: {rest}
taskmanager.host: localhost
taskmanager.numberOfTaskSlots: {slots}
taskmanager.cpu.cores: {slots}
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.task.heap.size: 512m
taskmanager.memory.task.off-heap.size: 0m
taskmanager.memory.managed.size: 128m
taskmanager.memory.network.min: 64m
taskmanager.memory.network.max: 64m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 192m
taskmanager.memory.jvm-overhead.max: 192m
"""
OPENED = (
    *(
        "java.io",
        "java.lang",
        "java.lang.reflect",
        "java.net",
        "java.nio",
        "java.text",
        "java.time",
        "java.util",
    ),
    *("java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks", "sun.nio.ch"),
)
"""Packages of Java's that Flink looks into; its scripts, which the libraries on PyPI lack, open them too."""
MASTER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
WORKER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        not JAR, reason="Flink did NOT run: set FLINK_JOB_SERVER_JAR to Beam's job server to run it"
    ),
]


@pytest.fixture(scope="module")
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Starts a job manager and a task manager of the job server's version; gives their REST address."""
    folder, rest = tmp_path_factory.mktemp("flink"), free_port()
    text = CONFIGURATION.format(rest=rest, rpc=free_port(), slots=SLOTS)
    (folder / "config.yaml").write_text(text)
    opened = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in OPENED]
    java = ["java", "-Xmx1g", *opened, "-cp", f"{tool('flink/lib-flink')}/*"]
    with (
        process([*java, MASTER, "--configDir", str(folder)], rest),
        process([*java, WORKER, "--configDir", str(folder)], rest),
    ):
        address = f"http://localhost:{rest}"
        end = time.monotonic() + START_S
        while overview(address).get("slots-available", 0) < SLOTS:
            assert time.monotonic() < end, "Flink's task manager does not come"
            time.sleep(0.5)
        yield address


def overview(address: str) -> dict[str, Any]:
    """What Flink says of itself; nothing while its web server starts."""
    try:
        with urllib.request.urlopen(f"{address}/v1/overview", timeout=START_S) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError:
        return {}
    return found


def test_cluster_is_of_the_job_server_s_version(flink: str) -> None:
    assert VERSION, f"{JAR} does not tell the version of Flink in its name"
    assert overview(flink)["flink-version"].startswith(f"{VERSION}.")


def test_rows_are_those_of_a_local_run(flink: str, pages: Path, expected: list[str], tmp_path: Path) -> None:
    output = str(tmp_path / "out")
    run_job(
        pages,
        *("--input", str(pages / "in"), "--output", output, "--runner", "FlinkRunner"),
        *("--flink_master", flink, "--flink_version", VERSION, "--flink_job_server_jar", JAR),
        *("--environment_type", "LOOPBACK", "--parallelism", str(SLOTS)),
    )
    assert rows(output) == expected
