from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from models.bundle import Bundle
from models.reader import ReadOptions
from models.records import Failure, InputError, Line, Page
from tests.builders import tiny_bundle
from transforms.handler import PageModelHandler, run_isolated

BROKEN = Failure("x", None, "read", "not_found", "gone")


def upper(pages: Sequence[Page]) -> list[Page]:
    """A stage that renames pages and cannot stand those called bad."""
    for page in pages:
        if page.uri.startswith("bad"):
            raise ValueError("cannot\nstand it")
        if page.uri.startswith("dark"):
            raise InputError("too_dark", "the page is too dark")
    return [Page(page.uri.upper(), page.index) for page in pages]


def names(elements: Sequence[Page | Failure]) -> list[str]:
    return [
        element.uri if isinstance(element, Page) else f"{element.kind} {element.uri}" for element in elements
    ]


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        pytest.param([], [], id="empty"),
        pytest.param([Page("a"), Page("b")], ["A", "B"], id="all well"),
        pytest.param([Page("a"), Page("bad"), Page("b")], ["A", "model_failure bad", "B"], id="one fails"),
        pytest.param(
            [Page("bad1"), Page("bad2")], ["model_failure bad1", "model_failure bad2"], id="all fail"
        ),
        pytest.param([Page("bad")], ["model_failure bad"], id="alone"),
        pytest.param([Page("dark"), Page("a")], ["too_dark dark", "A"], id="the input is to blame"),
        pytest.param([BROKEN, Page("a"), BROKEN], ["not_found x", "A", "not_found x"], id="earlier failures"),
        pytest.param([BROKEN], ["not_found x"], id="only failures"),
    ],
)
def test_error_stays_with_its_page(batch: list[Page | Failure], expected: list[str]) -> None:
    assert names(run_isolated("detect", upper, batch)) == expected


def test_failure_says_where_and_why() -> None:
    (failure,) = run_isolated("detect", upper, [Page("bad", 7)])
    assert failure == Failure(
        "bad", 7, "detect", "model_failure", "detect failed on this page: ValueError: cannot"
    )


def test_traceback_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "transforms.handler"):
        run_isolated("detect", upper, [Page("bad", 7)])
    assert "page 7 of bad" in caplog.text
    assert "Traceback" in caplog.text


def test_stage_that_loses_pages_is_a_failure_of_each() -> None:
    found = run_isolated("detect", lambda pages: [], [Page("a"), Page("b")])
    assert names(found) == ["model_failure a", "model_failure b"]
    assert isinstance(found[0], Failure)
    assert "given 1 pages and gave back 0" in found[0].message


def test_neighbours_of_a_failure_get_what_they_get_alone() -> None:
    calls: list[int] = []

    def counted(pages: Sequence[Page]) -> list[Page]:
        calls.append(len(pages))
        return upper(pages)

    run_isolated("detect", counted, [Page("a"), Page("bad"), Page("b")])
    assert calls == [3, 1, 1, 1]


LOADED: list[str] = []


def load(bundle: Bundle, options: ReadOptions) -> object:
    LOADED.append(bundle.manifest.name)
    return upper


def test_handler_loads_its_stage_once_a_process(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "tiny", "loaded once")
    handlers = [PageModelHandler("detect", load, str(tmp_path / "tiny"), ReadOptions()) for _ in range(2)]  # type: ignore[arg-type]
    models = [handler.load_model() for handler in handlers]
    assert models[0] is models[1]
    assert LOADED == ["loaded once"]


def page_of(*crops: tuple[int, int]) -> Page:
    """A page with a line for each height and width."""
    square = np.zeros((4, 2), np.float32)
    return Page(lines=tuple(Line(square, 1.0, crop=np.zeros(size, np.uint8)) for size in crops))


BLANK = page_of()
LONG = page_of((10, 4000), (20, 4000))  # 600 heights of lines
LARGE = page_of(*[(1000, 1000)] * 10)  # 10 MB, of 10 heights
BATCHES: list[int] = []


def note(batch: list[Page | Failure]) -> None:
    BATCHES.append(len(batch))


@pytest.mark.parametrize(
    ("batch_size", "pages", "expected"),
    [
        (1, [BLANK] * 3, [1, 1, 1]),
        (5, [BLANK] * 12, [5, 5, 2]),
        (3, [BROKEN, BLANK, BROKEN, BLANK], [3, 1]),
        (8, [LONG, BLANK, LONG, BLANK], [2, 2]),
        (8, [LARGE, BLANK, LARGE], [2, 1]),
        (8, [page_of((1, 5000)), BLANK], [1, 1]),
        (300, [BLANK] * 301, [300, 1]),
    ],
)
def test_batches_are_bounded_by_pages_lines_and_bytes(
    batch_size: int, pages: list[Page | Failure], expected: list[int]
) -> None:
    BATCHES.clear()
    handler = PageModelHandler("recognize", load, "any", ReadOptions(), batch_size)  # type: ignore[arg-type]
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        elements = pipeline | beam.Create([None], reshuffle=False) | beam.FlatMap(lambda _: pages)
        batches = elements | beam.BatchElements(**handler.batch_elements_kwargs())
        _ = batches | beam.Map(note)
    assert expected == BATCHES


def test_handler_counts_bytes_without_pickling() -> None:
    handler = PageModelHandler("detect", load, "any", ReadOptions())  # type: ignore[arg-type]
    assert handler.get_num_bytes([]) == 0
    assert handler.get_num_bytes([Page(), BROKEN]) < 1000
    assert handler.get_metrics_namespace() == "ppocr-beam/detect"
    assert handler.run_inference([], upper) == []
