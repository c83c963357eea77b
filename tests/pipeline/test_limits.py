from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import limits

GIB = 1 << 30


@pytest.mark.parametrize(
    ("memory", "workers", "expected"),
    [
        pytest.param(64 * GIB, 4, 16 * GIB, id="an equal share"),
        pytest.param(64 * GIB, 64, 4 * GIB, id="enough for a large page"),
        pytest.param(2 * GIB, 1, int(1.6 * GIB), id="never all there is"),
    ],
)
def test_workers_share_the_memory(memory: int, workers: int, expected: int) -> None:
    assert limits.share(memory, workers) == expected


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("0::/a/b", "sys/fs/cgroup/a/memory.max"),
        ("4:memory:/a/b", "sys/fs/cgroup/memory/a/memory.limit_in_bytes"),
    ],
    ids=["version 2", "version 1"],
)
def test_the_memory_is_that_of_the_control_groups(tmp_path: Path, line: str, file: str) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"{line}\n")
    machine = limits.memory(tmp_path)
    assert machine > GIB
    (tmp_path / file).parent.mkdir(parents=True)
    for bound, expected in (("max", machine), (str(GIB // 2), GIB // 2)):
        (tmp_path / file).write_text(f"{bound}\n")
        assert limits.memory(tmp_path) == expected


def run(code: str) -> subprocess.CompletedProcess[str]:
    code = f"from pipeline import limits\n{code}"
    root = Path(__file__).parents[2]
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts memory in the way that is needed")
def test_who_takes_more_memory_than_that_gets_none() -> None:
    done = run(
        "limits.LEAST_BYTES = 64 << 20\n"
        "limits.bound_memory(1 << 30)\n"
        "kept = bytearray(32 << 20)\n"
        "try:\n    bytearray(64 << 20)\nexcept MemoryError:\n    print('refused')"
    )
    assert done.stdout == "refused\n", done.stderr


def test_who_computes_for_ever_is_ended_and_who_gets_on_is_not() -> None:
    spin = "import time\ndef spin(end):\n    while time.process_time() < end: pass\n"
    begun = f"{spin}limits.CPU_S = 2.0\nlimits.renew()\nnow = time.process_time()\n"
    steps = "for step in range(5):\n    spin(now + step)\n    limits.renew()\n"
    assert run(f"{begun}{steps}").returncode == 0
    assert run(f"{begun}spin(now + 60)").returncode == -signal.SIGXCPU
