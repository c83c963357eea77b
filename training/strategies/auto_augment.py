"""AutoAugment (Cubuk et al. 2019; PP-OCR table 9): one of a list of learnt pairs of operations.

The published lists were learnt on photographs; this one keeps those pairs whose operations keep a line
readable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.strategies.rand_augment import OPERATIONS

# Pairs of (operation, probability, magnitude 0 to 1).
POLICY = (
    (("posterize", 0.4, 0.8), ("shear", 0.6, 0.9)),
    (("solarize", 0.6, 0.5), ("autocontrast", 0.6, 0.5)),
    (("equalize", 0.8, 0.8), ("equalize", 0.6, 0.3)),
    (("posterize", 0.6, 0.7), ("posterize", 0.6, 0.6)),
    (("equalize", 0.4, 0.7), ("solarize", 0.2, 0.4)),
    (("solarize", 0.6, 0.3), ("equalize", 0.6, 0.7)),
    (("shear", 0.4, 0.6), ("equalize", 0.8, 0.4)),
    (("sharpness", 0.4, 0.7), ("invert", 0.6, 0.8)),
    (("contrast", 0.6, 0.7), ("brightness", 0.6, 0.8)),
    (("shift", 0.6, 0.8), ("sharpness", 0.8, 0.9)),
)


def auto_augment(
    image: NDArray[np.uint8], rng: np.random.Generator, probability: float = 0.5
) -> NDArray[np.uint8]:
    """Applies one pair to one image in 1 / `probability`."""
    if rng.random() >= probability:
        return image
    for name, chance, magnitude in POLICY[int(rng.integers(len(POLICY)))]:
        if rng.random() < chance:
            image = OPERATIONS[name](image, magnitude, rng)
    return image
