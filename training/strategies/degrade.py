"""What cameras, scanners and old paper do to a page: light, colour, sharpness, grain; geometry stays.

The counterpart of BDA (see bda.py) for whole pages, whose crops are in colour and large, so each step is one
pass of OpenCV.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Step = Callable[[Image, np.random.Generator], Image]


def degrade(image: Image, rng: np.random.Generator) -> Image:
    """Applies each step with its own probability; (H, W, 3) uint8 to the same."""
    for probability, step in STEPS:
        if rng.random() < probability:
            image = step(image, rng)
    return image


def light(image: Image, rng: np.random.Generator) -> Image:
    """A gamma, a contrast and a brightness."""
    values = np.arange(256, dtype=np.float32) / 255
    curve = values ** math.exp(rng.uniform(-0.6, 0.6)) * rng.uniform(0.5, 1.2) + rng.uniform(-0.1, 0.25)
    return cv2.LUT(image, np.clip(curve * 255, 0, 255).astype(np.uint8))


def tint(image: Image, rng: np.random.Generator) -> Image:
    """Other gains for blue, green and red."""
    gains = rng.uniform(0.75, 1.25, 3).astype(np.float32)
    return np.clip(image * gains, 0, 255).astype(np.uint8)


def invert(image: Image, rng: np.random.Generator) -> Image:
    """Light text on dark ground."""
    return 255 - image


def gray(image: Image, rng: np.random.Generator) -> Image:
    """The colours gone."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


def blur(image: Image, rng: np.random.Generator) -> Image:
    """Out of focus, or moved by up to six pixels."""
    if rng.random() < 0.5:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.4))
    kernel = np.zeros((7, 7), np.float32)
    reach = rng.uniform(1, 3)
    angle = rng.uniform(0, math.pi)
    step = (3 + reach * math.cos(angle), 3 + reach * math.sin(angle))
    back = (3 - reach * math.cos(angle), 3 - reach * math.sin(angle))
    cv2.line(kernel, tuple(map(round, back)), tuple(map(round, step)), 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def noise(image: Image, rng: np.random.Generator) -> Image:
    """Gaussian grain, the same in all channels."""
    speckle = np.empty(image.shape[:2], np.int16)
    cv2.setRNGSeed(int(rng.integers(2**31)))
    cv2.randn(speckle, 0, rng.uniform(3, 25))
    return np.clip(image.astype(np.int16) + speckle[..., None], 0, 255).astype(np.uint8)


def recompress(image: Image, rng: np.random.Generator) -> Image:
    """A JPEG of low quality."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 80))])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def resample(image: Image, rng: np.random.Generator) -> Image:
    """Down to half the size or more, and up again."""
    height, width = image.shape[:2]
    factor = rng.uniform(0.5, 0.95)
    small = cv2.resize(image, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


STEPS: tuple[tuple[float, Step], ...] = (
    (0.5, light),
    (0.2, tint),
    (0.05, invert),
    (0.15, gray),
    (0.2, resample),
    (0.2, blur),
    (0.25, noise),
    (0.2, recompress),
)
