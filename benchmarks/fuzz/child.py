"""A process that tries cases under limits, one after the other, and tells what each came to."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import resource
import tempfile
import time
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from models.records import InputError, UsageError

MEMORY_BYTES = 6 << 30
"""Address space of a child: beyond, allocations fail."""
PEAK_BYTES = 1500 << 20
CPU_S = 5.0
HANG_S = 60.0
"""Seconds by the clock after which a case is given up, on a busy machine too."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case came to.

    Attributes:
        wrong: what was wrong with it, in a few words; empty: nothing.
        detail: more of that.
    """

    wrong: str = ""
    detail: str = ""


class Child:
    """A process for cases, replaced when it is gone."""

    def __init__(self) -> None:
        # Forked, not spawned: it has all libraries at once, and what one case leaves behind goes with it.
        context = multiprocessing.get_context("fork")
        self._pipe, its = context.Pipe()
        self._process = context.Process(target=_serve, args=(its,), daemon=True)
        self._process.start()
        its.close()

    def outcome(self, target: str, data: bytes) -> Outcome:
        """Tries a case; the child is gone where it hangs or crashes."""
        self._pipe.send((target, data))
        if not self._pipe.poll(HANG_S):
            return Outcome("hang", f"over {HANG_S:.0f} s")
        try:
            outcome: Outcome = self._pipe.recv()
            return outcome
        except EOFError:
            self._process.join()
            return Outcome("crash", f"status {self._process.exitcode}")

    def end(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders' words
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with contextlib.suppress(EOFError):
        while True:
            pipe.send(_tried(*pipe.recv()))


def _tried(target: str, data: bytes) -> Outcome:
    from benchmarks.fuzz.targets import TARGETS

    _forget_peak()
    began = time.process_time()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        try:
            TARGETS[target](data, Path(folder))
        except (InputError, UsageError) as error:
            str(error).encode("utf-8", "surrogateescape")
        except BaseException as error:
            return Outcome(type(error).__name__, str(error)[:200])
    took, peak = time.process_time() - began, _peak_bytes()
    if took > CPU_S:
        return Outcome("slow", f"{took:.1f} s of a processor")
    return Outcome("memory", f"{peak >> 20:,} MB") if peak > PEAK_BYTES else Outcome()


def _forget_peak() -> None:
    with contextlib.suppress(OSError):  # Linux alone can
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) << 10
    return 0
