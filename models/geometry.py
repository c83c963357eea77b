"""Rectification: from four corners on a page to an upright rectangle of pixels (PP-OCR section 1)."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from models.records import Image, Line, Page, Quad

LONG = 3.0
"""A rectangle this many times longer than wide holds a line that runs along it, whatever others do."""
WIDE = 2.0
"""A rectangle this many times wider than high speaks for a page that runs across: digits are not wide."""
SECTORS = 18
"""Sectors of ten degrees, of the angles of axes; an axis is sought in three at a time."""
ALIGNED = 0.3
"""Where this part of a page's text runs along its edges, the page is upright or lies on its side, and what
slants is labels."""
LONGEST_ENLARGED = 2048
"""Pixels of length up to which a line is enlarged: what is longer and low is a rule more often than text."""


def order_corners(corners: npt.NDArray[np.floating]) -> Quad:
    """Orders the corners of rectangles clockwise, starting at the top left.

    Top left is the upper one of the two leftmost corners, which is right for rectangles that are wider than
    high and turned by less than 45 degrees; the order stays clockwise for any.

    Args:
        corners: (..., 4, 2), convex quadrilaterals' corners in any order.
    """
    by_x = _sorted(corners, axis=0)
    left, right = _sorted(by_x[..., :2, :], axis=1), _sorted(by_x[..., 2:, :], axis=1)
    clockwise = [left[..., 0, :], right[..., 0, :], right[..., 1, :], left[..., 1, :]]
    return np.stack(clockwise, axis=-2).astype(np.float32)


def _sorted(points: npt.NDArray[np.floating], axis: int) -> npt.NDArray[np.floating]:
    order = np.argsort(points[..., axis], axis=-1, kind="stable")
    return np.take_along_axis(points, order[..., None], axis=-2)


def main_axis(sides: npt.NDArray[np.complexfloating]) -> complex:
    """The axis along which most sides run, each as x + iy, weighed by their lengths.

    It has length 1, and is x where there are none.

    Slanted sides, such as labels below bars, do not tilt it: it is that of the heaviest sector. Sectors along
    the edges of the page go before others from `ALIGNED` of all lengths on.

    Squares have twice the angle: sides that point the other way share an axis with the rest, and would cancel
    it out in a plain sum, leaving noise.
    """
    squares = sides**2 / np.maximum(np.abs(sides), 1e-6)
    sectors = np.rint(np.angle(squares) * (SECTORS / (2 * np.pi))).astype(np.intp) % SECTORS
    parts = np.bincount(sectors, squares.real, SECTORS) + 1j * np.bincount(sectors, squares.imag, SECTORS)
    sums = parts + np.roll(parts, 1) + np.roll(parts, -1)
    upright = sums[:: SECTORS // 2]
    best = upright if np.abs(upright).max() >= ALIGNED * np.abs(squares).sum() else sums
    axis = complex(np.sqrt(best[np.abs(best).argmax()]))
    return axis / abs(axis) if axis else 1 + 0j


def run_across(polygons: Quad) -> npt.NDArray[np.bool_]:
    """Whether the text of each rectangle of a page, (N, 4, 2), runs across most of the page's text: (N,)."""
    sides = _sides(polygons, 0, 1)
    turned = sides * main_axis(sides).conjugate()
    across: npt.NDArray[np.bool_] = np.abs(turned.imag) > np.abs(turned.real)
    return across


def run_down(polygons: Quad) -> npt.NDArray[np.bool_]:
    """Whether the text of each rectangle of a page, (N, 4, 2), runs along its second side: (N,).

    Long rectangles tell it by their shape. A short one may hold a digit, which is taller than wide, or a
    word; its text runs as most of the page's long and wide ones do, each weighed by what it is longer than
    wide, or across where there are none. One alone that runs down is a label, or no text.
    """
    across, down = _sides(polygons, 0, 1), _sides(polygons, 0, 3)
    width, height = np.abs(across), np.abs(down)
    tall = height >= LONG * width
    long = tall | (width >= LONG * height)
    along = _long_axis(across, down).conjugate()
    nearer = np.abs((down * along).real) * width > np.abs((across * along).real) * height
    downwards: npt.NDArray[np.bool_] = np.where(long, tall, nearer)
    return downwards


def lies_on_side(polygons: Quad, weights: npt.NDArray[np.float64]) -> bool:
    """Whether the long rectangles of a page, (N, 4, 2), run up or down it rather than across.

    Args:
        polygons: of the page's text.
        weights: (N,), how much each counts, whatever its length.
    """
    across, down = _sides(polygons, 0, 1), _sides(polygons, 0, 3)
    axis = _long_axis(across, down, weights / np.maximum(np.maximum(np.abs(across), np.abs(down)), 1e-6))
    return abs(axis.imag) > abs(axis.real)


def _long_axis(
    across: npt.NDArray[np.complex128],
    down: npt.NDArray[np.complex128],
    weights: npt.NDArray[np.float64] | float = 1.0,
) -> complex:
    """The axis along which long and wide rectangles run, given by two sides; x where there are none."""
    width, height = np.abs(across), np.abs(down)
    tall = height >= LONG * width
    speaks = (tall & (np.count_nonzero(tall) > 1)) | (width >= WIDE * height)
    excess = np.abs(width - height) / np.maximum(np.maximum(width, height), 1e-6)
    return main_axis((np.where(tall, down, across) * excess * weights)[speaks])


def _sides(polygons: Quad, start: int, end: int) -> npt.NDArray[np.complex128]:
    x, y = (polygons[:, end] - polygons[:, start]).astype(np.float64).T
    sides: npt.NDArray[np.complex128] = x + 1j * y
    return sides


def rectify(page: Page, margin: float = 0.0, one_channel: bool = False, least_height: int = 0) -> Page:
    """Cuts each line out of the page and drops the page's pixels.

    The polygon of a line that runs downwards (`run_down`) then starts at its second corner, as the text does
    if it is turned by 90 degrees counter-clockwise, and its crop is turned so.

    Args:
        page: has an image.
        margin: part of a polygon's shorter side by which its crop reaches beyond it on every side.
        one_channel: whether grey is enough: cutting takes half the time then.
        least_height: see `crop_quad`.

    Raises:
        ValueError: the page has no image.
    """
    if page.image is None:
        raise ValueError(f"page {page.index} of {page.uri!r} has no image: it was rectified before")
    if not page.lines:
        return replace(page, image=None)
    image, polygons, quads = _in_pixels(page, page.image, margin, one_channel)
    downwards = run_down(polygons).tolist()
    lines = tuple(
        _cut(line, image, quad, least_height, down)
        for line, quad, down in zip(page.lines, quads, downwards, strict=True)
    )
    return replace(page, image=None, lines=lines)


def recut(page: Page, margin: float = 0.0, one_channel: bool = False, least_height: int = 0) -> Page:
    """Cuts each line out of the page again, as it stands now, and drops the page's pixels.

    Args:
        page: has an image, and lines whose polygons start at their texts' top left.
        margin: see `rectify`.
        one_channel: see `rectify`.
        least_height: see `crop_quad`.

    Raises:
        ValueError: the page has no image.
    """
    if page.image is None:
        raise ValueError(f"page {page.index} of {page.uri!r} has no image: it was reread before")
    if not page.lines:
        return replace(page, image=None)
    image, _, quads = _in_pixels(page, page.image, margin, one_channel)
    lines = tuple(
        replace(line, crop=_upright(image, quad, least_height))
        for line, quad in zip(page.lines, quads, strict=True)
    )
    return replace(page, image=None, lines=lines)


def _upright(image: Image, quad: Quad, least_height: int) -> Image:
    """The pixels inside a polygon that starts at its text's top left: cut out, and turned as `_cut` does."""
    ordered = order_corners(quad)
    turns = int(np.argmin(np.abs(ordered - quad[0]).sum(axis=1)))
    crop = crop_quad(image, ordered, least_height, downwards=turns % 2 == 1)
    return np.ascontiguousarray(np.rot90(crop, turns))


def _in_pixels(page: Page, image: Image, margin: float, one_channel: bool) -> tuple[Image, Quad, Quad]:
    """The image to cut from, and in its pixels the lines' polygons and the same grown, (N, 4, 2) each."""
    image = gray(image) if one_channel else image
    to_image = np.array([image.shape[1] / page.width, image.shape[0] / page.height], np.float32)
    polygons = np.stack([line.polygon for line in page.lines])
    return image, polygons * to_image, grow(polygons, margin) * to_image


def _cut(line: Line, image: Image, quad: Quad, least_height: int, downwards: bool) -> Line:
    cut = replace(line, crop=crop_quad(image, quad, least_height, downwards))
    return quarter_turn(cut) if downwards else cut


def grow(polygons: Quad, margin: float) -> Quad:
    """Moves each side of rectangles, (..., 4, 2), out by a part of their shorter side."""
    across = polygons[..., 1, :] - polygons[..., 0, :]
    down = polygons[..., 3, :] - polygons[..., 0, :]
    width, height = _lengths(across), _lengths(down)
    distance = margin * np.minimum(width, height)
    across = across * (distance / width).astype(np.float32)
    down = down * (distance / height).astype(np.float32)
    moves = [-across - down, across - down, across + down, down - across]
    return polygons + np.stack(moves, axis=-2)


def inset(crop: Image, margin: float) -> float:
    """What `grow` has put before a line's polygon, and behind it: a part of its crop's length.

    Args:
        crop: cut out with that margin, (h, w) or (h, w, 3).
        margin: see `rectify`.
    """
    height, width = crop.shape[:2]
    return margin / (1 + 2 * margin) * min(width, height) / width


def _lengths(sides: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    lengths: npt.NDArray[np.float64] = np.hypot(sides[..., :1], sides[..., 1:]).astype(np.float64)
    return np.maximum(lengths, 1e-6)


def crop_quad(image: Image, polygon: Quad, least_height: int = 0, downwards: bool = False) -> Image:
    """The pixels inside a polygon, pulled straight by a perspective transform.

    Cubic interpolation, edge pixels repeated outside the image; the size is that of the polygon's longer
    sides, in whole pixels. Of a line ten pixels high that loses up to a tenth: where `least_height` asks for
    more, the line is enlarged while it is cut out, linearly.

    Args:
        image: (H, W, 3) or (H, W).
        polygon: clockwise from the top left, in pixels of `image`.
        least_height: of the line in the result, in pixels.
        downwards: whether the line runs along the second side; it does so in the result too.
    """
    corners = polygon.tolist()  # four points: Python is faster than NumPy
    top, right, bottom, left = map(math.dist, corners, corners[1:] + corners[:1])
    across, down = max(top, bottom), max(right, left)
    length, line_height = (down, across) if downwards else (across, down)
    scale = min(least_height / max(line_height, 1.0), LONGEST_ENLARGED / length) if length else 0.0
    if scale > 1:
        width, height, interpolation = round(across * scale), round(down * scale), cv2.INTER_LINEAR
    else:
        width, height, interpolation = int(across), int(down), cv2.INTER_CUBIC
    width, height = max(1, width), max(1, height)
    upright = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    transform = cv2.getPerspectiveTransform(polygon.astype(np.float32), upright)
    crop = cv2.warpPerspective(
        image, transform, (width, height), flags=interpolation, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(crop, np.uint8)


def quarter_turn(line: Line) -> Line:
    """The line with its crop and its polygon turned by 90 degrees counter-clockwise."""
    crop = None if line.crop is None else np.ascontiguousarray(np.rot90(line.crop))
    return replace(line, crop=crop, polygon=np.roll(line.polygon, -1, axis=0))


def runs_down(line: Line) -> bool:
    """Whether a line runs down, or up, its page rather than across it."""
    x, y = np.abs(line.polygon[1] - line.polygon[0]).tolist()
    return bool(y > x)


def turn(line: Line) -> Line:
    """The line with its crop and its polygon turned by 180 degrees."""
    crop = None if line.crop is None else np.ascontiguousarray(line.crop[::-1, ::-1])
    return replace(line, crop=crop, polygon=np.roll(line.polygon, -2, axis=0))


def fit_height(
    line: Line, height: int, widths: Sequence[int], one_channel: bool, squeeze: float = 0.0
) -> Image:
    """Scales a line's crop to a height, keeping its shape but for what makes it fit the widths of a model.

    Args:
        line: has a crop.
        height: of the result in pixels.
        widths: of the model in pixels, ascending; a crop that fits into none keeps its shape.
        one_channel: whether grey is wanted; the result is then (height, width).
        squeeze: part of its width that a crop loses at most to fit into a narrower one of the widths.

    Raises:
        ValueError: the line has no crop.
    """
    if line.crop is None:
        raise ValueError("a line has no crop: it was recognised before, or its page was not rectified")
    crop = gray(line.crop) if one_channel else line.crop
    unsqueezed = height * crop.shape[1] / crop.shape[0]
    fits = bisect_left(widths, (1 - squeeze) * unsqueezed)
    width = max(1, math.ceil(unsqueezed))
    if fits < len(widths):
        width = min(width, widths[fits])
    return np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def gray(image: Image) -> Image:
    """(H, W, 3), blue, green, red, to (H, W); grey already, it stays as it is."""
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
