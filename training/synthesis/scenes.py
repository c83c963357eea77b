"""Pictures of streets and shops: a few words on boards and walls, in colour, turned and in perspective."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import cv2
import numpy as np

from models.records import Image, Quad
from training.synthesis import looks
from training.synthesis.capture import backdrop, camera, inside, move_quad
from training.synthesis.distractors import logo
from training.synthesis.drawing import Setting, draw_text, stamp
from training.synthesis.fonts import FontBook
from training.synthesis.pixels import (
    Box,
    Floats,
    Mask,
    Matrix,
    floats,
    homography,
    soften,
    thicken,
    to_bytes,
    warp,
)
from training.synthesis.sheet import PageLine, pad_box, quad_of
from training.synthesis.text import TextSource


@dataclass(frozen=True, slots=True, eq=False)
class WordCrop:
    """A real word to be pasted into scenes: uint8 (H, W, 3), blue, green, red, and what it says."""

    image: Image
    text: str


@dataclass(slots=True)
class _Scene:
    """A picture in the making and where text stands in it already."""

    image: Image
    taken: Mask
    lines: list[PageLine] = field(default_factory=list)


def scene(
    source: TextSource, book: FontBook, rng: Random, size: tuple[int, int], words: Sequence[WordCrop] = ()
) -> tuple[Image, list[PageLine]]:
    """Draws a scene.

    Args:
        source: what its signs say.
        book: in what faces.
        rng: decides all.
        size: width and height in pixels.
        words: real crops, some of which are pasted in with soft edges.
    """
    width, height = size
    made = _Scene(backdrop(rng, height, width), np.zeros((height, width), np.uint8))
    for _ in range(rng.choice((0, 1, 3, 6))):
        _object(made, rng)
    for _ in range(rng.choices((0, 1, 2, 4, 6, 9, 14), (3, 10, 16, 24, 22, 15, 10))[0]):
        _board(made, source, book, rng)
    for crop in rng.sample(list(words), min(len(words), rng.randint(0, 6))):
        _paste(made, crop, rng)
    return camera(made.image, rng), made.lines


def _object(made: _Scene, rng: Random) -> None:
    """A shape like a logo, or a pole, wire or edge across the picture, without text."""
    if rng.random() < 0.4:
        height, width = made.taken.shape
        ends = [(rng.randint(-50, width + 50), rng.randint(-50, height + 50)) for _ in range(2)]
        colour, thick = looks.colour_near(rng, rng.uniform(10, 245), 0.3), rng.choice((1, 2, 3, 6, 14, 30))
        cv2.line(made.image, ends[0], ends[1], colour, thick, cv2.LINE_AA)
        return
    size = rng.randint(20, 140)
    height, width = made.taken.shape
    x, y = rng.randint(0, max(0, width - size)), rng.randint(0, max(0, height - size))
    area = made.image[y : y + size, x : x + size]
    cover = logo(rng, size)[: area.shape[0], : area.shape[1], None] * np.float32(1 / 255)
    area[:] = (area + (floats(looks.colour_near(rng, rng.uniform(10, 245), 0.9)) - area) * cover).astype(
        np.uint8
    )


def _board(made: _Scene, source: TextSource, book: FontBook, rng: Random) -> None:
    """A block of one to four lines of text, on a board of its own or straight on what is there."""
    drawn = _words(source, book, rng)
    if not drawn:
        return
    cover, boxes = _stack(drawn, rng)
    reach = min(made.taken.shape[1] / cover.shape[1], made.taken.shape[0] / cover.shape[0])
    text_height = boxes[0][0][3] - boxes[0][0][1]
    scale = min(
        10 ** rng.uniform(math.log10(10), math.log10(110)) / text_height, reach * rng.uniform(0.35, 0.95)
    )
    matrix = _view(cover.shape, scale, made.taken.shape, rng)
    quads = [move_quad(quad_of(pad_box(box)), matrix) for box, _ in boxes]
    height, width = made.taken.shape
    if not all(inside(quad, width, height) for quad in quads):
        return
    outline = move_quad(quad_of((0, 0, cover.shape[1], cover.shape[0])), matrix)
    area = np.zeros_like(made.taken)
    cv2.fillConvexPoly(area, outline.astype(np.int32), 255)
    if (made.taken & area).any():
        return
    made.taken |= area
    _colour_in(made, cover, area, matrix, scale, rng)
    made.lines += [PageLine(quad, text) for quad, (_, text) in zip(quads, boxes, strict=True)]


def _words(source: TextSource, book: FontBook, rng: Random) -> list[tuple[Mask, str]]:
    """One to four texts as coverage tight to their ink, the first the largest, at most 44 pixels an em."""
    kind = rng.choices(("bold", "any", "common", "script"), (50, 25, 18, 7))[0]
    spacing = rng.choice((0.0, 0.0, 0.0, rng.uniform(0.02, 0.3)))
    drawn: list[tuple[Mask, str]] = []
    for number in range(rng.choices((1, 2, 3, 4), (58, 24, 12, 6))[0]):
        face, text = book.pick(rng, source.sign(rng), kind)
        text = " ".join(text.split())
        if not text:
            continue
        size = round(44 * (1.0 if number == 0 else rng.uniform(0.5, 1.0)))
        mask, _ = draw_text(face, text, Setting(size, spacing, 0.0, rng.uniform(0.8, 1.2)), rng)
        rows = np.flatnonzero(mask.max(axis=1) > 60)
        if rows.size:
            drawn.append((mask[rows[0] : rows[-1] + 1], text))
    return drawn


def _stack(drawn: Sequence[tuple[Mask, str]], rng: Random) -> tuple[Mask, list[tuple[Box, str]]]:
    """The texts under one another on one mask, with their boxes."""
    pad, gap, align = rng.randint(6, 40), rng.randint(5, 30), rng.choice((0.5, 0.5, 0.0))
    width = max(mask.shape[1] for mask, _ in drawn) + 2 * pad
    height = sum(mask.shape[0] for mask, _ in drawn) + gap * (len(drawn) - 1) + 2 * pad
    cover = np.zeros((height, width), np.uint8)
    boxes: list[tuple[Box, str]] = []
    y = pad
    for mask, text in drawn:
        x = round(pad + align * (width - 2 * pad - mask.shape[1]))
        stamp(cover, mask, x, y)
        boxes.append(((x, y, x + mask.shape[1], y + mask.shape[0]), text))
        y += mask.shape[0] + gap
    return cover, boxes


def _view(shape: tuple[int, ...], scale: float, room: tuple[int, ...], rng: Random) -> Matrix:
    """A homography that puts a block somewhere into the picture, turned and seen from the side."""
    height, width = shape[:2]
    turn = math.radians(rng.gauss(0, 6) if rng.random() < 0.85 else rng.uniform(-40, 40))
    corners = (np.array([[0, 0], [width, 0], [width, height], [0, height]]) - [width / 2, height / 2]) * scale
    corners = corners @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    lean = min(height, width) * scale * rng.choice((0.02, 0.1, 0.22))
    corners += np.array([[rng.uniform(-1, 1), rng.uniform(-1, 1)] for _ in range(4)]) * lean
    spans = np.ptp(corners, axis=0)
    centre = [
        rng.uniform(span / 2, max(side - span / 2, span / 2 + 1))
        for span, side in zip(spans, room[::-1], strict=True)
    ]
    corners += np.array(centre) - (corners.max(axis=0) + corners.min(axis=0)) / 2
    source = floats([[0, 0], [width, 0], [width, height], [0, height]])
    return homography(source, corners)


def _colour_in(made: _Scene, cover: Mask, area: Mask, matrix: Matrix, scale: float, rng: Random) -> None:
    """Paints the board, what lies under the letters, and the letters."""
    x0, y0, wide, tall = cv2.boundingRect(area)
    here = (slice(y0, y0 + tall), slice(x0, x0 + wide))
    shift = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]]) @ matrix
    if scale < 0.6:
        cover = soften(cover, 0.35 / scale)
    letters = warp(cover, shift, wide, tall)
    patch = made.image[here].astype(np.float32)
    if rng.random() < 0.68:
        board = floats(looks.colour_near(rng, rng.uniform(8, 250), rng.choice((0.05, 0.5, 1.0))))
        texture = looks.paper(rng, (tall, wide), 0, rng.uniform(0, 18))
        soft = soften(area[here], 0.7)[..., None] * np.float32(1 / 255)
        patch += (board + texture[..., None] - patch) * soft
    elif rng.random() < 0.6:  # calmer than the wall, or the letters drown
        patch += (patch.mean(axis=(0, 1)) - patch) * (rng.uniform(0.3, 0.9) * (area[here][..., None] > 0))
    level = float(patch[area[here] > 0].mean()) if area[here].any() else 128.0
    gap = rng.choice((-1, 1)) * rng.uniform(50, 210)
    ink = level + gap if 0 <= level + gap <= 255 else level - gap
    ink = min(255.0, max(0.0, ink))
    if rng.random() < 0.3:
        patch = _relief(patch, letters, ink, rng)
    colour = floats(looks.colour_near(rng, ink, rng.choice((0.05, 0.5, 1.0))))
    patch += (colour - patch) * (letters[..., None] * np.float32(rng.uniform(0.8, 1.0) / 255))
    made.image[here] = to_bytes(patch)


def _relief(patch: Floats, letters: Mask, ink: float, rng: Random) -> Floats:
    """A shadow or an outline of the letters."""
    thick = max(1, round(letters.shape[0] * rng.uniform(0.01, 0.04)))
    if rng.random() < 0.5:
        halo = np.roll(letters, (thick, rng.choice((-thick, thick))), axis=(0, 1))
    else:
        halo = thicken(letters, 2 * thick + 1, cv2.MORPH_ELLIPSE)
    tone = 0.0 if ink > 127 else 255.0
    return floats(patch + (tone - patch) * (halo[..., None] * np.float32(rng.uniform(0.4, 1.0) / 255)))


def _paste(made: _Scene, crop: WordCrop, rng: Random) -> None:
    """Lays a real crop into the picture, its edges feathered so that they are no clue."""
    height, width = made.taken.shape
    tall = min(10 ** rng.uniform(1.1, 1.9), height * 0.4)
    wide = tall * crop.image.shape[1] / crop.image.shape[0]
    if wide > width * 0.8:
        tall, wide = tall * width * 0.8 / wide, width * 0.8
    if tall < 8:
        return
    matrix = _view(crop.image.shape, tall / crop.image.shape[0], made.taken.shape, rng)
    quad: Quad = move_quad(quad_of((0, 0, crop.image.shape[1], crop.image.shape[0])), matrix)
    area = np.zeros_like(made.taken)
    cv2.fillConvexPoly(area, quad.astype(np.int32), 255)
    if not inside(quad, width, height) or (made.taken & area).any():
        return
    made.taken |= area
    image = warp(crop.image, matrix, width, height, None)
    feather = max(1.0, tall * 0.06)
    soft = cv2.GaussianBlur(thicken(area, 3), (0, 0), feather)[..., None] * np.float32(1 / 255)
    made.image = (made.image + (image.astype(np.float32) - made.image) * soft).astype(np.uint8)
    made.lines.append(PageLine(quad, crop.text))
