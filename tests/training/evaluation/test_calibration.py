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


def only(label: str, read: str, fold: bool = False) -> ReadLine:
    (found,) = compare([Text(box(0), label)], [line(read)], fold).lines
    return found


@pytest.mark.parametrize(
    ("label", "read", "fold", "right", "whole"),
    [
        pytest.param("a b", "ab", False, [1, 1], True, id="a space that is left out"),
        pytest.param("abc", "a bx", False, [1, 1, 1, 0], False, id="a wrong character"),
        pytest.param("abc", "abcd", False, [1, 1, 1, 0], False, id="one too many"),
        pytest.param("abcd", "bc", False, [1, 1], None, id="a part"),
        pytest.param("abcd", "ad", False, [1, 1], False, id="what is no part"),
        pytest.param("ABC", "abc", True, [1, 1, 1], True, id="without case"),
        pytest.param("ABC", "abc", False, [0, 0, 0], False, id="with case"),
    ],
)
def test_characters_are_compared(
    label: str, read: str, fold: bool, right: list[int], whole: bool | None
) -> None:
    found = only(label, read, fold)
    assert found.right is not None
    assert (found.right.astype(int).tolist(), found.whole) == (right, whole)


def test_what_matches_no_label_says_nothing_and_what_need_not_be_read_is_left_out() -> None:
    labels = [Text(box(0), "one word"), Text(box(20), DONT_CARE)]
    page = compare(labels, [line("noise", 20), line("more", 40)])
    assert page.words == Counter(["one", "word"])
    assert [(each.words, each.right, each.whole) for each in page.lines] == [(("more",), None, None)]


def made(scale: float, shift: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Characters that are right as often as the two values say."""
    chance = np.random.default_rng(5)
    sure = chance.uniform(0.05, 0.99, count).astype(np.float32)
    return sure, chance.random(count) < ctc.calibrated(sure, scale, shift)


def test_scale_and_shift_are_found_and_take_the_error_away() -> None:
    sure, right = made(0.6, -0.8)
    scale, shift = platt([(sure, right)])
    assert (scale, shift) == (pytest.approx(0.6, abs=0.05), pytest.approx(-0.8, abs=0.05))
    assert expected_error(sure, right) > 0.1
    assert expected_error(ctc.calibrated(sure, scale, shift), right) < 0.02


def test_each_set_counts_as_much() -> None:
    often, seldom = made(1.0, 1.0, 40_000), made(1.0, -1.0, 4_000)
    _, shift = platt([often, seldom])
    assert abs(shift) < 0.15


def test_without_mistakes_or_characters_little_or_nothing_changes() -> None:
    assert platt([]) == (1.0, 0.0)
    scale, shift = platt([(np.full(50, 0.99, np.float32), np.ones(50, bool))])
    assert np.isfinite([scale, shift]).all()
    assert ctc.calibrated(np.array([0.99], np.float32), scale, shift)[0] > 0.99


def read_line(sure: float, right: bool, word: str) -> ReadLine:
    return ReadLine((word,), np.full(4, sure, np.float32), np.full(4, right), right)


@pytest.fixture
def pages() -> list[ReadPage]:
    """Each page has 40 right words, 8 wrong ones that are less sure, and 5 finds of no text, surely none."""
    chance = np.random.default_rng(3)
    found = []
    for number in range(5):
        words = [f"{number}-{i}" for i in range(40)]
        lines = [read_line(chance.uniform(0.7, 1), True, word) for word in words]
        lines += [read_line(chance.uniform(0.5, 0.8), False, "wrong") for _ in range(8)]
        lines += [ReadLine(("leaf",), np.full(3, 0.3, np.float32)) for _ in range(5)]
        found.append(ReadPage(Counter(words), tuple(lines)))
    return found


def test_thresholds_drop_what_is_no_text_and_mark_few_right_lines(pages: list[ReadPage]) -> None:
    before = replace(SPEC, min_confidence=0.0)
    after = calibrate({"made": pages, "the same": pages}, before)
    was, now = measure(pages, before), measure(pages, after)
    assert now.words > was.words
    assert now.error < was.error
    assert now.marked <= RIGHT_MARKED
    assert now.caught > 0.3  # of what is left: the least sure are dropped
    assert after.calibrated
    higher = replace(after, review_threshold=after.review_threshold + 0.02)
    assert measure(pages, higher).marked > RIGHT_MARKED


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
