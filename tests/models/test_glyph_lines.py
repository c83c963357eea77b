from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.decoding.glyph_lines import Line, clean, disagreeing_fonts, lines_of
from models.decoding.glyphs import Glyph, glyphs
from tests.typeset import HEIGHT, WIDTH, page, text, turned


def lines(*operators: str, extra: str = "") -> list[Line]:
    return lines_of(glyphs(page(*operators, extra=extra)))


def texts(*operators: str) -> list[str]:
    return [line.text for line in lines(*operators)]


def glyph(char: str, left: float, number: int, **settings: Any) -> Glyph:
    """A glyph 5 points wide and 8 high on the baseline y=100."""
    given = {
        "box": (left, 92.0, left + 5, 100.0), "origin": (left, 100.0), "advance": 5.0, "size": 10.0,
        "direction": 0, "font": "F", "spaced": False, "visible": True,
    }  # fmt: skip
    return Glyph(text=char, number=number, **{**given, **settings})


@pytest.mark.parametrize(
    ("layer", "label"),
    [
        ("e\u0301te\u0301", "été"),
        ("\ufb01nd e\ufb03cient \ufb02ags", "find efficient flags"),
        ("Sil\u00adben", "Sil-ben"),
        ("a\u00a0b\u2009c\u200bd", "a b cd"),
        ("Chapter 1 . . . . . . . . . 17", "Chapter 1... 17"),
        ("Index......... 9", "Index... 9"),
        ("and so on...", "and so on..."),
        ("1\u22122", "1-2"),
        ("x²", "x²"),
    ],
)
def test_a_layer_is_spelt_as_labels_are(layer: str, label: str) -> None:
    assert clean(layer) == label


def test_words_near_each_other_are_a_line() -> None:
    assert texts(text("one two", 50, 200), text("three", 99, 200), text("below", 50, 180)) == [
        "one two three",
        "below",
    ]


def test_a_gap_of_one_and_a_half_heights_cuts() -> None:
    assert texts(text("left", 50, 200), text("right", 50 + 16 + 14, 200)) == ["left right"]
    assert texts(text("left", 50, 200), text("right", 50 + 16 + 18, 200)) == ["left", "right"]


def test_columns_are_cut_where_the_layer_goes_on_elsewhere() -> None:
    left, right = (("one", "two"), ("six", "ten"))
    columns = [
        text(word, x, 200 - 20 * i) for x, words in ((50, left), (82, right)) for i, word in enumerate(words)
    ]
    assert texts(*columns) == ["one", "two", "six", "ten"]


def test_leader_dots_are_cut_to_three() -> None:
    assert texts(text("Title", 50, 200), text(" . . . . . . . . . . . 17", 77, 200)) == ["Title... 17"]


def test_raised_figures_stay_in_their_line() -> None:
    assert texts(text("over 3 km", 50, 200), text("2", 103, 204, 7), text("wide", 110, 200)) == [
        "over 3 km2 wide"
    ]


def test_ligatures_are_taken_apart() -> None:
    assert texts(text("!nd it", 50, 200, font="F4")) == ["find it"]


def test_a_ligature_of_one_letter_twice_keeps_both() -> None:
    assert texts(text("o$er", 50, 200, font="F4")) == ["offer"]


def test_closing_quotes_set_low_are_opening_ones() -> None:
    row = [
        glyph("\u201d", 0, 0, origin=(0.0, 107.0), box=(0.0, 98.0, 5.0, 102.0)),
        glyph("J", 5, 1),
        glyph("a", 10, 2),
    ]
    assert [line.text for line in lines_of(row)] == ["\u201eJa"]


def test_accents_of_their_own_join_the_letter_under_them() -> None:
    row = [
        glyph("d", 0, 0),
        glyph("o", 20, 1),
        glyph("´", 6, 2, box=(6.0, 90.0, 9.0, 91.5)),
        glyph("e", 5, 3),
    ]
    (line,) = lines_of(row)
    assert line.text == "dé o"
    assert line.fault == ""


def test_an_accent_that_makes_no_letter_is_a_fault() -> None:
    (line,) = lines_of([glyph("a", 0, 0), glyph("q\u0301", 5, 1)])
    assert line.fault == "accents"


@pytest.mark.parametrize(
    ("matrix", "corner", "along"),
    [
        ("1 0 0 1", (100, 150), (1, 0)),
        ("0 1 -1 0", (100, 150), (0, -1)),
        ("-1 0 0 -1", (100, 150), (-1, 0)),
        ("0 -1 1 0", (100, 150), (0, 1)),
    ],
)
def test_the_quad_begins_where_turned_text_does(
    matrix: str, corner: tuple[float, float], along: tuple[float, float]
) -> None:
    (line,) = lines(turned("Honolulu", *corner, matrix))
    assert (line.text, line.fault) == ("Honolulu", "")
    edge = line.quad[1] - line.quad[0]
    assert np.dot(edge / np.hypot(*edge), along) == pytest.approx(1)
    bottom_left = (corner[0], HEIGHT - corner[1])
    assert np.hypot(*(line.quad[3] - bottom_left)) < 3


def test_places_are_those_of_the_page_as_shown() -> None:
    (line,) = lines(text("Honolulu", 100, 150), extra="/Rotate 90 /CropBox [50 20 400 280]")
    assert line.quad.min() > 0
    assert line.quad[3] == pytest.approx((150 - 20, 100 - 50), abs=3)
    edge = line.quad[1] - line.quad[0]
    assert edge[1] > 40 > 1 > abs(edge[0])


def test_slanting_text_has_a_fault_and_a_quad() -> None:
    (line,) = lines(turned("Honolulu", 100, 150, "0.9 0.43 -0.43 0.9"))
    assert line.fault == "slanting"
    assert line.quad.min() > 0 and line.quad.max() < WIDTH


def test_mirrored_text_has_a_fault() -> None:
    assert {line.fault for line in lines(turned("Honolulu", 100, 150, "-1 0 0 1"))} == {"slanting"}


def test_lines_over_each_other_have_a_fault() -> None:
    found = lines(text("printed first", 50, 200), text("and over it", 52, 203))
    assert {line.fault for line in found} <= {"crossed", "stacked"}


def test_private_characters_are_a_fault() -> None:
    (line,) = lines(text("secret", 50, 200, font="F3"))
    assert line.fault == "unmapped"


def test_fonts_tell_when_their_outlines_are_other_letters() -> None:
    words = "the quick brown fox jumps over the lazy dog and hides"
    assert not disagreeing_fonts(glyphs(page(text(words, 20, 200))))
    assert disagreeing_fonts(glyphs(page(text(words, 20, 200, font="F2"))))


def test_a_line_of_dashes_has_a_box_as_tall_as_small_letters() -> None:
    (line,) = lines(text("---", 50, 200, 20))
    assert line.quad[3, 1] - line.quad[0, 1] > 0.45 * 20
