"""Specimen pages: plain print with known lines, drawn anywhere alike, to check exports and bundles with.

They need no fonts of the system (Pillow brings one, of ASCII) and no data; what reads them badly is broken,
what reads them well is not thereby good.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from models.geometry import rectify
from models.records import Image, Line, Page

TEXTS = (
    "Corner Bakery & Cafe",
    "12 Station Road, Springfield",
    "Tel: 555-0134",
    "Invoice No. 2024/0815",
    "Date: 03/11/2024 17:42",
    "Wholemeal bread 2 x 3.40",
    "Espresso, double",
    "Orange juice 0.3 l",
    "Subtotal 18.95",
    "Tax 7% 1.24",
    "TOTAL $20.19",
    "Cash 50.00",
    "Change 29.81",
    "Thank you for your visit!",
    "Please keep this receipt.",
    "www.example.org/feedback",
    "Opening hours: Mon-Fri 8-18",
    "Questions? Ask (at) the desk",
    "Served by: Jamie #4",
    "Quality since 1987",
)
SIZE = (960, 720)
"""Height and width of a page in pixels."""


@dataclass(frozen=True, slots=True)
class Specimen:
    """A page and what stands on it.

    Attributes:
        image: (H, W, 3), blue, green, red.
        lines: polygon and text of each line, from top to bottom.
    """

    image: Image
    lines: tuple[Line, ...]


def specimen(seed: int = 0) -> Specimen:
    """Draws a page: the same lines in an order, sizes, paper and noise of its own for each seed."""
    rng = np.random.default_rng(seed)
    paper, ink = int(rng.integers(215, 256)), int(rng.integers(0, 90))
    sheet = PillowImage.new("L", (SIZE[1], SIZE[0]), paper)
    pen = ImageDraw.Draw(sheet)
    lines, top = [], 30
    for text in rng.permutation(np.asarray(TEXTS)).tolist():
        font = ImageFont.load_default(float(rng.integers(18, 31)))
        left, (x0, y0, x1, y1) = int(rng.integers(30, 240)), font.getbbox(text)
        pen.text((left, top), text, ink, font=font)
        lines.append(Line(_rectangle(left + x0, top + y0, left + x1, top + y1), 1.0, text=text))
        top += round(y1 + rng.integers(12, 20))
    pixels = cv2.GaussianBlur(np.asarray(sheet), (0, 0), float(rng.uniform(0.3, 0.9))).astype(np.float32)
    noisy = np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)
    return Specimen(np.asarray(cv2.cvtColor(noisy, cv2.COLOR_GRAY2BGR), np.uint8), tuple(lines))


def specimen_page(seed: int = 0) -> Page:
    """A specimen as a page with its labelled lines, as if a detector had found them."""
    made = specimen(seed)
    return Page(uri=f"specimen {seed}", width=SIZE[1], height=SIZE[0], image=made.image, lines=made.lines)


def specimen_crops(count: int, margin: float = 0.1) -> list[Line]:
    """The first `count` lines of specimen pages, cut out, texts kept."""
    crops: list[Line] = []
    for seed in range(-(-count // len(TEXTS))):
        crops += rectify(specimen_page(seed), margin).lines
    return crops[:count]


def _rectangle(
    x0: float, y0: float, x1: float, y1: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
