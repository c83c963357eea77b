"""GridMask (Chen 2020; PP-OCR table 9): a regular grid of squares is covered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def grid_mask(
    image: NDArray[np.uint8], rng: np.random.Generator, probability: float = 0.5, covered: float = 0.4
) -> NDArray[np.uint8]:
    """Blackens squares of `covered` x the pitch, which is half to one height; the phase is random."""
    if rng.random() >= probability:
        return image
    height, width = image.shape[:2]
    pitch = max(2, int(rng.integers(height // 2, height + 1)))
    side = max(1, round(covered * pitch))
    dy, dx = rng.integers(pitch, size=2)
    rows = (np.arange(height) + dy) % pitch < side
    columns = (np.arange(width) + dx) % pitch < side
    masked: NDArray[np.uint8] = image.copy()
    masked[np.ix_(rows, columns)] = 0
    return masked
