"""Kills the job at random moments and looks whether anything is lost, doubled or left behind.

    make test-kill                                  # or: python -m benchmarks.kill_test --rounds 12

In each round a fresh job is started, its driver or one of its workers gets `kill -9` at a random moment, and
the same command is run until it is done. The rows must be those of an undisturbed run, each once; no
temporary file may be left, and no process may outlive its driver.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from tests.builders import tiny_bundle, write_pages

WAVE_FILES = 60
GRACE_S = 30.0


def main() -> int:
    """Runs the rounds; returns 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory(prefix="ppocr-beam-kill-") as name:
        folder = Path(name)
        write_pages(folder / "in", args.files)
        (folder / "in" / "broken.png").write_bytes(b"not an image")
        tiny_bundle(folder / "bundle")
        start = time.monotonic()
        finish(folder, "undisturbed")
        seconds = time.monotonic() - start
        expected = rows(folder / "undisturbed")
        print(f"undisturbed: {len(expected)} rows in {seconds:.1f} s", flush=True)
        problems = 0
        for number in range(args.rounds):
            victim = ("driver", "worker")[number % 2]
            moment = chance.uniform(0 if victim == "driver" else seconds / 2, seconds)
            story, found = play(folder, f"round-{number}", victim, moment, expected)
            problems += len(found)
            print(f"round {number + 1}: {story}: {'; '.join(found) or 'rows are equal'}", flush=True)
    print("FAILED" if problems else "nothing lost, nothing doubled, nothing left")
    return 1 if problems else 0


def play(folder: Path, output: str, victim: str, moment: float, expected: list[str]) -> tuple[str, list[str]]:
    """One round; returns what happened and what is wrong with the result."""
    job = start_job(folder, output)
    time.sleep(moment)
    children = list(descendants(job.pid))
    workers = [pid for pid in children if pid not in direct_children(job.pid)]
    target = random.choice(workers) if victim == "worker" and workers else job.pid
    story = f"{'worker' if target != job.pid else 'driver'} killed after {moment:.1f} s"
    kill(target)
    problems = []
    if target == job.pid:
        job.wait()
        done = len(list((folder / output / "_waves").glob("0*.json")))
        story += f" with {done} waves done"
        problems += [f"process {pid} outlived its driver" for pid in survivors(children)]
        finish(folder, output)
    elif job.wait() != 0:
        story += f", exit status {job.returncode}"
        finish(folder, output)
    return story, problems + differences(folder / output, expected)


def differences(output: Path, expected: list[str]) -> list[str]:
    """What is wrong with an output."""
    problems = []
    found = rows(output)
    if found != expected:
        problems.append(
            f"{len(found)} rows, of which {len(set(found) & set(expected))} of {len(expected)} are right"
        )
    left = [path for path in output.rglob("*") if "beam-temp" in path.name or path.suffix == ".tmp"]
    problems += [f"left behind: {path.relative_to(output)}" for path in left]
    return problems


def command(folder: Path, output: str) -> list[str]:
    """The job's command line."""
    return [
        *(sys.executable, "-m", "pipeline", "--input", str(folder / "in"), "--output", str(folder / output)),
        *("--bundle", str(folder / "bundle"), "--workers", "2", "--wave_size", str(WAVE_FILES)),
    ]


def start_job(folder: Path, output: str) -> subprocess.Popen[bytes]:
    """Starts the job, its words thrown away."""
    return subprocess.Popen(command(folder, output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finish(folder: Path, output: str) -> None:
    """Runs the job to its end."""
    done = subprocess.run(command(folder, output), capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"the job failed with status {done.returncode}: {done.stderr}")


def rows(output: Path) -> list[str]:
    """All rows of both kinds without the run's name, sorted."""
    found = []
    for kind in ("pages", "errors"):
        for path in (output / kind).glob("*.parquet"):
            found += [repr((kind, row)) for row in pq.read_table(path).drop_columns(["run_id"]).to_pylist()]
    return sorted(found)


def descendants(pid: int) -> Iterator[int]:
    """Process ids of all children of children."""
    for child in direct_children(pid):
        yield child
        yield from descendants(child)


def direct_children(pid: int) -> list[int]:
    """Process ids of a process's children."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = (map(int, line.split()) for line in listed.splitlines())
    return [child for child, parent in pairs if parent == pid]


def kill(pid: int) -> None:
    """Kill -9; a process that is gone already is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def survivors(pids: list[int]) -> list[int]:
    """Those that are still there after a while: one that is importing notices its driver's end only then."""
    deadline = time.monotonic() + GRACE_S
    while (left := [pid for pid in pids if exists(pid)]) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def exists(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


if __name__ == "__main__":
    sys.exit(main())
