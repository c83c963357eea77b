"""Hide-and-Seek (Singh and Lee 2017; PP-OCR table 9): cells of a grid are hidden at random."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def hide_and_seek(
    image: NDArray[np.uint8],
    rng: np.random.Generator,
    probability: float = 0.5,
    rows: int = 4,
    hidden: float = 0.25,
) -> NDArray[np.uint8]:
    """Fills each square cell (height / `rows` wide) with the image's mean, with probability `hidden`."""
    if rng.random() >= probability:
        return image
    height, width = image.shape[:2]
    side = max(1, height // rows)
    cells = rng.random((-(-height // side), -(-width // side))) < hidden
    mask = np.kron(cells, np.ones((side, side), bool))[:height, :width]
    seen: NDArray[np.uint8] = image.copy()
    seen[mask] = image.mean(axis=(0, 1)).astype(np.uint8)
    return seen
