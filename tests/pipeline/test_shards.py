"""Runs that share one output: three at once, one of them killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.builders import write_pages

FILES = 90


def start(folder: Path, bundle: str, output: str, *more: str) -> subprocess.Popen[str]:
    paths = ["--input", str(folder / "in"), "--output", str(folder / output), "--bundle", bundle]
    words = [sys.executable, "-m", "pipeline", *paths, "--workers", "1", "--wave_size", "8", *more]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(run: subprocess.Popen[str]) -> str:
    shown, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors[-2000:]
    return shown


def rows(output: Path) -> list[str]:
    tables = [pq.read_table(path).drop_columns(["run_id"]) for path in (output / "pages").glob("*.parquet")]
    return sorted(repr(row) for table in tables for row in table.to_pylist())


@pytest.mark.slow
def test_three_at_once_one_of_them_killed(tmp_path: Path, bundle: str) -> None:
    write_pages(tmp_path / "in", FILES)
    runs = [start(tmp_path, bundle, "out", "--shard", f"{number}/3") for number in range(3)]
    end = time.monotonic() + 200
    while not (tmp_path / "out" / "_waves" / "00001.json").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert runs[1].poll() is None
    runs[1].kill()
    runs[1].communicate()
    finish(runs[0])
    finish(runs[2])
    finish(start(tmp_path, bundle, "out", "--shard", "1/3"))
    assert "Nothing new to read: all" in finish(start(tmp_path, bundle, "out"))
    finish(start(tmp_path, bundle, "expected"))
    found = rows(tmp_path / "out")
    assert len(found) == FILES
    assert found == rows(tmp_path / "expected")
