from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from benchmarks.report import Row, compared, draw_chart, summarize, table, write_json
from benchmarks.rounds import Result
from training.evaluation.scoring import Score


def result(rate: float, start: float = 1.0) -> Result:
    return Result(rate, start, rate / 2, peak_bytes=int(rate * 100e6), texts={})


OURS = [result(2.0), result(4.0), result(3.0)]
THEIRS = [result(1.0), result(1.0), result(2.0)]  # a drifting machine: 2, 4 and 1.5 times


@pytest.fixture
def rows() -> list[Row]:
    return [
        summarize("ppocr-beam, a", OURS, OURS, 31.7, Score(0.9, 0.8, 0.95, 0.99)),
        summarize("theirs", THEIRS, OURS, 6.2, None),
    ]


def test_ratio_is_taken_within_rounds(rows: list[Row]) -> None:
    assert rows[1].ratio == 2.0
    assert rows[0].ratio == 1.0


def test_medians_and_spread(rows: list[Row]) -> None:
    ours = rows[0]
    assert (ours.rate, ours.slowest, ours.fastest, ours.rate_with_start) == (3.0, 2.0, 4.0, 1.5)
    assert ours.peak_megabytes == 400
    assert (ours.ours, rows[1].ours) == (True, False)


def test_table_has_a_row_an_engine(rows: list[Row]) -> None:
    printed = table(rows).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed]
    assert cells[2] == [
        "ppocr-beam, a",
        "3.00 (2.00 to 4.00)",
        "1.00 x",
        "1.0",
        "1.50",
        "0.950",
        "0.800",
        "31.7",
        "400",
    ]
    assert cells[3][0] == "theirs"
    assert cells[3][5:7] == ["-", "-"]
    assert {len(row) for row in cells[:4]} == {9}


def test_the_limit_is_compared_within_rounds() -> None:
    said = compared(OURS, bare=[4.0, 5.0, 3.0])
    assert said.endswith("4.00 images/s; ours is 80% of it (50% to 100%).")


def test_json_holds_what_the_table_says(rows: list[Row], tmp_path: Path) -> None:
    write_json(rows, [4.0], "3 images", tmp_path / "b.json")
    content = json.loads((tmp_path / "b.json").read_text())
    assert content["about"] == "3 images"
    assert content["inference_alone_images_per_second"] == [4.0]
    assert [engine["rate"] for engine in content["engines"]] == [3.0, 1.0]
    assert content["engines"][0]["score"]["words"] == 0.95
    assert content["machine"]["cpu"]


def test_bars_are_as_long_as_the_rates(rows: list[Row], tmp_path: Path) -> None:
    draw_chart(rows, "3 images", tmp_path / "b.png")
    picture = cv2.imread(str(tmp_path / "b.png"))
    assert picture is not None
    blue = (picture == (0xCC, 0x66, 0x22)).all(axis=2).sum(axis=1).max()
    grey = (picture == (0xC8, 0xBE, 0xB8)).all(axis=2).sum(axis=1).max()
    assert blue / grey == pytest.approx(3.0, rel=0.02)
