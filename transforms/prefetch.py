"""Fetching ahead in threads: order kept, bounded by items and by bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Prefetcher(Generic[T, R]):
    """Starts fetching what it is given, and gives it back in the same order once there is no room for more.

    Helps where fetching waits and computing lets other threads run, as ONNX Runtime and OpenCV do.

    Args:
        pool: where `fetch` runs.
        fetch: called with each item.
        max_bytes: sum of the sizes of the items fetched or being fetched at a time; a single larger item is
            fetched alone.
    """

    def __init__(self, pool: Executor, fetch: Callable[[T], R], max_bytes: int) -> None:
        self._pool = pool
        self._fetch = fetch
        self._max_bytes = max_bytes
        self._queue: deque[tuple[T, int, Future[R]]] = deque()
        self._bytes = 0

    def put(self, item: T, size: int, ahead: int) -> Iterator[tuple[T, Future[R]]]:
        """Starts fetching an item as soon as there is room; yields the oldest ones.

        Args:
            item: to be fetched.
            size: in bytes.
            ahead: items that may stay behind, this one among them; 0: it is the last one that is yielded.
        """
        while self._queue and self._bytes + size > self._max_bytes:
            yield self._oldest()
        self._queue.append((item, size, self._pool.submit(self._fetch, item)))
        self._bytes += size
        while len(self._queue) > ahead:
            yield self._oldest()

    def drain(self) -> Iterator[tuple[T, Future[R]]]:
        """Yields all that is left."""
        while self._queue:
            yield self._oldest()

    def _oldest(self) -> tuple[T, Future[R]]:
        item, size, future = self._queue.popleft()
        self._bytes -= size
        return item, future
