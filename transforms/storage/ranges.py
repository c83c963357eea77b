"""A remote file as a seekable one, read in ranges."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO, cast

_CHUNK = 4 << 20


def open_ranges(read_range: Callable[[int, int], bytes], byte_size: int) -> BinaryIO:
    """Opens a file of which ranges can be read.

    Args:
        read_range: returns the bytes from the first offset up to before the second.
        byte_size: the file's size.
    """
    return cast(BinaryIO, io.BufferedReader(_Ranges(read_range, byte_size), _CHUNK))


class _Ranges(io.RawIOBase):
    def __init__(self, read_range: Callable[[int, int], bytes], byte_size: int) -> None:
        self._read_range = read_range
        self._byte_size = byte_size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._byte_size}[whence]
        self._position = max(start + offset, 0)
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._position + len(view), self._byte_size)
        if end <= self._position:
            return 0
        data = self._read_range(self._position, end)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
