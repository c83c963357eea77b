"""From a drawn sheet to a picture of it: desk, angle, light and folds, and what the file loses."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import cv2
import numpy as np
import numpy.typing as npt

from models.records import Image, Quad
from training.synthesis import looks
from training.synthesis.distractors import TEXTURES
from training.synthesis.noise import field
from training.synthesis.pixels import Matrix, floats, homography, soften, thicken, to_bytes, warp
from training.synthesis.sheet import PageLine


def move_quad(quad: Quad, matrix: Matrix) -> Quad:
    """The quad after a homography."""
    return floats(cv2.perspectiveTransform(quad[None], matrix)[0])


def inside(quad: Quad, width: int, height: int) -> bool:
    """Whether a quad lies in the picture and is neither folded nor too small to be read (5 pixels)."""
    if quad.min() < 0 or quad[:, 0].max() > width or quad[:, 1].max() > height:
        return False
    edges = np.roll(quad, -1, axis=0) - quad
    turns = edges[:, 0] * np.roll(edges[:, 1], -1) - edges[:, 1] * np.roll(edges[:, 0], -1)
    return bool((turns > 0).all() and np.linalg.norm(edges, axis=1).min() >= 5)


def scanned(
    image: Image, lines: Sequence[PageLine], rng: Random, size: tuple[int, int]
) -> tuple[Image, list[PageLine]]:
    """Flat on a scanner: a slight turn, the lid's white or a copier's black at the edges."""
    height, width = image.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    target = (round(width * scale), round(height * scale))
    if rng.random() < 0.25:  # a small slip on a large white scan
        target = (round(target[0] * rng.uniform(1.0, 1.5)), round(target[1] * rng.uniform(1.0, 1.2)))
    room = np.array([target[0] - width * scale, target[1] - height * scale])
    matrix = _turn(
        width, height, scale, rng.gauss(0, 0.6), room / 2 + [rng.uniform(-0.5, 0.5) * each for each in room]
    )
    border = rng.choice(
        ((255, 255, 255), (255, 255, 255), (252, 252, 252), tuple(int(v) for v in image[2, 2]), (20, 20, 20))
    )
    return _warp(image, lines, matrix, target, border)


def photographed(
    image: Image, lines: Sequence[PageLine], rng: Random, size: tuple[int, int]
) -> tuple[Image, list[PageLine]]:
    """Taken by hand upon a desk: perspective, a turn, shade."""
    height, width = image.shape[:2]
    margin = rng.uniform(0.0, 0.12)
    scale = min(size[0] / width, size[1] / height)
    target = (round(width * scale), round(height * scale))
    box = (
        np.array([[margin, margin], [1 - margin, margin], [1 - margin, 1 - margin], [margin, 1 - margin]])
        * target
    )
    jolt = (
        np.array([[rng.uniform(-1, 1), rng.uniform(-1, 1)] for _ in range(4)])
        * min(target)
        * rng.uniform(0.005, 0.05)
    )
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = homography(corners, box + jolt)
    matrix = _spin(target, rng.gauss(0, 2.0)) @ matrix
    desk = backdrop(rng, target[1], target[0])
    flat, moved = _warp(image, lines, matrix, target, (0, 0, 0))
    cover = warp(np.full((height, width), 255, np.uint8), matrix, *target)
    if rng.random() < 0.7:
        shadow = cv2.GaussianBlur(thicken(cover, 5), (0, 0), rng.uniform(2, 9))
        desk = np.asarray(desk * (1 - shadow[..., None] * np.float32(rng.uniform(0.1, 0.6) / 255)), np.uint8)
    return np.where(cover[..., None] > 127, flat, desk), moved


def backdrop(rng: Random, height: int, width: int) -> Image:
    """Something without text: textures in dull or bright colours, side by side, sharp or out of focus."""
    image = _area(rng, height, width)
    for _ in range(rng.choice((0, 1, 1, 2, 3, 5))):
        x, y, wide, tall, mask = _region(rng, height, width)
        if not mask.size:
            continue
        part = image[y : y + tall, x : x + wide]
        part[mask > 0] = _area(rng, tall, wide)[mask > 0]
    if rng.random() < 0.35:
        image = soften(image, rng.uniform(0.8, 5))
    return image


def _area(rng: Random, height: int, width: int) -> Image:
    level, saturation = rng.uniform(15, 235), rng.choice((0.05, 0.1, 0.25, 0.5)) * rng.random()
    tone = rng.choice(TEXTURES)(rng, height, width) * rng.uniform(4, 45)
    tone = tone + field(rng, (height, width), 30) * rng.uniform(2, 16)
    strengths = floats([rng.uniform(0.7, 1.1) for _ in range(3)])
    return to_bytes(floats(looks.colour_near(rng, level, saturation)) + tone[..., None] * strengths)


def _region(rng: Random, height: int, width: int) -> tuple[int, int, int, int, npt.NDArray[np.uint8]]:
    """A half plane, a polygon, a board or an ellipse: left, top, width, height and the mask within."""
    mask = np.zeros((height, width), np.uint8)
    kind = rng.random()
    if kind < 0.35:
        cut = [rng.uniform(-0.2, 1.2) for _ in range(2)]
        points = [[0, height * cut[0]], [width, height * cut[1]], [width, height], [0, height]]
        if rng.random() < 0.5:
            points = [[width * cut[0], 0], [width * cut[1], height], [width, height], [width, 0]]
        cv2.fillPoly(mask, [np.array(points, np.int32)], 255)
    elif kind < 0.7:
        wide, tall = rng.uniform(0.03, 0.6) * width, rng.uniform(0.05, 0.9) * height
        left, top = rng.uniform(-0.1, 0.9) * width, rng.uniform(-0.1, 0.8) * height
        lean = [rng.uniform(-0.1, 0.1) * height for _ in range(2)]
        points = [
            [left, top],
            [left + wide, top + lean[0]],
            [left + wide, top + tall + lean[1]],
            [left, top + tall],
        ]
        cv2.fillPoly(mask, [np.array(points, np.int32)], 255)
    else:
        centre = (rng.randint(0, width), rng.randint(0, height))
        axes = (rng.randint(width // 12, width // 3), rng.randint(height // 12, height // 3))
        outline = cv2.ellipse2Poly(centre, axes, rng.randint(0, 180), 0, 360, rng.choice((5, 60, 90, 120)))
        cv2.fillPoly(mask, [np.asarray(outline, np.int32)], 255)
    x, y, wide, tall = cv2.boundingRect(mask)
    return x, y, wide, tall, mask[y : y + tall, x : x + wide]


def creases(image: Image, rng: Random) -> Image:
    """Folds: a bright and a dark side along lines across the sheet."""
    height, width = image.shape[:2]
    factor = np.ones((height, width), np.float32)
    for _ in range(rng.randint(1, 4)):
        a, b = (0, rng.randint(0, height)), (width, rng.randint(0, height))
        if rng.random() < 0.4:
            a, b = (rng.randint(0, width), 0), (rng.randint(0, width), height)
        cv2.line(factor, a, b, rng.uniform(0.75, 0.97), rng.randint(1, 4), cv2.LINE_AA)
        shift = rng.choice((-2, 2))
        cv2.line(
            factor,
            (a[0] + shift, a[1] + shift),
            (b[0] + shift, b[1] + shift),
            rng.uniform(1.02, 1.12),
            1,
            cv2.LINE_AA,
        )
    factor = soften(factor, rng.uniform(0.6, 2.5))
    return to_bytes(image * factor[..., None])


def stains(image: Image, rng: Random) -> Image:
    """Spots of something spilt and rings of cups, brownish, through which the print is read."""
    height, width = image.shape[:2]
    cover = np.zeros((height, width), np.float32)
    for _ in range(rng.randint(1, 4)):
        radius = round(min(height, width) * rng.uniform(0.02, 0.14))
        centre = (rng.randint(0, width), rng.randint(0, height))
        axes = (radius, max(1, round(radius * rng.uniform(0.6, 1.0))))
        thick = -1 if rng.random() < 0.5 else max(1, radius // rng.randint(6, 20))
        cv2.ellipse(cover, centre, axes, rng.uniform(0, 180), 0, 360, rng.uniform(0.08, 0.35), thick)
    uneven = 1 + 0.35 * np.clip(field(rng, (height, width), 9), -1.5, 1.5)
    cover = soften(cover, rng.uniform(1, 4)) * uneven
    colour = floats(looks.colour_near(rng, rng.uniform(60, 150), 0.15)) * floats((0.6, 0.95, 1.2))
    return to_bytes(image * (1 - cover[..., None] * (1 - colour / 255)))


def camera(image: Image, rng: Random, strength: float = 1.0) -> Image:
    """Light, focus, noise and JPEG, each now and then."""
    if rng.random() < 0.35 * strength:
        image = looks.light(image, rng, rng.uniform(0.05, 0.5))
    if rng.random() < 0.25:
        image = looks.coarsen(image, rng, rng.uniform(1.1, 1.7))
    if rng.random() < 0.35:
        image = looks.blur(image, rng, rng.uniform(0.4, 1.1))
    if rng.random() < 0.4 * strength:
        image = looks.grain(image, rng, rng.uniform(1, 12))
    if rng.random() < 0.25 * strength:
        image = to_bytes(image * rng.uniform(0.6, 1.15) + rng.uniform(-20, 20))
    if rng.random() < 0.5:
        image = looks.jpeg(image, rng.randint(25, 90))
    return image


def upside_down(image: Image, lines: Sequence[PageLine]) -> tuple[Image, list[PageLine]]:
    """Turned by 180 degrees; the quads still begin at the text's own top left."""
    far = np.array([image.shape[1], image.shape[0]], np.float32)
    turned = np.ascontiguousarray(image[::-1, ::-1])
    return turned, [PageLine(far - line.quad, line.text) for line in lines]


def _turn(width: int, height: int, scale: float, degrees: float, offset: npt.NDArray[np.float64]) -> Matrix:
    matrix = np.vstack([cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale), [0, 0, 1]])
    matrix[:2, 2] += np.array([width, height]) * (scale - 1) / 2 + offset
    return matrix


def _spin(size: tuple[int, int], degrees: float) -> Matrix:
    return np.vstack([cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), degrees, 1.0), [0, 0, 1]])


def _warp(
    image: Image, lines: Sequence[PageLine], matrix: Matrix, size: tuple[int, int], border: Sequence[int]
) -> tuple[Image, list[PageLine]]:
    if abs(matrix[0, 0]) < 0.7:  # several pixels become one: average first, or thin strokes break
        image = soften(image, 0.35 / abs(matrix[0, 0]))
    warped = warp(image, matrix, *size, border)
    moved = [PageLine(move_quad(line.quad, matrix), line.text) for line in lines]
    return warped, moved
