"""What stands on pages and is not text: codes, logos, stamps, pictures, scribbles, the world's textures."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import cv2
import numpy as np

from training.synthesis.noise import field
from training.synthesis.pixels import Floats, Mask, floats, resize, to_bytes


def barcode(rng: Random, width: int, height: int) -> Mask:
    """Vertical bars of one to four modules."""
    module = max(1, width // rng.randint(70, 110))
    tones = np.array([rng.randint(0, 1) * 255 for _ in range(width // module + 1)], np.uint8)
    return np.tile(np.repeat(tones, module)[:width], (height, 1))


def matrix_code(rng: Random, size: int) -> Mask:
    """A square of modules with a QR code's three corner marks."""
    modules = rng.choice((21, 25, 29, 33))
    grid = np.array(rng.choices((0, 255), k=modules * modules), np.uint8).reshape(modules, modules)
    mark = np.full((7, 7), 255, np.uint8)
    mark[1:6, 1:6] = 0
    mark[2:5, 2:5] = 255
    grid[:8, :8] = grid[:8, -8:] = grid[-8:, :8] = 0
    grid[:7, :7] = grid[:7, -7:] = grid[-7:, :7] = mark
    return resize(grid, size, size, cv2.INTER_NEAREST)


def logo(rng: Random, size: int) -> Mask:
    """A round or angular sign of a few shapes."""
    mask = np.zeros((size, size), np.uint8)
    middle, radius = size // 2, size * 0.46
    for _ in range(rng.randint(1, 4)):
        reach, corners = radius * rng.uniform(0.3, 1.0), rng.choice((3, 4, 5, 6, 8, 40))
        turn = rng.uniform(0, math.pi)
        points = [
            [
                middle + reach * math.cos(turn + 2 * math.pi * k / corners),
                middle + reach * math.sin(turn + 2 * math.pi * k / corners),
            ]
            for k in range(corners)
        ]
        tone, polygon = rng.choice((0, 255, 255)), np.array(points, np.int32)
        if rng.random() < 0.5:
            cv2.fillPoly(mask, [polygon], tone, cv2.LINE_AA)
        else:
            cv2.polylines(mask, [polygon], True, 255, max(1, size // rng.randint(14, 40)), cv2.LINE_AA)
    return mask


def rim(rng: Random, size: int) -> Mask:
    """The rings of a stamp."""
    mask = np.zeros((size, size), np.uint8)
    axes = (round(size * 0.47), round(size * rng.uniform(0.25, 0.47)))
    for share in (1.0, rng.uniform(0.6, 0.9)):
        cv2.ellipse(
            mask,
            (size // 2, size // 2),
            (round(axes[0] * share), round(axes[1] * share)),
            rng.uniform(-30, 30),
            0,
            360,
            255,
            max(1, size // 40),
            cv2.LINE_AA,
        )
    return mask


def scribble(rng: Random, width: int, height: int) -> Mask:
    """A signature, a tick or a stroke of a pen, which nobody reads as print."""
    mask = np.zeros((height, width), np.uint8)
    count = rng.randint(5, 26)
    x = np.cumsum([rng.uniform(-0.3, 1.0) for _ in range(count)])
    x = (x - x.min()) / max(float(np.ptp(x)), 0.1) * width * 0.9 + width * 0.05
    y = np.array([rng.uniform(0.08, 0.92) for _ in range(count)]) * height
    fine = np.linspace(0, count - 1, count * 8)
    curve = np.stack([np.interp(fine, np.arange(count), x), np.interp(fine, np.arange(count), y)], 1)
    curve = cv2.GaussianBlur(curve.astype(np.float32), (1, 9), 0, sigmaY=2.0)
    cv2.polylines(
        mask, [curve.astype(np.int32)], False, 255, max(1, height // rng.randint(20, 45)), cv2.LINE_AA
    )
    return mask


def halftone(rng: Random, width: int, height: int) -> Mask:
    """A printed photo: blotches, plain, screened or cut at a level."""
    tone = (
        field(rng, (height, width), grain=rng.choice((9, 30))) * 60
        + field(rng, (height, width), grain=3) * 20
        + 128
    )
    kind = rng.randrange(3)
    if kind == 0:
        y, x = np.ogrid[:height, :width]
        pitch = rng.uniform(3, 6)
        screen = np.sin(x * math.pi / pitch) * np.sin(y * math.pi / pitch)
        tone = floats((tone > 128 + 110 * screen) * 255)
    elif kind == 1:
        tone = floats((tone > rng.uniform(100, 150)) * 255)
    return to_bytes(tone)


def hatching(rng: Random, width: int, height: int) -> Mask:
    """Slanting strokes in a field."""
    y, x = np.ogrid[:height, :width]
    angle, period = rng.uniform(0, math.pi), rng.uniform(4, 14)
    return np.asarray(
        (np.sin((x * math.cos(angle) + y * math.sin(angle)) * 2 * math.pi / period) > rng.uniform(0, 0.8))
        * 255,
        np.uint8,
    )


# Textures of scenes: float32 (H, W), about -1 to 1.


def bricks(rng: Random, height: int, width: int) -> Floats:
    """A wall of bricks or tiles."""
    tall, gap = rng.randint(10, 46), rng.randint(1, 4)
    wide = round(tall * rng.uniform(1.0, 3.2))
    y, x = np.mgrid[:height, :width]
    course = y // tall
    shifted = x + (course % 2) * (wide // 2) * rng.choice((0, 1, 1))
    tone = np.sin((shifted // wide) * 12.9898 + course * 78.233) * 0.4
    joint = ((y % tall) < gap) | ((shifted % wide) < gap)
    return np.asarray(np.where(joint, rng.choice((-1.0, 1.0)), tone), np.float32)


def fence(rng: Random, height: int, width: int) -> Floats:
    """Parallel bars, boards, blinds or steps, upright, level or slanting."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    along = (x, y, x + y * rng.uniform(-0.5, 0.5))[rng.randrange(3)]
    wave = np.sin(along * np.float32(2 * math.pi / rng.uniform(7, 60)))
    return np.asarray(np.tanh(wave * rng.uniform(1, 9) + rng.uniform(-1.5, 1.5)), np.float32)


def windows(rng: Random, height: int, width: int) -> Floats:
    """A facade: panes in rows, some lit."""
    tall, wide = rng.randint(24, 110), rng.randint(18, 90)
    y, x = np.mgrid[:height, :width]
    pane = ((y % tall) > tall * 0.3) & ((x % wide) > wide * 0.35)
    lit = np.sin((y // tall) * 45.7 + (x // wide) * 19.3)
    return np.asarray(np.where(pane, lit, 0.1) - ((x % wide) == wide // 2) * 0.6, np.float32)


def leaves(rng: Random, height: int, width: int) -> Floats:
    """Foliage: overlapping blots of light and dark."""
    fine = field(rng, (height, width), grain=3) + 0.6 * field(rng, (height, width), grain=9)
    return np.asarray(np.tanh(fine * rng.uniform(0.8, 3.0)), np.float32)


def plain(rng: Random, height: int, width: int) -> Floats:
    """A wall, a road, the sky: soft clouds of tone."""
    return np.asarray(
        field(rng, (height, width), grain=30) * 0.5
        + field(rng, (height, width), grain=rng.choice((0, 1))) * rng.uniform(0, 0.35),
        np.float32,
    )


TEXTURES: tuple[Callable[[Random, int, int], Floats], ...] = (
    bricks,
    fence,
    windows,
    leaves,
    plain,
    plain,
    plain,
)
"""What a scene's areas are filled with."""
