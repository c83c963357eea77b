from __future__ import annotations

from pathlib import Path

import pytest

from models.records import UsageError
from training.data.labels import LabelledImage, Region
from training.evaluation.coco import average_precision
from training.evaluation.lines import LineScore, line_scores
from training.evaluation.readings import Reading, load_readings, save_readings, texts_of, truth_of
from training.evaluation.scoring import Text
from training.evaluation.sheet import differences


def box(x: float, y: float, width: float = 100, height: float = 20) -> list[list[float]]:
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]


def test_readings_survive_the_file(tmp_path: Path) -> None:
    readings = {"a.jpg": [Reading(box(1, 2), "Größe “7”", 0.5)], "b.jpg": []}
    save_readings(readings, tmp_path / "read.jsonl")
    assert load_readings(tmp_path / "read.jsonl") == readings


def test_image_names_lose_their_folders_and_scores_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "read.jsonl"
    path.write_text(
        '{"image": "images/a.jpg", "lines": [{"poly": [[0, 0], [1, 0], [1, 1]], "text": "x"}]}\n\n'
    )
    assert load_readings(path) == {"a.jpg": [Reading([[0, 0], [1, 0], [1, 1]], "x", 1.0)]}


@pytest.mark.parametrize("row", ["[]", "{", '{"image": "a"}', '{"image": "a", "lines": [{"text": "x"}]}'])
def test_broken_predictions_are_named_by_line(row: str, tmp_path: Path) -> None:
    path = tmp_path / "read.jsonl"
    path.write_text('{"image": "a.jpg", "lines": []}\n' + row + "\n")
    with pytest.raises(UsageError, match=r"read\.jsonl:2 is not an image with its lines"):
        load_readings(path)


def test_regions_that_nobody_need_read_become_dont_cares() -> None:
    regions = (Region("*", ((0, 0), (9, 0), (9, 4), (0, 4)), ignored=True), Region("whole image"))
    assert truth_of([LabelledImage(Path("x/a.jpg"), regions)]) == {"a.jpg": [Text(regions[0].polygon, "###")]}


def test_images_of_one_name_are_refused() -> None:
    images = [LabelledImage(Path(folder, "a.jpg"), ()) for folder in ("x", "y")]
    with pytest.raises(UsageError, match=r"another image of the set has that name"):
        truth_of(images)


@pytest.mark.parametrize(
    ("read", "ap50", "ap75"),
    [
        pytest.param([(box(0, 0), 0.9), (box(0, 100), 0.8)], 1, 1, id="all"),
        pytest.param([(box(0, 0), 0.9)], 51 / 101, 51 / 101, id="one of two: recall of 0 to .5 reached"),
        pytest.param([(box(0, 0), 0.9), (box(0, 100, height=32), 0.8)], 1, 51 / 101, id="tall: IoU .625"),
        pytest.param([(box(300, 0), 0.95), (box(0, 0), 0.9), (box(0, 100), 0.8)], 2 / 3, 2 / 3, id="made up"),
        pytest.param([], 0, 0, id="nothing"),
        pytest.param([(box(0, 0), 0.9), (box(0, 100), 0.8), (box(0, 200), 0.99)], 1, 1, id="on a don't-care"),
    ],
)  # fmt: skip
def test_average_precision(read, ap50: float, ap75: float) -> None:
    truth = {"a": [Text(box(0, 0), "x"), Text(box(0, 100), "y"), Text(box(0, 200), "###")]}
    scores = average_precision(truth, {"a": [Reading(corners, "", score) for corners, score in read]})
    assert (scores["ap50"], scores["ap75"]) == pytest.approx((ap50, ap75), abs=0.01)


def test_line_scores_keep_or_fold_case_and_spaces() -> None:
    scores = line_scores([("Ab c", "Ab c"), ("Ab c", "AB c"), ("Ab c", "Abc"), ("Ab c", "xyz")])
    assert {name: score.exact for name, score in scores.items()} == {
        "as labelled": 0.25,
        "without case": 0.5,
        "without spaces": 0.5,
        "without either": 0.75,
    }
    assert scores["as labelled"].similarity == pytest.approx((1 + 3 / 4 + 3 / 4 + 0) / 4)
    assert line_scores([])["as labelled"] == LineScore(0, 0)


def test_differences_are_wrong_missed_and_extra() -> None:
    labels = [Text(box(0, 0), "same"), Text(box(0, 50), "Wrong"), Text(box(0, 100), "missed")]
    readings = [Text(box(0, 0), "SAME"), Text(box(0, 50), "wring"), Text(box(300, 0), "extra")]
    found = differences(labels, readings, fold=True)
    assert [(d.label and d.label.text, d.reading and d.reading.text) for d in found] == [
        ("Wrong", "wring"),
        ("missed", None),
        (None, "extra"),
    ]
    assert len(differences(labels, readings, fold=False)) == 4
    assert texts_of({"a": [Reading(box(0, 0), "x", 0.1)]}) == {"a": [Text(box(0, 0), "x")]}
