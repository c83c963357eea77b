"""Random erasing (Zhong et al. 2020; PP-OCR table 9): a rectangle of the image becomes noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def random_erasing(
    image: NDArray[np.uint8], rng: np.random.Generator, probability: float = 0.5, most: float = 0.1
) -> NDArray[np.uint8]:
    """Overwrites a rectangle of 1 / 50 to `most` of the area, sides between 1:3 and 3:1."""
    if rng.random() >= probability:
        return image
    height, width = image.shape[:2]
    area = rng.uniform(0.02, most) * height * width
    ratio = np.exp(rng.uniform(-np.log(3), np.log(3)))
    h, w = min(height, max(1, round((area * ratio) ** 0.5))), min(width, max(1, round((area / ratio) ** 0.5)))
    y, x = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    erased: NDArray[np.uint8] = image.copy()
    erased[y : y + h, x : x + w] = rng.integers(0, 256, erased[y : y + h, x : x + w].shape)
    return erased
