"""TIA (PP-OCR section 2.3; Luo et al. 2020, "Learn to Augment"): fiducial points are moved at random.

The points sit on the upper and lower edge of evenly cut segments; between them the image follows smoothly.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def tia(
    image: NDArray[np.uint8], rng: np.random.Generator, probability: float = 0.4, reach: float = 0.12
) -> NDArray[np.uint8]:
    """Distorts, stretches and tilts a line.

    Args:
        image: (H, W) or (H, W, C).
        rng: the generator to draw from.
        probability: that anything happens.
        reach: how far a point moves, as a fraction of the height.
    """
    if rng.random() >= probability:
        return image
    height, width = image.shape[:2]
    points = max(2, round(width / height)) + 1
    # Each row of shifts: upper edge, lower edge; a map of 2 x points that a linear resize spreads over the
    # line.
    shifts = rng.uniform(-reach * height, reach * height, (2, 2, points)).astype(np.float32)
    dx, dy = (cv2.resize(shift, (width, height), interpolation=cv2.INTER_LINEAR) for shift in shifts)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    warped = cv2.remap(image, x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8).reshape(image.shape)
