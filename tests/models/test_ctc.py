from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import ctc

CHARSET = ("a", "b", " ")


def decode(classes: list[int], probabilities: list[float] | None = None) -> ctc.Reading:
    values = probabilities or [0.5] * len(classes)
    return ctc.decode(np.array(classes, np.int64), np.array(values, np.float32), CHARSET)


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        pytest.param([], "", id="no steps"),
        pytest.param([0, 0, 0], "", id="blanks only"),
        pytest.param([1, 1, 1], "a", id="a run is one character"),
        pytest.param([1, 0, 1], "aa", id="a blank parts a double letter"),
        pytest.param([1, 2, 1], "aba", id="change needs no blank"),
        pytest.param([0, 2, 2, 0, 3, 1, 0], "b a", id="space is a character"),
    ],
)
def test_repeats_collapse_and_blanks_go(classes: list[int], text: str) -> None:
    assert decode(classes).text == text


def test_a_characters_confidence_is_that_of_its_first_step() -> None:
    reading = decode([0, 1, 1, 0, 2], [0.1, 0.7, 0.9, 0.2, 0.4])
    np.testing.assert_allclose(reading.confidences, [0.7, 0.4], rtol=1e-6)
    assert reading.steps.tolist() == [1, 4]


def collapse(classes: list[int]) -> str:
    """The definition, step by step."""
    text, previous = "", 0
    for i in classes:
        if i not in (0, previous):
            text += CHARSET[i - 1]
        previous = i
    return text


@given(st.lists(st.integers(0, len(CHARSET)), max_size=40))
def test_agrees_with_the_definition(classes: list[int]) -> None:
    assert decode(classes).text == collapse(classes)


@given(st.lists(st.integers(0, len(CHARSET)), max_size=40))
def test_decoding_does_not_depend_on_repeated_steps(classes: list[int]) -> None:
    assert decode([i for i in classes for _ in range(2)]).text == decode(classes).text


@given(st.lists(st.integers(0, len(CHARSET)), min_size=1, max_size=40))
def test_extents_cover_the_line_without_gaps(classes: list[int]) -> None:
    chars = ctc.extents(decode(classes), steps=len(classes))
    assert "".join(char.text for char in chars) == collapse(classes)
    if chars:
        borders = [chars[0].x0] + [char.x1 for char in chars]
        assert borders[0] == 0 and borders[-1] == 1
        assert borders == sorted(borders)
        assert all(a.x1 == b.x0 for a, b in pairwise(chars))
