"""Pillow images of any mode to upright BGR pixels."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage

from models.records import Image

_ROTATIONS = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
_FLIPS = {2: 1, 4: 0}  # EXIF orientation to cv2.flip's code


def upright(image: Image, orientation: int) -> Image:
    """Turns an image the way its EXIF orientation (1 to 8, anything else counts as 1) asks for."""
    if orientation in _ROTATIONS:
        return as_image(cv2.rotate(image, _ROTATIONS[orientation]))
    if orientation in _FLIPS:
        return as_image(cv2.flip(image, _FLIPS[orientation]))
    if orientation == 5:
        return as_image(cv2.transpose(image))
    if orientation == 7:
        return as_image(cv2.flip(cv2.transpose(image), -1))
    return image


def to_bgr(image: PilImage.Image) -> Image:
    """Converts a Pillow image of any mode: alpha over white, more than 8 bits scaled and never clipped.

    Returns:
        uint8, (H, W, 3).
    """
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return _gray_to_bgr(to_8_bit(np.asarray(image)))
    if mode == "LAB":  # Lightness is what text is read by.
        return _gray_to_bgr(np.asarray(image.getchannel("L")))
    if image.has_transparency_data or mode in ("RGBa", "La"):
        return _over_white(image)
    if mode == "L":
        return _gray_to_bgr(np.asarray(image))
    rgb = image if mode == "RGB" else image.convert("RGB")
    # Packing as BGR takes half the time of np.asarray and cv2.cvtColor.
    packed = bytearray(rgb.tobytes("raw", "BGR"))
    return np.frombuffer(packed, np.uint8).reshape(image.height, image.width, 3)


def to_8_bit(values: npt.NDArray[np.generic]) -> Image:
    """Scales grey values of any type to 0 to 255.

    Integers are taken to have the fewest bits of 8, 12 and 16 that hold their maximum (scanners store 12 bits
    in 16), floats to go up to 1 or 255 where they fit; others are stretched between their extremes.
    """
    finite = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    tops = (255.0, 4095.0, 65535.0) if np.issubdtype(values.dtype, np.integer) else (1.0, 255.0)
    top = next((top for top in tops if low >= 0 and high <= top), None)
    if top is None:
        finite, top = finite - low, high - low
    scaled: Image = np.rint(finite * (255.0 / max(top, 1e-30))).clip(0, 255).astype(np.uint8)
    return scaled


def _over_white(image: PilImage.Image) -> Image:
    rgba = np.asarray(image.convert("RGBA"))
    alpha = rgba[..., 3]
    if alpha.min() == 255:
        return as_image(cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGR))
    opacity = alpha[..., None].astype(np.uint16)
    blended = (rgba[..., 2::-1] * opacity + 255 * (255 - opacity) + 127) // 255
    return blended.astype(np.uint8)


def _gray_to_bgr(gray: npt.NDArray[np.uint8]) -> Image:
    return as_image(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR))


def as_image(image: object) -> Image:
    """Tells the type checker what OpenCV's stubs leave open."""
    assert isinstance(image, np.ndarray)
    return image
