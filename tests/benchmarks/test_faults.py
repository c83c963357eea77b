"""The test of faults leaves nothing behind, however it ends."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from benchmarks.process import family, resident

DEADLINE_S = 300.0


@pytest.fixture
def playing() -> Iterator[subprocess.Popen[str]]:
    """The test of faults, playing."""
    words = [sys.executable, "-m", "benchmarks.faults", "--only", "two jobs", "--files", "2"]
    # A job in a shell's background ignores Ctrl-C, and so would what it starts.
    heeding = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=heeding)
    yield process
    for pid in reversed(family(process.pid)):
        if process.poll() is None:
            os.kill(pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_that_is_interrupted_ends_its_jobs(playing: subprocess.Popen[str], number: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while len(started := family(playing.pid)[1:]) < 2:  # the job, and what its workers are forked from
        assert playing.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    playing.send_signal(number)
    _, said = playing.communicate(timeout=DEADLINE_S)
    assert (playing.returncode, said) == (130, "Interrupted.\n")
    while any(map(resident, started)):
        assert time.monotonic() < deadline, f"of {started} some live on"
        time.sleep(0.05)
