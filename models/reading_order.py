"""Reading order: rows from top to bottom, and columns of running text one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from models.geometry import main_axis, run_across
from models.records import Quad

Boxes = npt.NDArray[np.float32]
"""float32, (N, 4): left, top, right, bottom in the frame in which text runs to the right."""

SAME_ROW = 0.5
"""Two lines stand in one row where they overlap by this part of the lower one's height."""
COLUMN_LINES = 4
"""A column of running text has at least this many lines ..."""
COLUMN_WIDTH = 6.0
"""... whose median is at least this many times wider than high ..."""
COLUMN_FILL = 0.6
"""... and whose rows take at least this part of the column: table columns, prices and labels do not."""
BAND_GAP = 2.0
"""An empty strip across the page, this many lines high, ends what stands in columns above it."""


def reading_order(polygons: Sequence[Quad]) -> list[int]:
    """The order in which a person reads lines: a permutation of their indices.

    Lines are turned into the frame of the page's main direction, so a page that lies on its side keeps its
    order. Where running text stands in columns, each column is read to its end, between the lines that span
    them. Lines across the main direction, such as labels of axes, come last: they stand beside many rows.

    Args:
        polygons: clockwise from each text's top left.
    """
    if len(polygons) < 2:
        return list(range(len(polygons)))
    corners = np.stack(polygons)
    across = run_across(corners)
    return [
        int(members[i])
        for members in (np.flatnonzero(~across), np.flatnonzero(across))
        for i in _in_frame(corners[members].astype(np.float64))
    ]


def _in_frame(corners: npt.NDArray[np.float64]) -> list[int]:
    """The order of lines that run along one axis, (N, 4, 2)."""
    return _ordered(_upright_boxes(corners), np.arange(len(corners))) if len(corners) else []


def _upright_boxes(corners: npt.NDArray[np.float64]) -> Boxes:
    """Boxes around the polygons after turning them by the direction in which most of the text runs."""
    sides = corners[:, 1] - corners[:, 0] + corners[:, 2] - corners[:, 3]
    along = sides[:, 0] + 1j * sides[:, 1]
    axis = main_axis(along)
    if (along * axis.conjugate()).sum().real < -1e-3 * np.abs(along).sum():
        axis = -axis
    cos, sin = axis.real, axis.imag
    turned = corners @ np.array([[cos, -sin], [sin, cos]])
    return np.concatenate([turned.min(axis=1), turned.max(axis=1)], axis=1).astype(np.float32)


def _ordered(boxes: Boxes, members: npt.NDArray[np.intp]) -> list[int]:
    """Orders the members of `boxes`; recursive, since a column may hold columns."""
    members = members[np.argsort(boxes[members, 1] + boxes[members, 3], kind="stable")]
    gutter = _best_gutter(boxes[members])
    bands = [members] if gutter is None else _bands(boxes, members, _empty_strips(boxes[members]), gutter)
    order: list[int] = []
    for band in bands:
        columns = None if gutter is None else _columns(boxes, band, gutter)
        if columns is None:
            order += [int(band[i]) for row in _rows(boxes[band]) for i in row]
        else:
            order += [i for column in columns for i in _ordered(boxes, column)]
    return order


def _columns(
    boxes: Boxes, band: npt.NDArray[np.intp], gutter: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]] | None:
    """The band's lines left and right of the gutter, if both are running text."""
    if len(band) < 2 * COLUMN_LINES:
        return None
    left, right = band[boxes[band, 2] <= gutter], band[boxes[band, 0] >= gutter]
    apart = len(left) + len(right) == len(band)
    return (
        (left, right) if apart and _is_running_text(boxes[left]) and _is_running_text(boxes[right]) else None
    )


def _best_gutter(boxes: Boxes) -> float | None:
    """The x that parts the most lines of running text into two columns, if there is one.

    Args:
        boxes: from top to bottom.
    """
    if len(boxes) < 2 * COLUMN_LINES:
        return None
    members, strips = np.arange(len(boxes)), _empty_strips(boxes)
    best, best_lines = None, 0
    for gutter in _gutters(boxes):
        bands = _bands(boxes, members, strips, gutter)
        lines = sum(len(band) for band in bands if _columns(boxes, band, gutter) is not None)
        if lines > best_lines:
            best, best_lines = float(gutter), lines
    return best


def _gutters(boxes: Boxes) -> npt.NDArray[np.float64]:
    """Places just left of where lines begin, with wide lines on either side, at most one a line's height."""
    heights = boxes[:, 3] - boxes[:, 1]
    wide = boxes[boxes[:, 2] - boxes[:, 0] >= COLUMN_WIDTH * heights]
    step = _median(heights)
    gutters = np.unique(np.round(boxes[:, 0] / step)) * step - step / 2
    beside = np.minimum(
        (wide[:, 2] <= gutters[:, None]).sum(axis=1), (wide[:, 0] >= gutters[:, None]).sum(axis=1)
    )
    kept: npt.NDArray[np.float64] = gutters[beside >= COLUMN_LINES // 2]
    return kept


def _empty_strips(boxes: Boxes) -> npt.NDArray[np.bool_]:
    """Whether an empty strip parts each line, from top to bottom, from the next one: (N - 1,)."""
    _, top, _, bottom = boxes.T
    gap = top[1:] - np.maximum.accumulate(bottom)[:-1]
    strips: npt.NDArray[np.bool_] = gap > BAND_GAP * _median(bottom - top)
    return strips


def _bands(
    boxes: Boxes, members: npt.NDArray[np.intp], strips: npt.NDArray[np.bool_], gutter: float
) -> list[npt.NDArray[np.intp]]:
    """Parts the members, from top to bottom, at empty strips and where lines begin or cease to cross."""
    crosses = (boxes[members, 0] < gutter) & (boxes[members, 2] > gutter)
    borders = np.flatnonzero((crosses[1:] != crosses[:-1]) | strips) + 1
    return [members[start:end] for start, end in pairwise([0, *borders.tolist(), len(members)])]


def _is_running_text(boxes: Boxes) -> bool:
    if len(boxes) < COLUMN_LINES:
        return False
    widths = boxes[:, 2] - boxes[:, 0]
    if _median(widths) < COLUMN_WIDTH * _median(boxes[:, 3] - boxes[:, 1]):
        return False
    column = boxes[:, 2].max() - boxes[:, 0].min()
    return bool(widths.sum() >= COLUMN_FILL * column * len(_rows(boxes)))


def _rows(boxes: Boxes) -> list[list[int]]:
    """Indices by rows from top to bottom, and from left to right within a row."""
    left, top, _, bottom = boxes.T.tolist()  # Python's numbers: a page of a thousand lines is compared often
    rows: list[list[int]] = []
    for i in np.argsort(boxes[:, 1] + boxes[:, 3], kind="stable").tolist():
        if rows and _overlap((top[rows[-1][-1]], bottom[rows[-1][-1]]), (top[i], bottom[i])):
            rows[-1].append(i)
        else:
            rows.append([i])
    return [sorted(row, key=left.__getitem__) for row in rows]


def _overlap(above: tuple[float, float], below: tuple[float, float]) -> bool:
    """Whether two lines, given by top and bottom, stand in one row."""
    shared = min(above[1], below[1]) - max(above[0], below[0])
    return shared >= SAME_ROW * min(above[1] - above[0], below[1] - below[0])


def _median(values: npt.NDArray[np.float32]) -> float:
    """As NumPy's, whose checks cost more than all else here: asked a hundred times a page of few values."""
    ordered = np.sort(values)
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
