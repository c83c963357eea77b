"""What is found in an archive, and what that may take: bytes that it unpacks to, and processor time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, BinaryIO, TypeVar

from models.records import InputError

MAX_RATIO = 200
FREE_BYTES = 1 << 30
"""An archive may unpack to this many times its size, or to this many bytes: images hardly compress, so that
more is a bomb and would keep a worker busy for hours."""
FREE_S = 300.0
BYTES_A_SECOND = 1 << 20
"""Unpacking an archive may take `FREE_S` seconds of a processor, and a second more for each `BYTES_A_SECOND`
bytes that it has: a hundred times what it takes. Decoding its members is not counted."""

Found = tuple[str, bytes | InputError | None, float]
"""A member's name, its bytes (None: of another kind), and the part of the archive that is read with it."""
T = TypeVar("T")


def longest_unpacked(byte_size: int) -> int:
    """Bytes that an archive of this size may unpack to."""
    return max(FREE_BYTES, MAX_RATIO * byte_size)


def unpacks_too_far() -> InputError:
    """The error of an archive that unpacks to more."""
    return InputError("too_large", f"The archive unpacks to over {MAX_RATIO} times its size; reading stops.")


class Budget:
    """Processor time that expanding an archive may take. What is done with a member is not counted.

    Args:
        byte_size: the archive's.
    """

    def __init__(self, byte_size: int) -> None:
        self._left = FREE_S + byte_size / BYTES_A_SECOND
        self._since = time.thread_time()

    def held(self, members: Iterator[T]) -> Iterator[T]:
        """The members, as long as there is time left for the next."""
        while True:
            self._since = time.thread_time()
            try:
                member = next(members)
            except StopIteration:
                return
            self.check()
            self._left -= time.thread_time() - self._since
            yield member

    def check(self) -> None:
        """Looks at the time, while a member is sought.

        Raises:
            InputError: it is over.
        """
        if time.thread_time() - self._since > self._left:
            raise InputError("too_large", "Unpacking the archive takes too long; reading stops.")


class Timed:
    """An archive's file that looks at the time before each read."""

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self._file = file
        self._budget = budget

    def read(self, size: int = -1) -> bytes:
        """Reads as the file does."""
        self._budget.check()
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
