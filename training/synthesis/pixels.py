"""The few operations on pixels that all of synthesis uses, with types that say what OpenCV's leave open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]
"""uint8, (H, W): 0 where there is no ink, 255 where it covers the pixel."""

Floats = npt.NDArray[np.float32]
"""float32, of any shape."""

Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels; right and bottom excluded."""

Colour = tuple[float, float, float]
"""Blue, green, red, 0 to 255."""

Matrix = npt.NDArray[np.float64]
"""float64, (3, 3), a homography."""

A = TypeVar("A", bound=npt.NDArray[Any])


def floats(values: Any) -> Floats:
    """Values as float32."""
    return np.asarray(values, np.float32)


def to_bytes(values: npt.NDArray[Any]) -> Mask:
    """Values cut off at 0 and 255, as uint8."""
    return cast(Mask, np.clip(values, 0, 255).astype(np.uint8))


def share(mask: Mask) -> Floats:
    """Coverage 0 to 255 as float32 0 to 1."""
    return floats(mask * np.float32(1 / 255))


def soften(image: A, sigma: float) -> A:
    """A Gaussian blur of `sigma` pixels."""
    return cast(A, cv2.GaussianBlur(image, (0, 0), sigma))


def thicken(mask: Mask, size: int, shape: int = cv2.MORPH_RECT) -> Mask:
    """Coverage dilated by an element `size` pixels wide."""
    return cast(Mask, cv2.dilate(mask, cv2.getStructuringElement(shape, (size, size))))


def mix(one: Mask, weight: float, other: Mask) -> Mask:
    """`weight` of one and the rest of the other."""
    return cast(Mask, cv2.addWeighted(one, weight, other, 1 - weight, 0))


def resize(image: A, width: float, height: float, interpolation: int = cv2.INTER_AREA) -> A:
    """To a width and height, rounded, of a pixel at least."""
    size = (max(1, round(width)), max(1, round(height)))
    return cast(A, cv2.resize(image, size, interpolation=interpolation))


def homography(source: npt.NDArray[Any], target: npt.NDArray[Any]) -> Matrix:
    """The one that takes four corners to four others."""
    return cast(Matrix, cv2.getPerspectiveTransform(floats(source), floats(target)))


def warp(image: A, matrix: Matrix, width: int, height: int, border: Sequence[int] | None = (0, 0, 0)) -> A:
    """An image after a homography; `border` fills what lies outside of it, None repeats its edge."""
    mode = cv2.BORDER_REPLICATE if border is None else cv2.BORDER_CONSTANT
    return cast(
        A,
        cv2.warpPerspective(image, matrix, (width, height), borderMode=mode, borderValue=tuple(border or ())),
    )
