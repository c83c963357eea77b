from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from training.evaluation.scoring import Score, Text, has_case, read_expected, score


def box(x: float, y: float, text: str = "word", width: float = 100, height: float = 20) -> Text:
    return Text([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], text)


@pytest.mark.parametrize(
    ("labels", "readings", "detection", "end_to_end", "words"),
    [
        ([box(0, 0)], [box(0, 0)], 1, 1, 1),
        ([box(0, 0)], [], 0, 0, 0),  # nothing read
        ([], [box(0, 0)], 0, 0, 0),  # nothing to read
        ([], [], 0, 0, 0),
        ([box(0, 0)], [box(33, 0)], 1, 1, 1),  # 67 / 133 is just over one half
        ([box(0, 0)], [box(34, 0)], 0, 0, 1),  # 66 / 134 is just under; the words count all the same
        ([box(0, 0, "one")], [box(0, 0, "two")], 1, 0, 0),
        ([box(0, 0, "a  b")], [box(0, 0, " a b ")], 1, 1, 1),  # runs of spaces do not count
        ([box(0, 0, "a a")], [box(0, 0, "a")], 1, 0, 2 / 3),  # a bag: one of two words
        ([box(0, 0)], [box(0, 0), box(1, 0)], 2 / 3, 2 / 3, 2 / 3),  # found twice, matched once
        ([box(0, 0, "a"), box(0, 50, "b")], [box(0, 0, "a b", height=70)], 0, 0, 1),  # two lines read as one
        ([box(0, 0, "###"), box(0, 50)], [box(0, 50), box(10, 0)], 1, 1, 1),  # inside a don't-care
        ([box(0, 0, "###"), box(0, 50)], [box(0, 50), box(60, 0)], 2 / 3, 2 / 3, 2 / 3),  # mostly outside
    ],
)  # fmt: skip
def test_score(
    labels: list[Text], readings: list[Text], detection: float, end_to_end: float, words: float
) -> None:
    result = score({"image": labels}, {"image": readings})
    assert (result.detection, result.end_to_end, result.words) == pytest.approx(
        (detection, end_to_end, words)
    )


def test_labels_without_places_are_scored_by_their_words(tmp_path: Path) -> None:
    path = tmp_path / "expected.json"
    path.write_text('{"a.png": [["one two"], ["second page"]], "b.pdf": []}')
    labels = read_expected(path)
    assert labels == {"a.png": [Text((), "one two")]}
    assert score(labels, {"a.png": [box(0, 0, "two"), box(0, 50, "three")]}) == Score(None, None, 0.5, None)


def test_case_counts_unless_folded() -> None:
    labels, readings = {"a": [box(0, 0, "TOTAL")]}, {"a": [box(0, 0, "Total")]}
    assert score(labels, readings).end_to_end == 0
    assert score(labels, readings, fold=True).end_to_end == 1


def test_image_that_was_not_read_counts_as_blank() -> None:
    result = score({"a": [box(0, 0)], "b": [box(0, 0)]}, {"a": [box(0, 0)], "c": [box(0, 0)]})
    assert result.detection == pytest.approx(2 / 3)


def test_similarity_is_that_of_matched_regions() -> None:
    labels = {"a": [box(0, 0, "abcd"), box(0, 50, "xy"), box(0, 100, "missed")]}
    readings = {"a": [box(0, 0, "abcx"), box(0, 50, "xy")]}
    assert score(labels, readings).similarity == pytest.approx((3 / 4 + 1) / 2)


def test_best_overlap_is_matched_first() -> None:
    labels = {"a": [box(0, 0, "left"), box(30, 0, "right")]}
    readings = {"a": [box(28, 0, "right")]}
    assert score(labels, readings).end_to_end == pytest.approx(2 / 3)


def pages(seed: int, images: int = 6) -> tuple[dict[str, list[Text]], dict[str, list[Text]]]:
    """Labels on a grid, far apart, and readings of them: shifted, misspelt, missing or made up."""
    draw = random.Random(seed)
    truth: dict[str, list[Text]] = {}
    read: dict[str, list[Text]] = {}
    for image in (f"{i}.png" for i in range(images)):
        truth[image] = []
        read[image] = []
        for row in range(draw.randrange(8)):
            words = " ".join(
                draw.choice(["ab", "Ab", "cd", "12.50", "###"]) for _ in range(draw.randint(1, 3))
            )
            text = "###" if "###" in words else words
            truth[image].append(box(0, 40 * row, text))
            if draw.random() < 0.8:
                said = text if draw.random() < 0.7 and text != "###" else "cd Ab"
                read[image].append(box(draw.randint(0, 60), 40 * row, said))
    return truth, read


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("fold", [False, True])
def test_score_agrees_with_counting_by_hand(seed: int, fold: bool) -> None:
    """Rows are far apart, so that a label and its reading are the only candidates for each other."""
    truth, read = pages(seed)
    found = right = labels = readings = 0
    shared_words = words = 0
    for image, texts in truth.items():
        rows = {text.corners[0][1]: text for text in texts}
        expected: Counter[str] = Counter()
        got: Counter[str] = Counter()
        for text in texts:
            if text.text != "###":
                labels += 1
                expected.update((text.text.upper() if fold else text.text).split())
        for reading in read[image]:
            shift = reading.corners[0][0]
            label = rows[reading.corners[0][1]]
            if label.text == "###" and shift < 50:
                continue
            readings += 1
            got.update((reading.text.upper() if fold else reading.text).split())
            if label.text != "###" and (100 - shift) / (100 + shift) >= 0.5:
                found += 1
                right += reading.text == label.text or (fold and reading.text.upper() == label.text.upper())
        shared_words += sum(min(count, got[word]) for word, count in expected.items())
        words += sum(expected.values()) + sum(got.values())
    result = score(truth, read, fold)
    assert result.detection == pytest.approx(2 * found / (labels + readings))
    assert result.end_to_end == pytest.approx(2 * right / (labels + readings))
    assert result.words == pytest.approx(2 * shared_words / words)


@pytest.mark.skipif(
    "PPOCR_BEAM_SCORER" not in os.environ, reason="no other scorer named in PPOCR_BEAM_SCORER"
)
@pytest.mark.parametrize("seed", range(5))
def test_score_agrees_with_another_scorer(seed: int, tmp_path: Path) -> None:
    truth, read = pages(seed, images=20)
    for name, texts in [("truth", truth), ("read", read)]:
        rows = [
            {"image": image, "lines": [{"poly": text.corners, "text": text.text} for text in lines]}
            for image, lines in texts.items()
        ]
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    command = [
        sys.executable,
        os.environ["PPOCR_BEAM_SCORER"],
        str(tmp_path / "truth"),
        str(tmp_path / "read"),
    ]
    other = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    result = score(truth, read)
    expected = (other["det_h"], other["e2e_h"], other["word_f1"], other["ned"])
    assert (result.detection, result.end_to_end, result.words, result.similarity) == pytest.approx(
        expected, abs=1e-4
    )


@pytest.mark.parametrize(("text", "expected"), [("TOTAL 1.50", False), ("Total", True), ("", False)])
def test_labels_without_lower_case_kept_no_case(text: str, expected: bool) -> None:
    assert has_case({"a": [box(0, 0, text)]}) is expected
