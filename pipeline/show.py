"""`python -m pipeline.show OUT [FILE] [--page N]`: what was read of a page, and a picture of it."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq

from models.annotate import overlay, weakest
from models.decoding import decode
from models.records import Char, Image, InputError, Line, Page, UsageError
from pipeline import waves
from pipeline.look import look
from pipeline.status import leave
from transforms import archives, storage
from transforms.storage import local

LINES = 8
"""Lines of text to print, where no page was asked for."""
MEMBER_BYTES = 1 << 30
"""Of the largest member of an archive that is looked at."""

PICTURE = "overlay.png"
_COLUMNS = ("uri", "page", "width", "height", "lines")


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what there is to see in the folder named; returns the exit status."""
    what = "Prints what was read of a page, and draws it beside the page."
    return look("show", what, lambda args: show(args.output, args.file, args.page), argv, _add_page)


def _add_page(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", nargs="?", metavar="FILE",
        help="whose page: as in the column uri, or the end of it (default: the first that has text)",
    )  # fmt: skip
    parser.add_argument("--page", type=int, metavar="N", help="which of its pages, from 0 on")


def show(folder: str, file: str | None = None, number: int | None = None) -> None:
    """Prints the lines of a page, and draws that page beside the output's rows.

    Args:
        folder: the job's output.
        file: end of the page's `uri`; None: any file.
        number: of the page; None: the first one that has text.

    Raises:
        UsageError: the output has no rows or no such page, or is not on this machine.
    """
    if not storage.is_local(folder):
        raise UsageError(f"{folder} is not on this machine: copy it here, with its images where the rows say")
    output = Path(local.path_of(folder))
    row = find_page(output, file, number)
    if row is None:
        print("No page with text.")
        return
    page, picture = to_page(row), output / PICTURE
    drawn = _drawn(page)
    if isinstance(drawn, str):
        print(f"No picture of {page.uri}, page {page.index}: {drawn}")
    else:
        cv2.imwrite(str(picture), drawn)
        print(f"Picture:  {picture}, of {page.uri}, page {page.index}; what wants a second look is orange")
    shown = page.lines if file is not None or number is not None else page.lines[:LINES]
    print("\n".join(["It says:", *(_told(i, line) for i, line in enumerate(shown, 1))]))


def _told(number: int, line: Line) -> str:
    """A line with its number in the picture, and where it is doubtful the character that is the most."""
    if not line.needs_review:
        return f"{number:5}  {line.text}"
    char = weakest(line)
    why = "" if char is None else f": least sure of {char.text!r}, {char.confidence:.2f}"
    return f"{number:5}? {line.text}   [{line.confidence:.2f}{why}]"


def find_page(output: Path, file: str | None, number: int | None) -> dict[str, Any] | None:
    """The row of the first page that is asked for, by the inputs' names; None: none has text.

    Raises:
        UsageError: there are no rows, or none of what is asked for.
    """
    places = []
    for path in sorted((output / "pages").glob("*.parquet")):
        for group in range(pq.ParquetFile(path).num_row_groups):
            names = _read(path, group, ("uri", "page"))
            places += [(row["uri"], row["page"], path, group, i) for i, row in enumerate(names)]
    if not places:
        raise UsageError(f"{output}/pages has no rows; is {output} what a job wrote with --output?")
    wanted = sorted(place for place in places if _is_asked_for(*place[:2], file, number))
    if not wanted:
        which = "" if number is None else f"page {number} of "
        raise UsageError(f"{output}/pages has no row of {which}{file or 'any file'}: see its column uri")
    rows = (_read(path, group, _COLUMNS)[i] for _, _, path, group, i in wanted)
    if number is not None:
        return next(rows)
    return next((row for row in rows if row["lines"]), None)


def _is_asked_for(uri: str, page: int, file: str | None, number: int | None) -> bool:
    named = file is None or uri == file or uri.endswith((f"/{file}", f"#{file}"))
    return named and number in (None, page)


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
            chars=None if line.get("chars") is None else tuple(Char(**char) for char in line["chars"]),
        )
        for line in row["lines"]
    )
    return Page(uri=row["uri"], index=row["page"], width=row["width"], height=row["height"], lines=lines)


def _drawn(page: Page) -> Image | str:
    """The page with its lines; why it cannot be drawn, where what it was read from is away or another."""
    try:
        data = _bytes(page.uri)
        found = next((each for each in decode(data) if each.index == page.index), None)
    except InputError as error:
        relative = storage.is_local(page.uri) and not Path(page.uri).is_absolute()
        hint = "; the path begins where the job ran: run this there" if relative else ""
        return f"{error.message}{hint}"
    if found is None or found.image is None:
        return "its file has no such page any more: it was changed after the job read it"
    return overlay(page, found.image)


def _bytes(uri: str) -> bytes:
    """The encoded file of a row, or the member of an archive.

    Raises:
        InputError: it cannot be read, or is no longer there.
    """
    archive = next((name for name in [*waves.names(uri)][1:] if archives.is_archive(name)), None)
    if archive is None:
        return storage.read(uri).data
    found = storage.stat(archive)
    with storage.open_file(archive, found) as file:
        for member in archives.members(archive, file, found.byte_size or 0, MEMBER_BYTES):
            if member.uri == uri and isinstance(member.data, bytes):
                return member.data
    raise InputError("not_found", f"{uri}: {archive} has no such member")


if __name__ == "__main__":
    leave(main())
