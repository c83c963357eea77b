"""The bundle `chinese` on drawn characters of few strokes: no font of this machine need have any."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from models.bundle import list_bundles, load_bundle
from models.reader import Reader

BOX = [(0, 0, 0, 8), (8, 0, 8, 8), (0, 0, 8, 0), (0, 8, 8, 8)]
STROKES = {
    "口": BOX,
    "日": [*BOX, (0, 4, 8, 4)],
    "田": [*BOX, (0, 4, 8, 4), (4, 0, 4, 8)],
    "中": [(0, 2, 8, 2), (0, 2, 0, 6), (8, 2, 8, 6), (0, 6, 8, 6), (4, 0, 4, 10)],
    "王": [(0, 0, 8, 0), (1, 4, 7, 4), (0, 8, 8, 8), (4, 0, 4, 8)],
    "工": [(0, 0, 8, 0), (0, 8, 8, 8), (4, 0, 4, 8)],
    "山": [(0, 3, 0, 8), (4, 0, 4, 8), (8, 3, 8, 8), (0, 8, 8, 8)],
    "十": [(0, 4, 8, 4), (4, 0, 4, 9)],
    "正": [(0, 0, 8, 0), (4, 0, 4, 8), (4, 4, 7, 4), (1, 4, 1, 8), (0, 8, 8, 8)],
}
"""Strokes (x, y, x, y) of characters in a square of 8."""
ROWS = ["中山王口", "田工十日正", "正中日山工王", "口田中十"]


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(load_bundle("chinese"))


def draw(page: np.ndarray, text: str, x: float, y: float, unit: float, down: bool = False) -> None:
    """Draws a text whose characters are 8 units high and 11 apart."""
    for number, char in enumerate(text):
        left, top = (x, y + 11 * unit * number) if down else (x + 11 * unit * number, y)
        for x0, y0, x1, y1 in STROKES[char]:
            ends = [(round(left + unit * a), round(top + unit * b)) for a, b in ((x0, y0), (x1, y1))]
            cv2.line(page, ends[0], ends[1], (20, 20, 20), max(2, round(unit * 0.8)), cv2.LINE_AA)


@pytest.mark.parametrize("unit", [3.0, 5.0])
def test_characters_are_read_without_spaces_between_them(reader: Reader, unit: float) -> None:
    page = np.full((round(100 * unit), round(120 * unit), 3), 255, np.uint8)
    for row, text in enumerate(ROWS):
        draw(page, text, 12 * unit, (10 + 22 * row) * unit, unit)
    lines = [line.text for line in reader.read(page).lines]
    assert len(lines) == len(ROWS)
    right = sum((Counter(a) & Counter(b)).total() for a, b in zip(lines, ROWS, strict=True))
    assert right >= 0.8 * sum(map(len, ROWS))
    assert not any(" " in line for line in lines)


def test_columns_are_read_from_right_to_left(reader: Reader) -> None:
    page = np.full((460, 420, 3), 255, np.uint8)
    texts = ["正中日山工王", "田工十日正中", "中山王口田工"]
    for column, text in enumerate(texts):
        draw(page, text, 320 - 110 * column, 30, 5.0, down=True)
    lines = reader.read(page).lines
    assert len(lines) == len(texts)
    middles = [line.polygon[:, 0].mean() for line in lines]
    assert middles == sorted(middles, reverse=True)


def test_latin_print_is_read_too(reader: Reader) -> None:
    image = PilImage.new("L", (700, 200), 255)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(30)
    for row, text in enumerate(("Invoice No. 4711", "Total amount 12.50")):
        pen.text((30, 30 + 70 * row), text, fill=0, font=font)
    read = reader.read(np.array(image.convert("RGB"))).text
    assert Counter(read.split()) == Counter(["Invoice", "No.", "4711", "Total", "amount", "12.50"])


def test_the_bundle_is_one_of_the_package_and_as_small_as_the_papers() -> None:
    assert "chinese" in list_bundles()
    bundle = load_bundle("chinese")
    paths = {bundle.model_path(spec) for spec in bundle.manifest.models}
    paths |= {path for path in bundle.folder.iterdir() if path.is_file()}
    assert sum(path.stat().st_size for path in paths) <= 3_500_000
    assert len(bundle.manifest.recognition.charset) > 6_600
