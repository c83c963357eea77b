"""Stacked letters: upright ones that stand one below the other, as on containers, signs and some spines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from models.geometry import gray, runs_down
from models.records import Image, Line, Page, Quad

Boxes = npt.NDArray[np.float32]
"""float32, (N, 4): left, top, right, bottom."""

LETTERS = 3
"""A stack has at least this many letters: two digits below each other are numbers of a table more often."""
WIDEST = 1.4
"""A letter is at most this many times wider than high."""
GAP = 0.8
"""Most that lies between two letters of a stack, in heights of the lower one."""
ASIDE = 0.35
"""Most that a letter stands to the side of the one above, in widths of the wider one."""
ALIKE = 1.5
"""Letters of one size differ in height by at most this factor: capitals, and letters with a stroke above."""
NEAR = 3.0
"""Letters of another stack beside one are further away than this, in heights of a letter; those of a table's
rows are not, or a longer cell stands in the row too."""
AIR = 0.1
"""What is left around a letter that is cut out of a stack, in heights of one."""
SPECK = 0.3
"""What is lower than this part of a stack's median letter belongs to its neighbour: the dots of i and Ö."""


def join_stacks(page: Page) -> Page:
    """The page with each stack of letters joined to one line, at the place of its first letter.

    Args:
        page: its lines have crops; those of the letters are upright.
    """
    lines = page.lines
    stacks = {stack[0]: stack for stack in find_stacks(lines)}
    rest = {i for stack in stacks.values() for i in stack[1:]}
    joined = (
        _joined([lines[j] for j in stacks[i]]) if i in stacks else line
        for i, line in enumerate(lines)
        if i not in rest
    )
    return replace(page, lines=tuple(joined)) if stacks else page


def _joined(letters: Sequence[Line]) -> Line:
    score = sum(letter.detection_score for letter in letters) / len(letters)
    crops = [letter.crop for letter in letters if letter.crop is not None]
    return Line(hull(np.stack([letter.polygon for letter in letters])), score, crop=lay_out(crops))


def unstacked(line: Line) -> Line | None:
    """A line that runs down the page, read as a stack of upright letters; None where it does not look so.

    Args:
        line: its crop is turned, as `models.geometry.rectify` turns those of lines that run downwards.
    """
    if line.crop is None:
        return None
    letters = split(np.ascontiguousarray(np.rot90(line.crop, -1)))
    return replace(line, crop=lay_out(letters)) if letters else None


def find_stacks(lines: Sequence[Line]) -> list[list[int]]:
    """Which lines of a page are the letters of a stack, from top to bottom each.

    Columns of a table look alike, but other cells stand beside theirs; beside most stacked letters nothing of
    their size does.
    """
    if len(lines) < LETTERS:
        return []
    polygons = np.stack([line.polygon for line in lines])
    boxes = np.concatenate([polygons.min(axis=1), polygons.max(axis=1)], axis=1)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    upright = np.array([not runs_down(line) for line in lines])
    letters = np.flatnonzero(upright & (width <= WIDEST * height))
    below: dict[int, int] = {}
    for i in letters[np.argsort(boxes[letters, 1], kind="stable")].tolist():
        under = letters[_are_under(boxes, i, letters) & ~np.isin(letters, list(below.values()))]
        if len(under):
            below[i] = int(under[np.argmin(boxes[under, 1])])
    stacks = []
    for first in below.keys() - set(below.values()):
        stack = [first]
        while stack[-1] in below:
            stack.append(below[stack[-1]])
        if len(stack) >= LETTERS and 2 * sum(_has_neighbour(boxes, i) for i in stack) < len(stack):
            stacks.append(stack)
    return stacks


def _are_under(boxes: Boxes, i: int, others: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Whether others are the next letter of a stack below a box."""
    left, top, right, bottom = boxes[others].T
    height, width = bottom - top, np.maximum(right - left, boxes[i, 2] - boxes[i, 0])
    gap = top - boxes[i, 3]
    aside = np.abs(left + right - boxes[i, 0] - boxes[i, 2]) / 2
    under: npt.NDArray[np.bool_] = (
        (np.abs(gap) <= GAP * height)
        & (top > boxes[i, 1])
        & (aside <= ASIDE * width)
        & _alike(boxes, i, others)
    )
    return under & (bottom > boxes[i, 3])


def _alike(boxes: Boxes, i: int, others: npt.NDArray[np.intp] | slice) -> npt.NDArray[np.bool_]:
    height, of_others = boxes[i, 3] - boxes[i, 1], boxes[others, 3] - boxes[others, 1]
    alike: npt.NDArray[np.bool_] = np.maximum(height, of_others) <= ALIKE * np.minimum(height, of_others)
    return alike


def _has_neighbour(boxes: Boxes, i: int) -> bool:
    """Whether a word of the same height stands in the row of a box, or a letter near it."""
    left, top, right, bottom = boxes.T
    height = boxes[i, 3] - boxes[i, 1]
    beside = np.minimum(boxes[i, 3], bottom) - np.maximum(boxes[i, 1], top) >= 0.5 * height
    near = np.maximum(left - boxes[i, 2], boxes[i, 0] - right) <= NEAR * height
    word = right - left > WIDEST * (bottom - top)
    found = beside & _alike(boxes, i, slice(None)) & (word | near)
    found[i] = False
    return bool(found.any())


def hull(polygons: Quad) -> Quad:
    """The upright rectangle around rectangles, (N, 4, 2), from its top right on: it is read downwards."""
    (left, top), (right, bottom) = polygons.min(axis=(0, 1)), polygons.max(axis=(0, 1))
    return np.array([[right, top], [right, bottom], [left, bottom], [left, top]], np.float32)


def split(crop: Image) -> list[Image]:
    """The letters of a stack, from top to bottom; an empty list where it does not look like a stack.

    Args:
        crop: the stack, upright; ink on paper of either brightness.
    """
    pixels = gray(crop)
    _, mask = cv2.threshold(pixels, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    paper = np.concatenate([mask[:, 0], mask[:, -1]]).mean() > 0.5
    inked = np.concatenate([[False], (mask != paper).any(axis=1), [False]])
    borders = np.flatnonzero(inked[1:] != inked[:-1]).reshape(-1, 2).tolist()
    if not borders:
        return []
    usual = float(np.median([end - start for start, end in borders]))
    rows: list[list[int]] = []
    for start, end in borders:
        low = end - start < SPECK * usual or (rows and rows[-1][1] - rows[-1][0] < SPECK * usual)
        if rows and low:
            rows[-1][1] = end
        else:
            rows.append([start, end])
    air = max(1, round(AIR * usual))
    letters = []
    for start, end in rows:
        columns = np.flatnonzero((mask[start:end] != paper).any(axis=0))
        left, right = int(columns[0]) - air, int(columns[-1]) + 1 + air
        letters.append(crop[max(0, start - air) : end + air, max(0, left) : right])
    return letters if len(letters) >= LETTERS else []


def lay_out(letters: Sequence[Image]) -> Image:
    """One line of letters from left to right, each half-way up; borders are repeated where one is lower."""
    height = max(letter.shape[0] for letter in letters)
    spare = [height - letter.shape[0] for letter in letters]
    cells = [
        cv2.copyMakeBorder(letter, rows // 2, rows - rows // 2, 0, 0, cv2.BORDER_REPLICATE)
        for letter, rows in zip(letters, spare, strict=True)
    ]
    return np.asarray(cv2.hconcat(cells), np.uint8)
