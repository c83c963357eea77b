"""Lines longer than the model's widths are read in parts, as if they had been read at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.beam import SURE
from models.bundle import Bundle, RecognitionSpec, load_bundle
from models.options import ReadOptions
from models.recognition import BATCH_COLUMNS, Recognizer, best_classes, part_starts
from models.records import Image, Line, Page
from models.session import Session
from tests.builders import CHARSET, tiny_bundle

LETTER = 24
"""Columns of one letter of ink."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("tiny"))


def stage(bundle: Bundle, widths: tuple[int, ...], output: str = "probabilities") -> Recognizer:
    spec = replace(bundle.manifest.recognition, widths=widths)
    session = Session(bundle.model_path(spec))
    if output != "probabilities":
        return Recognizer(replace(spec, output=output), Deciding(session, output), chars=True)  # type: ignore[arg-type]
    return Recognizer(spec, session, chars=True)


class Deciding:
    """A session whose graph decides, as that of `latin` does."""

    def __init__(self, session: Session, output: str = "decision") -> None:
        self._session = session
        self._output = output
        self.columns = list[int]()

    def run(self, tensor: np.ndarray) -> list[np.ndarray]:
        self.columns.append(tensor.shape[0] * tensor.shape[3])
        (likely,) = self._session.run(tensor)
        classes, probabilities = best_classes(likely, 2)
        return (
            [classes, probabilities]
            if self._output == "candidates"
            else [classes[..., 0], probabilities[..., 0]]
        )


def inked(text: str, spec: RecognitionSpec) -> Line:
    """A line of ink, each letter a bar of its darkness with paper behind it."""
    crop = np.full((spec.height, LETTER * len(text)), 255, np.uint8)
    for i, char in enumerate(text):
        darkness = (CHARSET.index(char) + 1) / len(CHARSET) if char in CHARSET else 0
        crop[:, LETTER * i : LETTER * i + 16] = round(255 * (1 - darkness))
    width, height = crop.shape[::-1]
    return Line(np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32), 1.0, crop=crop)


def some_text(letters: int) -> str:
    return "".join(np.random.default_rng(letters).choice(list(CHARSET), letters))


@pytest.mark.parametrize("output", ["probabilities", "candidates", "decision"])
@pytest.mark.parametrize("letters", [13, 14, 20, 21, 50, 400])
def test_a_line_of_any_length_reads_as_it_would_at_once(bundle: Bundle, letters: int, output: str) -> None:
    text = some_text(letters)
    line = inked(text, bundle.manifest.recognition)
    (once,) = stage(bundle, (80, LETTER * letters), output).read([line])
    (cut,) = stage(bundle, (80, 320), output).read([line])
    assert cut.text == once.text == text
    assert cut.chars is not None and once.chars is not None
    for char, expected, i in zip(cut.chars, once.chars, range(letters), strict=True):
        assert (char.x0, char.x1) == pytest.approx((expected.x0, expected.x1), abs=1e-4)
        assert char.confidence == pytest.approx(expected.confidence, abs=1e-5)
        assert char.x0 <= (LETTER * i + 8) / (LETTER * letters) <= char.x1
    assert cut.confidence == pytest.approx(once.confidence, abs=1e-5)
    assert cut.needs_review == once.needs_review


def test_characters_are_written_in_their_plain_form_where_that_is_asked_for(bundle: Bundle) -> None:
    text = some_text(9)
    spec = replace(bundle.manifest.recognition, widths=(80, 320))
    others = {text[0]: "\uff11", text[1]: "\u338f"}  # a digit of full width, a sign of two letters
    spec = replace(spec, charset=tuple(others.get(char, char) for char in spec.charset))
    session = Session(bundle.model_path(spec))
    line = inked(text, bundle.manifest.recognition)
    (as_printed,) = Recognizer(spec, session, chars=True).read([line])
    (plain,) = Recognizer(ReadOptions(nfkc=True).recognition(spec), session, chars=True).read([line])
    assert as_printed.text == "".join(others.get(char, char) for char in text)
    assert plain.text == as_printed.text.replace("\uff11", "1").replace("\u338f", "kg")
    assert plain.chars is not None and "".join(char.text for char in plain.chars) == plain.text


def test_a_long_line_reads_the_same_whatever_it_is_read_with(bundle: Bundle) -> None:
    lines = [inked(some_text(letters), bundle.manifest.recognition) for letters in (3, 90, 14, 33, 7, 60)]
    reader = stage(bundle, (80, 320))
    for alone, together in zip((reader.read([line])[0] for line in lines), reader.read(lines), strict=True):
        assert alone.text == together.text
        assert alone.confidence == pytest.approx(together.confidence, abs=1e-6)


def test_a_long_line_takes_no_more_memory_at_once_than_short_ones(bundle: Bundle) -> None:
    reader = stage(bundle, (80, 320), "decision")
    reader.read([inked(some_text(2000), bundle.manifest.recognition)])
    session = reader._session
    assert isinstance(session, Deciding) and len(session.columns) > 20
    assert max(session.columns) <= 2560


def test_many_short_lines_enter_the_model_a_few_at_a_time(bundle: Bundle) -> None:
    lines = [inked(some_text(3), bundle.manifest.recognition) for _ in range(60)]
    reader = stage(bundle, (80, 320), "decision")
    reader.read(lines)
    session = reader._session
    assert isinstance(session, Deciding) and sum(session.columns) == 60 * 80
    assert len(session.columns) > 1 and max(session.columns) <= BATCH_COLUMNS


@pytest.mark.parametrize("columns", [1, 319, 320, 321, 448, 449, 5000])
@pytest.mark.parametrize("overlap", [0, 128, 192])
def test_parts_cover_a_crop_and_overlap(columns: int, overlap: int) -> None:
    starts = part_starts(columns, 320, overlap)
    ends = [min(start + 320, columns) for start in starts]
    assert starts[0] == 0 and ends[-1] == columns
    assert all(end - start == min(overlap, 160) for end, start in zip(ends[:-1], starts[1:], strict=True))
    assert len(starts) == 1 or columns > ends[-2]  # the last part sees something new


class Views:
    """Reads tall, narrow and wide crops of a page as is given, each with a confidence."""

    def __init__(self, upright: tuple[str, float], turned: tuple[str, float]) -> None:
        self.said = {80: upright, 160: turned}

    def run(self, tensor: np.ndarray) -> list[np.ndarray]:
        text, sure = self.said[tensor.shape[3]]
        classes = np.array([[i for char in text for i in (CHARSET.index(char) + 1, 0)]])
        return [
            np.repeat(classes, len(tensor), axis=0),
            np.full((len(tensor), 2 * len(text)), sure, np.float32),
        ]


@pytest.mark.parametrize(
    ("upright", "turned", "text"),
    [
        pytest.param(("a", 0.5), ("bcd", 0.9), "bcd", id="a word"),
        pytest.param(("a", 0.6), ("bc", 0.9), "a", id="a digit: two letters when it lies on its side"),
        pytest.param(("a", 0.9), ("bcd", 0.95), "a", id="sure as it stands"),
        pytest.param(("a", 0.6), ("bcd", 0.5), "a", id="less sure when turned"),
    ],
)
def test_a_tall_crop_that_says_little_is_turned(
    bundle: Bundle, upright: tuple[str, float], turned: tuple[str, float], text: str
) -> None:
    spec = replace(bundle.manifest.recognition, widths=(80, 160), output="decision", min_confidence=0.0)
    polygon = np.array([[10, 10], [30, 10], [30, 70], [10, 70]], np.float32)
    line = Line(polygon, 1.0, crop=np.zeros((60, 20), np.uint8))
    (page,) = Recognizer(spec, Views(upright, turned))([Page(width=99, height=99, lines=(line,))])  # type: ignore[arg-type]
    (read,) = page.lines
    assert read.text == text
    np.testing.assert_array_equal(read.polygon[0], [30, 10] if text == turned[0] else [10, 10])


@pytest.mark.parametrize("name", ["latin"])
def test_small_print_across_a_wide_page_is_read(name: str) -> None:
    manifest = load_bundle(name).manifest
    text = " ".join(["conditions of sale apply to this order and"] * 6)
    (read,) = Recognizer(
        manifest.recognition, Session(load_bundle(name).model_path(manifest.recognition))
    ).read([Line(np.zeros((4, 2), np.float32), 1.0, crop=_printed(text))])
    assert read.text == text
    assert len(text) * manifest.recognition.height / 2 > 2 * manifest.recognition.widths[-1]


def _printed(text: str) -> Image:
    from PIL import Image as PillowImage
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(26)
    sheet = PillowImage.new("L", (round(font.getlength(text)) + 12, 34), 255)
    ImageDraw.Draw(sheet).text((6, 2), text, 0, font=font)
    return np.asarray(sheet, np.uint8)


@given(st.integers(1, 5), st.integers(0, 99))
def test_the_best_classes_come_first_and_equal_ones_in_their_order(count: int, seed: int) -> None:
    likely = np.random.default_rng(seed).integers(0, 4, (2, 3, 6)).astype(np.float32) / 3
    classes, probabilities = best_classes(likely, count)
    assert classes.shape == probabilities.shape == (2, 3, count)
    np.testing.assert_array_equal(classes[..., 0], likely.argmax(axis=2))
    np.testing.assert_array_equal(probabilities[..., 0], likely.max(axis=2))
    unsure = likely.max(axis=2) <= SURE
    np.testing.assert_array_equal(probabilities[unsure], -np.sort(-likely[unsure], axis=1)[:, :count])
    np.testing.assert_array_equal(np.take_along_axis(likely, classes, 2)[unsure], probabilities[unsure])
    assert (probabilities[~unsure][:, 1:] == 0).all()
