"""A job's output read back: rows of pages/ as the pages that they were, and those pages' pixels."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from models.decoding import decode
from models.records import Char, Image, InputError, Line, Page, Quad, UsageError, Word
from pipeline import waves
from transforms import archives, storage

MEMBER_BYTES = 1 << 30
"""Of the largest member of an archive that is looked at."""
_COLUMNS = ("uri", "page", "width", "height", "lines")


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


def _words(words: list[dict[str, Any]] | None) -> tuple[Word, ...] | None:
    if words is None:
        return None
    return tuple(Word(word["text"], word["confidence"], _quad(word["polygon"])) for word in words)


def _quad(corners: list[dict[str, float]]) -> Quad:
    return np.array([(corner["x"], corner["y"]) for corner in corners], np.float32)


def to_page(row: dict[str, Any]) -> Page:
    """A row of pages/ as the page that it was."""
    lines = tuple(
        Line(
            polygon=_quad(line["polygon"]),
            detection_score=line["detection_score"],
            text=line["text"],
            confidence=line["confidence"],
            needs_review=line["needs_review"],
            chars=None if line.get("chars") is None else tuple(Char(**char) for char in line["chars"]),
            words=_words(line.get("words")),
        )
        for line in row["lines"]
    )
    return Page(uri=row["uri"], index=row["page"], width=row["width"], height=row["height"], lines=lines)


def image_of(page: Page) -> Image:
    """The pixels that a page was read from.

    Raises:
        InputError: what it was read from is away, cannot be read, or is another by now.
    """
    try:
        data = _bytes(page.uri)
        found = next((each for each in decode(data) if each.index == page.index), None)
    except InputError as error:
        relative = storage.is_local(page.uri) and not Path(page.uri).is_absolute()
        hint = "; the path begins where the job ran: run this there" if relative else ""
        raise InputError(error.kind, f"{error.message}{hint}") from error
    if found is None or found.image is None:
        why = "its file has no such page any more: it was changed after the job read it"
        raise InputError("changed", why)
    return found.image


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
