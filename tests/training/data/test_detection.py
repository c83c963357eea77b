from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from shapely.geometry import Point, Polygon

from training.data.detection import (
    LabelledPage,
    Warp,
    draw_matrix,
    load_page,
    make_targets,
    normalize,
    offset,
    random_crop,
    shrink_distance,
)
from training.data.labels import LabelledImage, Region

NONE_IGNORED = np.zeros(1, bool)


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def test_shrink_distance_is_the_papers() -> None:
    # 40 x 10: area 400, perimeter 100; D = 400 (1 - .16) / 100
    assert shrink_distance(rectangle(0, 0, 40, 10), 0.4) == pytest.approx(3.36)
    assert shrink_distance(rectangle(0, 0, 40, 10), 1.0) == 0


def test_shrink_map_of_a_rectangle_by_hand() -> None:
    targets = make_targets(rectangle(10, 20, 110, 40)[None], NONE_IGNORED, (64, 128), shrink_ratio=0.6)
    # D = 2000 * .64 / 240 = 5.33: the middle reaches from (15.33, 25.33) to (104.67, 34.67)
    rows, columns = np.nonzero(targets.shrink)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (15, 105, 25, 35)
    assert targets.shrink[25:36, 15:106].all()
    assert targets.shrink_mask.all()


def test_threshold_map_is_highest_on_the_border_and_falls_evenly() -> None:
    quad = rectangle(20, 20, 120, 60)
    targets = make_targets(quad[None], NONE_IGNORED, (80, 140), shrink_ratio=0.4)
    reach = shrink_distance(quad, 0.4)  # 12 pixels
    inside = Polygon(quad)
    for x, y in [(70, 20), (70, 26), (70, 40), (20, 40), (14, 40), (9, 9), (16, 16), (70, 69), (1, 1)]:
        apart = inside.exterior.distance(Point(x, y))
        expected = 0.3 + 0.4 * max(0.0, 1 - apart / reach)
        assert targets.threshold[y, x] == pytest.approx(expected, abs=1e-3), (x, y)
        assert targets.threshold_mask[y, x] == (inside.contains(Point(x, y)) or apart < reach), (x, y)


def test_border_of_a_line_beyond_the_crop_still_reaches_into_it() -> None:
    targets = make_targets(rectangle(-100, -22, 200, -2)[None], NONE_IGNORED, (32, 64), shrink_ratio=0.4)
    reach = shrink_distance(rectangle(-100, -22, 200, -2), 0.4)
    assert targets.threshold[0, 30] == pytest.approx(0.3 + 0.4 * (1 - 2 / reach), abs=1e-3)


@pytest.mark.parametrize(
    ("quad", "ignored"),
    [
        pytest.param(rectangle(10, 10, 50, 30), True, id="don't care"),
        pytest.param(rectangle(10, 10, 50, 12), False, id="too thin to see"),
        pytest.param(np.full((4, 2), 20, np.float32), False, id="a point"),
    ],
)
def test_what_nobody_can_see_is_asked_of_nobody(quad: np.ndarray, ignored: bool) -> None:
    targets = make_targets(quad[None], np.array([ignored]), (64, 64), shrink_ratio=0.6)
    assert not targets.shrink.any()
    assert not targets.threshold_mask.any()
    x, y = quad.mean(0).astype(int)
    assert targets.shrink_mask[y, x] == 0
    assert targets.shrink_mask[60, 60] == 1


def test_no_lines_ask_for_an_empty_map_everywhere() -> None:
    targets = make_targets(np.zeros((0, 4, 2), np.float32), np.zeros(0, bool), (32, 48), 0.6)
    assert targets.shrink.shape == (32, 48)
    assert not targets.shrink.any() and targets.shrink_mask.all() and not targets.threshold_mask.any()
    np.testing.assert_allclose(targets.threshold, 0.3)


def test_offset_agrees_with_shapely() -> None:
    quad = np.array([[10, 12], [90, 30], [85, 60], [8, 40]], np.float32)
    for distance in (-6.0, 6.0):
        moved = Polygon(offset(quad, distance)[0])
        expected = Polygon(quad).buffer(distance)
        assert moved.symmetric_difference(expected).area < 0.01 * expected.area


def test_quads_follow_the_pixels_through_any_warp() -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    quad = rectangle(150, 120, 250, 160)
    cv2.fillPoly(image, [quad.astype(np.int32)], (255, 255, 255))
    page = LabelledPage(image, quad[None], NONE_IGNORED)
    warp = Warp(size=256, limit=400, scales=(0.5, 1.5), degrees=30, flip=0.5, turned=0.5)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        matrix = draw_matrix(page, warp, rng)
        mask = cv2.warpAffine(image, matrix, (256, 256))[..., 0] > 127
        drawn = np.zeros((256, 256), np.uint8)
        crop = random_crop(page, warp, np.random.default_rng(seed))
        cv2.fillPoly(drawn, [np.round(crop.quads[0]).astype(np.int32)], 1)
        assert (mask & (drawn > 0)).sum() > 0.9 * max(mask.sum(), drawn.sum())


def test_crops_show_no_more_of_the_outside_than_they_must() -> None:
    page = LabelledPage(np.zeros((1000, 1000, 3), np.uint8), rectangle(5, 5, 60, 20)[None], NONE_IGNORED)
    warp = Warp(size=200, limit=1000, scales=(1, 1), degrees=0, flip=0)
    for seed in range(20):
        matrix = draw_matrix(page, warp, np.random.default_rng(seed))
        assert (matrix[:, 2] <= 0).all() and (matrix[:, 2] >= 200 - 1000).all()


def test_a_small_page_stays_whole_in_the_crop() -> None:
    page = LabelledPage(np.zeros((50, 80, 3), np.uint8), rectangle(5, 5, 60, 20)[None], NONE_IGNORED)
    matrix = draw_matrix(page, Warp(size=200, scales=(1, 1), degrees=0, flip=0), np.random.default_rng(1))
    assert 0 <= matrix[0, 2] <= 200 - 80 and 0 <= matrix[1, 2] <= 200 - 50


def test_a_polygon_of_many_corners_becomes_a_quad(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 60, 3), np.uint8))
    corners = ((5.0, 10.0), (20.0, 10.0), (50.0, 10.0), (50.0, 20.0), (5.0, 20.0))
    page = load_page(
        LabelledImage(tmp_path / "a.png", (Region("x", corners), Region("###", corners[:4], True)))
    )
    assert page.quads.shape == (2, 4, 2)
    assert Polygon(page.quads[0]).area == pytest.approx(450)
    assert page.ignored.tolist() == [False, True]


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"broken\.jpg cannot be decoded"):
        load_page(LabelledImage(tmp_path / "broken.jpg", ()))


def test_normalize_is_the_manifests_formula() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected = (image.astype(np.float64) / 255 - mean) / std
    np.testing.assert_allclose(normalize(image, mean, std), expected.transpose(2, 0, 1), atol=1e-6)
