"""Random fields, cut out of fixed banks: fresh normals for each image would cost more than all the rest."""

from __future__ import annotations

from functools import lru_cache
from random import Random

import cv2
import numpy as np

from training.synthesis.pixels import Floats, floats, resize, soften

_BANK = (1024, 2048)
_GRAINS = (0.0, 1.0, 3.0, 9.0, 30.0)


@lru_cache(maxsize=len(_GRAINS))
def _bank(grain: float) -> Floats:
    coarse = 4 if grain >= 9 else 1  # what is smooth anyway is made small and enlarged
    height, width = (side // coarse for side in _BANK)
    drawn = np.random.default_rng(7 + int(grain)).standard_normal((height, width), np.float32)
    if grain:
        drawn = soften(drawn, grain / coarse)
        drawn = (drawn - drawn.mean()) / drawn.std()
    return resize(drawn, _BANK[1], _BANK[0], cv2.INTER_CUBIC) if coarse > 1 else drawn


def field(rng: Random, shape: tuple[int, ...], grain: float = 0.0) -> Floats:
    """A random field.

    Args:
        rng: chooses the place in the bank, and whether it is mirrored.
        shape: height and width in pixels; what follows is of no account.
        grain: the sigma in pixels of the blur that made it; the nearest of 0, 1, 3, 9 and 30 is taken.

    Returns:
        float32 (H, W), mean 0 and standard deviation 1; a view into the bank: do not write into it.
    """
    height, width = shape[:2]
    bank = _bank(min(_GRAINS, key=lambda each: abs(each - grain)))
    rows, columns = min(height, _BANK[0]), min(width, _BANK[1])
    y, x = rng.randint(0, _BANK[0] - rows), rng.randint(0, _BANK[1] - columns)
    patch = bank[y : y + rows, x : x + columns]
    if (rows, columns) != (height, width):
        patch = np.tile(patch, (-(-height // rows), -(-width // columns)))[:height, :width]
    return patch[:: rng.choice((1, -1)), :: rng.choice((1, -1))]


def ramp(rng: Random, shape: tuple[int, ...]) -> Floats:
    """A linear gradient from -1 to 1 in a random direction, as light from one side."""
    height, width = shape[:2]
    across = np.linspace(-1, 1, width, dtype=np.float32)[None] * rng.uniform(-1, 1)
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * rng.uniform(-1, 1)
    return floats(across + down)
