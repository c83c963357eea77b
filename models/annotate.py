"""A picture of what was read: numbered polygons over the page, texts on a second sheet beside it."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from models.records import Char, Image, Line, Page, UsageError

CERTAIN = (32, 140, 60)
REVIEW = (210, 90, 20)
DOUBTFUL = (200, 0, 60)
"""Colours, red, green, blue."""
_SMALLEST = 8
"""Height of letters in pixels."""

Color = tuple[int, int, int]


def overlay(page: Page, image: Image) -> Image:
    """Draws a page's lines over its pixels, and their texts where they stand on a blank sheet to the right.

    Lines have their numbers in the order of reading. Those that need review are orange, the others green. Of
    the former the character that is the least sure is marked, where characters are known.

    Args:
        page: polygons refer to its width and height.
        image: (H, W, 3), the page's pixels at any scale.

    Returns:
        (H, 2 W, 3), blue, green, red.
    """
    scale = np.array([image.shape[1] / page.width, image.shape[0] / page.height], np.float32)
    marks, sheet = image.copy(), np.full_like(image, 255)
    for number, line in enumerate(page.lines, 1):
        corners = line.polygon * scale
        color = REVIEW if line.needs_review else CERTAIN
        _outline(marks, corners, color)
        if line.needs_review and (char := weakest(line)) is not None:
            _outline(marks, extent(corners, char), DOUBTFUL)
        height = float(np.linalg.norm(corners[3] - corners[0]))
        left, top = (float(value) for value in corners.min(axis=0))
        label = max(_SMALLEST, 0.4 * height)
        write(marks, str(number), left - label * (0.3 + 0.6 * len(str(number))), top, label, color)
        _write_line(sheet, line, corners, color)
    return np.concatenate([marks, sheet], axis=1)


def save(path: str | os.PathLike[str], page: Page, image: Image) -> None:
    """Writes what `overlay` draws into a file whose name tells the format.

    Raises:
        OSError: it cannot be written.
        UsageError: the name tells no format.
    """
    drawn = overlay(page, image)
    try:
        encoded = cv2.imencode(Path(path).suffix, drawn)[1]
    except cv2.error as error:
        raise UsageError(f"{path}: its name has to end as an image's does, such as .png or .jpg") from error
    Path(path).write_bytes(encoded.tobytes())


def told(number: int, line: Line) -> str:
    """A line with its number in the picture, and where it is doubtful the character that is the most."""
    if not line.needs_review:
        return f"{number:5}  {line.text}"
    char = weakest(line)
    why = "" if char is None else f": least sure of {char.text!r}, {char.confidence:.2f}"
    return f"{number:5}? {line.text}   [{line.confidence:.2f}{why}]"


def weakest(line: Line) -> Char | None:
    """The character that the recogniser was the least sure of; None where none are known."""
    return min(line.chars or (), key=lambda char: char.confidence, default=None)


def extent(corners: npt.NDArray[np.float32], char: Char) -> npt.NDArray[np.float32]:
    """Where a character stands: (4, 2), the corners of the part of its line that it takes."""
    top, bottom = corners[1] - corners[0], corners[2] - corners[3]
    parts = (corners[0], top, char.x0), (corners[0], top, char.x1), (corners[3], bottom, char.x1)
    return np.stack([start + along * part for start, along, part in (*parts, (corners[3], bottom, char.x0))])


def _outline(image: Image, corners: npt.NDArray[np.float32], color: Color) -> None:
    cv2.polylines(image, [np.round(corners).astype(np.int32)], True, color[::-1], 2)


def _write_line(sheet: Image, line: Line, corners: npt.NDArray[np.float32], color: Color) -> None:
    """Writes a line's text at its top left corner, as large as its polygon allows."""
    width = float(np.linalg.norm(corners[1] - corners[0]))
    size = max(_SMALLEST, 0.8 * float(np.linalg.norm(corners[3] - corners[0])))
    length = text_width(line.text, size)
    if length > width > 0:
        size = max(_SMALLEST, size * width / length)
    left, top = (float(value) for value in corners.min(axis=0))
    write(sheet, line.text, left, top, size, color)


def write(image: Image, text: str, left: float, top: float, size: float, color: Color) -> None:
    """Writes text into an image: in OpenCV 5's own letters of many scripts, else in Pillow's, which has few.

    Args:
        image: (H, W, 3), blue, green, red; is changed.
        text: letters that the face lacks become question marks.
        left: x of the text's top left corner in pixels.
        top: its y.
        size: height in pixels.
        color: red, green, blue.
    """
    if face := _face():
        place = (round(left), round(top + size))
        cv2.putText(image, text, place, color[::-1], face, round(size))
        return
    picture = PillowImage.fromarray(image[:, :, ::-1])
    ImageDraw.Draw(picture).text((left, top), drawable(text), fill=color, font=ImageFont.load_default(size))
    image[:] = np.asarray(picture)[:, :, ::-1]


def text_width(text: str, size: float) -> float:
    """Width in pixels of a text that `write` writes."""
    if face := _face():
        width: float = cv2.getTextSize((1 << 15, 1 << 15), text, (0, 0), face, round(size))[2]
        return width
    return float(ImageFont.load_default(size).getlength(drawable(text)))


def drawable(text: str) -> str:
    """The text with question marks for what Pillow's face draws as an empty box."""
    font = ImageFont.load_default(_SMALLEST)
    missing = bytes(font.getmask("\uffff"))
    return "".join(
        "?" if not char.isascii() and bytes(font.getmask(char)) == missing else char for char in text
    )


@functools.cache
def _face() -> Any:
    """OpenCV's face of many scripts; None before OpenCV 5."""
    return cv2.FontFace("uni") if hasattr(cv2, "FontFace") else None
