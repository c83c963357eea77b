"""Pillow images of any mode to upright BGR pixels."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PilImage

from models.records import Image

_ROTATIONS = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
_FLIPS = {2: 1, 4: 0}  # EXIF orientation to cv2.flip's code

_TILE = 256
"""Side in pixels of what is converted at a time: what is made on the way takes up to 24 bytes a pixel."""

_LIGHT = 170
"""Of 255: what is lighter is laid over black. Grey stays on white, since models are trained on dark print."""

_EDGE = 9
"""Side in pixels of the neighbourhood in which opaque meets transparent."""

_SQUARE = 1.1
"""Pixels whose sides differ by less are left as they are, such as a fax's of 204 x 196 dots an inch."""
_MOST_OBLONG = 5.0
"""More than this is no resolution but nonsense. Faxes have 204 x 98, 204 x 391 and 408 x 391 dots an inch."""

_Box = tuple[int, int, int, int]


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


def squared_size(width: int, height: int, density: tuple[float, float]) -> tuple[int, int]:
    """The size in pixels of an image once its pixels are square: its coarser side grows.

    Args:
        width: in pixels as stored.
        height: likewise.
        density: dots an inch, or any length, across and down; anything improbable counts as square.
    """
    across, down = density
    oblong = across / down if across > 0 and down > 0 else 1.0
    if _SQUARE <= oblong <= _MOST_OBLONG:
        return width, round(height * oblong)
    if _SQUARE <= 1 / max(oblong, 1e-9) <= _MOST_OBLONG:
        return round(width / oblong), height
    return width, height


def to_bgr(image: PilImage.Image) -> Image:
    """Converts a Pillow image of any mode: alpha over a ground, more than 8 bits scaled and never clipped.

    The ground is white, or black where what is opaque is light at its edges: light text on nothing was made
    for dark pages.

    Returns:
        uint8, (H, W, 3).
    """
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        extremes = _extremes(image)
        return _in_tiles(image, lambda tile: _gray_to_bgr(to_8_bit(np.asarray(tile), extremes)))
    if mode == "LAB":  # Lightness is what text is read by.
        return _gray_to_bgr(np.asarray(image.getchannel("L")))
    if image.has_transparency_data or mode in ("RGBa", "La"):
        return _over_ground(image)
    if mode == "L":
        return _gray_to_bgr(np.asarray(image))
    return _in_tiles(image, lambda tile: _packed(tile if mode == "RGB" else tile.convert("RGB")))


def to_8_bit(values: npt.NDArray[np.generic], extremes: tuple[float, float] | None = None) -> Image:
    """Scales grey values of any type to 0 to 255.

    Integers are taken to have the fewest bits of 8, 12 and 16 that hold their maximum (scanners store 12 bits
    in 16), floats to go up to 1 or 255 where they fit; others are stretched between their extremes.

    Args:
        values: of any shape, which the result has too.
        extremes: the least and the greatest value of the image of which these are a part; None: their own.
    """
    finite = _finite(values)
    low, high = extremes or (float(finite.min()), float(finite.max()))
    tops = (255.0, 4095.0, 65535.0) if np.issubdtype(values.dtype, np.integer) else (1.0, 255.0)
    top = next((top for top in tops if low >= 0 and high <= top), None)
    if top is None:
        finite, top = finite - low, high - low
    scaled: Image = np.rint(finite * (255.0 / max(top, 1e-30))).clip(0, 255).astype(np.uint8)
    return scaled


def _finite(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    return np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _extremes(image: PilImage.Image) -> tuple[float, float]:
    """The least and the greatest finite value of a grey image."""
    tiles = (_finite(np.asarray(image.crop(box))) for box in _boxes(image))
    lows, highs = zip(*((float(tile.min()), float(tile.max())) for tile in tiles), strict=True)
    return min(lows), max(highs)


def _in_tiles(image: PilImage.Image, convert: Callable[[PilImage.Image], Image]) -> Image:
    """Converts an image to BGR piece by piece, so that only the result is as large as the image."""
    boxes = _boxes(image)
    bgr = np.empty((image.height, image.width, 3), np.uint8)
    for left, top, right, bottom in boxes:
        bgr[top:bottom, left:right] = convert(image.crop((left, top, right, bottom)))
    return bgr


def _boxes(image: PilImage.Image) -> list[_Box]:
    """Left, top, right and bottom, in pixels, of the tiles of an image, which is loaded."""
    image.load()  # Some formats tell their true size only then.
    width, height = image.size
    corners = ((x, y) for y in range(0, height, _TILE) for x in range(0, width, _TILE))
    return [(x, y, min(x + _TILE, width), min(y + _TILE, height)) for x, y in corners]


def _packed(rgb: PilImage.Image) -> Image:
    # Packing as BGR takes half the time of np.asarray and cv2.cvtColor.
    packed = bytearray(rgb.tobytes("raw", "BGR"))
    return np.frombuffer(packed, np.uint8).reshape(rgb.height, rgb.width, 3)


def _over_ground(image: PilImage.Image) -> Image:
    edges: list[tuple[float, float]] = []

    def over_white(tile: PilImage.Image) -> Image:
        rgba = np.asarray(tile.convert("RGBA"))
        if rgba[..., 3].min() == 255:
            return as_image(cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGR))
        edges.append(_edges(rgba))
        return _over(rgba, 255)

    white = _in_tiles(image, over_white)
    if sum(light for _, light in edges) <= _LIGHT * sum(weight for weight, _ in edges):
        return white
    return _in_tiles(image, lambda tile: _over(np.asarray(tile.convert("RGBA")), 0))


def _edges(rgba: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """How much is opaque where it borders on what is not, and the same times its lightness, 0 to 255."""
    alpha = rgba[..., 3]
    if alpha.min() == alpha.max():
        return 0.0, 0.0
    edges = cv2.multiply(alpha, ~cv2.blur(alpha, (_EDGE, _EDGE)), dtype=cv2.CV_32F)
    lightness = cv2.multiply(edges, cv2.cvtColor(rgba, cv2.COLOR_RGBA2GRAY), dtype=cv2.CV_32F)
    return cv2.sumElems(edges)[0], cv2.sumElems(lightness)[0]


def _over(rgba: npt.NDArray[np.uint8], ground: int) -> Image:
    # By how much a colour differs from a ground of 0 or 255 is what of it the opacity lets stand.
    differs = cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGR) ^ np.uint8(ground)
    opacity = cv2.cvtColor(rgba[..., 3], cv2.COLOR_GRAY2BGR)
    return as_image(cv2.multiply(differs, opacity, scale=1 / 255)) ^ np.uint8(ground)


def _gray_to_bgr(gray: npt.NDArray[np.uint8]) -> Image:
    return as_image(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR))


def as_image(image: object) -> Image:
    """Tells the type checker what OpenCV's stubs leave open."""
    assert isinstance(image, np.ndarray)
    return image
