"""Lines are cut where the cells of a table meet, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bundle import RecognitionSpec
from models.cells import cells, parts
from models.ctc import Reading
from models.recognition import Recognizer
from models.records import Line, Page
from tests.builders import CHARSET

HEIGHT = 8.0
"""Steps: a letter comes every 4, half a height."""


def reading(*letters: tuple[str, int]) -> Reading:
    """Characters and the steps at which they are noticed."""
    text, steps = "".join(char for char, _ in letters), np.array([step for _, step in letters])
    return Reading(text, np.linspace(0.5, 0.9, len(text), dtype=np.float32), steps)


def words(*starts: int) -> Reading:
    """Words of three letters, each begun at the given step, spaces between them."""
    letters = [(char, start + 4 * i) for start in starts for i, char in enumerate("abc")]
    spaces = [(" ", start - 2) for start in starts[1:]]
    return reading(*sorted(letters + spaces, key=lambda letter: letter[1]))


@pytest.mark.parametrize(
    ("starts", "texts"),
    [
        pytest.param((0,), ["abc"], id="one word"),
        pytest.param((0, 16), ["abc abc"], id="a gap of half a height: 4 of 8 steps"),
        pytest.param((0, 18), ["abc", "abc"], id="of three quarters"),
        pytest.param((0, 14, 28, 60), ["abc abc abc", "abc"], id="one wide gap among narrow ones"),
        pytest.param((0, 18, 36, 54), ["abc abc abc abc"], id="justified: all are wide"),
        pytest.param((0, 30, 44, 58, 90), ["abc", "abc abc abc", "abc"], id="two among others"),
    ],
)
def test_lines_are_cut_at_wide_gaps(starts: tuple[int, ...], texts: list[str]) -> None:
    line = words(*starts)
    assert [cell.reading.text for cell in cells(line, starts[-1] + 12, HEIGHT, 0.65)] == texts
    assert [cell.reading.text for cell in cells(line, starts[-1] + 12, HEIGHT, 0.0)] == [line.text]


def test_a_cell_reaches_half_a_letter_beyond_its_outer_letters() -> None:
    left, right = cells(words(2, 30), 44, HEIGHT, 0.65)
    assert (left.begin, left.end) == (0.0, 2 + 8 + 0.5 + 2)
    assert (right.begin, right.end) == (30 + 0.5 - 2, 44)
    assert left.reading.steps.tolist() == [2, 6, 10]
    assert right.reading.steps.tolist() == [1.5, 5.5, 9.5]  # from the cell's own beginning
    assert np.concatenate([left.reading.confidences, right.reading.confidences]) == pytest.approx(
        np.delete(words(2, 30).confidences, 3)
    )


def test_a_typewriter_s_space_is_as_wide_as_its_letters() -> None:
    wide = reading(*((char, 8 * i) for i, char in enumerate("abc abc")))  # a letter every height of the line
    assert len(cells(wide, 56, HEIGHT, 0.65)) == 1
    two_spaces = reading(*((char, 8 * i) for i, char in enumerate("abc  abc")))
    assert [cell.reading.text for cell in cells(two_spaces, 64, HEIGHT, 0.65)] == ["abc", "abc"]


def test_single_letters_count_as_half_a_height_wide() -> None:
    marks = reading(("x", 2), (" ", 6), ("y", 12))
    assert len(cells(marks, 18, HEIGHT, 0.7)) == 2  # (10 - 4) / 8
    assert len(cells(marks, 18, HEIGHT, 0.8)) == 1


@given(st.text("ab ", max_size=12), st.data())
def test_no_letter_is_lost_and_none_moves(text: str, data: st.DataObject) -> None:
    moves = data.draw(st.lists(st.integers(1, 30), min_size=len(text), max_size=len(text)))
    line = reading(*zip(text, np.cumsum(moves).tolist(), strict=True))
    steps = float(sum(moves) + 1)
    found = cells(line, steps, HEIGHT, 0.65)
    assert "".join(cell.reading.text for cell in found).replace(" ", "") == text.replace(" ", "")
    letters = [step for cell in found for step in (cell.reading.steps + cell.begin).tolist()]
    assert set(letters) <= set(line.steps.tolist())
    assert found[0].begin == 0 and found[-1].end == steps
    assert all(one.begin <= one.end <= other.begin for one, other in zip(found, found[1:], strict=False))


def test_parts_of_a_slanting_line() -> None:
    polygon = np.array([[0, 0], [100, 10], [98, 30], [-2, 20]], np.float32)
    half, whole = parts(polygon, np.array([[0.5, 1.2], [0.0, 1.0]]))
    np.testing.assert_allclose(half, [[50, 5], [100, 10], [98, 30], [48, 25]], atol=1e-4)
    np.testing.assert_allclose(whole, polygon, atol=1e-4)
    assert half.dtype == np.float32


class Written:
    """Reads every crop as the given classes, a step each."""

    def __init__(self, *classes: int) -> None:
        self.classes = np.array([classes])

    def run(self, tensor: np.ndarray) -> list[np.ndarray]:
        classes = np.repeat(self.classes, len(tensor), axis=0)
        return [classes, np.full(classes.shape, 0.9, np.float32)]


@pytest.mark.parametrize("margin", [0.0, 0.25])
@pytest.mark.parametrize("chars", [False, True])
def test_recogniser_cuts_lines_of_pages_but_not_what_it_is_given_alone(margin: float, chars: bool) -> None:
    spec = RecognitionSpec(
        "", "", "gray", (0.5,), (0.5,), 32, "decision", (160,), (*CHARSET, " "), margin, cell_gap=0.65
    )
    # 20 steps of 8 pixels, 4 a height: `ab` at 0 and 2, a space, `cd` at 16 and 18
    classes = [1, 0, 2, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 3, 0, 4, 0]
    recognizer = Recognizer(spec, Written(*classes), chars)  # type: ignore[arg-type]
    air = margin * 32 / (1 + 2 * margin)  # the crop shows as much more on every side
    polygon = np.array([[air, air], [160 - air, air], [160 - air, 32 - air], [air, 32 - air]], np.float32)
    line = Line(polygon, 1.0, crop=np.zeros((32, 160), np.uint8))
    page = Page(width=160, height=32, lines=(line, line))
    (read,) = recognizer([page])
    assert [part.text for part in read.lines] == ["ab", "cd"] * 2
    left, right = read.lines[:2]
    # borders at (2 + .5 + 1) and (16 + .5 - 1) steps of 8 pixels
    np.testing.assert_allclose(left.polygon[:, 0], [air, 28, 28, air], atol=1e-3)
    np.testing.assert_allclose(right.polygon[:, 0], [124, 160 - air, 160 - air, 124], atol=1e-3)
    assert left.confidence == pytest.approx(0.9) and left.crop is None
    if chars:
        assert right.chars is not None and [char.text for char in right.chars] == ["c", "d"]
        assert right.chars[0].x1 == pytest.approx((2 / 4.5), abs=1e-6)
    assert [whole.text for whole in recognizer.read([line])] == ["ab cd"]
    whole = Recognizer(replace(spec, cell_gap=0.0), Written(*classes))  # type: ignore[arg-type]
    assert [line.text for line in whole([page])[0].lines] == ["ab cd"] * 2
