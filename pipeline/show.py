"""`python -m pipeline.show OUT`: the first lines of what was read, and a picture of one page to look at."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq

from models.annotate import overlay
from models.decoding import decode
from models.records import Image, InputError, Line, Page, UsageError
from pipeline.look import look
from transforms import storage

LINES = 8
"""Lines of text to print."""

PICTURE = "overlay.png"
_COLUMNS = ["uri", "page", "width", "height", "lines"]


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what there is to see in the folder named; returns the exit status."""
    return look("show", lambda output: show(Path(output)), argv)


def show(output: Path) -> None:
    """Prints the first lines of the first page that has any, and draws that page beside `output`'s rows.

    Raises:
        UsageError: there are no rows in `output`.
    """
    rows = read_pages(output)
    row = next((row for row in rows if row["lines"] and "#" not in row["uri"]), None)
    if row is None:
        print("No page with text.")
        return
    picture = output / PICTURE
    cv2.imwrite(str(picture), overlay(to_page(row), _pixels(row)))
    print(f"Picture:  {picture}, of {row['uri']}; lines that want a second look are orange")
    print("It says:  " + "\n          ".join(line["text"] for line in row["lines"][:LINES]))


def read_pages(output: Path) -> list[dict[str, Any]]:
    """The rows of pages/ in the order of the inputs' names.

    Raises:
        UsageError: there are none.
    """
    files = sorted((output / "pages").glob("*.parquet"))
    rows = [row for file in files for row in pq.read_table(file, columns=_COLUMNS).to_pylist()]
    if not rows:
        raise UsageError(f"{output}/pages has no rows; is {output} what a job wrote with --output?")
    return sorted(rows, key=lambda row: (row["uri"], row["page"]))


def to_page(row: dict[str, Any]) -> Page:
    """A row of pages/ as the page that it was."""
    lines = tuple(
        Line(
            polygon=np.array([(corner["x"], corner["y"]) for corner in line["polygon"]], np.float32),
            detection_score=line["detection_score"],
            text=line["text"],
            confidence=line["confidence"],
            needs_review=line["needs_review"],
        )
        for line in row["lines"]
    )
    return Page(uri=row["uri"], index=row["page"], width=row["width"], height=row["height"], lines=lines)


def _pixels(row: dict[str, Any]) -> Image:
    uri = row["uri"]
    try:
        data = storage.read(uri).data
    except InputError as error:
        relative = storage.is_local(uri) and not Path(uri).is_absolute()
        hint = "; the path begins where the job ran: run this there" if relative else ""
        raise UsageError(f"{error.message}{hint}") from None
    page = next((page for page in decode(data) if page.index == row["page"]), None)
    if page is None:
        raise UsageError(f"{uri} has no page {row['page']} any more: it was changed after the job read it")
    if page.image is None:
        raise AssertionError("decoding always gives pixels")
    return page.image


if __name__ == "__main__":
    sys.exit(main())
