from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import ctc
from models.bundle import RecognitionSpec, load_bundle
from models.records import Char, Line
from tests.builders import tiny_bundle
from training.evaluation.calibration import (
    RIGHT_MARKED,
    ReadLine,
    ReadPage,
    calibrate,
    compare,
    expected_error,
    measure,
    platt,
    write_calibrated,
)
from training.evaluation.scoring import DONT_CARE, Text

SPEC = RecognitionSpec("", "", "gray", (0.5,), (0.5,))


def box(top: float) -> list[list[float]]:
    return [[0, top], [80, top], [80, top + 10], [0, top + 10]]


def line(text: str, top: float = 0) -> Line:
    chars = tuple(Char(char, 0.9, 0, 1) for char in text)
    return Line(np.array(box(top), np.float32), 1.0, text=text, confidence=0.9, chars=chars)


@pytest.mark.parametrize(
    ("label", "read", "fold", "right"),
    [
        pytest.param("a b", "ab", False, True, id="a space that is left out"),
        pytest.param("abc", "a bx", False, False, id="a wrong character"),
        pytest.param("abc", "abcd", False, False, id="one too many"),
        pytest.param("abcd", "bc", False, None, id="a part"),
        pytest.param("abcd", "ad", False, False, id="what is no part"),
        pytest.param("ABC", "abc", True, True, id="without case"),
        pytest.param("ABC", "abc", False, False, id="with case"),
    ],
)
def test_lines_are_compared(label: str, read: str, fold: bool, right: bool | None) -> None:
    (found,) = compare([Text(box(0), label)], [line(read)], fold).lines
    assert found.right is right


def test_what_matches_no_label_says_nothing_and_what_need_not_be_read_is_left_out() -> None:
    labels = [Text(box(0), "one word"), Text(box(20), DONT_CARE)]
    page = compare(labels, [line("noise", 20), line("more", 40)])
    assert page.words == Counter(["one", "word"])
    assert [(each.words, each.right) for each in page.lines] == [(("more",), None)]


def made(scale: float, shift: float, count: int = 10_000) -> list[ReadLine]:
    """Lines of one character that are right as often as the two values say."""
    dice = np.random.default_rng(5)
    lines = []
    for sure in dice.uniform(0.05, 0.99, count):
        right = dice.random() < ctc.chance(sure, scale, shift)
        lines.append(ReadLine(("x",), np.array([sure], np.float32), bool(right)))
    return lines


def error(lines: list[ReadLine], scale: float, shift: float) -> float:
    sure = np.array([ctc.chance(float(line.probabilities[0]), scale, shift) for line in lines])
    return expected_error(sure, np.array([bool(line.right) for line in lines]))


def test_scale_and_shift_are_found_and_take_the_error_away() -> None:
    lines = made(0.6, -0.8)
    scale, shift = platt([lines])
    assert (scale, shift) == (pytest.approx(0.6, abs=0.05), pytest.approx(-0.8, abs=0.05))
    assert error(lines, 1.0, 0.0) > 0.1
    assert error(lines, scale, shift) < 0.03


def test_each_set_counts_as_much() -> None:
    _, shift = platt([made(1.0, 1.0, 10_000), made(1.0, -1.0, 1_000)])
    assert abs(shift) < 0.2


def test_they_are_found_where_nearly_all_lines_are_very_sure() -> None:
    """From there Newton's whole steps lead away."""
    sure, less = ([ReadLine(("x",), np.full(1, p, np.float32), right) for right in rights] for p, rights in (
        (0.99999, [True] * 900 + [False] * 60), (0.9, [True] * 20 + [False] * 20),
    ))  # fmt: skip
    scale, shift = platt([sure + less])
    assert 0.1 < scale < 1
    assert ctc.chance(0.9, scale, shift) == pytest.approx(0.5, abs=0.1)
    assert ctc.chance(0.99999, scale, shift) == pytest.approx(900 / 960, abs=0.02)


def test_without_mistakes_or_lines_little_or_nothing_changes() -> None:
    assert platt([]) == (1.0, 0.0)
    scale, shift = platt([[ReadLine(("x",), np.full(1, 0.99, np.float32), True)] * 50])
    assert np.isfinite([scale, shift]).all()
    assert ctc.chance(0.99, scale, shift) > 0.99


def read_line(sure: float, right: bool | None, word: str) -> ReadLine:
    return ReadLine((word,), np.full(4, sure, np.float32), right)


@pytest.fixture
def pages() -> list[ReadPage]:
    """Each page has 40 right words, 8 wrong ones that are less sure, and 5 finds of no text, surely none."""
    dice = np.random.default_rng(3)
    found = []
    for number in range(5):
        words = [f"{number}-{i}" for i in range(40)]
        lines = [read_line(dice.uniform(0.8, 1), True, word) for word in words]
        lines += [read_line(dice.uniform(0.65, 0.85), False, "wrong") for _ in range(8)]
        lines += [read_line(0.3, None, "leaf") for _ in range(5)]
        found.append(ReadPage(Counter(words), tuple(lines)))
    return found


def test_thresholds_drop_what_is_no_text_and_mark_few_right_lines(pages: list[ReadPage]) -> None:
    before = replace(SPEC, min_confidence=0.0)
    after = calibrate({"made": pages, "the same": pages}, before)
    was, now = measure(pages, before), measure(pages, after)
    assert 0.3 < after.min_confidence <= 0.8  # from which all right words are
    assert now.words > was.words
    assert now.error < was.error
    assert now.marked <= RIGHT_MARKED
    higher = replace(after, review_threshold=after.review_threshold + 0.02)
    assert measure(pages, higher).marked > RIGHT_MARKED
    assert now.caught > measure(pages, replace(after, review_threshold=after.review_threshold - 0.2)).caught


def test_a_given_threshold_stays(pages: list[ReadPage]) -> None:
    assert calibrate({"made": pages}, SPEC, 0.4).min_confidence == 0.4


def test_no_threshold_is_0_which_would_switch_marks_off() -> None:
    lines = (read_line(0.5, True, "x"), *[read_line(0.5, False, "y")] * 999)
    assert calibrate({"hardly read": [ReadPage(Counter(["x"]), lines)]}, SPEC, 0.0).review_threshold == 0.01


def test_the_mean_of_sets_counts_for_thresholds(pages: list[ReadPage]) -> None:
    sure = [ReadPage(Counter(["x"] * 40), (read_line(0.995, True, "x"),) * 40)]
    alone, beside = calibrate({"a": pages}, SPEC), calibrate({"a": pages, "b": sure}, SPEC)
    marked = [measure(pages, spec).marked for spec in (alone, beside)]
    assert marked[0] <= RIGHT_MARKED < marked[1] <= 2 * RIGHT_MARKED


def test_a_copy_has_the_values_and_nothing_else_is_changed(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "old")
    before = load_bundle(tmp_path / "old")
    spec = replace(before.manifest.recognition, confidence_scale=0.5, review_threshold=0.7)
    after = write_calibrated(tmp_path / "old", spec, tmp_path / "new")
    assert after.manifest == replace(before.manifest, recognition=spec)
    assert after.id != before.id
    assert (
        json.loads((tmp_path / "new" / "manifest.json").read_text())["recognition"]["review_threshold"] == 0.7
    )
