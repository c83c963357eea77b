"""The job by Beam's Job API, as Flink and Dataflow get it: staged, pickled, in workers of theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.conftest import Cluster, rows
from transforms import storage

pytestmark = pytest.mark.cluster

Job = Callable[..., str]


@pytest.mark.parametrize("pool", [None, "plain", "image"], ids=["loopback", "pool", "image"])
def test_rows_are_those_of_a_local_run(
    pool: str | None, cluster: Cluster, job: Job, place: str, expected: list[str]
) -> None:
    paths = ["--input", f"{place}/in", "--output", f"{place}/out", "--bundle", f"{place}/bundle"]
    shown = job(*paths, *cluster.arguments(pool))
    assert "Read 20 pages" in shown
    assert rows(f"{place}/out") == expected


def test_processes_of_this_machine_read_and_write_buckets_too(
    job: Job, place: str, expected: list[str]
) -> None:
    job("--input", f"{place}/in", "--output", f"{place}/out", "--workers", "2", "--wave_size", "8")
    assert rows(f"{place}/out") == expected


def test_new_files_are_read_and_old_ones_are_not(
    cluster: Cluster, job: Job, place: str, expected: list[str]
) -> None:
    run = ["--input", f"{place}/in", "--output", f"{place}/out", *cluster.arguments("plain")]
    missing = storage.read(f"{place}/in/page-000.png").data
    storage.delete(f"{place}/in/page-000.png")
    assert "Read 19 pages" in job(*run)
    storage.write_atomic(f"{place}/in/page-000.png", missing)
    assert "Read 1 page" in job(*run)
    assert rows(f"{place}/out") == expected
    assert {Path(source.uri).name for source in storage.list_files(f"{place}/out/_waves/")} == {
        "00000.json",
        "00001.json",
    }
