"""What a worker process may take: memory, and processor time for one file.

The system holds it to both, so that a file which takes more harms nobody but its own worker. Linux alone
counts memory in the way that is needed here; elsewhere only time is bounded.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.options import groups

CPU_S = 600.0
"""Seconds that a worker may compute without a sign of life: no file of any good takes a tenth of it."""
LEAST_BYTES = 4 << 30
"""Bytes that each worker may take, however many there are: the largest pages take two or three."""
SHARE = 0.8
"""The part of the machine's memory that one worker may take at most."""

_renewed = -math.inf


def bound_memory(workers: int, root: Path = Path("/")) -> None:
    """Bounds what this process may take beyond what it has; allocations fail from there on.

    Args:
        workers: how many share the machine.
        root: of the file system.
    """
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = (root / "proc/self/status").read_text().splitlines()
        has = int(dict(line.split(":", 1) for line in lines)["VmData"].split()[0]) << 10
        _lower(resource.RLIMIT_DATA, has + share(memory(root), workers))


def share(memory: int, workers: int) -> int:
    """Bytes that each of some workers may take, given those of the machine."""
    return int(min(SHARE * memory, max(LEAST_BYTES, memory / workers)))


def memory(root: Path = Path("/")) -> int:
    """Bytes of memory that there are for this process: the machine's, or its control groups'."""
    bounds = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_bounds(root)]
    return min(bounds)


def _bounds(root: Path) -> Iterator[int]:
    for folder in groups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with contextlib.suppress(OSError, ValueError):  # no such group, or `max`
                yield int((folder / name).read_text())


def renew() -> None:
    """Lets this process compute for `CPU_S` from now on; the system ends it when it has."""
    global _renewed
    spent = time.process_time()
    if spent - _renewed >= 1.0:  # the system counts in whole seconds
        _renewed = spent
        _lower(resource.RLIMIT_CPU, math.ceil(spent + CPU_S))


def _lower(kind: int, bound: int) -> None:
    """Sets a limit that this process may set anew, below what it was given by others."""
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (bound if hard == resource.RLIM_INFINITY else min(bound, hard), hard))
