"""A picture of what was read: polygons over the page, texts on a second sheet beside it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from models.records import Image, Line, Page

CERTAIN = (32, 140, 60)
REVIEW = (210, 90, 20)
"""Colours, red, green, blue."""


def overlay(page: Page, image: Image) -> Image:
    """Draws a page's lines over its pixels, and their texts where they stand on a blank sheet to the right.

    Lines that need review are orange, the others green.

    Args:
        page: polygons refer to its width and height.
        image: (H, W, 3), the page's pixels at any scale.

    Returns:
        (H, 2 W, 3), blue, green, red.
    """
    scale = np.array([image.shape[1] / page.width, image.shape[0] / page.height], np.float32)
    left = PillowImage.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    right = PillowImage.new("RGB", left.size, "white")
    marks, sheet = ImageDraw.Draw(left), ImageDraw.Draw(right)
    for line in page.lines:
        corners = line.polygon * scale
        color = REVIEW if line.needs_review else CERTAIN
        marks.polygon([(float(x), float(y)) for x, y in corners], outline=color, width=2)
        _write(sheet, line, corners, color)
    joined = np.concatenate([np.asarray(left), np.asarray(right)], axis=1)
    picture: Image = cv2.cvtColor(joined, cv2.COLOR_RGB2BGR)  # type: ignore[assignment]
    return picture


def _write(sheet: ImageDraw.ImageDraw, line: Line, corners: np.ndarray, color: Sequence[int]) -> None:
    """Writes a line's text at its top left corner, as large as its polygon allows."""
    width = float(np.linalg.norm(corners[1] - corners[0]))
    height = float(np.linalg.norm(corners[3] - corners[0]))
    font = ImageFont.load_default(max(6.0, 0.8 * height))
    length = font.getlength(line.text)
    if length > width > 0:
        font = ImageFont.load_default(max(6.0, 0.8 * height * width / length))
    left, top = corners.min(axis=0)
    sheet.text((float(left), float(top)), line.text, fill=tuple(color), font=font)
