from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.process import PERIOD, run

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_memory_of_children_is_counted() -> None:
    hold = f"x = bytearray(80_000_000); import time; time.sleep({4 * PERIOD})"
    start_child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    done = run(python(start_child), cores=1)
    assert done.peak_bytes > 80_000_000
    assert done.seconds > 4 * PERIOD


def test_cores_are_pinned() -> None:
    done = run(python("import os; print(len(os.sched_getaffinity(0)))"), cores=1)
    assert done.stdout == "1\n"


def test_failure_says_what_the_command_said() -> None:
    with pytest.raises(RuntimeError, match=r"ended with 3: out of paper"):
        run(python("import sys; print('out of paper', file=sys.stderr); sys.exit(3)"), cores=1)
