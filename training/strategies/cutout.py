"""Cutout (DeVries and Taylor 2017; PP-OCR table 9): a square of the image goes gray."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cutout(
    image: NDArray[np.uint8], rng: np.random.Generator, probability: float = 0.5, size: float = 0.4
) -> NDArray[np.uint8]:
    """Blanks a square with a side of `size` x height around a random centre; it may hang over the edge."""
    if rng.random() >= probability:
        return image
    height, width = image.shape[:2]
    y, x = int(rng.integers(height)), int(rng.integers(width))
    half = max(1, round(size * height / 2))
    covered: NDArray[np.uint8] = image.copy()
    covered[max(0, y - half) : y + half, max(0, x - half) : x + half] = 128
    return covered
