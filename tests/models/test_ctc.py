from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import ctc

CHARSET = ("a", "b", " ")


def decode(classes: list[int], probabilities: list[float] | None = None) -> ctc.Reading:
    values = probabilities or [0.5] * len(classes)
    (reading,) = ctc.decode(np.array([classes], np.int64), np.array([values], np.float32), CHARSET)
    return reading


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


def test_a_character_of_several_code_points_has_a_confidence_for_each() -> None:
    classes, probabilities = (
        np.array([[2, 1, 0, 2], [1, 0, 0, 0]]),
        np.linspace(0.1, 0.8, 8, dtype=np.float32),
    )
    first, second = ctc.decode(classes, probabilities.reshape(2, 4), ("a", "e\u0301"))
    assert (first.text, second.text) == ("e\u0301ae\u0301", "a")
    assert first.steps.tolist() == [0, 0, 1, 3, 3]
    np.testing.assert_allclose(first.confidences, [0.1, 0.1, 0.2, 0.4, 0.4], rtol=1e-6)
    assert second.steps.tolist() == [0]
    assert len(ctc.extents(first, 4)) == len(first.text)


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


@given(
    st.integers(0, 12).flatmap(
        lambda steps: st.lists(
            st.lists(st.integers(0, len(CHARSET)), min_size=steps, max_size=steps), max_size=5
        )
    )
)
def test_lines_of_a_batch_are_read_as_each_alone(lines: list[list[int]]) -> None:
    shape = (len(lines), len(lines[0]) if lines else 0)
    classes = np.array(lines, np.int64).reshape(shape)
    probabilities = np.linspace(0, 1, classes.size, dtype=np.float32).reshape(shape)
    readings = ctc.decode(classes, probabilities, CHARSET)
    assert [reading.text for reading in readings] == [collapse(line) for line in lines]
    for row, reading in enumerate(readings):
        np.testing.assert_array_equal(reading.confidences, probabilities[row, reading.steps])


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


def test_the_chance_keeps_the_order_and_the_range() -> None:
    for scale, shift in ((0.5, -1.0), (3.0, 2.0)):
        found = [ctc.chance(sure, scale, shift) for sure in np.linspace(0, 1, 101)]
        assert found == sorted(found)
        assert 0 <= found[0] < found[-1] <= 1
    assert ctc.chance(0.7, 1.0, 0.0) == pytest.approx(0.7)
    assert ctc.chance(0.8, 0.5, 0.0) == pytest.approx(2 / 3)  # odds of 4 become 2
    assert ctc.chance(0.8, 1.0, math.log(2)) == pytest.approx(8 / 9)


def test_certainty_lies_between_the_mean_and_the_product() -> None:
    assert ctc.certainty(np.array([0.7], np.float32)) == pytest.approx(0.7)
    nine = np.full(9, 0.9, np.float32)
    assert ctc.certainty(nine) == pytest.approx(0.9**3)
    assert ctc.certainty(np.array([1, 1, 1, 0.5], np.float32)) == pytest.approx(0.5**0.5)
    assert 0 < ctc.certainty(np.zeros(3, np.float32)) < 0.01


@given(st.lists(st.lists(st.integers(0, len(CHARSET)), max_size=20), max_size=5))
def test_lines_of_any_lengths_are_decoded_as_each_alone(lines: list[list[int]]) -> None:
    decided = [(np.array(line, np.int64), np.full(len(line), 0.5, np.float32)) for line in lines]
    assert [reading.text for reading in ctc.decode_lines(decided, CHARSET)] == list(map(collapse, lines))


@given(
    st.lists(st.integers(0, len(CHARSET)), min_size=30, max_size=60),
    st.integers(6, 10),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_parts_of_a_line_join_to_the_whole(classes: list[int], size: int, blind: int, chance: Random) -> None:
    whole, sure = np.array(classes), np.linspace(0.1, 0.9, len(classes)).astype(np.float32)
    starts = range(0, len(whole) - size + 1, size - 5)
    parts = [(whole[start:][:size].copy(), sure[start:][:size].copy()) for start in starts]
    parts[-1] = whole[starts[-1] :], sure[starts[-1] :]
    parts = [(of_part[:, None], likely[:, None]) for of_part, likely in parts]
    # What is cut is misread: some of the steps at inner ends, at most two, while three of five are right.
    for part, _ in parts[1:]:
        part[: min(blind, 2)] = chance.randint(0, len(CHARSET))
    joined, probabilities = (each[:, 0] for each in ctc.join(parts, starts))
    assert decode(joined.tolist()).text == collapse(classes)
    assert joined.tolist() == classes
    np.testing.assert_array_equal(probabilities, sure)


def test_parts_join_where_they_agree() -> None:
    sure = np.full((8, 1), 0.9, np.float32)
    left = np.array([[1, 0, 2, 0, 1, 0, 0, 2]]).T, sure  # ends within a letter
    right = np.array([[2, 0, 0, 1, 0, 2, 0, 1]]).T, sure * 0.5
    joined, probabilities = ctc.join([left, right], [0, 4])
    assert joined[:, 0].tolist() == [1, 0, 2, 0, 1, 0, 0, 1, 0, 2, 0, 1]
    assert probabilities[:, 0].tolist() == pytest.approx([0.9] * 6 + [0.45] * 6)
    nowhere = np.array([[0, 1, 1, 1, 1, 1, 1, 1]]).T, sure
    assert ctc.join([left, nowhere], [0, 4])[0][:, 0].tolist() == [1, 0, 2, 0, 1, 0, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("classes", "text", "steps"),
    [
        pytest.param([3, 1, 3, 2, 3], "a b", [1, 2, 3], id="at the ends"),
        pytest.param([1, 3, 0, 3, 0, 3, 2], "a b", [0, 1, 6], id="several"),
        pytest.param([1, 3, 2], "a b", [0, 1, 2], id="none to spare"),
        pytest.param([3, 0, 3], "", [], id="nothing else"),
        pytest.param([], "", [], id="nothing at all"),
    ],
)
def test_spaces_stand_alone_and_between_letters(classes: list[int], text: str, steps: list[int]) -> None:
    reading = ctc.tidy(decode(classes, np.linspace(0.1, 0.9, max(len(classes), 1)).tolist()[: len(classes)]))
    assert (reading.text, reading.steps.tolist()) == (text, steps)
    assert len(reading.confidences) == len(text)
