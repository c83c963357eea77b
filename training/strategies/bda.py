"""BDA, base data augmentation (PP-OCR section 2.2): rotation, perspective, motion blur and Gaussian noise.

Beside the paper's four: what scanners, phones and thermal printers do to a line (exposure, JPEG, low
resolution).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def bda(image: Image, rng: np.random.Generator, probability: float = 0.4, geometry: bool = True) -> Image:
    """Applies each distortion with its share of `probability`.

    Args:
        image: (H, W) or (H, W, C).
        rng: the generator to draw from.
        probability: of the commonest ones.
        geometry: whether to rotate and tilt too; off where the crop's own quad was jittered already.
    """
    if geometry and rng.random() < probability:
        image = tilt(image, rng)
    if rng.random() < probability * 0.8:
        image = low_resolution(image, rng)
    if rng.random() < probability * 0.6:
        image = blur(image, rng)
    if rng.random() < probability:
        image = exposure(image, rng)
    if rng.random() < probability * 0.6:
        image = noise(image, rng)
    if rng.random() < probability * 0.4:
        image = jpeg(image, rng)
    return image


def tilt(image: Image, rng: np.random.Generator, reach: float = 0.08) -> Image:
    """Moves the four corners by up to `reach` of the height: rotation, shear and perspective in one warp."""
    height, width = image.shape[:2]
    corners = np.asarray([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + rng.uniform(-reach * height, reach * height, (4, 2)).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(corners, moved)
    warped = cv2.warpPerspective(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8).reshape(image.shape)


def low_resolution(image: Image, rng: np.random.Generator) -> Image:
    """Down to .28 to .8 of the size (9 to 25 of 32 pixels), maybe through a JPEG there, and up again.

    A page of a thousand pixels has lines of 8 to 14: what forms and dense documents are most often read from.
    """
    height, width = image.shape[:2]
    scale = float(np.exp(rng.uniform(np.log(0.28), np.log(0.8))))
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 0.3:
        small = jpeg(small, rng)
    larger = cv2.INTER_CUBIC if rng.random() < 0.3 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(small, (width, height), interpolation=larger), np.uint8).reshape(image.shape)


def blur(image: Image, rng: np.random.Generator) -> Image:
    """Motion blur of 2 to 5 pixels in any direction, or a Gaussian one, at most as a phone out of focus."""
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 2.0)), np.uint8).reshape(
            image.shape
        )
    size = int(rng.integers(2, 6))
    kernel = np.zeros((size, size), np.float32)
    angle = rng.uniform(0, np.pi)
    middle, reach = (size - 1) / 2, size / 2
    step = np.asarray([np.cos(angle), np.sin(angle)]) * reach
    ends = [(round(middle - s * step[0]), round(middle - s * step[1])) for s in (1, -1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8).reshape(image.shape)


def exposure(image: Image, rng: np.random.Generator) -> Image:
    """Contrast, brightness and gamma through one table; one in eight is inverted, as signs are."""
    values = np.linspace(0, 1, 256) ** rng.uniform(0.6, 1.6)
    contrast = rng.uniform(0.4, 1.2)
    values = contrast * (values - 0.5) + 0.5 + rng.uniform(-0.2, 0.2)
    if rng.random() < 0.125:
        values = 1 - values
    table = np.clip(values * 255, 0, 255).astype(np.uint8)
    return np.asarray(table[image], np.uint8)


def noise(image: Image, rng: np.random.Generator) -> Image:
    """Gaussian noise with a deviation of 2 to 18 levels."""
    grains = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(2, 18))
    return np.asarray(np.clip(image + grains, 0, 255), np.uint8)


def jpeg(image: Image, rng: np.random.Generator) -> Image:
    """Through a JPEG of quality 20 to 75."""
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 76))])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED), np.uint8).reshape(image.shape)
