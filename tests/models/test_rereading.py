"""A second recogniser, on tiny bundles: the first one reads small letters, the second one capitals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.bundle import Bundle, RecognitionSpec, with_second
from models.geometry import rectify, recut, turn
from models.reader import Reader, ReadOptions, detector, direction_classifier, recognizer, rectifier, rereader
from models.recognition import Recognizer
from models.records import Line, Page
from models.rereading import Rereader
from tests.builders import CAPITALS, page_image, tiny_bundle

TEXTS = ["aabd", "dcba", "bdbd", "ab", "ddddd"]
BELOW = 0.98
"""Between what the first recogniser says of the one line and of the other."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """With a second recogniser that is always surer of the same text, and wants more of each line."""
    folder = tmp_path_factory.mktemp("bundles")
    second = tiny_bundle(folder / "two", "two", charset=CAPITALS, margin=0.1, confidence_shift=9.0)
    return with_second(tiny_bundle(folder / "one", "one"), second)


def read(bundle: Bundle, image: np.ndarray[Any, Any], **options: Any) -> Page:
    return Reader(bundle, ReadOptions(**options)).read(image)


def told(page: Page) -> list[tuple[Any, ...]]:
    return [
        (line.text, line.confidence, line.recognizer, line.other_confidence, line.polygon.tolist())
        for line in page.lines
    ]


def test_only_lines_under_the_threshold_are_read_again(bundle: Bundle) -> None:
    alone = read(bundle, page_image(TEXTS), second_below=0.0)
    assert [line.recognizer for line in alone.lines] == [1] * len(TEXTS)
    confidences = [line.confidence for line in alone.lines]
    assert len(set(confidences)) > 2
    below = sorted(confidences)[2]  # which is not under itself
    for first, line in zip(
        alone.lines, read(bundle, page_image(TEXTS), second_below=below).lines, strict=True
    ):
        if first.confidence < below:
            assert (line.recognizer, line.other_confidence) == (2, first.confidence)
            assert line.text.isupper() and line.confidence > first.confidence
        else:
            assert (line.recognizer, line.other_confidence) == (1, None)
            assert (line.text, line.confidence) == (first.text, first.confidence)


def test_the_bundles_threshold_is_the_default(bundle: Bundle) -> None:
    manifest = replace(bundle.manifest, second_below=BELOW)
    asked = read(replace(bundle, manifest=manifest), page_image(TEXTS))
    assert told(asked) == told(read(bundle, page_image(TEXTS), second_below=BELOW))
    assert {line.recognizer for line in asked.lines} == {1, 2}
    assert asked.image is None and all(line.crop is None for line in asked.lines)


def test_a_page_reads_the_same_alone_and_among_others(bundle: Bundle) -> None:
    images = [page_image(TEXTS[i:]) for i in range(len(TEXTS))]
    images.append(np.full((40, 60, 3), 255, np.uint8))
    options = ReadOptions(second_below=BELOW, chars=True)
    pages = [Page(uri=str(i), width=x.shape[1], height=x.shape[0], image=x) for i, x in enumerate(images)]
    stages = [
        rectifier(bundle),
        *(make(bundle, options) for make in (direction_classifier, recognizer, rereader)),
    ]
    pages = [detector(bundle, options)([page])[0] for page in pages]
    together: Sequence[Page] = pages
    for stage in stages:
        together = stage(together)
    for page, among in zip(pages, together, strict=True):
        alone: Sequence[Page] = [page]
        for stage in stages:
            alone = stage(alone)
        assert told(alone[0]) == told(among)
        assert [line.chars for line in alone[0].lines] == [line.chars for line in among.lines]
    assert {line.recognizer for page in together for line in page.lines} == {1, 2}


def test_a_page_lying_on_its_side_reads_the_same(bundle: Bundle) -> None:
    turned = read(bundle, np.ascontiguousarray(np.rot90(page_image(TEXTS), -1)), second_below=1.0)
    upright = read(bundle, page_image(TEXTS), second_below=1.0)
    assert turned.text == upright.text
    assert upright.text.isupper()


class Told(Recognizer):
    """Says of each line what was laid down, and keeps the crops that it was shown."""

    def __init__(self, spec: RecognitionSpec, says: Sequence[tuple[str, float, float]] = ()) -> None:
        self.spec = spec
        self.says = iter(says)
        self.shown: list[np.ndarray[Any, Any]] = []

    def read_pages(self, pages: Sequence[Page]) -> list[Page]:
        return [replace(page, lines=tuple(map(self._line, page.lines))) for page in pages]

    def _line(self, line: Line) -> Line:
        assert line.crop is not None
        self.shown.append(line.crop)
        text, confidence, probability = next(self.says)
        found = replace(line, crop=None, text=text, confidence=confidence, probability=probability)
        return replace(found, recognizer=1)


FIRST = RecognitionSpec("", "", "gray", (0.5,), (0.5,), min_confidence=0.8)
SECOND = RecognitionSpec("", "", "bgr", (0.5,) * 3, (0.5,) * 3, margin=0.25, min_confidence=0.6)


def reread(first: tuple[str, float, float], second: tuple[str, float, float], below: float) -> list[Line]:
    text, confidence, probability = first
    polygon = np.array([[10, 10], [50, 10], [50, 30], [10, 30]], np.float32)
    line = Line(polygon, 0.9, text=text, confidence=confidence, probability=probability, recognizer=1)
    page = Page(width=100, height=50, image=np.zeros((50, 100, 3), np.uint8), lines=(line,))
    (page,) = Rereader(FIRST, Told(SECOND, [second]), below)([page])
    assert page.image is None
    return list(page.lines)


@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [
        pytest.param(("a", 0.5, 0.9), ("A", 0.6, 0.9), "A", id="the surer one"),
        pytest.param(("a", 0.5, 0.9), ("A", 0.4, 0.9), "A", id="the second in doubt"),
        pytest.param(("a", 0.5, 0.9), ("A", 0.1, 0.9), "a", id="a much surer first one"),
        pytest.param(("a", 0.5, 0.79), ("A", 0.1, 0.61), "A", id="the first is no text by its own measure"),
        pytest.param(("a", 0.5, 0.81), ("A", 0.9, 0.59), "a", id="the second is none by its own"),
        pytest.param(("", 0.0, 0.0), ("A", 0.1, 0.9), "A", id="the first read nothing"),
        pytest.param(("a", 0.5, 0.9), ("", 0.0, 0.0), "a", id="the second reads nothing"),
        pytest.param(("a", 0.5, 0.79), ("A", 0.5, 0.59), None, id="neither is text"),
    ],
)
def test_which_reading_stands(
    first: tuple[str, float, float], second: tuple[str, float, float], stands: str | None
) -> None:
    lines = reread(first, second, below=0.7)
    if stands is None:
        assert not lines
        return
    (line,) = lines
    whose, other = (2, first) if stands == "A" else (1, second)
    assert (line.text, line.recognizer, line.other_confidence) == (stands, whose, other[1])


def test_what_is_not_asked_for_may_still_be_no_text() -> None:
    assert not reread(("a", 0.7, 0.79), ("A", 1.0, 1.0), below=0.7)


def test_the_second_is_shown_what_it_wants() -> None:
    image = np.arange(50 * 100 * 3, dtype=np.uint32).reshape(50, 100, 3).astype(np.uint8)
    polygon = np.array([[20, 16], [60, 16], [60, 36], [20, 36]], np.float32)
    page = Page(width=100, height=50, image=image, lines=(Line(polygon, 0.9),))
    second = Told(SECOND, [("A", 1.0, 1.0)])
    Rereader(FIRST, second, 1.0)([page])
    (crop,) = second.shown
    assert np.array_equal(crop, image[11:41, 15:65])


def test_lines_are_cut_out_again_as_they_were() -> None:
    image = np.random.default_rng(0).integers(0, 255, (80, 120, 3), np.uint8)
    across, down = [[20, 16], [80, 16], [80, 36], [20, 36]], [[90, 10], [100, 10], [100, 70], [90, 70]]
    lines = tuple(Line(np.array(polygon, np.float32) * 2, 0.9) for polygon in (across, down))
    page = Page(width=240, height=160, image=image, lines=lines)
    cut = rectify(page, 0.1)
    cut = replace(cut, lines=(*cut.lines, turn(cut.lines[0]), turn(cut.lines[1])))
    again = recut(replace(cut, image=image), 0.1)
    for line, other in zip(cut.lines, again.lines, strict=True):
        assert line.crop is not None and other.crop is not None
        assert np.array_equal(line.crop, other.crop)
        assert np.array_equal(line.polygon, other.polygon)


def test_a_page_without_its_image_cannot_be_read_again() -> None:
    with pytest.raises(ValueError, match="page 3 of 'a' has no image"):
        recut(Page(uri="a", index=3, width=10, height=10))
