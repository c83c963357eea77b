"""Counters and timers of the stages, under one namespace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from apache_beam.metrics.metric import Metrics

NAMESPACE = "ppocr-beam"
MICROSECONDS = "microseconds/"
ERRORS = "errors/"
LEFT_OUT = "left_out"
CHANGED = "changed"
FILES = "files"
DAMAGED = "damaged"
DOUBTFUL = "doubtful"


@contextmanager
def timed(stage: str) -> Iterator[None]:
    """Adds the microseconds of a stage's work to its distribution, also when the work raises."""
    start = time.perf_counter()
    try:
        yield
    finally:
        elapsed = round((time.perf_counter() - start) * 1_000_000)
        Metrics.distribution(NAMESPACE, MICROSECONDS + stage).update(elapsed)


def count(name: str, number: int = 1) -> None:
    """Adds to a counter."""
    Metrics.counter(NAMESPACE, name).inc(number)
