from __future__ import annotations

from random import Random

import cv2
import numpy as np
import pytest

from models.decoding.glyphs import LayerError
from models.geometry import gray
from tests.typeset import page, text, turned
from training.data.charset import Charset
from training.data.crops import crop_line
from training.pdfs import aged
from training.pdfs.page import IGNORED, Drawn, labelled_page

ROWS = [text(f"Line number {i} of the page", 40, 260 - 22 * i) for i in range(8)]


def drawn(*operators: str, dpi: float = 100, **settings: object) -> Drawn:
    return labelled_page(page(*operators), dpi, **settings)  # type: ignore[arg-type]


def reason(*operators: str, **settings: object) -> str:
    with pytest.raises(LayerError) as caught:
        drawn(*operators, **settings)
    return str(caught.value)


def kept(found: Drawn) -> list[str]:
    return [line.text for line in found.lines]


@pytest.mark.parametrize("dpi", [70, 133, 220])
@pytest.mark.parametrize("matrix", ["1 0 0 1", "0 1 -1 0"])
def test_the_quads_are_about_the_ink(dpi: float, matrix: str) -> None:
    found = drawn(turned("Highly typeset", 200, 100, matrix), dpi=dpi)
    assert kept(found) == ["Highly typeset"]
    rows, columns = np.nonzero(gray(found.image) < 200)
    quad = found.lines[0].quad
    low, high = quad.min(axis=0), quad.max(axis=0)
    assert low[0] <= columns.min() and low[1] <= rows.min()
    assert high[0] >= columns.max() + 1 and high[1] >= rows.max() + 1
    size = 12 * dpi / 72
    assert (
        max(columns.min() - low[0], rows.min() - low[1], high[0] - columns.max(), high[1] - rows.max())
        < 0.25 * size + 1
    )


def test_a_page_without_text_is_left_out() -> None:
    assert reason("0 0 50 50 re f") == "no text"


def test_invisible_text_is_no_label() -> None:
    assert reason(text("Nobody sees this", 40, 200, before="3 Tr")) == "invisible text"


def test_text_in_the_papers_colour_is_no_label() -> None:
    assert reason("1 g", text("Nobody sees this", 40, 200)) == "text without ink"


def test_a_line_whose_ink_is_covered_is_ignored() -> None:
    assert kept(drawn(*ROWS, "1 g 40 255 13 20 re f"))[0] == IGNORED


def test_a_text_over_a_picture_of_the_page_is_left_out() -> None:
    assert "picture" in reason("q 420 0 0 300 0 0 cm /I1 Do Q", "1 g", *ROWS)


def test_a_small_picture_is_ignored_text() -> None:
    found = drawn(*ROWS, "q 100 0 0 80 300 100 cm /I1 Do Q")
    assert kept(found).count(IGNORED) == 1
    assert found.lines[-1].quad[0] == pytest.approx(np.array([300, 300 - 180]) * 100 / 72)


def test_fonts_without_a_map_leave_the_page_out() -> None:
    assert reason(text("Line in private letters", 40, 200, font="F3")) == "bad lines: unmapped"


def test_a_font_that_says_other_letters_leaves_the_page_out() -> None:
    rows = [text("and the hidden label is held back", 40, 250 - 20 * i, font="F2") for i in range(3)]
    assert reason(*rows) == "bad lines: other letters"


def test_one_bad_line_among_good_ones_is_ignored() -> None:
    found = drawn(*ROWS, text("private", 40, 40, font="F3"))
    assert kept(found).count(IGNORED) == 1
    assert len(found.lines) == 9


def test_lines_outside_the_charset_are_ignored_and_pages_of_them_left_out() -> None:
    charset = Charset(tuple(sorted(set("Line number of the page 0123"))))
    found = drawn(*ROWS[:4], text("Größe", 40, 40), charset=charset)
    assert kept(found)[-1] == IGNORED and kept(found).count(IGNORED) == 1
    assert reason(*ROWS, charset=charset) == "bad lines: not in the charset"


def test_ink_that_the_layer_lacks_makes_a_line_ignored() -> None:
    beside = [text("known", 40, 30), "77 30 8 9 re f", text("known", 88, 30)]
    assert kept(drawn(*ROWS, *beside))[-1] == IGNORED
    underline = [text("known text", 40, 30), "40 27 60 0.7 re f"]
    assert kept(drawn(*ROWS, *underline))[-1] == "known text"


def test_text_too_small_to_read_is_ignored() -> None:
    found = drawn(*ROWS, text("tiny", 40, 40, 4), dpi=100)
    assert kept(found)[-1] == IGNORED


@pytest.mark.parametrize("look", [aged.clean, aged.scan, aged.photo, aged.fax])
def test_looks_move_the_quads_with_the_ink(look: aged.Look) -> None:
    plain = drawn(*ROWS, dpi=150)
    for seed in range(4):
        changed = look(plain, Random(seed))
        for before, after in zip(plain.lines, changed.lines, strict=True):
            one, other = (
                cv2.resize(gray(crop_line(image, line.quad)[0]), (400, 24), interpolation=cv2.INTER_AREA)
                for image, line in ((plain.image, before), (changed.image, after))
            )
            assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.5


def test_what_a_look_cuts_is_ignored_and_stays_on_the_picture() -> None:
    plain = drawn(text("At the very edge of it", 1, 280), *ROWS, dpi=90)
    for seed in range(30):
        changed = aged.aged(plain, Random(seed))
        height, width = changed.image.shape[:2]
        corners = np.concatenate([line.quad for line in changed.lines])
        assert corners.min() >= 0 and (corners.max(axis=0) <= (width, height)).all()
