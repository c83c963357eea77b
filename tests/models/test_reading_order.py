from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.reading_order import reading_order


def quad(x: float, y: float, width: float, height: float = 20) -> np.ndarray:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)


def turned(polygon: np.ndarray, degrees: float) -> np.ndarray:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (polygon @ np.array([[cos, sin], [-sin, cos]])).astype(np.float32)


RECEIPT = [quad(x, 30 * row + dy, width) for row in range(8) for x, width, dy in ((0, 180, 0), (300, 60, 4))]
TWO_COLUMNS = [quad(100, 0, 400)] + [quad(x, 60 + 30 * row, 250) for x in (0, 300) for row in range(10)]
FOOTED = [*TWO_COLUMNS, quad(50, 400, 450)]
LABELS = [quad(x, 40 * row, width) for row in range(6) for x, width in ((0, 70), (200, 150))]
THREE_COLUMNS = [quad(x, 30 * row, 220) for x in (0, 260, 520) for row in range(9)]
TWO_THEN_ROWS = TWO_COLUMNS + [
    quad(x, 420 + 30 * row, w) for row in range(4) for x, w in ((0, 180), (400, 50))
]

PAGES = [
    pytest.param(RECEIPT, id="receipt: prices follow their items"),
    pytest.param(TWO_COLUMNS, id="two columns under a heading"),
    pytest.param(FOOTED, id="two columns between heading and footer"),
    pytest.param(LABELS, id="form: labels and values"),
    pytest.param(THREE_COLUMNS, id="three columns"),
    pytest.param(TWO_THEN_ROWS, id="columns above a table"),
]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("degrees", [0, 2, 90, 180, 270])
def test_reads_as_a_person_would(page: list[np.ndarray], degrees: float) -> None:
    shuffled = list(range(len(page)))
    random.Random(7).shuffle(shuffled)
    order = reading_order([turned(page[i], degrees) for i in shuffled])
    assert [shuffled[i] for i in order] == list(range(len(page)))


def test_lines_on_their_heads_do_not_cancel_the_others_out() -> None:
    heads = [np.roll(quad(100, 40 * row, 400 + row, 20 + row), -2, axis=0) for row in range(5)]
    # Sides a trifle askew, as detected ones are: where the rest cancels out, they would be the direction.
    heads = [polygon + np.float32([[0, 3], [0, 0], [0, 0], [0, 3]]) for polygon in heads]
    feet = [quad(100, 1000 + 40 * row, 400 + row) for row in range(5)]
    assert reading_order([*heads, *feet]) == list(range(10))


def test_a_line_along_the_margin_does_not_tilt_the_page() -> None:
    margin = turned(quad(0, 0, 600), 90) + np.float32([20, 0])
    rows = [quad(x, 40 * row + 5, 180) for row in range(3) for x in (100, 700)]
    order = reading_order([margin, *rows])
    assert [i for i in order if i] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_lines_across_the_others_come_last(degrees: float) -> None:
    label = turned(quad(0, 0, 200), 270) + np.float32([60, 260])
    rows = [quad(x, 40 * row + 5, 90) for row in range(6) for x in (100, 700)]
    page = [turned(polygon, degrees) for polygon in [label, *rows]]
    assert reading_order(page) == [*range(1, 13), 0]


@pytest.mark.parametrize("degrees", [0, 90, 270])
def test_slanted_labels_of_a_chart_do_not_tilt_it(degrees: float) -> None:
    title = quad(330, 34, 610, 35)
    figures = [quad(170 + 85 * bar, 300 + 4 * (-1) ** bar, 50) for bar in range(12)]
    labels = [turned(quad(0, 0, 140), -43) + np.float32([100 + 85 * bar, 750]) for bar in range(12)]
    page = [turned(polygon, degrees) for polygon in [title, *figures, *labels]]
    assert reading_order(page) == list(range(25))


@pytest.mark.parametrize("degrees", [-40, 10, 30, 60])
def test_a_page_that_slants_as_a_whole_is_read_along_its_lines(degrees: float) -> None:
    assert reading_order([turned(polygon, degrees) for polygon in RECEIPT]) == list(range(len(RECEIPT)))


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_order(count: int) -> None:
    assert reading_order([quad(0, 0, 10)] * count) == list(range(count))


boxes = st.tuples(st.floats(0, 2000), st.floats(0, 3000), st.floats(0, 900), st.floats(0, 200))


@given(st.lists(boxes, max_size=40))
def test_is_a_permutation(drawn: list[tuple[float, float, float, float]]) -> None:
    order = reading_order([quad(*box) for box in drawn])
    assert sorted(order) == list(range(len(drawn)))
