"""`python -m pipeline.show OUT`: the first lines of what was read, and a picture of one page to look at."""

from __future__ import annotations

import functools
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
from pipeline.status import leave
from transforms import storage
from transforms.storage import local

LINES = 8
"""Lines of text to print."""

PICTURE = "overlay.png"
_COLUMNS = ("uri", "page", "width", "height", "lines")


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what there is to see in the folder named; returns the exit status."""
    return look("show", show, argv)


def show(folder: str) -> None:
    """Prints the first lines of the first page that has any, and draws that page beside the output's rows.

    Raises:
        UsageError: the output has no rows, or is not on this machine.
    """
    if not storage.is_local(folder):
        raise UsageError(f"{folder} is not on this machine: copy it here, with its images where the rows say")
    output = Path(local.path_of(folder))
    row = first_page(output)
    if row is None:
        print("No page with text.")
        return
    picture = output / PICTURE
    cv2.imwrite(str(picture), overlay(to_page(row), _pixels(row)))
    print(f"Picture:  {picture}, of {row['uri']}; lines that want a second look are orange")
    print("It says:  " + "\n          ".join(line["text"] for line in row["lines"][:LINES]))


def first_page(output: Path) -> dict[str, Any] | None:
    """The row of the first page with text, by the inputs' names; members of archives are left out.

    Raises:
        UsageError: there are no rows.
    """
    places = []
    for path in sorted((output / "pages").glob("*.parquet")):
        for group in range(pq.ParquetFile(path).num_row_groups):
            names = _read(path, group, ("uri", "page"))
            places += [(row["uri"], row["page"], path, group, i) for i, row in enumerate(names)]
    if not places:
        raise UsageError(f"{output}/pages has no rows; is {output} what a job wrote with --output?")
    rows = (_read(path, group, _COLUMNS)[i] for uri, _, path, group, i in sorted(places) if "#" not in uri)
    return next((row for row in rows if row["lines"]), None)


@functools.lru_cache(maxsize=1)
def _read(path: Path, group: int, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows of a group of a file: all of an output's are more than there is memory for."""
    with pq.ParquetFile(path) as file:
        rows: list[dict[str, Any]] = file.read_row_group(group, list(columns)).to_pylist()
    return rows


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
    leave(main())
