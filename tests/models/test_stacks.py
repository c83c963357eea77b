"""Letters that stand one below the other become one line, and columns of tables do not."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from models.bundle import load_bundle
from models.options import DEFAULTS
from models.reader import Reader, recognizer, rectifier
from models.records import Image, Line, Page
from models.stacks import find_stacks, join_stacks, lay_out, split


def box(x: float, y: float, width: float, height: float = 30) -> Line:
    polygon = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    return Line(np.array(polygon, np.float32), 1.0, crop=np.zeros((int(height), int(width)), np.uint8))


STACK = [box(100 + 5 * (i % 2), 40 * i, 20 + 4 * (i % 3)) for i in range(5)]
TITLE = box(300, 20, 400, 36)


@pytest.mark.parametrize(
    ("others", "found"),
    [
        pytest.param([], 1, id="alone"),
        pytest.param([TITLE], 1, id="a word beside one letter"),
        pytest.param([box(100 + x, 40 * i, 24) for x in (150, 300) for i in range(5)], 3, id="stacks"),
        pytest.param([box(300, 40 * i, 200) for i in range(5)], 0, id="first column of a list"),
        pytest.param([box(160, 40 * i, 22) for i in range(5)], 0, id="a dense table of digits"),
    ],
)  # fmt: skip
def test_letters_of_a_stack_have_nothing_like_them_beside(others: list[Line], found: int) -> None:
    lines = [*others, *reversed(STACK)]
    stacks = find_stacks(lines)
    assert len(stacks) == found
    if found:
        assert [lines[i] for i in max(stacks)] == STACK


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="nothing"),
        pytest.param(STACK[:2], id="two"),
        pytest.param([box(100, 60 * i, 20) for i in range(5)], id="far apart"),
        pytest.param([box(100 + 15 * i, 40 * i, 20) for i in range(5)], id="slanting"),
        pytest.param([box(100, 40 * i, 60) for i in range(5)], id="words"),
        pytest.param([box(100, 40 * i, 20, 60 if i % 2 else 30) for i in range(5)], id="of many sizes"),
    ],
)
def test_what_is_no_stack(lines: list[Line]) -> None:
    assert find_stacks(lines) == []


def test_letters_that_were_turned_are_no_stack() -> None:
    turned = [Line(np.roll(line.polygon, -1, axis=0), 1.0, crop=line.crop) for line in STACK]
    assert find_stacks(turned) == []


def test_a_stack_is_one_line_that_runs_downwards() -> None:
    page = join_stacks(Page(width=999, height=999, lines=(*STACK[2:], TITLE, *STACK[:2])))
    title, stack = page.lines
    assert title is TITLE
    assert stack.polygon.tolist() == [[129, 0], [129, 190], [100, 190], [100, 0]]
    assert stack.crop is not None and stack.crop.shape == (30, sum(20 + 4 * (i % 3) for i in range(5)))


def test_letters_of_a_region_are_told_by_the_paper_between_them() -> None:
    crop = np.full((140, 40), 230, np.uint8)
    for top, left, right in ((10, 10, 30), (50, 18, 22), (90, 5, 35)):
        crop[top : top + 30, left:right] = 20
    crop[5:8, 18:22] = 20  # a dot above the first
    for pixels in (crop, 255 - crop, cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR)):
        letters = split(np.ascontiguousarray(pixels))
        assert [letter.shape[:2] for letter in letters] == [(41, 26), (36, 10), (36, 36)]
        assert lay_out(letters).shape[:2] == (41, 72)
    assert split(crop[:80]) == []
    assert split(np.full((90, 30), 200, np.uint8)) == []


def printed(texts: Sequence[tuple[str, int, int, int]], size: tuple[int, int]) -> Image:
    sheet = PillowImage.new("L", size, 255)
    pen = ImageDraw.Draw(sheet)
    for text, x, y, height in texts:
        pen.text((x, y), text, 0, font=ImageFont.load_default(height), anchor="ma")
    return np.asarray(cv2.cvtColor(np.asarray(sheet), cv2.COLOR_GRAY2BGR), np.uint8)


def stacked(word: str, x: int, y: int, pitch: int) -> list[tuple[str, int, int, int]]:
    return [(letter, x, y + pitch * i, 36) for i, letter in enumerate(word)]


TITLES = [("Register of the harbour", 330, 30, 30), ("Berth 12, north quay", 330, 80, 30)]


@pytest.mark.parametrize("whole", [False, True], ids=["letter by letter", "as one region"])
def test_a_stack_is_read_as_a_word(whole: bool) -> None:
    bundle = load_bundle("latin")
    image = printed([*TITLES, *stacked("MARKET", 100, 150, 44)], (600, 450))
    ink = [box(330 - 200, 30, 400, 40), box(330 - 200, 80, 400, 40)]
    letters = [box(82, 152 + 44 * i, 36, 38) for i in range(6)]
    found = [box(80, 150, 40, 6 * 44)] if whole else letters
    (page,) = rectifier(bundle)([Page(width=600, height=450, image=image, lines=(*ink, *found))])
    (read,) = recognizer(bundle, DEFAULTS)([page])
    assert [line.text for line in read.lines] == [title[0] for title in TITLES] + ["MARKET"]
    assert np.ptp(read.lines[-1].polygon, axis=0).tolist() == ([40, 264] if whole else [36, 258])


def test_words_that_run_up_or_down_among_others_are_read() -> None:
    image = printed(TITLES, (600, 450))
    for x, turns in ((60, 1), (500, -1)):
        label = np.rot90(printed([("Rate", 40, 4, 30)], (80, 44)), turns)
        image[200:280, x : x + 44] = label
    page = Reader(load_bundle("latin")).read(image)
    assert sorted(line.text for line in page.lines) == sorted(
        [*(title[0] for title in TITLES), "Rate", "Rate"]
    )
    up, down = sorted(
        (line for line in page.lines if line.text == "Rate"), key=lambda line: line.polygon[0, 0]
    )
    assert up.polygon[0, 1] > up.polygon[1, 1] and down.polygon[0, 1] < down.polygon[1, 1]
    assert [line.text for line in page.lines[:2]] == [title[0] for title in TITLES]
