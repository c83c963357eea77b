from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.prefetch import Prefetcher


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_order_is_kept_whatever_takes_long(pool: ThreadPoolExecutor) -> None:
    def fetch(item: int) -> int:
        time.sleep(0.02 if item % 3 == 0 else 0)
        return item * item

    ahead = Prefetcher(pool, fetch, 100)
    out = [(item, future.result()) for i in range(20) for item, future in ahead.put(i, 1, 3)]
    out += [(item, future.result()) for item, future in ahead.drain()]
    assert out == [(i, i * i) for i in range(20)]


def test_fetches_while_the_caller_is_busy(pool: ThreadPoolExecutor) -> None:
    both = threading.Barrier(3, timeout=10)  # Passed only when two fetches and this thread meet.
    ahead = Prefetcher(pool, lambda item: both.wait(), 100)
    for item in range(2):
        assert list(ahead.put(item, 1, 3)) == []
    both.wait()
    assert len([future.result() for _, future in ahead.drain()]) == 2


def test_errors_come_with_their_item(pool: ThreadPoolExecutor) -> None:
    ahead = Prefetcher(pool, lambda item: 1 // item, 100)
    list(ahead.put(0, 1, 3))
    list(ahead.put(1, 1, 3))
    (_, failed), (_, fine) = ahead.drain()
    with pytest.raises(ZeroDivisionError):
        failed.result()
    assert fine.result() == 1


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 6)), max_size=40), st.integers(1, 60))
def test_bounds_hold(items: list[tuple[int, int]], max_bytes: int) -> None:
    started: list[int] = []

    class Now:
        """Runs at once and remembers what was started."""

        def submit(self, fetch: object, item: int) -> int:
            started.append(item)
            return item

    ahead: Prefetcher = Prefetcher(Now(), None, max_bytes)  # type: ignore[arg-type]
    given_back: list[int] = []
    sizes = [size for size, _ in items]
    for item, (size, may_stay) in enumerate(items):
        for oldest, _ in ahead.put(item, size, may_stay):
            given_back.append(oldest)
            under_way = [sizes[i] for i in started if i not in given_back]
            assert sum(under_way) <= max_bytes or len(under_way) == 1
        under_way = [sizes[i] for i in started if i not in given_back]
        assert len(under_way) <= may_stay
        assert sum(under_way) <= max_bytes or len(under_way) <= 1
    given_back += [item for item, _ in ahead.drain()]
    assert given_back == list(range(len(sizes)))
