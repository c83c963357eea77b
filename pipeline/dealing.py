"""Dealing: on this machine a wave's files go, one by one, to whichever worker has room for one.

Beam's local runner would hand each worker its files beforehand. But pages take from a hundredth of a second
to some seconds, and files do not tell how long: the more workers, the longer all wait for the last one.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import select
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from pipeline import progress

if TYPE_CHECKING:
    from transforms.storage import Source

SMALL = 8
"""One file in so many of a group is kept for last: the smallest ones, so that workers end together."""

_BYTES = 8


class Turn:
    """The number of the file that is next; whoever takes it hands on the one after.

    It lies in a pipe that all workers share, and is read and written whole. A lock in shared memory would do
    the same, but it has a name in the system, which workers that just start miss when the driver is killed.

    Args:
        ends: the pipe's, reading and writing; None: a new one's.
    """

    def __init__(self, ends: tuple[Connection, Connection] | None = None) -> None:
        self._from, self._to = ends or multiprocessing.Pipe(duplex=False)
        if ends is None:
            self._put(0)

    @classmethod
    def in_files(cls, reading: int, writing: int) -> Turn:
        """The turn whose pipe has these descriptors in this process."""
        return cls((Connection(reading, writable=False), Connection(writing, readable=False)))

    def files(self) -> tuple[int, int]:
        """Descriptors of the pipe, for `in_files` in another process."""
        return self._from.fileno(), self._to.fileno()

    def take(self) -> int:
        """The number of the file that is the caller's now."""
        number = self._get()
        self._put(number + 1)
        return number

    def restart(self) -> None:
        """Makes the first file the next one; nobody may be taking one, but some may have died of it."""
        while select.select([self._from], [], [], 0)[0]:
            self._get()
        self._put(0)

    def _get(self) -> int:
        return int.from_bytes(os.read(self._from.fileno(), _BYTES), "little")

    def _put(self, number: int) -> None:
        os.write(self._to.fileno(), number.to_bytes(_BYTES, "little"))


_turn: Turn | None = None
_spare = 0  # what `taken` tells `ahead`: both are steps of one fused stage, so in one process and thread


def adopt(turn: Turn) -> None:
    """Makes a turn the one by which this process takes its files."""
    global _turn
    _turn = turn


def ahead() -> int:
    """Files that this process may take beside the one at hand: at the end none, or others would have none."""
    return _spare


def alone() -> int:
    """None, where each file is to be at hand alone."""
    return 0


def taken(manifest: str, takers: int) -> Iterator[Source]:
    """Takes a wave's files for this process, each when it is asked for, until none is left.

    Args:
        manifest: URI of the wave's list.
        takers: processes that take them.

    Raises:
        RuntimeError: this is no worker process.
    """
    global _spare
    from pipeline.waves import rows_in
    from transforms import metrics  # Beam: the driver, which only makes the turn, starts without

    if _turn is None:
        raise RuntimeError("files are taken by worker processes only")
    files = rows_in(manifest)
    mine = _turn.take()
    for number, source in enumerate(ordered(manifest)):
        if number == mine:
            metrics.count(metrics.FILES)
            progress.take(number)
            _spare = fair(files - number - 1, takers)
            yield source
            mine = _turn.take()


def fair(left: int, takers: int) -> int:
    """How many of the files that are left one process may take before it reads them."""
    return left // (2 * takers)


def ordered(manifest: str) -> Iterator[Source]:
    """A wave's files in the order in which they are taken, the same in all processes.

    It is random, so that the time left can be told from the first ones; of each group of the list, ten
    thousand files, the small ones come last.
    """
    from pipeline.manifest import read_groups

    chance = random.Random(manifest)
    for sources in read_groups(manifest):
        yield from shuffled(sources, chance)


def shuffled(sources: list[Source], chance: random.Random) -> list[Source]:
    """A group of files in random order, the small ones last."""
    by_size = sorted(sources, key=lambda source: -(source.byte_size or 0))
    split = len(sources) - len(sources) // SMALL
    first = by_size[:split]
    chance.shuffle(first)
    return first + by_size[split:]
