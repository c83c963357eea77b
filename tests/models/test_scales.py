from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bundle import DetectionSpec
from models.scales import (
    MOST_TILES,
    OPEN_TILE,
    Region,
    coarse_sizes,
    finer_size,
    input_size,
    merged,
    spans,
    tile_side,
)

SPEC = DetectionSpec("d.onnx", "", "bgr", (0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    ("width", "height", "policy", "size"),
    [
        pytest.param(1920, 960, ("longest", 960), (960, 480), id="longest shrinks"),
        pytest.param(500, 320, ("longest", 960), (512, 320), id="longest never enlarges"),
        pytest.param(2480, 3508, ("longest", 1120), (800, 1120), id="A4 is bounded by its longest side"),
        pytest.param(800, 2400, ("longest", 960), (320, 960), id="so is a receipt of three widths"),
        pytest.param(576, 5400, ("longest", 1120), (384, 3488), id="a long receipt by its width"),
        pytest.param(5400, 576, ("longest", 1120), (3488, 384), id="a strip by its height"),
        pytest.param(1000, 30000, ("longest", 960), (320, 9600), id="a long screenshot by its width"),
        pytest.param(368, 736, ("shortest", 736), (736, 1472), id="shortest enlarges"),
        pytest.param(2000, 1000, ("shortest", 736), (1984, 992), id="shortest never shrinks"),
        pytest.param(2480, 3508, ("shortest", 64), (2496, 3520), id="whatever it is"),
        pytest.param(1, 1, ("longest", 960), (32, 32), id="one pixel"),
        pytest.param(30000, 1, ("shortest", 736), (30016, 32), id="a line of pixels is not enlarged"),
        pytest.param(1000, 10, ("shortest", 736), (4096, 32), id="a strip is enlarged within bounds"),
        pytest.param(30000, 1, ("longest", 960), (30016, 32), id="a line of pixels"),
    ],
)
def test_input_size(
    width: int, height: int, policy: tuple[Literal["longest", "shortest"], int], size: tuple[int, int]
) -> None:
    spec = replace(SPEC, limit_side=policy[0], limit=policy[1])
    assert input_size(width, height, spec) == size


sides = st.one_of(st.integers(1, 4000), st.integers(1, 200_000_000))
specs = st.builds(
    lambda limit_side, limit, multiple: replace(SPEC, limit_side=limit_side, limit=limit, multiple=multiple),
    st.sampled_from(["longest", "shortest"]),
    st.integers(1, 2000),
    st.sampled_from([32, 64]),
)


@given(sides, sides, specs)
def test_sides_are_multiples_and_their_area_is_bounded(width: int, height: int, spec: DetectionSpec) -> None:
    scaled = input_size(width, height, spec)
    assert all(side % spec.multiple == 0 and side > 0 for side in scaled)
    rounding = (spec.multiple * sum(scaled) + spec.multiple**2) / 2
    assert scaled[0] * scaled[1] <= MOST_TILES * tile_side(spec) ** 2 + rounding


@given(st.integers(1, 2_000), specs)
def test_spans_take_each_pixel_once_from_tiles_of_one_bounded_length(count: int, spec: DetectionSpec) -> None:
    length = count * spec.multiple
    tiles = spans(length, spec)
    assert [tiles[0].first, *(tile.last for tile in tiles)] == [*(tile.first for tile in tiles), length]
    assert len({tile.stop - tile.start for tile in tiles}) == 1
    for tile in tiles:
        assert 0 <= tile.start <= tile.first < tile.last <= tile.stop <= length
        assert (tile.stop - tile.start) % spec.multiple == 0
        assert tile.stop - tile.start <= tile_side(spec)


def test_tiles_see_beyond_what_is_taken_from_them() -> None:
    tiles = spans(5_600, replace(SPEC, limit=1120))
    assert len(tiles) == 6
    assert all(tile.first - tile.start >= 64 for tile in tiles[1:])
    assert all(tile.stop - tile.last >= 64 for tile in tiles[:-1])


def test_a_side_that_no_limit_bounds_is_tiled() -> None:
    assert len(spans(OPEN_TILE, replace(SPEC, limit_side="shortest"))) == 1
    assert len(spans(OPEN_TILE + 32, replace(SPEC, limit_side="shortest"))) == 2


@pytest.mark.parametrize(
    ("found", "size"),
    [
        pytest.param(0.0, None, id="nothing found"),
        pytest.param(10.0, None, id="high enough"),
        pytest.param(4.0, (3840, 2720), id="four times larger"),
        pytest.param(8.0, (1920, 1344), id="twice as large"),
    ],
)
def test_low_lines_ask_for_a_finer_look(found: float, size: tuple[int, int] | None) -> None:
    assert finer_size(9933, 7016, found, SPEC) == size


def test_no_look_is_finer_than_the_page_or_hardly_finer_than_the_first() -> None:
    assert finer_size(1920, 960, 4.0, SPEC) == (1920, 960)
    assert finer_size(1280, 960, 4.0, SPEC) is None


def test_coarse_looks_shrink_while_a_word_fits() -> None:
    assert coarse_sizes(1120, 800, 32) == [(192, 128), (32, 32)]
    assert coarse_sizes(160, 32, 32) == [(32, 32)]
    assert coarse_sizes(128, 64, 32) == []


def box(x0: float, y0: float, x1: float, y1: float, score: float = 0.9) -> Region:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32), score


WORD = box(100, 100, 500, 200)
LINES = [box(100, 100 + 40 * row, 500, 125 + 40 * row) for row in range(3)]
PIECES = [box(100, 100, 180, 200, 0.7), box(300, 105, 400, 198, 0.8)]
WORDS = [box(100, 100, 290, 200, 0.9), box(310, 100, 500, 200, 0.95)]
LOWER = [box(100, 100, 180, 160, 0.7), box(300, 100, 400, 160, 0.8)]
ASIDE = box(600, 100, 900, 130)


@pytest.mark.parametrize(
    ("found", "coarse", "expected"),
    [
        pytest.param([], [WORD], [WORD], id="a word that the first look missed"),
        pytest.param([ASIDE], [WORD], [ASIDE, WORD], id="beside others"),
        pytest.param([WORD], [box(90, 90, 510, 210)], [WORD], id="found before"),
        pytest.param([*PIECES, ASIDE], [WORD], [ASIDE, WORD], id="pieces give way"),
        pytest.param(PIECES, [box(100, 100, 500, 200, 0.65)], [box(100, 100, 500, 200, 0.65)], id="barely"),
        pytest.param(WORDS, [box(100, 100, 500, 200, 0.8)], WORDS, id="sure words that fill it stay"),
        pytest.param(LOWER, [box(100, 100, 500, 160)], LOWER, id="lower words stay words"),
        pytest.param(LINES, [box(95, 95, 505, 215)], LINES, id="a block of lines stays lines"),
        pytest.param([box(110, 110, 180, 135)], [WORD], [box(110, 110, 180, 135), WORD], id="a note stays"),
        pytest.param([], [box(100, 100, 500, 139)], [], id="low text is the first look's"),
        pytest.param([], [box(100, 100, 500, 200, 0.69)], [], id="hardly text"),
    ],
)
def test_merged(found: list[Region], coarse: list[Region], expected: list[Region]) -> None:
    got = merged(found, coarse, 1.0, SPEC)
    assert [(polygon.tolist(), score) for polygon, score in got] == [
        (polygon.tolist(), score) for polygon, score in expected
    ]


def test_heights_count_in_pixels_of_the_finer_look() -> None:
    assert merged([], [WORD], 0.39, SPEC) == []
    assert len(merged([], [WORD], 0.4, SPEC)) == 1
