"""RandAugment (Cubuk et al. 2020; PP-OCR section 2.2, table 9): n random operations, all of one magnitude.

Operations on line images only: nothing that mirrors or turns a line by much, which would change what it says.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from training.strategies.bda import tilt

Image = NDArray[np.uint8]
Operation = Callable[[Image, float, np.random.Generator], Image]


def rand_augment(
    image: Image,
    rng: np.random.Generator,
    operations: int = 2,
    magnitude: float = 0.5,
    probability: float = 0.5,
) -> Image:
    """Applies `operations` drawn ones of `magnitude` (0 to 1) to one image in 1 / `probability`."""
    if rng.random() >= probability:
        return image
    for name in rng.choice(list(OPERATIONS), operations):
        image = OPERATIONS[str(name)](image, magnitude, rng)
    return image


def _sign(rng: np.random.Generator) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def _blend(image: Image, other: NDArray[np.float32], share: float) -> Image:
    return np.asarray(np.clip(image + (other - image) * np.float32(share), 0, 255), np.uint8)


def autocontrast(image: Image, magnitude: float, rng: np.random.Generator) -> Image:
    """Stretches the levels over the whole range."""
    low, high = int(image.min()), int(image.max())
    return np.asarray((image.astype(np.float32) - low) * (255 / max(1, high - low)), np.uint8)


def equalize(image: Image, magnitude: float, rng: np.random.Generator) -> Image:
    """Flattens the histogram, over all channels alike."""
    counts = np.bincount(image.reshape(-1), minlength=256).cumsum()
    table = (counts * (255 / counts[-1])).astype(np.uint8)
    return np.asarray(table[image], np.uint8)


def invert(image: Image, magnitude: float, rng: np.random.Generator) -> Image:
    """Light on dark."""
    return np.asarray(255 - image, np.uint8)


def posterize(image: Image, magnitude: float, rng: np.random.Generator) -> Image:
    """Keeps 8 bits at magnitude 0 and 4 at 1."""
    mask = (0xFF << round(4 * magnitude)) & 0xFF
    return np.asarray(image & np.uint8(mask), np.uint8)


def solarize(image: Image, magnitude: float, rng: np.random.Generator) -> Image:
    """Inverts what is brighter than a threshold."""
    return np.where(image >= 255 - 127 * magnitude, 255 - image, image).astype(np.uint8)


def contrast(image: Image, magnitude: float, rng: np.random.Generator) -> Image:
    """Towards or away from the mean level."""
    return _blend(image, np.full(image.shape, image.mean(), np.float32), 0.8 * magnitude * _sign(rng))


def brightness(image: Image, magnitude: float, rng: np.random.Generator) -> Image:
    """Towards black, or away from it."""
    return _blend(image, np.zeros(image.shape, np.float32), 0.6 * magnitude * _sign(rng))


def sharpness(image: Image, magnitude: float, rng: np.random.Generator) -> Image:
    """Towards or away from a blurred copy."""
    blurred = cv2.GaussianBlur(image, (3, 3), 0).reshape(image.shape).astype(np.float32)
    return _blend(image, blurred, magnitude * _sign(rng))


def shift(image: Image, magnitude: float, rng: np.random.Generator) -> Image:
    """Up to an eighth of the height, up or down."""
    height, width = image.shape[:2]
    matrix = np.asarray([[1, 0, 0], [0, 1, _sign(rng) * magnitude * height / 8]], np.float32)
    moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8).reshape(image.shape)


def shear(image: Image, magnitude: float, rng: np.random.Generator) -> Image:
    """Slants the letters by up to 0.3."""
    height, width = image.shape[:2]
    slant = 0.3 * magnitude * _sign(rng)
    matrix = np.asarray([[1, slant, -slant * height / 2], [0, 1, 0]], np.float32)
    moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8).reshape(image.shape)


def perspective(image: Image, magnitude: float, rng: np.random.Generator) -> Image:
    """Moves the corners by up to an eighth of the height."""
    return tilt(image, rng, magnitude / 8)


OPERATIONS: dict[str, Operation] = {
    "autocontrast": autocontrast,
    "equalize": equalize,
    "invert": invert,
    "posterize": posterize,
    "solarize": solarize,
    "contrast": contrast,
    "brightness": brightness,
    "sharpness": sharpness,
    "shift": shift,
    "shear": shear,
    "perspective": perspective,
}
