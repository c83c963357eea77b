"""Lines and pages that are doubtful although the recogniser is sure of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from models.bundle import Bundle, load_bundle
from models.doubt import doubtful, has_hole, marked_together, mixes_case
from models.reader import Reader
from models.recognition import Recognizer
from models.records import Line, Page
from tests.builders import CHARSET, tiny_bundle

LINE = Line(np.zeros((4, 2), np.float32), 1.0, text="a")


@pytest.mark.parametrize(
    "text",
    [
        "PaxyHok Ha onnaTy nocnyr 3a 6epe3eHb",  # Рахунок на оплату послуг за березень
        "BcerO HaMMeHOBaHMM",  # Всего наименований
        "CyMa 3 nAB 1 250,00 rpH",  # Сума з ПДВ 1 250,00 грн
    ],
)
def test_look_alikes_mix_case(text: str) -> None:
    assert mixes_case(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Total 12.50 EUR",
        "TOTAL AMOUNT",
        "1 L McChicken",
        "Facebook.com/BarWangRice",
        "Alfred DuMont in Genf.",
        "Muster GmbH, St. Gallen",
        "東京都千代田区 PDF",
    ],
)
def test_names_and_ordinary_lines_do_not(text: str) -> None:
    assert not mixes_case(text)


def marks(marked: int, of: int) -> list[Line]:
    return [replace(LINE, needs_review=i < marked) for i in range(of)]


@pytest.mark.parametrize(
    ("marked", "of", "expected"),
    [(0, 0, False), (0, 1, False), (1, 1, True), (2, 4, False), (3, 4, True), (74, 100, False)],
)
def test_a_page_is_doubtful_where_nearly_all_lines_are(marked: int, of: int, expected: bool) -> None:
    lines = marks(marked, of)
    assert doubtful(lines) is expected
    assert [line.needs_review for line in marked_together(lines)] == [
        expected or i < marked for i in range(of)
    ]


def strip(*words: tuple[int, str], rule: bool = False) -> tuple[np.ndarray, list[float]]:
    """A line of words at these places and the fraction at which each of their letters stands."""
    crop = PilImage.new("L", (600, 40), 240)
    draw, font = ImageDraw.Draw(crop), ImageFont.load_default(30)
    if rule:
        draw.line((0, 34, 600, 34), fill=0, width=2)
    places = []
    for x, word in words:
        draw.text((x, 2), word, fill=20, font=font)
        places += [(x + draw.textlength(word[:i], font=font) + 5) / 600 for i in range(len(word))]
    return np.array(crop), places


FIRST, SECOND = (5, "Invoice total"), (460, "12.50 EUR")
BETWEEN = (190, "of goods and services")


@pytest.mark.parametrize("color", [False, True])
def test_a_line_of_which_letters_were_not_read_has_a_hole(color: bool) -> None:
    crop, places = strip(FIRST, BETWEEN, SECOND)
    crop = np.dstack([crop] * 3) if color else crop
    of_first, of_second = places[: len(FIRST[1])], places[-len(SECOND[1]) :]
    assert not has_hole(crop, places)
    assert has_hole(crop, of_first + of_second)
    assert has_hole(crop, of_first) and has_hole(crop, of_second) and has_hole(crop, [])


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        pytest.param((FIRST, SECOND), False, id="a gap"),
        pytest.param((FIRST,), True, id="a rule to fill in upon"),
        pytest.param((FIRST, (200, "." * 28), SECOND), False, id="leaders"),
    ],
)
def test_gaps_and_rules_are_no_holes(words: tuple[tuple[int, str], ...], rule: bool) -> None:
    crop, places = strip(*words, rule=rule)
    read = places[: len(FIRST[1])] + (places[-len(SECOND[1]) :] if len(words) > 1 else [])
    assert not has_hole(crop, read)


class Given:
    """A session that reads the lines in turn, each as it is told, with this confidence."""

    def __init__(self, sure: list[float]) -> None:
        self.sure = iter(sure)

    def run(self, tensor: np.ndarray) -> list[np.ndarray]:
        sure = [next(self.sure) for _ in tensor]
        classes = np.array([[CHARSET.index("b") + 1, 0, CHARSET.index("a") + 1]] * len(tensor))
        return [classes, np.repeat(np.array(sure, np.float32)[:, None], 3, axis=1)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize(
    ("sure", "marked"),
    [
        pytest.param([0.5, 0.5, 0.5, 0.9], [True] * 4, id="three of four"),
        pytest.param([0.5, 0.5, 0.9, 0.9], [True, True, False, False], id="two of four"),
    ],
)
def test_a_sure_line_of_a_doubtful_page_is_marked(
    tiny: Bundle, sure: list[float], marked: list[bool]
) -> None:
    spec = replace(
        tiny.manifest.recognition,
        widths=(80,), output="decision", min_confidence=0.0, color="gray", mean=(0.5,), std=(0.5,),
    )  # fmt: skip
    polygon = np.array([[0, 0], [60, 0], [60, 48], [0, 48]], np.float32)
    line = Line(polygon, 1.0, crop=np.zeros((48, 60), np.uint8))
    pages = [Page(width=99, height=99, lines=(line,) * 4), Page(width=99, height=99, lines=(line,))]
    (page, other) = Recognizer(spec, Given([*sure, 0.9]))(pages)  # type: ignore[arg-type]
    assert [line.needs_review for line in page.lines] == marked
    assert [line.needs_review for line in other.lines] == [False]


@pytest.mark.parametrize(("threshold", "marked"), [(0.001, True), (0.0, False)])
def test_a_threshold_of_0_switches_all_marks_off(tiny: Bundle, threshold: float, marked: bool) -> None:
    spec = replace(
        tiny.manifest.recognition,
        widths=(720,), output="decision", min_confidence=0.0, color="gray", mean=(0.5,), std=(0.5,),
    )  # fmt: skip
    crop, _ = strip(FIRST, BETWEEN)
    polygon = np.array([[0, 0], [600, 0], [600, 40], [0, 40]], np.float32)
    page = Page(width=999, height=99, lines=(Line(polygon, 1.0, crop=crop),))
    stage = Recognizer(replace(spec, review_threshold=threshold), Given([0.9]))  # type: ignore[arg-type]
    (read,) = stage([page])
    assert [line.needs_review for line in read.lines] == [marked]  # for its hole
    assert doubtful(read.lines) == marked


def test_a_crop_of_one_row_has_no_hole() -> None:
    assert not has_hole(np.zeros((1, 9), np.uint8), [0.5])


TEXT = (
    *("The parties have agreed on the following terms", "Payment is due within thirty days of delivery"),
    *("Any change of this contract must be in writing", "Goods remain the property of the seller"),
    *("Complaints must be made within eight days", "All prices are net and without transport"),
)


@pytest.mark.parametrize("name", ["latin"])
def test_print_of_the_other_side_is_doubtful(name: str) -> None:
    sheet = PilImage.new("L", (900, 80 * len(TEXT) + 60), 255)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(24)
    for row, text in enumerate(TEXT):
        draw.text((50, 40 + 80 * row), text, fill=190, font=font)
    front = np.array(sheet.convert("RGB"))
    reader = Reader(load_bundle(name))
    assert not doubtful(reader.read(front).lines)
    seen_through = reader.read(np.ascontiguousarray(front[:, ::-1]))
    assert doubtful(seen_through.lines) and all(line.needs_review for line in seen_through.lines)
