"""Text layers of PDFs: taken where they are whole, and pages read from their image where anything is odd."""

from __future__ import annotations

import re

import numpy as np
import pytest

from models.bundle import Bundle
from models.decoding import Limits, decode, glyph_lines, text_layer
from models.decoding import pdf as drawing
from models.decoding.glyphs import LayerError
from models.decoding.text_layer import text_lines
from models.geometry import gray
from models.reader import Reader, ReadOptions
from models.records import Page
from models.session import Session
from tests.builders import tiny_bundle
from tests.typeset import document, text, turned

PREFER = Limits(pdf_text="prefer")
ROWS = [text(f"Line {i}: 3 \\200, fianc\\351e & co.", 40, 260 - 22 * i) for i in range(8)]
TEXTS = [f"Line {i}: 3 €, fiancée & co." for i in range(8)]
SCAN = "q 420 0 0 300 0 0 cm /I1 Do Q"
FIELD = (
    "/Annots [<< /Type /Annot /Subtype /FreeText /Rect [40 20 200 40] /Contents (a note)"
    " /DA (/Helv 12 Tf 0 g) >>]"
)
LINK = "/Annots [<< /Type /Annot /Subtype /Link /Rect [40 20 200 40] /Border [0 0 0] >>]"


def escaped(words: str) -> str:
    """Operators whose octal escapes `text` has doubled."""
    return words.replace(r"\\", "\\")


def pdf(*pages: list[str], extra: str = "") -> bytes:
    return document(*(escaped("\n".join(page)) for page in pages), extra=extra)


def one(*operators: str, limits: Limits = PREFER, extra: str = "") -> Page:
    (page,) = drawing.pages(pdf(list(operators), extra=extra), limits, one_channel=False)  # in this process
    assert isinstance(page, Page)
    return page


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("tiny"))


def test_a_whole_layer_gives_its_lines_and_no_model_runs(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a model ran")

    monkeypatch.setattr(Session, "run", fail)
    reader = Reader(bundle, ReadOptions(limits=PREFER))
    # The layer has the last line first: lines come in reading order all the same.
    (page,) = reader.read_bytes(pdf(ROWS[::-1]))
    assert (page.text.split("\n"), page.text_from, page.image) == (TEXTS, "pdf", None)
    assert all((line.confidence, line.needs_review) == (1.0, False) for line in page.lines)
    with pytest.raises(AssertionError, match="a model ran"):
        list(reader.read_bytes(pdf([SCAN])))


def test_by_default_pages_are_drawn() -> None:
    page = one(*ROWS, limits=Limits())
    assert (page.text_from, page.lines) == ("image", ()) and page.image is not None


@pytest.mark.parametrize("extra", ["", "/Rotate 90", "/CropBox [20 30 400 290]", LINK])
@pytest.mark.parametrize("matrix", ["1 0 0 1", "0 1 -1 0", "-1 0 0 -1"])
def test_places_are_those_on_the_page_as_it_would_be_drawn(extra: str, matrix: str) -> None:
    words = turned("Highly typeset", 200, 150, matrix)
    page, drawn = one(words, extra=extra), one(words, limits=Limits(), extra=extra)
    assert drawn.image is not None and page.text == "Highly typeset"
    assert (page.width, page.height) == (drawn.width, drawn.height)
    rows, columns = np.nonzero(gray(drawn.image) < 200)
    low, high = page.lines[0].polygon.min(axis=0), page.lines[0].polygon.max(axis=0)
    assert low == pytest.approx([columns.min(), rows.min()], abs=8)
    assert high == pytest.approx([columns.max(), rows.max()], abs=8)


def test_a_line_on_its_head_says_so() -> None:
    (line,) = one(turned("Honolulu", 200, 150, "-1 0 0 -1")).lines
    assert line.direction == 180 and line.polygon[0, 0] > line.polygon[1, 0]


CURVES = " ".join(f"{x} 20 m {x} 30 {x + 9} 30 {x + 9} 20 c f" for x in range(300)) + " "


@pytest.mark.parametrize(
    "operators",
    [
        pytest.param(
            [SCAN, *(row.replace("BT", "BT 3 Tr") for row in ROWS)], id="a scan that was read before"
        ),
        pytest.param([SCAN, "1 g", *ROWS], id="text on a picture"),
        pytest.param([*ROWS, "q 100 0 0 80 300 20 cm /I1 Do Q"], id="a picture that may hold text"),
        pytest.param([*ROWS, *["q 40 0 0 20 300 20 cm /I1 Do Q"] * 9], id="pictures that may hold text"),
        pytest.param([*ROWS, text("unseen", 300, 20, before="3 Tr")], id="a word that is invisible"),
        pytest.param([*ROWS, "1 g", text("unseen", 300, 20)], id="a word in white"),
        pytest.param([*ROWS, "0 g 76 250 60 20 re f"], id="a word that is blackened"),
        pytest.param([*ROWS, text("secret", 300, 20, font="F3")], id="private characters"),
        pytest.param(
            [text("the quick brown fox jumps over the lazy dog", 20, 20, font="F2")], id="other letters"
        ),
        pytest.param([*ROWS, turned("Slanting", 300, 20, "0.9 0.43 -0.43 0.9")], id="text that slants"),
        pytest.param([*ROWS, text("over it", 60, 262)], id="lines over each other"),
        pytest.param([*ROWS, CURVES], id="letters that may be outlines"),
        pytest.param(["0 0 50 50 re f"], id="no text"),
        pytest.param([text("Off the page", 900, 900)], id="no text on the page"),
    ],
)
def test_a_layer_that_may_not_be_what_is_printed_is_not_taken(operators: list[str]) -> None:
    page = one(*operators)
    assert (page.text_from, page.lines) == ("image", ()) and page.image is not None


def test_a_page_with_notes_is_drawn() -> None:
    assert one(*ROWS, extra=FIELD).text_from == "image"


def test_text_from_right_to_left_is_not_taken() -> None:
    private = pdf([text("secret", 40, 200, font="F3")])
    (latin,), (hebrew,) = (
        list(decode(re.sub(b"<e0..>", name, private), PREFER)) for name in (b"<0061>", b"<05d0>")
    )
    assert (latin.text, hebrew.text_from) == ("aaaaaa", "image")


def test_a_logo_and_a_rule_change_nothing() -> None:
    page = one(*ROWS, "q 40 0 0 20 300 20 cm /I1 Do Q", "0.5 w 40 30 m 200 30 l S", "40 40 9 9 re S")
    assert (page.text_from, page.text.split("\n")) == ("pdf", TEXTS)


def test_pages_of_a_document_are_judged_one_by_one(bundle: Bundle) -> None:
    pages = list(Reader(bundle, ReadOptions(limits=PREFER)).read_bytes(pdf(ROWS, [SCAN], ROWS[:2])))
    assert [page.text_from for page in pages] == ["pdf", "image", "pdf"]
    assert [page.index for page in pages] == [0, 1, 2]
    assert pages[2].text.split("\n") == TEXTS[:2]


def test_a_page_that_is_not_taken_reads_as_by_default(bundle: Bundle) -> None:
    data = pdf([*ROWS, "q 100 0 0 80 300 20 cm /I1 Do Q"])
    (preferred,), (ignored,) = (
        list(Reader(bundle, ReadOptions(limits=limits)).read_bytes(data)) for limits in (PREFER, Limits())
    )
    assert preferred.text == ignored.text and preferred.lines


def test_a_damaged_page_is_drawn() -> None:
    whole = pdf(ROWS)
    (page,) = decode(whole.replace(b"21 0 obj", b"21 0 obx", 1), PREFER)
    assert page.damage is not None and page.text_from == "image"


@pytest.mark.parametrize(
    ("module", "bound"),
    [(text_layer, "MOST_CHARS"), (glyph_lines, "MOST_RUNS"), (text_layer, "MOST_SEGMENTS")],
)
def test_the_work_on_a_layer_is_bounded(module: object, bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = "0.5 w 40 30 m 200 30 l S"
    assert one(*ROWS, rule).text_from == "pdf"
    monkeypatch.setattr(module, bound, 1)
    assert one(*ROWS, rule).text_from == "image"


def test_a_page_of_letters_strewn_about_is_soon_given_up() -> None:
    strewn = [text("x", 20 + 7 * (i % 55), 10 + 7 * (i // 55), 3) for i in range(2200)]
    assert one(*strewn).text_from == "image"


def test_a_page_drawn_too_small_to_be_checked_is_not_taken() -> None:
    page = one(*ROWS, limits=Limits(pdf_text="prefer", max_pixels=100_000))
    assert page.text_from == "image"


def test_text_lines_says_why_a_layer_is_not_whole() -> None:
    import pypdfium2

    page = pypdfium2.PdfDocument(pdf([SCAN, *ROWS]))[0]
    with pytest.raises(LayerError, match="pictures"):
        text_lines(page, 1.0)
