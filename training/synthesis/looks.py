"""How ink, paper and camera look: effects on coverage masks, papers and colours, effects on finished images.

Effects on masks take and give uint8 (H, W) coverage; those on images take and give uint8 (H, W) or (H, W, 3).
All draw their randomness from the `Random` given, so that a seed tells the image.
"""

from __future__ import annotations

from random import Random
from typing import cast

import cv2
import numpy as np

from models.records import Image
from training.synthesis.noise import field, ramp
from training.synthesis.pixels import Colour, Floats, Mask, floats, mix, resize, share, soften, to_bytes

_LUMA = (0.114, 0.587, 0.299)


# Ink: effects on coverage masks.


def spread(mask: Mask, rng: Random, amount: float) -> Mask:
    """Ink that bleeds (`amount` > 0) or a plate that starves (< 0), up to about a pixel."""
    kernel = cv2.getStructuringElement(
        rng.choice((cv2.MORPH_CROSS, cv2.MORPH_RECT)), (3, 3) if rng.random() < 0.7 else (2, 2)
    )
    changed = cast(Mask, cv2.dilate(mask, kernel) if amount > 0 else cv2.erode(mask, kernel))
    return mix(changed, abs(amount), mask)


def binarise(mask: Mask, rng: Random, sigma: float = 0.0, roughness: float = 25.0) -> Mask:
    """A copier's or fax's hard edge: blurred, roughened by noise and cut at a level near the middle."""
    if sigma:
        mask = soften(mask, sigma)
    rough = mask + field(rng, mask.shape, grain=rng.choice((0, 1, 1))) * roughness
    return np.asarray((rough > rng.uniform(85, 165)) * 255, np.uint8)


def fade(mask: Mask, rng: Random, strength: float, grain: float) -> Mask:
    """Ink that is uneven: patches `grain` pixels wide are weaker by up to about `strength`."""
    weight = np.clip(1 - strength * np.clip(field(rng, mask.shape, grain=grain) + 0.3, 0, 2.2), 0.12, 1)
    return np.asarray(mask * weight, np.uint8)


def legible(before: Mask, after: Mask) -> Mask:
    """`after`, or halfway back to `before` where hardly anything is left of thin strokes."""
    if int(after.sum(dtype=np.int64)) * 10 > int(before.sum(dtype=np.int64)) * 4:
        return after
    return mix(before, 0.6, after)


def speckle(mask: Mask, rng: Random, holes: float, specks: float) -> Mask:
    """White holes in the ink and black specks beside it, each a fraction of the pixels."""
    noise = field(rng, mask.shape, grain=rng.choice((0, 0, 1)))
    out: Mask = mask.copy()
    if holes:
        out[noise < _quantile(holes)] = 0
    if specks:
        out[noise > -_quantile(specks)] = rng.randint(120, 255)
    return out


def _quantile(fraction: float) -> float:
    """The value that a fraction (0.0001 to 0.2) of normals lies under, within about 0.05."""
    t = np.sqrt(-2 * np.log(max(fraction, 1e-6)))
    return float(-(t - (2.30753 + 0.27061 * t) / (1 + 0.99229 * t + 0.04481 * t * t)))


def banding(mask: Mask, rng: Random, strength: float) -> Mask:
    """A thermal head's bands: some rows, or columns where a heating element is worn, are weaker."""
    height, width = mask.shape
    across = rng.random() < 0.7
    count = height if across else width
    period, phase = rng.uniform(2.5, 14), rng.uniform(0, 6)
    weight = 1 - strength * (
        0.5 + 0.5 * np.sin(np.arange(count, dtype=np.float32) * 2 * np.pi / period + phase)
    )
    if not across:
        weight = 1 - strength * (weight < 1 - strength * 0.8)
    return np.asarray(mask * (weight[:, None] if across else weight[None]), np.uint8)


def dots(mask: Mask, rng: Random, pitch: float) -> Mask:
    """A matrix of round dots, `pitch` pixels apart, each printed or not."""
    height, width = mask.shape
    columns = max(1, round(width / pitch * rng.choice((1.0, 1.0, 1.3))))
    grid = resize(mask, columns, height / pitch)
    printed = np.asarray((grid > rng.randint(40, 85)) * 255, np.uint8)
    fine = 4
    disc = np.zeros((fine, fine), np.uint8)
    disc[:, :] = 255
    disc[[0, 0, -1, -1], [0, -1, 0, -1]] = rng.randint(0, 200)
    if rng.random() < 0.6:
        disc[-1, :] = disc[:, -1] = rng.randint(0, 120)
    raised = np.kron(printed // 255, disc)
    return resize(raised, width, height)


# Paper and paint.


def paper(rng: Random, shape: tuple[int, ...], level: float, contrast: float) -> Floats:
    """float32 (H, W) of paper about `level`, with texture and light of `contrast` grey levels."""
    texture = field(rng, shape, grain=rng.choice((0, 1, 3, 9))) * (contrast * 0.5)
    return np.asarray(level + texture + ramp(rng, shape) * contrast, np.float32)


def busy(rng: Random, shape: tuple[int, ...], level: float) -> Floats:
    """float32 (H, W) of a busy background about `level`: blotches, stripes, edges of shapes."""
    height, width = shape[:2]
    base = (
        level
        + field(rng, shape, grain=rng.choice((9, 30))) * rng.uniform(4, 22)
        + ramp(rng, shape) * rng.uniform(0, 30)
    )
    kind = rng.randrange(6)
    if kind == 0:
        base = base + field(rng, shape, grain=rng.choice((0, 1, 3))) * rng.uniform(3, 16)
    elif kind == 1:
        angle, period = rng.uniform(0, np.pi), rng.uniform(5, 40)
        y, x = np.ogrid[:height, :width]
        base = base + rng.uniform(5, 25) * np.sign(
            np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
        )
    elif kind == 2:
        blobs = field(rng, shape, grain=9) > rng.uniform(-0.5, 1.0)
        base = base + blobs * rng.uniform(-35, 35)
    elif kind == 3:
        base = np.ascontiguousarray(base, np.float32)
        for _ in range(rng.randint(1, 4)):
            a, b = (
                (rng.randint(-9, width + 9), rng.randint(-9, height + 9)),
                (rng.randint(-9, width + 9), rng.randint(-9, height + 9)),
            )
            cv2.line(base, a, b, rng.uniform(0, 255), rng.randint(1, max(2, height // 4)), cv2.LINE_AA)
    return np.asarray(base, np.float32)


def paint(
    ground: Floats,
    mask: Mask,
    ink: float,
    ground_colour: Colour | None = None,
    ink_colour: Colour | None = None,
) -> Image:
    """Ink over ground.

    Args:
        ground: (H, W), the lightness of what is under the ink.
        mask: (H, W), coverage.
        ink: the ink's lightness, used where no colour is asked for.
        ground_colour: with `ink_colour`, gives a picture of three channels; the ground's lightness shades it.
        ink_colour: see `ground_colour`.
    """
    cover = share(mask)
    if ground_colour is None or ink_colour is None:
        return to_bytes(ground + (ink - ground) * cover)
    shade = ground - luma(ground_colour)
    tinted = shade[..., None] + floats(ground_colour)
    return to_bytes(tinted + (floats(ink_colour) - tinted) * cover[..., None])


def luma(colour: Colour) -> float:
    """The lightness of a colour, 0 to 255."""
    return sum(weight * value for weight, value in zip(_LUMA, colour, strict=True))


def colour_near(rng: Random, level: float, saturation: float) -> Colour:
    """A random colour whose lightness is about `level`."""
    tint = [rng.uniform(-1, 1) * saturation * 128 for _ in range(3)]
    shift = level - luma((tint[0], tint[1], tint[2]))
    blue, green, red = (float(min(255, max(0, shift + each))) for each in tint)
    return blue, green, red


# Camera and file.


def coarsen(image: Image, rng: Random, factor: float) -> Image:
    """A picture taken at 1/`factor` of the size and enlarged again."""
    height, width = image.shape[:2]
    smaller = rng.choice((cv2.INTER_AREA, cv2.INTER_LINEAR))
    larger = rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_NEAREST))
    small = resize(image, max(4, width / factor), max(6, height / factor), smaller)
    return resize(small, width, height, larger)


def blur(image: Image, rng: Random, sigma: float) -> Image:
    """Out of focus, or moved during the exposure."""
    if rng.random() < 0.75:
        return soften(image, sigma)
    length = max(2, round(sigma * 3))
    kernel = np.zeros((length, length), np.float32)
    ends = rng.choice(
        (
            ((0, length // 2), (length - 1, length // 2)),
            ((length // 2, 0), (length // 2, length - 1)),
            ((0, 0), (length - 1, length - 1)),
        )
    )
    cv2.line(kernel, *ends, 1.0)
    return cast(Image, cv2.filter2D(image, -1, kernel / kernel.sum()))


def grain(image: Image, rng: Random, sigma: float) -> Image:
    """A sensor's noise of `sigma` grey levels, the same in all channels or not."""
    height, width = image.shape[:2]
    noise = field(rng, (height, width), grain=rng.choice((0, 0, 1))) * sigma
    if image.ndim == 3:
        noise = noise[..., None] * np.array([rng.uniform(0.5, 1.2) for _ in range(3)], np.float32)
    return to_bytes(image + noise)


def light(image: Image, rng: Random, strength: float) -> Image:
    """Uneven light: a slope, or the edge of a shadow."""
    height, width = image.shape[:2]
    slope = ramp(rng, (height, width))
    if rng.random() < 0.4:
        slope = np.tanh(slope * rng.uniform(3, 12) + rng.uniform(-2, 2))
    factor = 1 - strength * (0.5 + 0.5 * np.clip(slope, -1, 1))
    return np.asarray(image * (factor if image.ndim == 2 else factor[..., None]), np.uint8)


def jpeg(image: Image, quality: int) -> Image:
    """Through a JPEG file and back."""
    _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return cast(Image, cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
