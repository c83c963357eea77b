from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pyclipper
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Polygon

from models.bundle import DetectionSpec
from models.detection import RotatedRect, find_regions, input_size, mean_inside, unclip

SPEC = DetectionSpec("d.onnx", "", "bgr", (0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    ("width", "height", "policy", "size"),
    [
        pytest.param(1920, 960, ("longest", 960), (960, 480), id="longest shrinks"),
        pytest.param(500, 320, ("longest", 960), (512, 320), id="longest never enlarges"),
        pytest.param(368, 736, ("shortest", 736), (736, 1472), id="shortest enlarges"),
        pytest.param(2000, 1000, ("shortest", 736), (1984, 992), id="shortest never shrinks"),
        pytest.param(1, 1, ("longest", 960), (32, 32), id="one pixel"),
        pytest.param(30000, 1, ("shortest", 736), (30016, 32), id="a line of pixels is not enlarged"),
        pytest.param(1000, 10, ("shortest", 736), (4096, 32), id="a strip is enlarged within bounds"),
        pytest.param(30000, 1, ("longest", 960), (960, 32), id="a line of pixels"),
    ],
)
def test_input_size(width: int, height: int, policy: tuple[str, int], size: tuple[int, int]) -> None:
    spec = replace(SPEC, limit_side=policy[0], limit=policy[1])
    assert input_size(width, height, spec) == size


@given(st.integers(1, 40_000), st.integers(1, 40_000), st.sampled_from([32, 64]))
def test_sides_are_multiples_and_bounded(width: int, height: int, multiple: int) -> None:
    sides = input_size(width, height, replace(SPEC, multiple=multiple))
    assert all(side % multiple == 0 and 0 < side <= SPEC.limit + multiple for side in sides)


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


def test_no_more_candidates_than_asked_for() -> None:
    many = drawn(*((x, y, x + 10, y + 5) for x in range(0, 300, 20) for y in range(0, 150, 10)))
    assert len(find_regions(many, replace(SPEC, max_candidates=7), 320, 160)) == 7


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
