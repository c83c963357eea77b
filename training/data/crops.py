"""Lines cut out of images: one perspective warp per quad, with a margin that training may eat into."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.geometry import LONG

Image = NDArray[np.uint8]
Quad = NDArray[np.float32]

TALL = 1.5
"""A quad with several letters that is this many times taller than wide is a word that runs downwards."""


def read_image(path: Path) -> Image:
    """The image as (H, W, 3) BGR, upright as its EXIF says: labels and the job count pixels from there.

    Raises:
        ValueError: the file is not an image that can be decoded.
    """
    data = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise ValueError(f"{path} cannot be decoded: remove it from the label file or repair it")
    return np.asarray(image, np.uint8)


def quad_size(quad: Quad) -> tuple[float, float]:
    """(width, height) of a quad: the longer one of each pair of opposite sides, in pixels."""
    sides = np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1)
    return float(max(sides[0], sides[2])), float(max(sides[1], sides[3]))


def turned_if_tall(quad: Quad, text: str) -> Quad:
    """The quad, starting at its second corner where the line runs downwards: it is long, or a word."""
    width, height = quad_size(quad)
    runs_down = height >= (TALL if len(text) > 1 else LONG) * width
    return np.roll(quad, -1, axis=0) if runs_down else quad


def quad_of(polygon: tuple[tuple[float, float], ...]) -> Quad:
    """The polygon itself where it has four corners, else the four corners of its smallest rectangle.

    The corners of the rectangle start with the one nearest to the polygon's first point.
    """
    points = np.asarray(polygon, np.float32).reshape(-1, 2)
    if len(points) == 4:
        return points
    box = cv2.boxPoints(cv2.minAreaRect(points)).astype(np.float32)
    if _signed_area(box) < 0:
        box = box[::-1]
    first = int(np.argmin(np.linalg.norm(box - points[0], axis=1)))
    return np.roll(box, -first, axis=0)


def _signed_area(points: Quad) -> float:
    x, y = points.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def crop_line(image: Image, quad: Quad, *, max_height: int = 48, margin: float = 0.0) -> tuple[Image, int]:
    """Warps a quad upright.

    Args:
        image: (H, W, 3).
        quad: (4, 2) corners, clockwise from the text's top left.
        max_height: the line is shrunk to this height where it is taller.
        margin: border kept around the line on each side, as a fraction of its height.

    Returns:
        The crop and the width of its border in pixels (on all sides alike).
    """
    width, height = quad_size(quad)
    scale = min(1.0, max_height / max(height, 1.0))
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    border = round(margin * inner_height)
    target = np.asarray(
        [[0, 0], [inner_width, 0], [inner_width, inner_height], [0, inner_height]], np.float32
    ) + np.float32(border)
    matrix = cv2.getPerspectiveTransform(quad.astype(np.float32), target)
    size = (inner_width + 2 * border, inner_height + 2 * border)
    # INTER_AREA does nothing in a warp: a strong shrink is blurred first, or thin strokes alias.
    source = image if scale > 0.6 else cv2.GaussianBlur(image, (0, 0), 0.4 / scale)
    crop = cv2.warpPerspective(source, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8), border


def to_color(image: Image, color: str) -> Image:
    """(H, W) gray or (H, W, 3) BGR, whatever the crop is."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    if color == "gray":
        return (
            image.reshape(image.shape[:2])
            if channels == 1
            else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
        )
    return image if channels == 3 else np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
