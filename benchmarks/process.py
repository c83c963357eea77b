"""Runs a command on a few cores and watches the memory of it and of all its children."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PERIOD = 1.0
"""Seconds between two looks at the memory. A look takes milliseconds from cores that all have work."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a command did.

    Attributes:
        seconds: from its start to its end.
        peak_bytes: most resident memory of it and its children together, where what they share counts for
            each; 0 where /proc cannot tell.
        stdout: what it printed.
    """

    seconds: float
    peak_bytes: int
    stdout: str


def run(command: Sequence[str], cores: int) -> Run:
    """Runs a command on the first `cores` cores that this process may use (on Linux; elsewhere, on all).

    Raises:
        RuntimeError: the command failed; the message ends with what it said.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, preexec_fn=lambda: _pin(cores))
        peak = _Peak(process.pid)
        status = process.wait()
        seconds = time.perf_counter() - start
        peak_bytes = peak.stop()
        out.seek(0)
        err.seek(0)
        if status:
            raise RuntimeError(f"{' '.join(command[:4])} ... ended with {status}: {err.read()[-2000:]}")
        return Run(seconds, peak_bytes, out.read())


def _pin(cores: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


class _Peak:
    """The most memory that a process and its children hold, looked at every `PERIOD` until `stop`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._done.set()
        self._thread.join()
        return self._bytes

    def _watch(self) -> None:
        while not self._done.wait(PERIOD):
            self._bytes = max(self._bytes, sum(map(resident, family(self._pid))))


def family(pid: int) -> list[int]:
    """A process and all its descendants that are there now."""
    return [pid, *(member for child in children(pid) for member in family(child))]


def children(pid: int) -> list[int]:
    """A process's children; none where it is gone or /proc cannot tell."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def resident(pid: int) -> int:
    """Bytes of a process's memory; 0 where it is gone or /proc cannot tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
