"""A sheet of the worst cases: one HTML file with its pictures inside, to look at in any browser."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from models.records import Image, Line, UsageError
from training.data.crops import read_image
from training.evaluation.scoring import Tally, Text, counted, match, normal, polygon

LONGEST = 900
"""Longest side of a page's picture in pixels."""
WRONG, MISSED, EXTRA = (0, 120, 230), (30, 30, 210), (200, 90, 160)
"""Colours, blue, green, red: read wrongly, not found, found where nothing is labelled."""

_HEAD = """<!doctype html><meta charset="utf-8"><title>Worst cases</title>
<style>body{font:14px sans-serif;margin:2em}img{max-width:100%;border:1px solid #ccc}
td{padding:2px 8px;border-top:1px solid #ddd;font-family:monospace;white-space:pre-wrap}
section{margin-bottom:3em}</style>
"""


class Difference(NamedTuple):
    """A label without its reading, a reading without a label, or both where they differ."""

    label: Text | None
    reading: Text | None


def differences(labels: Sequence[Text], readings: Sequence[Text], fold: bool) -> list[Difference]:
    """What is wrong on a page: wrong texts first, then what was missed, then what is not there."""
    labels, readings = counted(labels, readings)
    pairs = match([polygon(label) for label in labels], [polygon(reading) for reading in readings])
    found, used = {i for i, _ in pairs}, {j for _, j in pairs}
    wrong = [Difference(labels[i], readings[j]) for i, j in pairs if not _same(labels[i], readings[j], fold)]
    missed = [Difference(label, None) for i, label in enumerate(labels) if i not in found]
    extra = [Difference(None, reading) for j, reading in enumerate(readings) if j not in used]
    return wrong + missed + extra


def _same(label: Text, reading: Text, fold: bool) -> bool:
    return normal(label.text, fold) == normal(reading.text, fold)


def page_section(path: Path, tally: Tally, wrong: Sequence[Difference]) -> str:
    """A page as HTML: its scores, its picture with what is wrong marked, and the texts."""
    score = tally.score
    figures = f"word F1 {score.words:.3f}, end to end {score.end_to_end:.3f}, detection {score.detection:.3f}"
    try:
        picture = f'<img src="{_data(marked(read_image(path), wrong))}">'
    except ValueError as error:
        picture = f"<p>{html.escape(str(error))}</p>"
    rows = "".join(_row(each.label and each.label.text, each.reading and each.reading.text) for each in wrong)
    table = f"<table><tr><th>label<th>read</tr>{rows}</table>"
    return f"<section><h2>{html.escape(path.name)}: {figures}</h2>{picture}{table}</section>"


def line_section(line: Line, read: str) -> str:
    """A line as HTML: its picture, its label and what was read."""
    assert line.crop is not None
    return f'<section><img src="{_data(line.crop)}"><table>{_row(line.text, read)}</table></section>'


def write_sheet(sections: Sequence[str], path: Path) -> None:
    """Writes the sheet.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        path.write_text(_HEAD + "\n".join(sections), "utf-8")
    except OSError as error:
        raise UsageError(f"{path} could not be written: {error}") from None


def _row(label: str | None, read: str | None) -> str:
    cells = ("<td>-" if text is None else f"<td>{html.escape(text)}" for text in (label, read))
    return f"<tr>{''.join(cells)}</tr>"


def marked(image: Image, wrong: Sequence[Difference]) -> Image:
    """A page's picture, at most `LONGEST` pixels long, with what is wrong outlined in its colours."""
    scale = min(1.0, LONGEST / max(image.shape[:2]))
    picture = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for label, reading in wrong:
        text = label or reading
        assert text is not None
        color = EXTRA if label is None else MISSED if reading is None else WRONG
        corners = np.rint(np.asarray(text.corners) * scale).astype(np.int32)
        cv2.polylines(picture, [corners], True, color, 2)
    return np.asarray(picture, np.uint8)


def _data(image: Image) -> str:
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
