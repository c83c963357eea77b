"""Text detection with differentiable binarisation (PP-OCR section 2.1; Liao et al. 2020).

The network gives a probability map; regions of it become rectangles of any angle. The numbers follow
PaddleOCR's reference post-processing (`quad` boxes, `fast` scores), which the stock models were tuned with.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.bundle import DetectionSpec
from models.geometry import gray, lies_on_side, order_corners
from models.records import Image, Line, Page
from models.scales import (
    Region,
    coarse_sizes,
    finer_size,
    input_size,
    median_height,
    merged,
    spans,
    tile_side,
)
from models.session import Normalizer, Session

ProbabilityMap = npt.NDArray[np.float32]


class Detector:
    """Fills a page's lines with polygons and detection scores.

    Args:
        spec: how pixels enter the model and how its map becomes polygons.
        session: the model.
    """

    def __init__(self, spec: DetectionSpec, session: Session) -> None:
        self.spec = spec
        self._session = session
        self._normalize = Normalizer(spec)

    def __call__(self, pages: Sequence[Page]) -> list[Page]:
        """Detects the lines of each page; a page without text gets none.

        Raises:
            ValueError: a page has no image.
        """
        return [replace(page, lines=self._detect(page)) for page in pages]

    def probability_map(self, image: Image) -> ProbabilityMap:
        """The first look's map for an image: (h, w) float32, h and w as `input_size` gives them."""
        return self._map(self._scaled(image, input_size(image.shape[1], image.shape[0], self.spec)))

    def _detect(self, page: Page) -> tuple[Line, ...]:
        if page.image is None:
            raise ValueError(
                f"page {page.index} of {page.uri!r} has no image: detection runs before rectification"
            )
        first, regions = self._first_look(page, page.image)
        if regions and self._lies_on_side(regions):
            regions = self._on_its_side(page, page.image)
        else:
            regions = self._further_looks(page, page.image, first, regions)
        return tuple(Line(polygon, score) for polygon, score in regions)

    def _lies_on_side(self, regions: Sequence[Region]) -> bool:
        """Whether the long lines run up or down, weighed by how sure the map is of them.

        The digits of a column make up false lines across the true ones now and then, as long as the page and
        as many as its columns. But the map is less sure of them.
        """
        polygons, scores = zip(*regions, strict=True)
        return lies_on_side(np.stack(polygons), (np.array(scores) - self.spec.box_threshold) ** 2)

    def _on_its_side(self, page: Page, image: Image) -> list[Region]:
        """What the looks find on a page turned by 90 degrees counter-clockwise, as it stands unturned.

        The text of such a page is upright or upside down, which detectors are taught. Of letters that stand
        alone on their sides, such as digits in cells, they lose a fourth.
        """
        turned = replace(page, width=page.height, height=page.width)
        pixels = np.ascontiguousarray(np.rot90(image))
        regions = self._further_looks(turned, pixels, *self._first_look(turned, pixels))
        right = np.array([page.width, 0], np.float32)
        return [
            (right + polygon[:, ::-1] * np.array([-1, 1], np.float32), score) for polygon, score in regions
        ]

    def _first_look(self, page: Page, image: Image) -> tuple[Image, list[Region]]:
        """The pixels of the first look at a page, and what it finds."""
        pixels = self._scaled(image, input_size(image.shape[1], image.shape[0], self.spec))
        return pixels, self._look(pixels, page)

    def _further_looks(self, page: Page, image: Image, first: Image, regions: list[Region]) -> list[Region]:
        """What all looks find: the first, a finer one where it is due, and the coarser ones."""
        spec, (height, width) = self.spec, image.shape[:2]
        scale = max(first.shape[:2]) / max(page.width, page.height)
        if size := finer_size(width, height, median_height(regions) * scale, spec):
            by = max(size) / max(page.width, page.height)
            regions = merged(self._look(self._scaled(image, size), page), regions, by, spec)
        halved = _averaged(first, (max(first.shape[1] // 2, 1), max(first.shape[0] // 2, 1)))
        for size in coarse_sizes(first.shape[1], first.shape[0], spec.multiple):
            # By way of the half, which OpenCV is quick at.
            regions = merged(regions, self._look(_averaged(halved, size), page), scale, spec)
            scale = max(size) / max(page.width, page.height)
        return regions

    def _look(self, pixels: Image, page: Page) -> list[Region]:
        return find_regions(self._map(pixels), self.spec, page.width, page.height)

    def _scaled(self, image: Image, size: tuple[int, int]) -> Image:
        pixels = gray(image) if self.spec.color == "gray" else image
        if size == (image.shape[1], image.shape[0]):
            return pixels
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)

    def _map(self, pixels: Image) -> ProbabilityMap:
        """The network's map for pixels whose sides are multiples of `spec.multiple`, tile by tile."""
        height, width = pixels.shape[:2]
        tiles = list(itertools.product(spans(height, self.spec), spans(width, self.spec)))
        if len(tiles) == 1:
            return self._tile(pixels)
        probability = np.empty((height, width), np.float32)
        for down, across in tiles:
            tile = self._tile(pixels[down.start : down.stop, across.start : across.stop])
            inner = tile[down.first - down.start :, across.first - across.start :]
            target = probability[down.first : down.last, across.first : across.last]
            target[:] = inner[: target.shape[0], : target.shape[1]]
        return probability

    def _tile(self, pixels: Image) -> ProbabilityMap:
        tensor = np.empty((1, len(self.spec.mean), *pixels.shape[:2]), np.float32)
        self._normalize(pixels, tensor[0])
        probability: ProbabilityMap = self._session.run(tensor)[0][0, 0]
        return probability


def _averaged(pixels: Image, size: tuple[int, int]) -> Image:
    """Shrinks pixels to a width and height."""
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def find_regions(probability: ProbabilityMap, spec: DetectionSpec, width: int, height: int) -> list[Region]:
    """Turns a probability map into the polygons of lines.

    A region of pixels over `spec.threshold` becomes its smallest rectangle of any angle; the rectangle is
    kept where the map's mean inside it reaches `spec.box_threshold`, and grown on all sides by
    `area * unclip_ratio / perimeter`, since the network was taught shrunken regions.

    Args:
        probability: (h, w) float32, 0 to 1.
        spec: thresholds.
        width: of the page in pixels; polygons are scaled to the page and clipped to it.
        height: likewise.

    Returns:
        Pairs of polygon and mean probability, in no particular order.
    """
    mask = (probability > spec.threshold).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    to_page = np.array([width / probability.shape[1], height / probability.shape[0]], np.float32)
    bounds = np.array([width, height], np.float32)
    corners, scores = [], []
    rectangles = [
        rectangle for rectangle in map(cv2.minAreaRect, contours) if min(rectangle[1]) >= spec.min_side
    ]
    for rectangle in rectangles[: _most_regions(probability, spec)]:
        score = mean_inside(probability, cv2.boxPoints(rectangle))
        grown = unclip(rectangle, spec.unclip_ratio)
        if score >= spec.box_threshold and min(grown[1]) >= spec.min_side + 2:
            corners.append(cv2.boxPoints(grown))
            scores.append(score)
    if not corners:
        return []
    polygons = order_corners(np.clip(np.stack(corners) * to_page, 0, bounds))
    thin = _too_thin(polygons)
    return [(polygons[i], score) for i, score in enumerate(scores) if not thin[i]]


def _most_regions(probability: ProbabilityMap, spec: DetectionSpec) -> int:
    """`max_candidates` for each tile's worth of pixels: a long page has more lines than an ordinary one."""
    return spec.max_candidates * math.ceil(probability.size / tile_side(spec) ** 2)


def _too_thin(polygons: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Whether polygons, (N, 4, 2), are three pixels wide or high, or less, when clipped to the page."""
    across, down = polygons[:, 1] - polygons[:, 0], polygons[:, 3] - polygons[:, 0]
    thin: npt.NDArray[np.bool_] = np.minimum(np.hypot(*across.T), np.hypot(*down.T)) <= 3
    return thin


RotatedRect = tuple[Sequence[float], Sequence[float], float]
"""OpenCV's rectangle of any angle: centre, (width, height), degrees."""


def unclip(rectangle: RotatedRect, ratio: float) -> RotatedRect:
    """Grows a rectangle by `area * ratio / perimeter` on each side.

    The reference offsets the polygon with round joins and takes the smallest rectangle around the result:
    for a rectangle, that is the rectangle moved out by the distance.
    """
    center, (width, height), angle = rectangle
    distance = width * height * ratio / (2 * (width + height))
    return center, (width + 2 * distance, height + 2 * distance), angle


def mean_inside(probability: ProbabilityMap, corners: npt.NDArray[Any]) -> float:
    """Mean of the map over the pixels of a polygon, its border included."""
    rows, columns = probability.shape
    xs, ys = corners.T.tolist()  # four points: Python is faster than NumPy
    x0 = min(max(math.floor(min(xs)), 0), columns - 1)
    x1 = min(max(math.ceil(max(xs)), 0), columns - 1)
    y0 = min(max(math.floor(min(ys)), 0), rows - 1)
    y1 = min(max(math.ceil(max(ys)), 0), rows - 1)
    mask = np.zeros((y1 - y0 + 1, x1 - x0 + 1), np.uint8)
    cv2.fillPoly(mask, [(corners - (x0, y0)).astype(np.int32)], 1)
    return float(cv2.mean(probability[y0 : y1 + 1, x0 : x1 + 1], mask)[0])
