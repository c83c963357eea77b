"""What a detector learns from: augmented crops of pages and the maps that it should say about them.

Targets follow Liao et al. 2020 section 3.4: a line's middle is its polygon moved inwards by
D = area * (1 - r^2) / perimeter, its border zone reaches D to both sides of the polygon's edges.
Augmentation follows PP-OCR: flip, turn by up to 10 degrees, scale, crop; here as one affine warp.

Shapes: N lines; H x W pixels of a crop; quads are (N, 4, 2) float32, x and y in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pyclipper

from models.records import Image
from training.data.crops import read_image
from training.data.labels import LabelledImage

Quads = npt.NDArray[np.float32]
Map = npt.NDArray[np.float32]

THRESHOLD_MIN, THRESHOLD_MAX = 0.3, 0.7  # of the threshold map, Liao et al. 2020


class LabelledPage(NamedTuple):
    """An image, its lines' quads (N, 4, 2) float32 and which of them are "don't care" (N,) bool."""

    image: Image
    quads: Quads
    ignored: npt.NDArray[np.bool_]


class Targets(NamedTuple):
    """What the net should say; each (H, W) float32.

    Attributes:
        shrink: 1 in the middle of lines.
        shrink_mask: 0 where nothing is asked of the shrink map ("don't care" and lines too small to see).
        threshold: 0.3 far from borders, rising to 0.7 on them.
        threshold_mask: 1 in the border zones, the only places where the threshold map is asked for.
    """

    shrink: Map
    shrink_mask: Map
    threshold: Map
    threshold_mask: Map


@dataclass(frozen=True, slots=True)
class Warp:
    """How crops are cut from pages.

    Attributes:
        size: side of the square crop in pixels.
        limit: the page's longest side, in pixels, that scale 1 means: the detector's own limit at inference.
        scales: smallest and largest scale relative to that, drawn log-uniformly.
        degrees: largest turn to either side.
        flip: probability of a mirrored crop.
        turned: probability of a crop turned by a quarter, a half or three quarters, each as often.
    """

    size: int = 640
    limit: int = 960
    scales: tuple[float, float] = (0.5, 3.0)
    degrees: float = 10.0
    flip: float = 0.5
    turned: float = 0.0


def load_page(labelled: LabelledImage) -> LabelledPage:
    """Reads an image and its quads; a polygon that is no quad becomes its smallest rectangle.

    Raises:
        ValueError: the image cannot be decoded.
    """
    image = read_image(labelled.path)
    polygons = [np.array(region.polygon, np.float32) for region in labelled.regions]
    quads = [p if len(p) == 4 else cv2.boxPoints(cv2.minAreaRect(p)) for p in polygons]
    ignored = np.array([region.ignored for region in labelled.regions], bool)
    return LabelledPage(image, np.array(quads, np.float32).reshape(-1, 4, 2), ignored)


def random_crop(page: LabelledPage, warp: Warp, rng: np.random.Generator) -> LabelledPage:
    """Cuts a random crop of `warp.size` that nine times in ten has a line at its middle."""
    matrix = draw_matrix(page, warp, rng)
    fill = [int(v) for v in rng.integers(0, 256, 3)]
    size = (warp.size, warp.size)
    image = cv2.warpAffine(page.image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=fill)
    quads = page.quads @ matrix[:, :2].T.astype(np.float32) + matrix[:, 2].astype(np.float32)
    return LabelledPage(image, quads, page.ignored)


def draw_matrix(page: LabelledPage, warp: Warp, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draws the 2 x 3 affine matrix from the page to a crop."""
    height, width = page.image.shape[:2]
    low, high = (math.log(scale) for scale in warp.scales)
    scale = min(1.0, warp.limit / max(height, width)) * math.exp(rng.uniform(low, high))
    quarters = rng.integers(1, 4) if rng.random() < warp.turned else 0
    angle = math.radians(rng.uniform(-warp.degrees, warp.degrees) + 90 * quarters)
    mirror = -1.0 if rng.random() < warp.flip else 1.0
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ np.diag([mirror, 1.0])
    middle = _draw_middle(page, rng)
    shift = rng.uniform(0.2, 0.8, 2) * warp.size - linear @ middle
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) @ linear.T
    return np.hstack([linear, keep_inside(shift, corners, warp.size)[:, None]])


def keep_inside(
    shift: npt.NDArray[np.float64], corners: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.float64]:
    """Changes a crop's shift as little as it takes to show no more of the page's outside than it must."""
    first, last = -corners.min(0), size - corners.max(0)
    return np.clip(shift, np.minimum(first, last), np.maximum(first, last))


def _draw_middle(page: LabelledPage, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A point on a random line, or anywhere on the page."""
    height, width = page.image.shape[:2]
    if len(page.quads) == 0 or rng.random() < 0.1:
        return rng.uniform(0, 1, 2) * (width, height)
    quad = page.quads[rng.integers(len(page.quads))].astype(np.float64)
    along = rng.uniform(0, 1)
    return (1 - along) * (quad[0] + quad[3]) / 2 + along * (quad[1] + quad[2]) / 2


def make_targets(
    quads: Quads,
    ignored: npt.NDArray[np.bool_],
    size: tuple[int, int],
    shrink_ratio: float,
    min_side: float = 4.0,
) -> Targets:
    """Draws the four maps of a crop.

    Args:
        quads: the crop's lines.
        ignored: which of them are "don't care".
        size: (H, W) of the maps.
        shrink_ratio: r; PP-OCR 0.4, later generations 0.6.
        min_side: lines with a shorter side than this are "don't care" too.
    """
    targets = Targets(
        np.zeros(size, np.float32),
        np.ones(size, np.float32),
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
    )
    for quad, skip in zip(quads, ignored, strict=True):
        distance = shrink_distance(quad, shrink_ratio)
        if not _visible(quad, distance, size):
            continue
        inner = [] if skip or shortest_side(quad) < min_side else offset(quad, -distance)
        if not inner:
            cv2.fillPoly(targets.shrink_mask, [_pixels(quad)], 0.0)
            continue
        for polygon in inner:
            cv2.fillPoly(targets.shrink, [_pixels(polygon)], 1.0)
        _draw_border(quad, distance, targets)
    targets.threshold[:] = targets.threshold * (THRESHOLD_MAX - THRESHOLD_MIN) + THRESHOLD_MIN
    return targets


def shrink_distance(quad: Quads, ratio: float) -> float:
    """D = area * (1 - r^2) / perimeter, in pixels."""
    area = abs(cv2.contourArea(quad))
    return area * (1 - ratio**2) / max(cv2.arcLength(quad, True), 1e-6)


def shortest_side(quad: Quads) -> float:
    """Length of a quad's shortest side in pixels."""
    return float(np.linalg.norm(quad - np.roll(quad, -1, 0), axis=1).min())


def offset(polygon: Quads, distance: float) -> list[Quads]:
    """Moves a polygon's edges outwards (inwards where negative); the parts that are left, maybe none."""
    scale = 64.0  # pyclipper knows integers only
    clipper = pyclipper.PyclipperOffset()
    clipper.AddPath((polygon * scale).astype(int).tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    return [np.array(part, np.float32) / scale for part in clipper.Execute(distance * scale)]


def _pixels(polygon: Quads) -> npt.NDArray[np.int32]:
    return np.round(polygon).astype(np.int32)


def _visible(quad: Quads, margin: float, size: tuple[int, int]) -> bool:
    (left, top), (right, bottom) = quad.min(0) - margin, quad.max(0) + margin
    return bool(right > 0 and bottom > 0 and left < size[1] and top < size[0])


def _draw_border(quad: Quads, distance: float, targets: Targets) -> None:
    """Raises the threshold map to 1 - distance to the border / D, inside the quad and up to D around it."""
    rows, columns = targets.threshold.shape
    reach = math.ceil(distance) + 1
    left, top = np.clip(np.floor(quad.min(0)) - reach, -reach, (columns, rows)).astype(int)
    right, bottom = np.clip(np.ceil(quad.max(0)) + reach, 0, (columns + reach, rows + reach)).astype(int)
    # Edges up to D outside the map still reach into it: drawn on a canvas that is larger than the window.
    canvas = np.full((bottom - top, right - left), 255, np.uint8)
    corners = _pixels(quad) - np.array([left, top], np.int32)
    cv2.polylines(canvas, [corners], True, 0)
    apart = cv2.distanceTransform(canvas, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    zone = (apart < distance).astype(np.float32)
    cv2.fillPoly(zone, [corners], 1.0)
    window = np.s_[max(top, 0) : min(bottom, rows), max(left, 0) : min(right, columns)]
    inside = np.s_[
        window[0].start - top : window[0].stop - top, window[1].start - left : window[1].stop - left
    ]
    near = np.maximum(1 - apart[inside] / max(distance, 1e-6), 0)
    np.maximum(targets.threshold[window], near, out=targets.threshold[window])
    np.maximum(targets.threshold_mask[window], zone[inside], out=targets.threshold_mask[window])


def normalize(image: Image, mean: Sequence[float], std: Sequence[float]) -> Map:
    """(H, W, 3) or (H, W) uint8 -> (3 or 1, H, W) float32, `(v / 255 - mean) / std`, as the manifest says."""
    scale = 1 / (255 * np.array(std, np.float32))
    shift = -np.array(mean, np.float32) / np.array(std, np.float32)
    channels = image.reshape(*image.shape[:2], -1)
    return np.ascontiguousarray((channels * scale + shift).transpose(2, 0, 1))
