from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from models.bundle import load_bundle
from models.ctc import Reading
from models.geometry import grow, inset
from models.options import ReadOptions
from models.reader import Reader
from models.records import Image, Line
from models.words import AIR, extents, spans

Truth = tuple[Image, list[tuple[str, tuple[int, int, int, int]]]]
"""A page, and its words with where their ink begins and ends: left, top, right, bottom."""

SAID = ["Total amount 12.50", "Thank you for coming", "and see us again"]
HEIGHT = 40
REACH = AIR * HEIGHT
"""Columns that words reach beyond their ink."""


def texts(text: str) -> list[str]:
    return [text[span.start : span.stop] for span in spans(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" ", []),
        ("one", ["one"]),
        ("two words", ["two", "words"]),
        ("  many   spaces ", ["many", "spaces"]),
        ("東京 JR東日本 2024年", ["東", "京", "JR", "東", "日", "本", "2024", "年"]),
        ("ｶﾅ\u3000かな。", ["ｶ", "ﾅ", "か", "な", "。"]),
        ("한국어 문장", ["한국어", "문장"]),
    ],
)
def test_spaces_part_words_and_han_and_kana_part_themselves(text: str, words: list[str]) -> None:
    assert texts(text) == words


def bars(width: int, *inked: tuple[int, int], rule: bool = False) -> Image:
    """A crop 40 pixels high with upright bars of ink, and perhaps a rule along all of it."""
    crop = np.full((HEIGHT, width), 230, np.uint8)
    for begin, end in inked:
        crop[8:32, begin:end] = 20
    if rule:
        crop[30:32] = 20
    return crop


def reading(text: str, *noticed: int) -> Reading:
    return Reading(text, np.ones(len(text), np.float32), np.array(noticed))


def columns(text: str, noticed: tuple[int, ...], crop: Image) -> npt.NDArray[np.float64]:
    """Where words stand, in columns of the crop; each column is a step."""
    width = crop.shape[1]
    return extents(list(spans(text)), reading(text, *noticed), width, crop) * width


@pytest.mark.parametrize("rule", [False, True])
@pytest.mark.parametrize("late", [-8, 0, 8])
def test_words_end_where_their_ink_does_wherever_their_letters_are_noticed(late: int, rule: bool) -> None:
    crop = bars(200, (20, 38), (42, 60), (100, 118), (122, 140), rule=rule)
    noticed = tuple(at + late for at in (29, 51, 80, 109, 131))
    np.testing.assert_allclose(
        columns("ab cd", noticed, crop), [(20 - REACH, 60 + REACH), (100 - REACH, 140 + REACH)], atol=1
    )


def test_what_stands_apart_from_the_line_is_none_of_its_words() -> None:
    crop = bars(200, (0, 6), (40, 60), (62, 82), (190, 200))
    np.testing.assert_allclose(columns("ab", (50, 72), crop), [(40 - REACH, 82 + REACH)], atol=1)


def test_letters_that_touch_are_as_wide_as_the_others() -> None:
    crop = bars(200, (20, 160))
    found = columns("ab cd", (30, 50, 90, 130, 150), crop)
    np.testing.assert_allclose(found, [(20 - REACH, 60 + REACH), (120 - REACH, 160 + REACH)], atol=1)


def test_characters_without_spaces_part_in_the_middle_not_in_their_own_gaps() -> None:
    crop = bars(160, (10, 14), (28, 32), (46, 50), (60, 90), (110, 130))  # like 川 and two others
    found = columns("川日本", (30, 75, 120), crop)
    np.testing.assert_allclose(
        found, [(10 - REACH, 50 + REACH), (60 - REACH, 90 + REACH), (110 - REACH, 130 + REACH)], atol=1
    )


@pytest.mark.parametrize("shape", [(20, 90), (60, 20), (30, 30)])
def test_the_margin_of_a_crop_is_told_by_its_shape(shape: tuple[int, int]) -> None:
    height, width = shape
    polygon = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    grown = grow(polygon, 0.25)
    size = grown[2] - grown[0]
    crop = np.zeros((round(size[1]), round(size[0])), np.uint8)
    assert inset(crop, 0.25) * crop.shape[1] == pytest.approx(-grown[0, 0], abs=0.5)


@pytest.fixture(scope="module")
def page_and_words() -> Truth:
    """A page of three lines."""
    image, words = np.full((420, 900, 3), 255, np.uint8), []
    for row, line in enumerate(SAID):
        left = 60
        for word in line.split():
            sheet = np.full((420, 900), 255, np.uint8)
            width = cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, 1.2, 2)[0][0]
            cv2.putText(sheet, word, (left, 100 + 110 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 0, 2)
            image[sheet < 255] = sheet[sheet < 255][:, None]
            ys, xs = np.nonzero(sheet < 128)
            words.append((word, (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)))
            left += width + 26
    return image, words


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(load_bundle("latin"), ReadOptions(words=True, direction="all"))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_words_of_a_real_bundle_stand_where_they_are_however_the_page_is_turned(
    reader: Reader, page_and_words: Truth, turns: int
) -> None:
    image, true = page_and_words
    turned = np.ascontiguousarray(np.rot90(image, turns))
    page = reader.read(turned)
    found = [word for line in page.lines for word in line.words or ()]
    assert page.text.split() == [word.text for word in found]
    boxes = {}
    for word in found:
        corners, height = word.polygon, turned.shape[0]
        for _ in range(turns):  # back to where the word stands on the upright page
            corners = np.stack([height - corners[:, 1], corners[:, 0]], axis=1)
            height = image.size // 3 // height
        assert corners[0, 0] < corners[1, 0] and corners[0, 1] < corners[3, 1]  # from the text's top left
        boxes[word.text] = corners[0, 0], corners[1, 0]
        assert 0 < word.confidence <= 1
    assert boxes == {text: pytest.approx((box[0], box[2]), abs=HEIGHT / 4) for text, box in true}


def test_words_are_there_only_when_asked_for(page_and_words: Truth, reader: Reader) -> None:
    page = Reader(load_bundle("latin"), ReadOptions(direction="all")).read(page_and_words[0])
    assert [line.words for line in page.lines] == [None] * len(SAID)
    asked = reader.read(page_and_words[0])
    assert [without_words(line) for line in asked.lines] == [without_words(line) for line in page.lines]


def without_words(line: Line) -> tuple[object, ...]:
    """All of a line but its words."""
    return (line.text, line.confidence, line.polygon.tolist(), line.needs_review, line.recognizer)
