from __future__ import annotations

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms import metrics


def work(number: int) -> int:
    metrics.count("done")
    try:
        with metrics.timed("work"):
            return 1 // number
    except ZeroDivisionError:
        return 0


def test_counts_and_times_also_where_the_work_raises() -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | beam.Create([0, 1, 2]) | beam.Map(work)
    found = pipeline.run().metrics().query()
    counters = {
        c.key.metric.name: c.result for c in found["counters"] if c.key.metric.namespace == metrics.NAMESPACE
    }
    (timer,) = (d for d in found["distributions"] if d.key.metric.namespace == metrics.NAMESPACE)
    assert counters == {"done": 3}
    assert timer.key.metric.name == "microseconds/work"
    assert timer.result.count == 3


def test_timer_lets_errors_through() -> None:
    with pytest.raises(ZeroDivisionError), metrics.timed("work"):
        1 // 0  # noqa: B018
