"""The default bundle on pages whose shape, or whose letters' size, is out of the ordinary."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont
from rapidfuzz.distance import Levenshtein

from models.bundle import load_bundle
from models.limits import Limits
from models.reader import Reader

ROWS = ["Planet", "Mountain", "Guard", "Reader", "Painter", "Yellow", "Garden", "Market", "Owner", "Judge"]
"""What the rows of tables begin with."""


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(load_bundle("latin"))


def drawn(size: tuple[int, int], height: int, texts: dict[tuple[int, int], str]) -> PilImage.Image:
    """A white page with texts at (x, y), in letters of this size; all in pixels."""
    image = PilImage.new("L", size, 255)
    PilImage.MAX_IMAGE_PIXELS = None  # decoding sets it, and large letters are pictures too
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(height)
    for place, text in texts.items():
        draw.text(place, text, fill=0, font=font)
    return image


def words(reader: Reader, image: PilImage.Image) -> Counter[str]:
    return Counter(reader.read(np.array(image.convert("RGB"))).text.split())


def test_a_long_receipt_is_read_to_its_end(reader: Reader) -> None:
    texts = {(30, 40 + 150 * row): f"Item {10 + row} of the receipt" for row in range(36)}
    expected = Counter(" ".join(texts.values()).split())
    got = words(reader, drawn((576, 5400), 24, texts))
    assert (got & expected).total() >= 0.97 * expected.total()


@pytest.mark.parametrize("across", [False, True])
def test_a_long_screenshot_is_read_to_its_end(reader: Reader, across: bool) -> None:
    places = [(30 + 7200 * k, 500) if across else (30, 30 + 7400 * k) for k in range(5)]
    page = drawn((30_000, 1200) if across else (1200, 30_000), 60, dict.fromkeys(places, "HELLO WORLD"))
    assert words(reader, page) == Counter(HELLO=5, WORLD=5)


def test_small_letters_of_a_large_drawing_are_read(reader: Reader) -> None:
    numbers = {(x, y): 10 * x + y for x in range(1, 7) for y in range(1, 9)}
    places = {(1200 * x, 650 * y): f"Hall {number}" for (x, y), number in numbers.items()}
    lines = reader.read(np.array(drawn((8000, 6000), 42, places).convert("RGB"))).lines
    corners = [line.polygon.min(0) / (1200, 650) for line in lines]
    found = {
        (round(x), round(y)): line.text.replace(" ", "") for line, (x, y) in zip(lines, corners, strict=True)
    }
    assert len(lines) == len(found) and set(found) == set(numbers)
    right = [Levenshtein.normalized_similarity(f"Hall{numbers[at]}", text) for at, text in found.items()]
    assert sum(right) / len(right) >= 0.97  # spaces are another matter


@pytest.mark.parametrize("height", [90, 200, 400])
def test_letters_that_fill_the_picture_are_read(reader: Reader, height: int) -> None:
    texts = {(height // 3, height // 3): "Market", (height // 3, 5 * height // 3): "Station"}
    page = drawn((9 * height // 2, 3 * height), height, texts)
    assert words(reader, page) == Counter(["Market", "Station"])


@pytest.mark.parametrize("turns", [1, 3])
def test_lone_digits_of_a_table_on_its_side_are_read(reader: Reader, turns: int) -> None:
    texts = {(60, 120 + 54 * y): f"{name} {y}" for y, name in enumerate(ROWS)}
    texts |= {
        (280 + 76 * x, 120 + 54 * y): str((3 * x + 7 * y) % 10) for x in range(12) for y in range(len(ROWS))
    }
    expected = Counter(" ".join(texts.values()).split())
    page = np.array(drawn((1240, 860), 27, texts | {(60, 40): "Cases by month and ward"}).convert("RGB"))
    got = Counter(reader.read(np.ascontiguousarray(np.rot90(page, turns))).text.split())
    assert (got & expected).total() >= 0.95 * expected.total()


@pytest.mark.parametrize("turns", range(4))
def test_columns_of_digits_are_no_lines(reader: Reader, turns: int) -> None:
    texts = {(60, 60 + 54 * y): name for y, name in enumerate(ROWS)}
    texts |= {(300 + 90 * x, 60 + 54 * y): str((3 * x + 7 * y) % 10) for x in range(9) for y in range(10)}
    page = np.array(drawn((1200, 860), 26, texts).convert("RGB"))
    got = Counter(reader.read(np.ascontiguousarray(np.rot90(page, turns))).text.split())
    assert (got & Counter(texts.values())).total() >= 0.97 * len(texts)
    assert got.total() <= len(texts)


def test_a_long_jpeg_keeps_its_width() -> None:
    assert Limits().reduction(1000, 30_000) == 1
    assert Limits().reduction(20_000, 30_000) == 4
