"""A drawn page as it comes back from paper: scanned, photographed, copied or faxed, with stains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import cv2
import numpy as np

from models.geometry import gray
from models.records import Image, Quad
from training.pdfs.page import IGNORED, Drawn
from training.synthesis import capture, looks
from training.synthesis.pixels import floats, to_bytes
from training.synthesis.sheet import PageLine

Look = Callable[[Drawn, Random], Drawn]


def clean(page: Drawn, rng: Random) -> Drawn:
    """As it was drawn, now and then through a JPEG file."""
    image = looks.jpeg(page.image, rng.randint(40, 90)) if rng.random() < 0.4 else page.image
    return Drawn(image, page.lines)


def scan(page: Drawn, rng: Random) -> Drawn:
    """Printed, stained now and then, and laid on a scanner: a slight turn, paper, dust and light."""
    image = _printed(page.image, rng)
    if rng.random() < 0.25:
        image = capture.stains(image, rng)
    return _taken(capture.scanned, image, page.lines, rng)


def photo(page: Drawn, rng: Random) -> Drawn:
    """Printed, folded now and then, and photographed by hand upon a desk."""
    image = _printed(page.image, rng)
    if rng.random() < 0.4:
        image = capture.creases(image, rng)
    if rng.random() < 0.2:
        image = capture.stains(image, rng)
    return _taken(capture.photographed, image, page.lines, rng)


def fax(page: Drawn, rng: Random) -> Drawn:
    """Through a copier or a fax: hard edges, holes and specks, in black and white or nearly."""
    ink = to_bytes(255 - gray(page.image).astype(np.int16))
    hard = looks.legible(ink, looks.binarise(ink, rng, rng.choice((0.0, 0.5, 0.8)), rng.uniform(5, 30)))
    specked = looks.speckle(hard, rng, rng.choice((0, rng.uniform(0.001, 0.02))), rng.uniform(0.00002, 0.002))
    image = cv2.cvtColor(255 - specked, cv2.COLOR_GRAY2BGR)
    size = (image.shape[1], image.shape[0])
    image, lines = capture.scanned(np.asarray(image, np.uint8), page.lines, rng, size)
    return Drawn(capture.camera(image, rng, 0.3) if rng.random() < 0.5 else image, tuple(lines))


LOOKS: dict[Look, float] = {clean: 0.25, scan: 0.4, photo: 0.2, fax: 0.15}
"""How often each look is taken."""


def aged(page: Drawn, rng: Random) -> Drawn:
    """The page after a look drawn by `LOOKS`, its quads moved; what is cut by the edge is ignored."""
    look = rng.choices(list(LOOKS), list(LOOKS.values()))[0]
    changed = look(page, rng)
    height, width = changed.image.shape[:2]
    lines = [_held(line, width, height) for line in changed.lines]
    return Drawn(np.ascontiguousarray(changed.image), tuple(line for line in lines if line is not None))


def _taken(
    take: Callable[[Image, Sequence[PageLine], Random, tuple[int, int]], tuple[Image, list[PageLine]]],
    image: Image,
    lines: Sequence[PageLine],
    rng: Random,
) -> Drawn:
    image, moved = take(image, lines, rng, (image.shape[1], image.shape[0]))
    return Drawn(capture.camera(image, rng), tuple(moved))


def _printed(image: Image, rng: Random) -> Image:
    """On paper that is never quite white, with ink that spreads or starves, never quite black."""
    if rng.random() < 0.4:
        ink = 255 - image
        image = 255 - np.dstack([looks.spread(ink[..., i], Random(rng.random()), 0.4) for i in range(3)])
    level = rng.uniform(225, 255) if rng.random() < 0.8 else rng.uniform(175, 225)
    paper = floats(looks.colour_near(rng, level, rng.choice((0.0, 0.0, 0.05, 0.15)) * rng.random()))
    texture = looks.paper(rng, image.shape, 0, rng.choice((0, 3, 8)) * rng.random())
    dark = rng.uniform(0, 60)
    return to_bytes(dark + image * ((paper - dark) / 255) + texture[..., None])


def _held(line: PageLine, width: int, height: int) -> PageLine | None:
    """The line, ignored where the picture's edge cuts it; None where nothing of it is left."""
    if capture.inside(line.quad, width, height):
        return line
    quad: Quad = floats(np.clip(line.quad, 0, [width, height]))
    return PageLine(quad, IGNORED) if cv2.contourArea(quad) > 4 else None
