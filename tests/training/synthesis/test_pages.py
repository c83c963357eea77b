from __future__ import annotations

import hashlib
from concurrent.futures import ProcessPoolExecutor
from random import Random

import cv2
import numpy as np
import pytest

from training.synthesis.capture import inside, upside_down
from training.synthesis.fonts import Face, FontBook
from training.synthesis.pages import LAYOUTS, MIX, PageSource
from training.synthesis.scenes import WordCrop
from training.synthesis.sheet import PageLine, Pen, Sheet, join_near, quad_of
from training.synthesis.text import TextSource


def area(quad: np.ndarray) -> float:
    """Positive where the corners go clockwise as seen on the screen (y grows downwards)."""
    following = np.roll(quad, -1, axis=0)
    return float((quad[:, 0] * following[:, 1] - following[:, 0] * quad[:, 1]).sum() / 2)


def digest(charset: tuple[str, ...], faces: list[Face], index: int) -> str:
    page = PageSource(1, charset, faces=faces, longest=480).sample(index)
    content = page.image.tobytes() + b"".join(quad.tobytes() + text.encode() for quad, text in page.lines)
    return hashlib.sha256(content).hexdigest()


def test_a_page_is_decided_by_seed_and_index(charset: tuple[str, ...], faces: list[Face]):
    here = [digest(charset, faces, index) for index in (2, 5, 2)]
    assert here[0] == here[2] != here[1]
    with ProcessPoolExecutor(1) as pool:
        assert pool.submit(digest, charset, faces, 2).result() == here[0]


@pytest.mark.parametrize("kind", MIX)
def test_quads_are_sound_and_texts_within_the_charset(kind: str, charset: tuple[str, ...], faces: list[Face]):
    source, found = PageSource(0, charset, mix={kind: 1}, faces=faces, longest=640), 0
    for index in range(5):
        page = source.sample(index)
        height, width = page.image.shape[:2]
        assert page.kind == kind
        assert page.image.dtype == np.uint8 and page.image.shape[2:] == (3,)
        for quad, text in page.lines:
            assert quad.dtype == np.float32 and quad.shape == (4, 2)
            assert quad.min() >= 0 and quad[:, 0].max() <= width and quad[:, 1].max() <= height
            assert area(quad) > 25
            assert text == " ".join(text.split()) and set(text) <= set(charset)
        found += len(page.lines)
    assert found > (5 if kind == "scene" else 50)


@pytest.mark.parametrize(
    "layout", {each for group in LAYOUTS.values() for each in group}, ids=lambda each: each.__name__
)
def test_quads_hold_the_ink_of_their_lines(layout, charset: tuple[str, ...], book: FontBook):
    sheet = layout(TextSource(charset), book, Random(4))
    print_ = np.maximum(sheet.ink, sheet.light)
    for quad, text in sheet.lines():
        x0, y0, x1, y1 = np.clip(np.array([*quad[0], *quad[2]]).astype(int), 0, None)
        assert print_[y0:y1, x0:x1].max() > 100, text


def test_lines_of_a_sheet_do_not_lie_on_each_other(charset: tuple[str, ...], faces: list[Face]):
    sheet, pen = Sheet(400, 100, Random(0), frozenset(charset)), Pen(faces[0], 20)
    assert sheet.text("first", pen, 20, 40)
    assert sheet.text("second", pen, 20, 42) is None
    assert sheet.text("below", pen, 20, 66)
    assert sheet.text("far beyond the edge of the sheet", pen, 390, 40) is None
    assert [text for _, text in sheet.lines()] == ["first", "below"]


def test_neighbours_join_and_columns_stay_apart():
    boxes = [
        ((60.0, 0.0, 90.0, 10.0), "price"),
        ((0.0, 2.0, 20.0, 12.0), "Total"),
        ((25.0, 0.0, 30.0, 10.0), ":"),
    ]
    assert join_near(boxes, 10) == [((0.0, 0.0, 30.0, 12.0), "Total :"), ((60.0, 0.0, 90.0, 10.0), "price")]


@pytest.mark.parametrize(
    "quad, sound",
    [
        ([[1, 1], [30, 1], [30, 12], [1, 12]], True),
        ([[1, 1], [1, 12], [30, 12], [30, 1]], False),
        ([[-1, 1], [30, 1], [30, 12], [-1, 12]], False),
        ([[1, 1], [130, 1], [130, 12], [1, 12]], False),
        ([[1, 1], [30, 1], [30, 4], [1, 4]], False),
        ([[1, 1], [30, 12], [30, 1], [1, 12]], False),
    ],
    ids=["sound", "counter-clockwise", "left of the picture", "right of it", "a sliver", "crossed"],
)
def test_inside(quad: list[list[float]], sound: bool):
    assert inside(np.array(quad, np.float32), 100, 50) == sound


def test_an_upside_down_page_keeps_where_a_text_begins():
    image = np.zeros((50, 100, 3), np.uint8)
    image[10, 20] = 255
    turned, (line,) = upside_down(image, [PageLine(quad_of((20, 10, 60, 30)), "a")])
    assert turned[39, 79].tolist() == [255] * 3
    assert line.quad.tolist() == [[80, 40], [40, 40], [40, 20], [80, 20]]
    assert area(line.quad) > 0


def test_word_crops_are_pasted_where_their_quads_say(charset: tuple[str, ...], faces: list[Face]):
    crop = WordCrop(np.full((32, 96, 3), (0, 0, 255), np.uint8), "Pasted")
    source = PageSource(0, charset, mix={"scene": 1}, faces=faces, words=[crop] * 6, longest=480)
    pasted = 0
    for index in range(8):
        page = source.sample(index)
        for quad, text in page.lines:
            if text == "Pasted":
                mask = np.zeros(page.image.shape[:2], np.uint8)
                cv2.fillConvexPoly(mask, quad.astype(np.int32), 255)
                blue, green, red, _ = cv2.mean(page.image, cv2.erode(mask, np.ones((5, 5))))
                assert red > max(blue, green) + 40
                pasted += 1
    assert pasted > 3


def test_a_made_page_holds_its_words_but_no_others(charset: tuple[str, ...], faces: list[Face]):
    """Without lines a page would teach nothing; a scene without any is wanted now and then."""
    source = PageSource(3, charset, mix={"scene": 1}, faces=faces, longest=360)
    counts = [len(source.sample(index).lines) for index in range(30)]
    assert max(counts) >= 4
    assert min(counts) <= 1
