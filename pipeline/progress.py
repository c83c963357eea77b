"""Progress: numbers that workers share with the driver while a wave runs, and the bar made of them.

Beam's local runner reports metrics only when a wave is over. So each worker process keeps a few numbers in
memory that it shares with the driver, which looks at them several times a second: how far the worker is, and
which files it is at, should it never come back from one.
"""

from __future__ import annotations

import mmap
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from ctypes import c_longlong, sizeof
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TextIO

from models.records import Failure, Page

Tally = Any
"""Shared memory of one worker: parts of files, pages, errors, peak memory in kB, readiness, signs of life,
files taken, and the numbers of the last `WINDOW` of those."""
PARTS, PAGES, ERRORS, PEAK, READY, SIGNS, TAKEN, NUMBERS = range(8)
WINDOW = 64
"""Files that a worker may be at: it reads ahead, and some wait until several can be recognised together."""
FILE = 1_000_000
"""Parts of a file."""
LINE_S = 10.0
"""Seconds between lines where nobody watches a bar."""

_Tally = c_longlong * (NUMBERS + WINDOW)
_mine: Tally | None = None
_files = 0.0  # a small member of a large archive is less than a part
_alive: Callable[[], None]


def tally_file() -> int:
    """Opens a file without a name that holds a tally, all zero; returns its descriptor."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("tally")
    else:
        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    os.ftruncate(file, sizeof(_Tally))
    return file


def tally_in(file: int) -> Tally:
    """The tally in an open file."""
    return _Tally.from_buffer(mmap.mmap(file, sizeof(_Tally)))


def _unheard() -> None:
    """Where nobody waits for signs of life."""


def adopt(tally: Tally, alive: Callable[[], None] = _unheard) -> None:
    """Makes a tally the one that this process counts in.

    Args:
        tally: this process's.
        alive: called at each sign of life.
    """
    global _mine, _files, _alive
    _mine, _files, _alive = tally, 0.0, alive


def take(number: int) -> None:
    """Tells that this process has taken the file of a number, where it has a tally."""
    if _mine is not None:
        _mine[NUMBERS + _mine[TAKEN] % WINDOW] = number
        _mine[TAKEN] += 1
        _alive()


def last_taken(tally: Tally, since: int) -> list[int]:
    """The numbers of the last files that a worker took, oldest first, `WINDOW` at most.

    Args:
        tally: the worker's.
        since: how many it had taken when they began to count.
    """
    taken = tally[TAKEN]
    return [tally[NUMBERS + index % WINDOW] for index in range(max(since, taken - WINDOW), taken)]


def advance(part: float) -> None:
    """Counts what part of a file has been read, 0 as a sign of life, where this process has a tally."""
    global _files
    if _mine is not None:
        _files += part
        _mine[PARTS] = round(FILE * _files)
        _mine[SIGNS] += 1
        _alive()


def count(element: Page | Failure) -> None:
    """Counts a page or failure that has gone through all stages, where this process has a tally."""
    if _mine is None:
        return
    _mine[ERRORS if isinstance(element, Failure) else PAGES] += 1
    _mine[PEAK] = peak_kilobytes()
    _alive()


def peak_kilobytes() -> int:
    """The most memory that this process ever had, in kilobytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


@dataclass(frozen=True, slots=True)
class State:
    """How far the job is.

    Attributes:
        total: files to read in this run.
        files: of those, how many are done; the parts of archives that are read count.
        pages: rows so far in this run.
        errors: likewise.
        seconds: since the run began to read.
    """

    total: int
    files: float = 0.0
    pages: int = 0
    errors: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Pages a second."""
        return (self.pages + self.errors) / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end at this rate; None while too little is read to tell."""
        if self.files < min(1.0, self.total / 1000):
            return None
        return (self.total - self.files) * self.seconds / self.files if self.files else None

    def __str__(self) -> str:
        """One line for a person."""
        left = "" if self.seconds_left is None else f", {duration(self.seconds_left)} left"
        return (
            f"{int(self.files):,} of {counted(self.total, 'file')}, {counted(self.pages, 'page')}, "
            f"{counted(self.errors, 'error')}, {self.rate:.1f} pages/s{left}"
        )


def counted(number: int, noun: str) -> str:
    """`1 page`, `2,000 pages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """Seconds as a person says them: `45 s`, `12 min`, `3 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


class Progress:
    """Shows how far the job is while in its `with` block: a bar on a terminal, else a line now and then.

    Args:
        total: files to read in this run.
        tallies: gives the tallies of all workers, dead ones included.
        stream: where to show it.
    """

    def __init__(
        self, total: int, tallies: Callable[[], Sequence[Tally]], stream: TextIO = sys.stderr
    ) -> None:
        self._total = total
        self._tallies = tallies
        self._stream = stream
        self._start = time.monotonic()
        self._done = State(total)
        self._wave_files = 0
        self._base: Sequence[int] = (0, 0, 0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        """Starts to show."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shows the last state and stops."""
        self._stop.set()
        self._thread.join()

    def begin(self, files: int) -> None:
        """A wave of this many files starts, or starts again."""
        self._base = self._sums()
        self._wave_files = files

    def end(self, pages: int, errors: int) -> None:
        """The wave is done and has this many rows."""
        done = self._done
        self._done = State(
            self._total, done.files + self._wave_files, done.pages + pages, done.errors + errors
        )
        self.begin(0)

    def state(self) -> State:
        """How far the job is now."""
        done, base, now = self._done, self._base, self._sums()
        parts, pages, errors = (max(0, n - b) for n, b in zip(now, base, strict=True))
        # The last pages that are read are not written yet: a wave shows as complete only when it is.
        # Each file gives a row at least: what was taken and gave none yet is on its way through the models.
        files = min(parts, self._wave_files * FILE - 1, (pages + errors) * FILE) / FILE
        return State(
            self._total,
            done.files + max(0.0, files),
            done.pages + pages,
            done.errors + errors,
            time.monotonic() - self._start,
        )

    def _sums(self) -> tuple[int, int, int]:
        tallies = self._tallies()
        parts, pages, errors = (sum(tally[kind] for tally in tallies) for kind in (PARTS, PAGES, ERRORS))
        return parts, pages, errors

    def _show(self) -> None:
        if self._stream.isatty():
            self._show_bar()
            return
        while not self._stop.wait(LINE_S):
            if self._tallies():  # a cluster has none, and a console of its own
                print(f"ppocr-beam: {self.state()}", file=self._stream, flush=True)

    def _show_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        console = Console(file=self._stream)
        with Bar(BarColumn(), TextColumn("{task.description}"), console=console, transient=True) as bar:
            task = bar.add_task("starting", total=self._total)
            while not self._stop.wait(0.2):
                state = self.state()
                bar.update(task, completed=state.files, description=str(state))
