from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.geometry import crop_quad, fit_height, grow, order_corners, rectify, run_down, turn
from models.records import Line, Page

angles = st.floats(-44, 44)
sides = st.floats(5, 500)
centers = st.floats(-1000, 1000)


def rectangle(x: float, y: float, width: float, height: float, degrees: float) -> np.ndarray:
    """Corners clockwise from the top left, by hand rather than through OpenCV."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
    return (corners @ np.array([[cos, sin], [-sin, cos]]) + (x, y)).astype(np.float32)


def signed_area(polygon: np.ndarray) -> float:
    x, y = polygon.astype(np.float64).T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


@given(centers, centers, sides, sides, angles, st.permutations(range(4)))
def test_corners_start_at_the_top_left_whatever_their_order(
    x: float, y: float, width: float, height: float, degrees: float, order: list[int]
) -> None:
    width, height = max(width, height), min(width, height)
    polygon = rectangle(x, y, width, height, degrees)
    np.testing.assert_array_equal(order_corners(polygon[list(order)]), polygon)


@given(centers, centers, sides, sides, st.floats(0, 360), st.permutations(range(4)))
def test_corners_go_clockwise_at_any_angle(
    x: float, y: float, width: float, height: float, degrees: float, order: list[int]
) -> None:
    polygon = order_corners(rectangle(x, y, width, height, degrees)[list(order)])
    assert signed_area(polygon) == pytest.approx(width * height, rel=0.01, abs=1)


@given(centers, centers, sides, sides, st.floats(0, 360), st.floats(0, 1))
def test_growing_moves_every_side_out(
    x: float, y: float, width: float, height: float, degrees: float, margin: float
) -> None:
    polygon = rectangle(x, y, width, height, degrees)
    more = 2 * margin * min(width, height)
    expected = rectangle(x, y, width + more, height + more, degrees)
    np.testing.assert_allclose(grow(polygon, margin), expected, rtol=1e-4, atol=0.01)


def gradient(width: int, height: int) -> np.ndarray:
    """Each pixel says where it is: blue by x, green by y."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, :, 0] = np.arange(width)
    image[:, :, 1] = np.arange(height)[:, None]
    return image


def test_an_upright_crop_is_the_page_itself() -> None:
    image = gradient(200, 100)
    crop = crop_quad(image, np.array([[20, 30], [120, 30], [120, 60], [20, 60]], np.float32))
    np.testing.assert_array_equal(crop, image[30:60, 20:120])


@pytest.mark.parametrize(
    ("across", "down", "least_height", "size"),
    [
        pytest.param(100.0, 10.0, 32, (320, 32), id="enlarged"),
        pytest.param(100.0, 10.9, 32, (294, 32), id="no part of a pixel is lost"),
        pytest.param(10.0, 20.0, 32, (16, 32), id="a letter"),
        pytest.param(100.9, 32.9, 32, (100, 32), id="high enough"),
        pytest.param(100.9, 10.9, 0, (100, 10), id="as the references do"),
        pytest.param(1024.0, 2.0, 32, (2048, 4), id="a rule"),
        pytest.param(3000.0, 2.0, 32, (3000, 2), id="a long rule"),
        pytest.param(0.0, 0.0, 32, (1, 1), id="a point"),
    ],
)
def test_low_lines_are_enlarged(across: float, down: float, least_height: int, size: tuple[int, int]) -> None:
    polygon = np.array([[5, 5], [5 + across, 5], [5 + across, 5 + down], [5, 5 + down]], np.float32)
    assert crop_quad(gradient(60, 60), polygon, least_height).shape == (*size[::-1], 3)


def test_an_enlarged_line_lies_where_it_lay() -> None:
    image = gradient(250, 100)
    quad = np.array([[20, 30], [220, 30], [220, 40.5], [20, 40.5]], np.float32)
    crop = crop_quad(image, quad, 42)
    assert crop.shape == (42, 800, 3)
    np.testing.assert_allclose(crop[0, ::4, 0], np.arange(20, 220), atol=1)
    np.testing.assert_allclose(crop[:, 0, 1], 30 + np.arange(42) / 4, atol=1)
    page = Page(width=250, height=100, image=image, lines=(Line(quad, 1.0),))
    np.testing.assert_array_equal(rectify(page, least_height=42).lines[0].crop, crop)


def test_a_tall_line_is_turned_and_its_polygon_starts_at_the_new_top_left() -> None:
    image = gradient(200, 100)
    polygon = np.array([[50, 10], [70, 10], [70, 90], [50, 90]], np.float32)
    line = rectify(Page(width=200, height=100, image=image, lines=(Line(polygon, 1.0),))).lines[0]
    assert line.crop is not None and line.crop.shape == (20, 80, 3)
    np.testing.assert_array_equal(line.polygon[0], [70, 10])
    corner = line.crop[0, 0]
    assert (corner[0], corner[1]) == (69, 10)


def box(x: float, y: float, width: float, height: float) -> np.ndarray:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)


ACROSS, DOWN = box(10, 10, 150, 20), box(160, 40, 20, 150)


@pytest.mark.parametrize(
    ("others", "letter", "word", "long"),
    [
        pytest.param([ACROSS], False, False, True, id="among lines across"),
        pytest.param([DOWN], True, True, True, id="on a page that lies on its side"),
        pytest.param([ACROSS, DOWN, DOWN], True, True, True, id="most run down"),
        pytest.param([ACROSS, ACROSS, DOWN], False, False, True, id="most run across"),
        pytest.param([], False, False, True, id="alone"),
        pytest.param([box(90, 90, 30, 20)], False, False, True, id="one label"),
        pytest.param([box(80, 80, 58, 20)] * 3 + [box(5, 5, 8, 40)], False, False, True, id="words"),
    ],
)
@pytest.mark.parametrize("degrees", [0, 10, -10])
def test_short_text_runs_as_the_long_lines_of_its_page(
    others: list[np.ndarray], letter: bool, word: bool, long: bool, degrees: float
) -> None:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    shapes = [box(50, 50, 12, 20), box(80, 50, 30, 20), box(50, 90, 20, 70), *others]
    polygons = np.stack(shapes) @ np.array([[cos, sin], [-sin, cos]], np.float32)
    if not others:  # what is long itself would speak for the page
        assert run_down(polygons[:2]).tolist() == [letter, word]
    else:
        assert run_down(polygons).tolist() == [
            letter,
            word,
            long,
            *(np.ptp(other[:, 1]) > np.ptp(other[:, 0]) for other in others),
        ]


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_digit_is_cut_out_as_the_page_stands(turns: int) -> None:
    image = np.full((100, 200), 255, np.uint8)
    image[50:70, 50:62] = np.arange(20, dtype=np.uint8)[:, None]
    quads = [box(10, 10, 150, 20), box(50, 50, 12, 20), box(10, 75, 150, 20)]
    for _ in range(turns):  # by 90 degrees counter-clockwise
        width = image.shape[1]
        image = np.ascontiguousarray(np.rot90(image))
        quads = [order_corners(np.stack([quad[:, 1], width - quad[:, 0]], axis=1)) for quad in quads]
    lines = tuple(Line(quad.astype(np.float32), 1.0) for quad in quads)
    page = rectify(
        Page(width=image.shape[1], height=image.shape[0], image=image, lines=lines), least_height=20
    )
    crop = page.lines[1].crop
    assert crop is not None and crop.shape == (20, 12)
    # Where it stands on its head, that is for the classifier to tell.
    upright = np.arange(20) if turns in (0, 3) else np.arange(20)[::-1]
    np.testing.assert_allclose(crop[:, 6], upright, atol=1)


def test_a_low_line_that_runs_downwards_is_enlarged() -> None:
    page = Page(width=60, height=60, image=gradient(60, 60), lines=(Line(box(5, 5, 10, 40), 1.0),))
    crop = rectify(page, least_height=32).lines[0].crop
    assert crop is not None and crop.shape == (32, 128, 3)


def test_a_reduced_image_gives_reduced_crops_and_keeps_the_pages_polygons() -> None:
    polygon = np.array([[40, 60], [240, 60], [240, 120], [40, 120]], np.float32)
    page = rectify(Page(width=400, height=200, image=gradient(200, 100), lines=(Line(polygon, 1.0),)))
    assert page.image is None
    assert page.lines[0].crop is not None and page.lines[0].crop.shape == (30, 100, 3)
    np.testing.assert_array_equal(page.lines[0].polygon, polygon)


def test_grey_crops_are_those_of_the_grey_page() -> None:
    polygon = np.array([[20, 30], [120, 32], [119, 60], [19, 58]], np.float32)
    page = Page(width=200, height=100, image=gradient(200, 100), lines=(Line(polygon, 1.0),))
    crop = rectify(page, one_channel=True).lines[0].crop
    assert crop is not None and page.image is not None
    np.testing.assert_array_equal(crop, crop_quad(cv2.cvtColor(page.image, cv2.COLOR_BGR2GRAY), polygon))


def test_a_page_without_lines_only_loses_its_pixels() -> None:
    page = rectify(Page(width=200, height=100, image=gradient(200, 100)), 0.2)
    assert (page.image, page.lines) == (None, ())


def test_turning_twice_changes_nothing() -> None:
    polygon = np.array([[0, 0], [9, 0], [9, 4], [0, 4]], np.float32)
    line = Line(polygon, 1.0, crop=gradient(9, 4))
    once, twice = turn(line), turn(turn(line))
    np.testing.assert_array_equal(once.polygon[0], [9, 4])
    assert once.crop is not None and twice.crop is not None and line.crop is not None
    np.testing.assert_array_equal(once.crop[0, 0], line.crop[3, 8])
    np.testing.assert_array_equal(twice.crop, line.crop)


@pytest.mark.parametrize(
    ("size", "squeeze", "width"),
    [
        pytest.param((96, 24), 0.0, 192, id="enlarged"),
        pytest.param((500, 100), 0.0, 240, id="reduced"),
        pytest.param((1000, 10), 0.0, 4800, id="longer than all widths"),
        pytest.param((1, 1000), 0.0, 1, id="at least one column"),
        pytest.param((31, 10), 0.0, 149, id="rounded up"),
        pytest.param((100, 48), 0.05, 96, id="squeezed by 4 in a hundred"),
        pytest.param((102, 48), 0.05, 102, id="6 would be too many"),
        pytest.param((120, 48), 0.05, 120, id="it fits as it is"),
        pytest.param((400, 48), 0.05, 400, id="too long to be squeezed"),
        pytest.param((400, 48), 1.0, 96, id="squeezed as far as need be"),
        pytest.param((30, 48), 1.0, 30, id="fits as it is"),
    ],
)
@pytest.mark.parametrize("gray", [False, True])
def test_fit_height(size: tuple[int, int], squeeze: float, width: int, gray: bool) -> None:
    crop, height = np.full((size[1], size[0], 3), (10, 20, 30), np.uint8), 48
    line = Line(np.zeros((4, 2), np.float32), 1.0, crop=crop)
    fitted = fit_height(line, height, (96, 160, 320), gray, squeeze)
    assert fitted.shape == ((height, width) if gray else (height, width, 3))
    expected = cv2.cvtColor(crop[:1, :1], cv2.COLOR_BGR2GRAY)[0, 0] if gray else crop[0, 0]
    assert (fitted == expected).all()


@pytest.mark.parametrize("call", [rectify, lambda page: fit_height(page.lines[0], 48, (320,), False)])
def test_pixels_that_are_gone_are_asked_for(call) -> None:  # type: ignore[no-untyped-def]
    page = Page(uri="a.jpg", width=9, height=9, lines=(Line(np.zeros((4, 2), np.float32), 1.0),))
    with pytest.raises(ValueError, match="rectif"):
        call(page)


def test_every_rectangle_of_a_grid_is_cut_where_it_stands() -> None:
    image = gradient(250, 250)
    for x, y in itertools.product(range(20, 200, 60), repeat=2):
        crop = crop_quad(image, rectangle(x + 15, y + 10, 30, 20, 0))
        assert (crop[0, 0, 0], crop[0, 0, 1]) == (x, y)
