"""The stages together, on the tiny bundle: it reads bars of ink, so what is right is known."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import pytest

from models import annotate
from models.annotate import CERTAIN, REVIEW, overlay
from models.bundle import Bundle
from models.direction import SAMPLE, DirectionClassifier, middle
from models.geometry import rectify
from models.reader import Reader, ReadOptions, finish, recognizer, rectifier
from models.recognition import Recognizer
from models.records import Line, Page
from tests.builders import page_image, tiny_bundle

LINES = ["aabd", "dcba", "bdbd"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("tiny"))


def read(bundle: Bundle, lines: list[str], **options: object) -> Page:
    return Reader(bundle, ReadOptions(**options)).read(page_image(lines))  # type: ignore[arg-type]


def test_reads_what_is_there(bundle: Bundle) -> None:
    page = read(bundle, LINES)
    for line, drawn in zip(page.lines, LINES, strict=True):
        assert holds_in_order(line.text, drawn)
    assert page.image is None and all(line.crop is None and line.chars is None for line in page.lines)


def holds_in_order(text: str, drawn: str) -> bool:
    """Whether the text has the drawn characters in their order; borders of ink add others."""
    rest = iter(text)
    return all(char in rest for char, _ in groupby(drawn))


def test_a_blank_page_has_no_lines(bundle: Bundle) -> None:
    page = Reader(bundle).read(np.full((100, 80, 3), 255, np.uint8))
    assert (page.width, page.height, page.lines, page.text) == (80, 100, (), "")


@pytest.mark.parametrize("size", [(1, 1), (3000, 1), (1, 3000)])
def test_pages_of_any_shape(bundle: Bundle, size: tuple[int, int]) -> None:
    assert Reader(bundle).read(np.zeros((*size, 3), np.uint8)).lines == ()


def test_reads_encoded_bytes(bundle: Bundle) -> None:
    data = cv2.imencode(".png", page_image(LINES))[1].tobytes()
    (page,) = Reader(bundle).read_bytes(data)
    assert page.text == read(bundle, LINES).text


def test_a_page_lying_on_its_side_reads_the_same(bundle: Bundle) -> None:
    turned = np.ascontiguousarray(np.rot90(page_image(LINES), -1))
    page = Reader(bundle).read(turned)
    assert page.text == read(bundle, LINES).text
    for line in page.lines:
        assert line.polygon[0, 0] > line.polygon[3, 0]  # the text's top is the page's right


def test_chars_say_where_they_stand(bundle: Bundle) -> None:
    (line,) = read(bundle, ["abcd"], chars=True).lines
    assert line.chars is not None
    assert "".join(char.text for char in line.chars) == line.text
    centers = {char.text: (char.x0 + char.x1) / 2 for char in reversed(line.chars)}
    assert [centers[char] for char in "abcd"] == pytest.approx([0.17, 0.38, 0.6, 0.83], abs=0.15)
    assert line.confidence == pytest.approx(np.mean([char.confidence for char in line.chars]))


def test_a_page_reads_the_same_alone_and_among_others(bundle: Bundle) -> None:
    stage = recognizer(bundle, ReadOptions(words=True))
    reader = Reader(bundle)
    images = [page_image(["ab" * n, "dc" * n]) for n in (1, 2, 3)]
    pages = [rectify(detected) for image in images for detected in reader._stages[0]([_page(image)])]
    together = stage(pages)
    for page, expected in zip(pages, together, strict=True):
        (alone,) = stage([page])
        assert [line.text for line in alone.lines] == [line.text for line in expected.lines]
        for one, other in zip(alone.lines, expected.lines, strict=True):
            assert one.confidence == pytest.approx(other.confidence, abs=1e-3)
            places = [
                [(word.text, word.polygon.tolist()) for word in line.words or ()] for line in (one, other)
            ]
            assert places[0] == places[1] != []


def test_lines_are_cut_out_as_the_recogniser_wants_them(bundle: Bundle) -> None:
    (page,) = Reader(bundle)._stages[0]([_page(page_image(["abcd"]))])
    manifest = bundle.manifest
    wants = replace(manifest.recognition, least_height=200)
    (small,) = rectifier(bundle)([page])
    (large,) = rectifier(replace(bundle, manifest=replace(manifest, recognition=wants)))([page])
    assert small.lines[0].crop is not None and small.lines[0].crop.shape[0] < 100
    assert large.lines[0].crop is not None and large.lines[0].crop.shape[0] == 200


def _page(image: np.ndarray) -> Page:
    return Page(width=image.shape[1], height=image.shape[0], image=image)


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        pytest.param({"detection_limit": 64}, "limit", id="detection_limit"),
        pytest.param({"box_threshold": 0.9}, "box_threshold", id="box_threshold"),
        pytest.param({"unclip_ratio": 2.0}, "unclip_ratio", id="unclip_ratio"),
    ],
)
def test_detection_values_can_be_asked_for(bundle: Bundle, options: dict[str, float], changed: str) -> None:
    spec = bundle.manifest.detection
    asked = ReadOptions(**options).detection(spec)  # type: ignore[arg-type]
    assert getattr(asked, changed) == next(iter(options.values()))
    assert replace(asked, **{changed: getattr(spec, changed)}) == spec


class SureSession:
    """Reads a crop as the letter a, as surely as its top left pixel is bright."""

    def run(self, tensor: np.ndarray) -> list[np.ndarray]:
        classes = np.zeros((len(tensor), 3), np.int64)
        classes[:, 1] = 1
        sure = tensor[:, 0, 0, :1] / 2 + 0.5  # black is -1, white 1
        return [classes, np.broadcast_to(sure, classes.shape).astype(np.float32)]


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        pytest.param(None, [0.7, 0.9, 0.6], id="the bundle's"),
        pytest.param(0.75, [0.9], id="more"),
        pytest.param(0.0, [0.7, 0.9, 0.3, 0.6], id="all"),
    ],
)
def test_lines_read_with_too_little_confidence_are_dropped(
    bundle: Bundle, asked: float | None, kept: list[float]
) -> None:
    spec = replace(
        bundle.manifest.recognition,
        output="decision", color="gray", mean=(0.5,), std=(0.5,), min_confidence=0.6,
    )  # fmt: skip
    stage = Recognizer(ReadOptions(min_confidence=asked).recognition(spec), SureSession())  # type: ignore[arg-type]
    pages = [
        Page(
            width=99,
            height=99,
            lines=tuple(
                replace(line(""), crop=np.full((spec.height, 64), round(255 * sure + 0.4), np.uint8))
                for sure in of_page
            ),
        )
        for of_page in ([0.7], [], [0.9, 0.3, 0.6])
    ]
    read = [[line.confidence for line in page.lines] for page in stage(pages)]
    assert [round(value, 2) for page in read for value in page] == kept
    assert [len(page) for page in read][:2] == [int(0.7 in kept), 0]
    assert len(stage.read([line for page in pages for line in page.lines])) == 4


def test_lines_without_text_are_dropped(bundle: Bundle) -> None:
    (page,) = recognizer(bundle, ReadOptions(min_confidence=0.0))(
        [Page(width=99, height=99, lines=(replace(line(""), crop=np.full((20, 90, 3), 255, np.uint8)),))]
    )
    assert page.lines == ()


def line(text: str, y: float = 0, confidence: float = 0.9) -> Line:
    polygon = np.array([[0, y], [50, y], [50, y + 9], [0, y + 9]], np.float32)
    return Line(polygon, 1.0, text=text, confidence=confidence)


def test_finish_orders() -> None:
    lines = (line("third", 60), line("first", 0))
    assert finish(Page(width=99, height=99, lines=lines)).text == "first\nthird"


class GivenSession:
    """Reads 64 columns as `aa`, then as `ab`, with given probabilities."""

    input_name = "x"

    def __init__(self, *probabilities: tuple[float, float]) -> None:
        self.probabilities = probabilities

    def run(self, tensor: np.ndarray) -> list[np.ndarray]:
        count = len(tensor)
        classes = np.tile([1, 0, 1, 0], (count, 1))
        sure = np.full((count, 4), 0.99, np.float32)
        sure[:, [0, 2]] = self.probabilities[:count]
        return [classes, sure]


MARGINAL = (0.9, 0.55), (0.7, 0.65)


@pytest.mark.parametrize(
    ("calibration", "asked", "marked"),
    [
        pytest.param({}, None, [True, False], id="by the weakest character, under .6"),
        pytest.param({}, 0.7, [True, True], id="as asked"),
        pytest.param({"review_threshold": 0.5}, None, [False, False], id="as the bundle says"),
        # Certainties of .608 and .573; the odds halve.
        pytest.param(
            {"confidence_shift": -math.log(2), "review_threshold": 0.42},
            None,
            [False, True],
            id="by the chance",
        ),
    ],
)
def test_lines_are_marked_for_review(
    bundle: Bundle, calibration: dict[str, float], asked: float | None, marked: list[bool]
) -> None:
    spec = replace(
        bundle.manifest.recognition,
        output="decision", color="gray", mean=(0.5,), std=(0.5,), **calibration,
    )  # fmt: skip
    options = ReadOptions(review_threshold=asked).recognition(spec)
    stage = Recognizer(options, GivenSession(*MARGINAL))  # type: ignore[arg-type]
    crop = np.full((spec.height, 64), 200, np.uint8)
    lines = stage.read([replace(line(""), crop=crop) for _ in MARGINAL])
    assert [line.needs_review for line in lines] == marked


def test_a_calibrated_line_is_as_sure_as_it_is_right_and_its_characters_stay(bundle: Bundle) -> None:
    spec = replace(
        bundle.manifest.recognition,
        output="decision", color="gray", mean=(0.5,), std=(0.5,),
        confidence_shift=-math.log(2), min_confidence=0.69,
    )  # fmt: skip
    crop = np.full((spec.height, 64), 200, np.uint8)
    stage = Recognizer(spec, GivenSession((0.9, 0.5)), chars=True)  # type: ignore[arg-type]
    (page,) = stage([Page(width=99, height=99, lines=(replace(line(""), crop=crop),))])
    (read,) = page.lines  # its mean probability is enough, whatever its confidence
    assert read.chars is not None
    assert [char.confidence for char in read.chars] == pytest.approx([0.9, 0.5])
    assert read.probability == pytest.approx(0.7)
    certainty = 0.45 ** (1 / math.sqrt(2))
    assert read.confidence == pytest.approx(certainty / (2 - certainty))


class FakeSession:
    """Calls a crop upside down where its top left pixel is dark, and is not sure where it is grey."""

    def __init__(self) -> None:
        self.asked = 0

    def run(self, tensor: np.ndarray) -> list[np.ndarray]:
        self.asked += len(tensor)
        dark = -tensor[:, 0, 0, 0]  # 0 is white, 1 is black
        upside_down = np.where(dark > 0.7, 0.99, np.where(dark > 0.3, 0.4, 0.01)).astype(np.float32)
        return [np.stack([1 - upside_down, upside_down], axis=1)]


def classified(bundle: Bundle, mode: str, flipped: list[bool]) -> tuple[Page, int]:
    session = FakeSession()
    crop = np.full((10, 80, 3), 255, np.uint8)
    crop[:, :8] = 0
    lines = []
    for i, flip in enumerate(flipped):
        longer = np.pad(crop, ((0, 0), (0, len(flipped) - i), (0, 0)), constant_values=255)
        seen = longer if flip else np.ascontiguousarray(longer[::-1, ::-1])
        lines.append(replace(line(str(i), 20 * i), crop=seen))
    stage = DirectionClassifier(bundle.manifest.direction, session, mode)  # type: ignore[arg-type]
    (page,) = stage([Page(width=99, height=999, lines=tuple(lines))])
    return page, session.asked


@pytest.mark.parametrize(
    ("mode", "flipped", "asked"),
    [
        pytest.param("all", [False] * 9, 9, id="all asks all"),
        pytest.param("sample", [False] * 9, SAMPLE, id="sample asks a few of an upright page"),
        pytest.param("sample", [True] * 9, 9, id="and all where the few are upside down"),
        pytest.param("sample", [True] + [False] * 8, 9, id="and where they disagree"),
        pytest.param("sample", [True, False], 2, id="fewer lines than the sample"),
        pytest.param("sample", [], 0, id="no lines"),
    ],
)
def test_direction(bundle: Bundle, mode: str, flipped: list[bool], asked: int) -> None:
    page, count = classified(bundle, mode, flipped)
    assert count == asked
    assert [line.direction for line in page.lines] == [180 if flip else 0 for flip in flipped]
    for i, found in enumerate(page.lines):
        assert found.crop is not None and found.crop[0, 0, 0] == 255
        start = [50, 20 * i + 9] if flipped[i] else [0, 20 * i]
        np.testing.assert_array_equal(found.polygon[0], start)


@pytest.mark.parametrize(
    ("sampled", "asked"),
    [
        pytest.param((255, 255, 255, 128, 128), SAMPLE, id="most are surely upright"),
        pytest.param((255, 255, 128, 128, 128), SAMPLE + 2, id="too few are"),
        pytest.param((255, 255, 255, 255, 0), SAMPLE + 2, id="one is surely upside down"),
    ],
)
def test_a_sample_speaks_for_the_page_where_most_of_it_is_sure(
    bundle: Bundle, sampled: tuple[int, ...], asked: int
) -> None:
    crops = [np.full((10, 80, 3), tone, np.uint8) for tone in sampled]
    crops += [np.full((10, 40, 3), 255, np.uint8)] * 2  # shorter: not among those asked first
    session = FakeSession()
    stage = DirectionClassifier(bundle.manifest.direction, session, "sample")  # type: ignore[arg-type]
    stage([Page(lines=tuple(replace(line("x", 20 * i), crop=crop) for i, crop in enumerate(crops)))])
    assert session.asked == asked


@pytest.mark.parametrize(
    ("corners", "directions"),
    [
        pytest.param((0, 0, 128), (180, 180, 180), id="as the others on a page on its head"),
        pytest.param((255, 255, 128), (0, 0, 0), id="as the others on an upright page"),
        pytest.param((0, 255, 128), (180, 0, 0), id="upright where the others disagree"),
        pytest.param((128,), (0,), id="upright where it is alone"),
    ],
)
def test_a_line_that_tells_nothing_stands_as_its_page_does(
    bundle: Bundle, corners: tuple[int, ...], directions: tuple[int, ...]
) -> None:
    lines = [
        replace(line("x", 20 * i), crop=np.full((10, 80, 3), tone, np.uint8))
        for i, tone in enumerate(corners)
    ]
    stage = DirectionClassifier(bundle.manifest.direction, FakeSession(), "all")  # type: ignore[arg-type]
    (page,) = stage([Page(width=99, height=99, lines=tuple(lines))])
    assert tuple(found.direction for found in page.lines) == directions


@pytest.mark.parametrize(("tone", "direction"), [(0, 180), (255, 0)])
def test_a_digit_stands_as_its_page_does_whatever_it_looks_like(
    bundle: Bundle, tone: int, direction: int
) -> None:
    rows = [replace(line("x", 20 * i), crop=np.full((10, 80, 3), tone, np.uint8)) for i in range(2)]
    digits = [replace(line("6", 80), crop=np.full((10, 7, 3), 255 - tone, np.uint8)) for _ in range(4)]
    stage = DirectionClassifier(bundle.manifest.direction, FakeSession(), "all")  # type: ignore[arg-type]
    (page,) = stage([Page(width=99, height=99, lines=(*rows, *digits))])
    assert [found.direction for found in page.lines] == [direction] * 6


def test_lines_across_the_others_are_asked_and_tell_nothing_of_the_page(bundle: Bundle) -> None:
    light, dark = (np.full((10, 80, 3), tone, np.uint8) for tone in (255, 0))
    down = np.array([[90, 0], [90, 70], [80, 70], [80, 0]], np.float32)
    rows = [replace(line(str(i), 20 * i), crop=light) for i in range(9)]
    lines = (*rows, replace(line("label"), polygon=down, crop=dark))
    session = FakeSession()
    stage = DirectionClassifier(bundle.manifest.direction, session, "sample")  # type: ignore[arg-type]
    (page,) = stage([Page(width=99, height=999, lines=lines)])
    assert session.asked == SAMPLE + 1
    assert [found.direction for found in page.lines] == [0] * 9 + [180]
    np.testing.assert_array_equal(page.lines[-1].polygon[0], [80, 70])


@pytest.mark.parametrize(("color", "dimensions"), [("gray", 2), ("bgr", 3)])
def test_crops_have_the_channels_that_are_wanted(bundle: Bundle, color: str, dimensions: int) -> None:
    manifest = bundle.manifest
    recognition = replace(manifest.recognition, color=color)
    page = Page(width=240, height=100, image=page_image(LINES), lines=(line("x", 20),))
    cut = rectifier(replace(bundle, manifest=replace(manifest, recognition=recognition)))
    crop = cut([page])[0].lines[0].crop
    assert crop is not None and crop.ndim == dimensions


def test_direction_that_is_off_loads_no_model(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path)
    (tmp_path / "direction.onnx").unlink()
    lines = read(bundle, LINES, direction="off").lines
    assert len(lines) == len(LINES)
    assert all(line.direction == 0 and line.direction_confidence is None for line in lines)


def test_of_a_long_line_the_middle_is_judged() -> None:
    crop = np.zeros((10, 1000, 3), np.uint8)
    crop[:, 400:600] = 255
    short, long = (Line(np.zeros((4, 2), np.float32), 1.0, crop=c) for c in (crop[:, :70], crop))
    assert middle(short, 8.0) is short
    assert middle(long, 8.0).crop.shape == (10, 80, 3)  # type: ignore[union-attr]
    assert (middle(long, 20.0).crop == 255).all()


def test_a_line_that_is_not_surely_upside_down_stays(bundle: Bundle) -> None:
    stage = DirectionClassifier(replace(bundle.manifest.direction, threshold=0.995), FakeSession(), "all")  # type: ignore[arg-type]
    crop = np.zeros((10, 80, 3), np.uint8)
    (page,) = stage([Page(width=99, height=99, lines=(replace(line("x"), crop=crop),))])
    assert page.lines[0].direction == 0
    assert page.lines[0].direction_confidence == pytest.approx(0.01)


def test_the_overlay_shows_the_page_and_its_text() -> None:
    image = np.full((100, 120, 3), 255, np.uint8)
    large = np.array([[10, 10], [110, 10], [110, 50], [10, 50]], np.float32)
    fine = replace(line("II"), polygon=large)
    lines = (fine, replace(fine, polygon=large + np.float32([0, 45]), needs_review=True))
    picture = overlay(Page(width=120, height=100, lines=lines), image)
    assert picture.shape == (100, 240, 3)
    left, right = picture[:, :120], picture[:, 120:]
    for color in (CERTAIN, REVIEW):
        bgr = color[::-1]
        assert (left == bgr).all(axis=2).any()
        assert (right == bgr).all(axis=2).any()


@pytest.mark.parametrize("fonts", ["OpenCV's", "Pillow's"])
def test_the_overlay_draws_letters_of_their_own_or_says_that_it_cannot(
    fonts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fonts == "Pillow's":
        monkeypatch.setattr(annotate, "_face", lambda: None)
    drawn = {}
    for char in "aéßü日?":
        sheet = np.full((60, 60, 3), 255, np.uint8)
        annotate.write(sheet, char, 8, 4, 40, CERTAIN)
        drawn[char] = sheet.tobytes()
        assert 4 < annotate.text_width(char, 40) < 60
    different = len(set(drawn.values()))
    assert different == (6 if fonts == "OpenCV's" and hasattr(cv2, "FontFace") else 2)
    assert drawn["a"] != drawn["?"]


def test_the_overlay_numbers_lines_as_they_are_read() -> None:
    image = np.full((100, 120, 3), 255, np.uint8)
    box = np.array([[40, 10], [110, 10], [110, 40], [40, 40]], np.float32)
    lines = tuple(replace(line("I"), polygon=box + np.float32([0, 45 * i])) for i in range(2))
    marks = overlay(Page(width=120, height=100, lines=lines), image)[:, :38]
    first, second = marks[10:40], marks[55:85]
    assert (first != 255).any() and (second != 255).any() and (first != second).any()


def test_a_file_is_read_by_its_path(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(cv2.imencode(".png", page_image(["abc"]))[1].tobytes())
    reader = Reader(bundle)
    (expected,) = reader.read_bytes((tmp_path / "page.png").read_bytes())
    for path in (tmp_path / "page.png", str(tmp_path / "page.png")):
        assert [page.text for page in reader.read_file(path)] == [expected.text] != [""]
    with pytest.raises(FileNotFoundError):
        reader.read_file(tmp_path / "none.png")


@pytest.mark.parametrize(
    "given", ["page.png", Path("page.png"), None, np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))]
)
def test_what_is_no_picture_is_told_by_what_takes_it(bundle: Bundle, given: object) -> None:
    reader = Reader(bundle)
    with pytest.raises(
        TypeError, match=r"read takes pixels, a uint8 array \(H, W, 3\), not .*: read_file takes a path"
    ):
        reader.read(given)  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match=r"read_bytes takes the bytes of a file, not .*: read_file takes a path"
    ):
        reader.read_bytes(given)  # type: ignore[arg-type]
