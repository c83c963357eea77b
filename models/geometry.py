"""Rectification: from four corners on a page to an upright rectangle of pixels (PP-OCR section 1)."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from models.records import Image, Line, Page, Quad

TALL = 1.5
"""A crop that is this many times taller than wide holds a line that runs downwards, as in the references."""


def order_corners(corners: npt.NDArray[np.floating]) -> Quad:
    """Orders a rectangle's corners clockwise, starting at the top left.

    Top left is the upper one of the two leftmost corners, which is right for rectangles that are wider than
    high and turned by less than 45 degrees; the order stays clockwise for any.

    Args:
        corners: (4, 2), a convex quadrilateral's corners in any order.
    """
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left = by_x[:2][np.argsort(by_x[:2, 1], kind="stable")]
    right = by_x[2:][np.argsort(by_x[2:, 1], kind="stable")]
    return np.array([left[0], right[0], right[1], left[1]], np.float32)


def rectify(page: Page, margin: float = 0.0) -> Page:
    """Cuts each line out of the page and drops the page's pixels.

    A crop taller than 1.5 times its width is turned by 90 degrees counter-clockwise, and its polygon then
    starts at the corner that has become the top left.

    Args:
        page: has an image.
        margin: part of a polygon's shorter side by which its crop reaches beyond it on every side.

    Raises:
        ValueError: the page has no image.
    """
    if page.image is None:
        raise ValueError(f"page {page.index} of {page.uri!r} has no image: it was rectified before")
    image = page.image
    to_image = np.array([image.shape[1] / page.width, image.shape[0] / page.height], np.float32)
    return replace(page, image=None, lines=tuple(_cut(line, image, to_image, margin) for line in page.lines))


def _cut(line: Line, image: Image, to_image: npt.NDArray[np.float32], margin: float) -> Line:
    crop = crop_quad(image, grow(line.polygon, margin) * to_image)
    if crop.shape[0] >= TALL * crop.shape[1]:
        return replace(line, crop=np.rot90(crop), polygon=np.roll(line.polygon, -1, axis=0))
    return replace(line, crop=crop)


def grow(polygon: Quad, margin: float) -> Quad:
    """Moves each side of a rectangle out by a part of its shorter side."""
    across, down = polygon[1] - polygon[0], polygon[3] - polygon[0]
    width, height = max(float(np.hypot(*across)), 1e-6), max(float(np.hypot(*down)), 1e-6)
    distance = margin * min(width, height)
    across, down = across * (distance / width), down * (distance / height)
    return (polygon + np.stack([-across - down, across - down, across + down, down - across])).astype(
        np.float32
    )


def crop_quad(image: Image, polygon: Quad) -> Image:
    """The pixels inside a polygon, pulled straight by a perspective transform.

    Cubic interpolation, edge pixels repeated outside the image; the size is that of the polygon's longer
    sides.

    Args:
        image: (H, W, 3) or (H, W).
        polygon: clockwise from the top left, in pixels of `image`.
    """
    sides = np.linalg.norm(polygon - np.roll(polygon, -1, axis=0), axis=1)
    width, height = max(1, int(max(sides[0], sides[2]))), max(1, int(max(sides[1], sides[3])))
    upright = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    transform = cv2.getPerspectiveTransform(polygon.astype(np.float32), upright)
    crop = cv2.warpPerspective(
        image, transform, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(crop, np.uint8)


def turn(line: Line) -> Line:
    """The line with its crop and its polygon turned by 180 degrees."""
    crop = None if line.crop is None else np.ascontiguousarray(line.crop[::-1, ::-1])
    return replace(line, crop=crop, polygon=np.roll(line.polygon, -2, axis=0))


def fit_height(line: Line, height: int, max_width: int, one_channel: bool) -> Image:
    """Scales a line's crop to a height, keeping its shape up to `max_width`, over which it is squeezed.

    Args:
        line: has a crop.
        height: of the result in pixels.
        max_width: of the result in pixels, at most.
        one_channel: whether grey is wanted; the result is then (height, width).

    Raises:
        ValueError: the line has no crop.
    """
    if line.crop is None:
        raise ValueError("a line has no crop: it was recognised before, or its page was not rectified")
    crop = gray(line.crop) if one_channel else line.crop
    width = min(max_width, max(1, math.ceil(height * crop.shape[1] / crop.shape[0])))
    return np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def gray(image: Image) -> Image:
    """(H, W, 3), blue, green, red, to (H, W)."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
