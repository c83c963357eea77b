from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pyclipper
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Polygon

from models.bundle import DetectionSpec
from models.detection import Detector, RotatedRect, find_regions, mean_inside, unclip
from models.records import Image, Page
from models.scales import tile_side
from models.session import Session

SPEC = DetectionSpec("d.onnx", "", "bgr", (0.5,) * 3, (0.5,) * 3)


rectangles = st.tuples(
    st.tuples(st.floats(0, 500), st.floats(0, 500)),
    st.tuples(st.floats(4, 300), st.floats(4, 60)),
    st.floats(0, 90),
)


@given(rectangles, st.floats(0.5, 3))
def test_unclip_is_the_smallest_rectangle_around_the_offset_polygon(
    rectangle: RotatedRect, ratio: float
) -> None:
    corners = cv2.boxPoints(rectangle)
    polygon = Polygon(corners)
    scale = 1000  # pyclipper counts in integers
    offset = pyclipper.PyclipperOffset(arc_tolerance=scale * 0.01)
    offset.AddPath((corners * scale).astype(np.int64), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    (grown,) = offset.Execute(polygon.area * ratio / polygon.length * scale)
    expected = cv2.minAreaRect(np.array(grown, np.float32) / scale)
    assert sorted(unclip(rectangle, ratio)[1]) == pytest.approx(sorted(expected[1]), rel=0.02, abs=0.1)


@given(rectangles, st.floats(0.1, 3))
def test_unclip_grows_around_the_same_centre(rectangle: RotatedRect, ratio: float) -> None:
    center, size, angle = unclip(rectangle, ratio)
    assert center == rectangle[0] and angle == rectangle[2]
    assert size[0] > rectangle[1][0] and size[1] > rectangle[1][1]


def drawn(*boxes: tuple[int, int, int, int], value: float = 1.0) -> np.ndarray:
    probability = np.zeros((160, 320), np.float32)
    for x0, y0, x1, y1 in boxes:
        probability[y0:y1, x0:x1] = value
    return probability


def test_regions_become_polygons_on_the_page() -> None:
    ((polygon, score),) = find_regions(drawn((40, 50, 140, 60)), SPEC, width=640, height=320)
    width, height = 99.0, 9.0  # OpenCV measures from pixel centre to pixel centre
    grow = width * height * SPEC.unclip_ratio / (2 * (width + height))
    expected = np.array(
        [[40 - grow, 50 - grow], [139 + grow, 50 - grow], [139 + grow, 59 + grow], [40 - grow, 59 + grow]]
    )
    np.testing.assert_allclose(polygon, expected * 2, atol=0.01)
    assert score == pytest.approx(1.0)
    assert polygon.dtype == np.float32


@pytest.mark.parametrize(
    ("probability", "count"),
    [
        pytest.param(drawn(), 0, id="blank"),
        pytest.param(drawn((10, 10, 60, 20), (10, 40, 60, 50)), 2, id="two lines"),
        pytest.param(drawn((10, 10, 60, 20), value=0.5), 0, id="under the box threshold"),
        pytest.param(drawn((10, 10, 60, 12)), 0, id="thinner than the least side"),
        pytest.param(drawn((0, 0, 320, 160)), 1, id="the whole page"),
        pytest.param(drawn((0, 0, 1, 1)), 0, id="one pixel"),
    ],
)
def test_what_is_kept(probability: np.ndarray, count: int) -> None:
    assert len(find_regions(probability, SPEC, 320, 160)) == count


def test_specks_do_not_use_up_the_candidates() -> None:
    specks = drawn(
        (10, 10, 110, 30), *((x, y, x + 1, y + 1) for x in range(0, 320, 4) for y in range(60, 160, 4))
    )
    assert len(find_regions(specks, SPEC, 320, 160)) == 1


MANY = drawn(*((x, y, x + 10, y + 5) for x in range(0, 300, 20) for y in range(0, 150, 10)))


def test_no_more_candidates_than_asked_for() -> None:
    assert len(find_regions(MANY, replace(SPEC, max_candidates=7), 320, 160)) == 7


def test_a_map_of_many_tiles_has_as_many_more_candidates() -> None:
    spec = replace(SPEC, limit=64, max_candidates=7)
    assert MANY.size / tile_side(spec) ** 2 == 12.5
    assert len(find_regions(MANY, spec, 320, 160)) == 13 * 7


@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.integers(0, 140), st.integers(1, 200), st.integers(1, 60)),
        max_size=6,
    )
)
def test_polygons_stay_on_the_page(boxes: list[tuple[int, int, int, int]]) -> None:
    probability = drawn(*((x, y, x + w, y + h) for x, y, w, h in boxes))
    for polygon, score in find_regions(probability, SPEC, width=1000, height=700):
        assert (polygon >= 0).all() and (polygon <= (1000, 700)).all()
        assert 0 <= score <= 1.001


def test_mean_inside_counts_the_pixels_of_the_polygon_only() -> None:
    probability = drawn((10, 10, 21, 21), value=0.8)
    inside = np.array([[10, 10], [20, 10], [20, 20], [10, 20]], np.float32)
    assert mean_inside(probability, inside) == pytest.approx(0.8)
    assert mean_inside(probability, inside + np.float32([11, 0])) == pytest.approx(0.0)
    assert mean_inside(probability, inside + 400) == pytest.approx(0.0)


class Ink(Session):
    """A detector of black bars on white. Like a network, it sees none that are too low or too high."""

    def __init__(self, low: int = 1, high: int = 10_000) -> None:
        self._low, self._high = low, high
        self.shapes: list[tuple[int, ...]] = []

    def run(self, tensor: np.ndarray) -> Sequence[np.ndarray]:
        self.shapes.append(tensor.shape)
        ink = (tensor[0, 0] < 0).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(ink)
        heights = stats[:, cv2.CC_STAT_HEIGHT]
        seen = (heights >= self._low) & (heights <= self._high)
        seen[0] = False  # the paper
        return [seen[labels].astype(np.float32)[None, None]]


class Upright(Ink):
    """Misses what is not long where the long bars run down, as detectors miss digits on their sides."""

    def run(self, tensor: np.ndarray) -> Sequence[np.ndarray]:
        (found,) = super().run(tensor)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(found[0, 0].astype(np.uint8))
        width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
        down = height >= 3 * width
        if down[1:].any():
            found = found * down[labels]
        return [found]


def bars(width: int, height: int, boxes: Sequence[Sequence[int]]) -> Image:
    """Black boxes, (x0, y0, x1, y1) in pixels, on a white page."""
    image = np.full((height, width), 255, np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[y0:y1, x0:x1] = 0
    return image


def detect(image: Image, session: Session, **values: Any) -> list[list[int]]:
    """The boxes found on a grey page, top first. Regions hardly grow, since `Ink` gives whole bars."""
    spec = DetectionSpec("d.onnx", "", "gray", (0.5,), (0.5,), unclip_ratio=0.1, min_side=1, **values)
    (page,) = Detector(spec, session)([Page(width=image.shape[1], height=image.shape[0], image=image)])
    boxes = [[*line.polygon.min(axis=0), *line.polygon.max(axis=0)] for line in page.lines]
    return sorted(np.rint(boxes).astype(int).tolist(), key=lambda found: (found[1], found[0]))


def assert_near(found: Sequence[Sequence[int]], drawn: Sequence[Sequence[int]], pixels: float) -> None:
    assert len(found) == len(drawn)
    np.testing.assert_allclose(found, drawn, atol=pixels)


RECEIPT = [(40, y, 500, y + 24) for y in range(60, 5400, 60)]


@pytest.mark.parametrize("turned", [False, True], ids=["down", "across"])
def test_a_long_page_is_found_whole(turned: bool) -> None:
    session = Ink(low=9)  # shrunk to 1,120 pixels of length its lines would be 5 high
    image, drawn = bars(576, 5400, RECEIPT), RECEIPT
    if turned:
        image, drawn = np.ascontiguousarray(image.T), [(y0, x0, y1, x1) for x0, y0, x1, y1 in RECEIPT]
    assert_near(detect(image, session, limit=1120), drawn, 5)
    assert max(shape[2] * shape[3] for shape in session.shapes) <= 1120 * 1120


def test_the_end_of_a_long_screenshot_with_many_lines_is_found() -> None:
    drawn = [(30, y, 900, y + 12) for y in range(20, 29_960, 24)]
    session = Ink(low=3)
    found = detect(bars(1000, 30_000, drawn), session, limit=960)
    assert len(drawn) > SPEC.max_candidates
    assert_near([found[0], found[-1]], [drawn[0], drawn[-1]], 3)
    assert len(found) == len(drawn)
    assert max(shape[2] * shape[3] for shape in session.shapes) <= 960 * 960


def test_lines_that_are_low_on_a_large_page_get_a_finer_look() -> None:
    drawn = [(500 * x, 300 * y, 500 * x + 320, 300 * y + 36) for y in range(1, 9) for x in range(1, 8)]
    session = Ink(low=3)
    found = detect(bars(4800, 3400, drawn), session, limit=640)
    assert_near(found, drawn, 4)  # a pixel of the first look is 7.5 of the page
    assert np.abs(np.subtract(found, drawn)).mean() < 1.5
    assert max(shape[2] * shape[3] for shape in session.shapes) <= 640 * 640


@pytest.mark.parametrize("height", [90, 130, 200, 300, 400])
def test_letters_that_fill_the_picture_are_found(height: int) -> None:
    drawn = [(height // 3, height // 3, 6 * height, height // 3 + height)]
    drawn.append((height // 3, 2 * height, height, 3 * height))  # and a figure alone
    session = Ink(low=6, high=64)
    found = detect(bars(int(6.5 * height), int(3.4 * height), drawn), session, limit=1120)
    assert_near(found, drawn, height / 6)


def test_large_letters_are_found_beside_small_ones() -> None:
    small = [(60, y, 600, y + 20) for y in range(500, 1000, 40)]
    drawn = [(60, 60, 760, 260), *small]
    found = detect(bars(1000, 1100, drawn), Ink(low=6, high=64), limit=1120)
    assert_near(found[1:], small, 3)
    assert_near(found[:1], drawn[:1], 30)


CELLS = [(60, y, 400, y + 24) for y in range(60, 600, 60)] + [
    (x, y, x + 20, y + 24) for x in range(480, 900, 80) for y in range(60, 600, 60)
]


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_short_cells_of_a_page_on_its_side_are_found(turns: int) -> None:
    upright = bars(1000, 700, CELLS)
    numbers = np.zeros(upright.shape, np.int32)
    for number, (x0, y0, x1, y1) in enumerate(CELLS, start=1):
        numbers[y0:y1, x0:x1] = number
    drawn = [
        (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        for number in range(1, len(CELLS) + 1)
        for ys, xs in [np.nonzero(np.rot90(numbers, turns) == number)]
    ]
    session = Upright()
    page = Page(
        width=2 * upright.shape[1 - turns % 2],  # the decoder has halved it
        height=2 * upright.shape[turns % 2],
        image=np.ascontiguousarray(np.rot90(upright, turns)),
    )
    spec = DetectionSpec("d.onnx", "", "gray", (0.5,), (0.5,), unclip_ratio=0.1, min_side=1, limit=1120)
    (found,) = Detector(spec, session)([page])
    boxes = [[*line.polygon.min(axis=0) / 2, *line.polygon.max(axis=0) / 2] for line in found.lines]
    nearest = [min(boxes, key=lambda box: np.abs(np.subtract(box, cell)).max()) for cell in drawn]
    assert len(boxes) == len(drawn)
    assert_near(nearest, drawn, 3)
    for line in found.lines:
        x, y = (line.polygon - line.polygon.mean(axis=0)).T
        assert (x * np.roll(y, -1) - y * np.roll(x, -1) > 0).all()  # clockwise
    looks = [shape[2] * shape[3] for shape in session.shapes]
    assert sum(looks) < (1 + turns % 2 + 0.04) * looks[0]  # an upright page is looked at once


def test_coarse_looks_cost_a_few_per_cent() -> None:
    session = Ink()
    detect(bars(1000, 1400, [(60, y, 900, y + 20) for y in range(60, 1300, 40)]), session, limit=1120)
    first, *others = [shape[2] * shape[3] for shape in session.shapes]
    assert first == 800 * 1120
    assert sum(others) < 0.04 * first


def test_tiles_join_without_a_seam() -> None:
    spec = DetectionSpec("d.onnx", "", "gray", (0.5,), (0.5,))
    image = bars(96, 1280, [(8, 20, 20, 1260), (30, 300, 90, 340), (30, 0, 90, 20), (30, 1250, 90, 1280)])
    session = Ink()
    probability = Detector(spec, session).probability_map(image)
    assert len(session.shapes) == 2
    np.testing.assert_array_equal(probability, image == 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1)])
def test_pages_of_a_few_pixels_have_no_text(size: tuple[int, int]) -> None:
    assert detect(bars(*size, []), Ink(), multiple=1) == []


def test_a_reduced_page_gets_polygons_in_its_own_pixels() -> None:
    spec = DetectionSpec("d.onnx", "", "gray", (0.5,), (0.5,), unclip_ratio=0.3)
    image = bars(400, 300, [(100, 100, 300, 120)])
    (page,) = Detector(spec, Ink())([Page(width=1600, height=1200, image=image)])
    (line,) = page.lines
    np.testing.assert_allclose([*line.polygon.min(0), *line.polygon.max(0)], [400, 400, 1200, 480], atol=12)
