"""Reading order: rows from top to bottom, and columns of running text one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.records import Quad

Boxes = npt.NDArray[np.float32]
"""float32, (N, 4): left, top, right, bottom in the frame in which text runs to the right."""

SAME_ROW = 0.5
"""Two lines stand in one row where they overlap by this part of the lower one's height."""
COLUMN_LINES = 4
"""A column of running text has at least this many lines ..."""
COLUMN_WIDTH = 6.0
"""... whose median is at least this many times wider than high ..."""
COLUMN_FILL = 0.55
"""... and takes at least this part of the column: table columns, prices and labels do not."""


def reading_order(polygons: Sequence[Quad]) -> list[int]:
    """The order in which a person reads lines: a permutation of their indices.

    Lines are turned into the frame of the page's main direction, so a page that lies on its side keeps its order.
    Where running text stands in columns, each column is read to its end, between the lines that span them.

    Args:
        polygons: clockwise from each text's top left.
    """
    if len(polygons) < 2:
        return list(range(len(polygons)))
    boxes = _upright_boxes(np.stack(polygons).astype(np.float64))
    return _ordered(boxes, np.arange(len(boxes)))


def _upright_boxes(corners: npt.NDArray[np.float64]) -> Boxes:
    """Boxes around the polygons after turning them by the direction in which most of the text runs."""
    along = corners[:, 1] - corners[:, 0] + corners[:, 2] - corners[:, 3]
    x, y = along.sum(axis=0)
    length = np.hypot(x, y) or 1.0
    cos, sin = x / length, y / length
    turned = corners @ np.array([[cos, -sin], [sin, cos]])
    return np.concatenate([turned.min(axis=1), turned.max(axis=1)], axis=1).astype(np.float32)


def _ordered(boxes: Boxes, members: npt.NDArray[np.intp]) -> list[int]:
    """Orders the members of `boxes`; recursive, since a column may hold columns."""
    gutter = _best_gutter(boxes[members])
    if gutter is None:
        return [int(members[i]) for i in _rows(boxes[members])]
    order: list[int] = []
    for band in _bands(boxes, members, gutter):
        left = band[boxes[band, 2] <= gutter]
        right = band[boxes[band, 0] >= gutter]
        if len(left) + len(right) == len(band) and _is_running_text(boxes[left]) and _is_running_text(boxes[right]):
            order += _ordered(boxes, left) + _ordered(boxes, right)
        else:
            order += [int(band[i]) for i in _rows(boxes[band])]
    return order


def _best_gutter(boxes: Boxes) -> float | None:
    """The x that parts the most lines of running text into two columns, if there is one."""
    if len(boxes) < 2 * COLUMN_LINES:
        return None
    members = np.arange(len(boxes))
    best, best_lines = None, 0
    step = float(np.median(boxes[:, 3] - boxes[:, 1]))
    for gutter in np.unique(np.round(boxes[:, 0] / step)) * step - step / 2:
        lines = sum(
            len(band)
            for band in _bands(boxes, members, gutter)
            if _is_running_text(boxes[band[boxes[band, 2] <= gutter]])
            and _is_running_text(boxes[band[boxes[band, 0] >= gutter]])
        )
        if lines > best_lines:
            best, best_lines = float(gutter), lines
    return best


def _bands(boxes: Boxes, members: npt.NDArray[np.intp], gutter: float) -> list[npt.NDArray[np.intp]]:
    """Parts the members from top to bottom: runs of lines beside the gutter, and runs of lines that cross it."""
    by_height = members[np.argsort(boxes[members, 1] + boxes[members, 3], kind="stable")]
    crosses = (boxes[by_height, 0] < gutter) & (boxes[by_height, 2] > gutter)
    borders = np.flatnonzero(crosses[1:] != crosses[:-1]) + 1
    return list(np.split(by_height, borders))


def _is_running_text(boxes: Boxes) -> bool:
    if len(boxes) < COLUMN_LINES:
        return False
    widths = boxes[:, 2] - boxes[:, 0]
    heights = boxes[:, 3] - boxes[:, 1]
    column = boxes[:, 2].max() - boxes[:, 0].min()
    median = float(np.median(widths))
    return bool(median >= COLUMN_WIDTH * np.median(heights) and median >= COLUMN_FILL * column)


def _rows(boxes: Boxes) -> list[int]:
    """Top to bottom by rows, left to right within a row."""
    order: list[int] = []
    row: list[int] = []
    for i in np.argsort(boxes[:, 1] + boxes[:, 3], kind="stable"):
        if row and not _overlap(boxes[row[-1]], boxes[i]):
            order += sorted(row, key=lambda j: boxes[j, 0])
            row = []
        row.append(int(i))
    return order + sorted(row, key=lambda j: boxes[j, 0])


def _overlap(above: Boxes, below: Boxes) -> bool:
    shared = min(above[3], below[3]) - max(above[1], below[1])
    return bool(shared >= SAME_ROW * min(above[3] - above[1], below[3] - below[1]))
