"""At which sizes a detector looks at a page, in which tiles, and how what it finds is put together.

A detector finds lines that are some 8 to 60 pixels high, and a page's size does not say how high they are.
So the first look is at the size that a page of this width usually needs. A finer look follows where its lines
are low. Coarser looks, for a few per cent of the cost, find letters that are too large for the first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from models.bundle import DetectionSpec
from models.limits import deciding_side
from models.records import Quad

Region = tuple[Quad, float]
"""A polygon on the page, and the mean probability of text inside it."""

MAX_SIDE = 4096
"""Raising the shortest side makes no image longer than this: a line of pixels would become gigabytes."""
OPEN_TILE = 2048
"""Longest side of a tile, in pixels, where the bundle bounds no longest side."""
MOST_TILES = 16
"""A look takes at most the pixels of this many of the largest tiles; this bounds memory and time."""
OVERLAP = 128
"""Pixels that neighbouring tiles share at least; a quarter of the longest tile where that is less."""

LOW, WANTED = 10.0, 16.0
"""Heights of lines in pixels of the first look. Where half of the lines are lower than `LOW`, a finer look
makes the middle one as high as `WANTED`, as far as the page has pixels."""
WORTH = 1.5
"""A finer look makes the page at least this many times larger, or there is none."""

COARSER, COARSE_LOOKS = 6, 2
"""Each coarse look sees the page this many times smaller than the look before."""
LEAST_COARSE = 24
"""Pixels of the longer side below which there is no coarse look: no word fits."""
LARGE, TOO_LARGE = 40, 64
"""Heights of lines in pixels of a look. From `LARGE` on, the look may miss a line and a coarser one adds it;
from `TOO_LARGE` on, the look finds pieces of a line and a coarser one replaces them."""
SURER = 0.25
"""How far a coarse look's probability must lie above `box_threshold` where other looks found nothing, as a
part of the way to 1: the smaller a picture is, the more of its shapes look like letters."""
HOLDS_LINES, HOLDS_SURER, IS_THERE = 0.3, 0.1, 0.6
"""Parts of a coarse region's area. Where lower lines cover the first, or lower and surer
ones the second, it is these lines run together, such as the digits of a column. Where a single one covers
the third, that one has found it before."""


def page_scale(width: int, height: int, spec: DetectionSpec) -> float:
    """The factor by which a page's sides, in pixels, are scaled for the first look."""
    if spec.limit_side == "longest":
        scale = min(1.0, spec.limit / deciding_side(width, height))
    else:
        scale = max(1.0, min(spec.limit / min(width, height), MAX_SIDE / max(width, height)))
    return min(scale, most_scale(width, height, spec))


def most_scale(width: int, height: int, spec: DetectionSpec) -> float:
    """The largest factor that keeps a page within `MOST_TILES`, though no side falls below `multiple`."""
    pixels = MOST_TILES * tile_side(spec) ** 2
    return min(math.sqrt(pixels / (width * height)), pixels / (spec.multiple * max(width, height)))


def finer_size(width: int, height: int, found: float, spec: DetectionSpec) -> tuple[int, int] | None:
    """Width and height in pixels of a finer look, or None where the first is fine enough.

    Args:
        width: of the page in pixels.
        height: of the page in pixels.
        found: median height of the lines in pixels of the first look; 0: it found none.
        spec: bounds the size.
    """
    if not 0 < found < LOW:
        return None
    scale = page_scale(width, height, spec)
    finer = min(1.0, most_scale(width, height, spec), scale * WANTED / found)
    return scaled_size(width, height, finer, spec.multiple) if finer >= WORTH * scale else None


def coarse_sizes(width: int, height: int, multiple: int) -> list[tuple[int, int]]:
    """Widths and heights in pixels of the looks behind the first, which has these."""
    scales = [COARSER**-look for look in range(1, COARSE_LOOKS + 1)]
    return [
        scaled_size(width, height, by, multiple) for by in scales if max(width, height) * by >= LEAST_COARSE
    ]


def median_height(regions: Sequence[Region]) -> float:
    """The height of the line in the middle of all, in pixels of the page; 0 where there is none."""
    return float(np.median([line_height(polygon) for polygon, _ in regions])) if regions else 0.0


def input_size(width: int, height: int, spec: DetectionSpec) -> tuple[int, int]:
    """Width and height in pixels at which the first look sees a page: multiples of `spec.multiple`."""
    return scaled_size(width, height, page_scale(width, height, spec), spec.multiple)


def scaled_size(width: int, height: int, scale: float, multiple: int) -> tuple[int, int]:
    """A page's width and height at a scale, each rounded to a multiple and at least that."""
    return _rounded(width * scale, multiple), _rounded(height * scale, multiple)


def _rounded(side: float, multiple: int) -> int:
    return max(multiple, round(side / multiple) * multiple)


def tile_side(spec: DetectionSpec) -> int:
    """The longest side, in pixels, of what the engine sees at once: an ordinary page's first look."""
    return _rounded(spec.limit if spec.limit_side == "longest" else OPEN_TILE, spec.multiple)


class Span(NamedTuple):
    """A tile along one axis: the pixels that it sees, and of these the ones that are taken from it."""

    start: int
    stop: int
    first: int
    last: int


def spans(length: int, spec: DetectionSpec) -> list[Span]:
    """Divides a side, a multiple of `spec.multiple`, into overlapping tiles of one length.

    A side that is no longer than an ordinary page's stays whole. The tiles' length is a multiple too: so the
    number of shapes that an engine sees, and keeps memory for, is bounded. Of what two tiles share, half is
    taken from each.
    """
    most = tile_side(spec)
    if length <= most:
        return [Span(0, length, 0, length)]
    overlap = min(OVERLAP, most // 4)
    count = math.ceil((length - overlap) / (most - overlap))
    side = math.ceil((length + (count - 1) * overlap) / count / spec.multiple) * spec.multiple
    starts = [(length - side) * i // (count - 1) for i in range(count)]
    cuts = [0, *((start + side + after) // 2 for start, after in itertools.pairwise(starts)), length]
    return [Span(start, start + side, *cuts[i : i + 2]) for i, start in enumerate(starts)]


def merged(
    found: Sequence[Region], coarse: Sequence[Region], scale: float, spec: DetectionSpec
) -> list[Region]:
    """Adds to what a look found what a coarser one found of larger text.

    Lines stay where the coarser look found them run together. Pieces of a large line give way to the whole.

    Args:
        found: by the finer look.
        coarse: by the coarser look.
        scale: of the finer look: its pixels to one of the page.
        spec: says from which probability a region is kept.

    Returns:
        Regions, in no particular order.
    """
    sure = spec.box_threshold + SURER * (1 - spec.box_threshold)
    regions = list(found)
    for region in coarse:
        height = line_height(region[0]) * scale
        if height >= LARGE:
            regions = _with(regions, region, sure, replaces=height >= TOO_LARGE)
    return regions


def _with(regions: list[Region], large: Region, sure: float, replaces: bool) -> list[Region]:
    """Adds a coarse look's region, unless finer looks have found it or the lines in it.

    Args:
        regions: of finer looks.
        large: of a coarser one.
        sure: least probability where finer looks have found nothing.
        replaces: whether pieces of it give way, unless they tell more of its area to be text.
    """
    polygon, score = large
    half, area = line_height(polygon) / 2, _area(polygon)
    shared = _shared_areas(regions, polygon)
    lower = [(regions[i][1], part) for i, part in shared if line_height(regions[i][0]) < half]
    is_there = any(part >= IS_THERE * area for _, part in shared)
    covered, surer = sum(part for _, part in lower), sum(part for told, part in lower if told > score)
    if is_there or covered >= HOLDS_LINES * area or surer >= HOLDS_SURER * area:
        return regions
    higher = [(i, part) for i, part in shared if line_height(regions[i][0]) >= half]
    pieces = {i: part for i, part in higher if part > _area(regions[i][0]) / 2}
    told = sum(regions[i][1] * part for i, part in pieces.items())
    is_better = replaces and score * area >= told if pieces else score >= sure
    if not is_better:
        return regions
    return [*(region for i, region in enumerate(regions) if i not in pieces), large]


def line_height(polygon: Quad) -> float:
    """The shorter side of a rectangle, (4, 2), in its unit."""
    return min(_sides(polygon))


def _area(polygon: Quad) -> float:
    across, down = _sides(polygon)
    return across * down


def _sides(polygon: Quad) -> tuple[float, float]:
    (x0, y0), (x1, y1), _, (x3, y3) = polygon.tolist()  # four points: Python is faster than NumPy
    return math.hypot(x1 - x0, y1 - y0), math.hypot(x3 - x0, y3 - y0)


def _shared_areas(regions: Sequence[Region], polygon: Quad) -> list[tuple[int, float]]:
    """Which regions may share area with a rectangle, by number, and how much each does."""
    if not regions:
        return []
    corners = np.stack([region[0] for region in regions])  # at once: a page has hundreds, and few are near
    apart = (corners.max(axis=1) <= polygon.min(axis=0)) | (polygon.max(axis=0) <= corners.min(axis=1))
    near = np.flatnonzero(~apart.any(axis=1)).tolist()
    return [(i, float(cv2.intersectConvexConvex(polygon, regions[i][0])[0])) for i in near]
