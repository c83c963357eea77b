"""Rows: what a page and a failure look like in Parquet. The schemas below are the columns' only description.

A column may be added; changing one makes a new `SCHEMA_VERSION`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindows

from models.doubt import doubtful
from models.records import Char, Failure, Line, Page, Quad, Word
from transforms import metrics
from transforms.elements import PageOrFailure
from transforms.handler import failed

STAGE = "row"
SCHEMA_VERSION = "1"
BATCH_ROWS = 64
"""Rows are made Arrow in batches of this many: an Arrow row is a tenth of its Python objects' size."""
GROUP_ROWS = 1000
GROUP_BYTES = 32 << 20
"""A row group is written at whichever of the two comes first."""

_log = logging.getLogger(__name__)


def _field(name: str, kind: pa.DataType, description: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"description": description})


POINT = pa.struct(
    [_field("x", pa.float32(), "pixels from the left"), _field("y", pa.float32(), "pixels from the top")]
)

CHAR = pa.struct(
    [
        _field("text", pa.string(), "the character"),
        _field("confidence", pa.float32(), "the recogniser's probability, 0 to 1"),
        _field("x0", pa.float32(), "where it begins, as a fraction of the line's length"),
        _field("x1", pa.float32(), "where it ends, likewise"),
    ]
)

CORNERS = pa.list_(_field("element", POINT, "a corner"))

WORD = pa.struct(
    [
        _field("text", pa.string(), "what the word says"),
        _field("confidence", pa.float32(), "how sure it is that the text is right, 0 to 1, as a line's"),
        _field(
            "polygon",
            CORNERS,
            "its four corners, as the line's: the part of that polygon that the word takes",
        ),
    ]
)

LINE = pa.struct(
    [
        _field("text", pa.string(), "what the line says"),
        _field("confidence", pa.float32(), "how sure it is that the text is right, 0 to 1, see below"),
        _field(
            "polygon",
            CORNERS,
            "its four corners in pixels of the upright page, clockwise from the text's top left",
        ),
        _field("detection_score", pa.float32(), "mean probability of text inside the polygon, 0 to 1"),
        _field("direction", pa.int16(), "0, or 180 where the line stood on its head"),
        _field(
            "direction_confidence",
            pa.float32(),
            "probability of `direction`; null where it was not asked. "
            "Unsure lines stand as most sure ones of their page",
            True,
        ),
        _field(
            "needs_review",
            pa.bool_(),
            "whether somebody should look at the line: its text may be wrong, see below",
        ),
        _field(
            "chars",
            pa.list_(_field("element", CHAR, "a character")),
            "its characters; null unless asked for",
            True,
        ),
        _field(
            "words",
            pa.list_(_field("element", WORD, "a word")),
            "its words; in Han and kana each character is one; null unless asked for",
            True,
        ),
        _field(
            "recognizer",
            pa.int16(),
            "which of the bundle's recognisers read it: 1, or 2, its second one; "
            "0: none, the text is the PDF's own",
        ),
        _field(
            "other_confidence",
            pa.float32(),
            "how sure the other recogniser was of its own reading; null where only one was asked",
            True,
        ),
    ]
)

PAGES = pa.schema(
    [
        _field("uri", pa.string(), "the file, as listed; `shard.tar#member` for a member of an archive"),
        _field("page", pa.int32(), "0-based number of the page within its file"),
        _field("etag", pa.string(), "the storage's version of the file; null where it has none", True),
        _field("byte_size", pa.int64(), "size of the encoded file in bytes"),
        _field("sha256", pa.string(), "digest of the encoded file, lower-case hexadecimal"),
        _field(
            "width",
            pa.int32(),
            "width of the upright page (after EXIF orientation) in pixels, which are made square",
        ),
        _field("height", pa.int32(), "its height likewise"),
        _field("text", pa.string(), "the lines' texts in reading order, joined by line feeds"),
        _field("lines", pa.list_(_field("element", LINE, "a line")), "the lines in reading order"),
        _field("bundle_id", pa.string(), "SHA-256 of the manifest of the bundle that read it"),
        _field("run_id", pa.string(), "the run that wrote the row"),
        _field(
            "damage",
            pa.string(),
            "what of the page is missing or broken in its file, in one sentence; null where nothing is, "
            "as far as that can be told",
            True,
        ),
        _field(
            "doubtful",
            pa.bool_(),
            "whether at least three quarters of the lines needed review, so that most likely none is right; "
            "false where there are no lines",
        ),
        _field(
            "carried",
            pa.string(),
            "what `--carry` takes along, a JSON object: columns of the Parquet file that the page came from, "
            "or the `.json` beside it in an archive; null where there is none",
            True,
        ),
        _field(
            "text_from",
            pa.string(),
            "`image` where the models read the page; `pdf` where its lines are the PDF's own text "
            "(`--pdf_text`)",
        ),
    ]
)

ERRORS = pa.schema(
    [
        _field("uri", pa.string(), "the file, as listed"),
        _field("page", pa.int32(), "0-based number of the page; null where the file as a whole failed", True),
        _field(
            "stage",
            pa.string(),
            "the stage that failed: read, decode, detect, rectify, direction, recognize, reread, finish, row",
        ),
        _field("kind", pa.string(), "a stable word for grouping, such as not_found, truncated, too_large"),
        _field("message", pa.string(), "one sentence: what happened and what to do"),
        _field("run_id", pa.string(), "the run that wrote the row"),
    ]
)


def with_facts(schema: pa.Schema, facts: Mapping[str, str]) -> pa.Schema:
    """The schema with facts about the run, which become the Parquet file's key-value metadata."""
    return schema.with_metadata({"schema_version": SCHEMA_VERSION, **facts})


def describe(schema: pa.Schema) -> list[tuple[str, str, str]]:
    """Name, type and description of each column, fields of nested columns as `lines[].text`."""
    return [row for field in schema for row in _describe(field, field.name)]


def _describe(field: pa.Field, name: str) -> Iterator[tuple[str, str, str]]:
    kind, suffix = field.type, ""
    if pa.types.is_list(kind):
        kind, suffix = kind.value_type, "[]"
    shown = ("struct" if pa.types.is_struct(kind) else str(kind)) + suffix
    yield name, shown + (", nullable" if field.nullable else ""), field.metadata[b"description"].decode()
    if pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            yield from _describe(kind.field(i), f"{name}{suffix}.{kind.field(i).name}")


def page_row(page: Page, bundle_id: str, run_id: str) -> dict[str, Any]:
    """A finished page as a row of `PAGES`."""
    return {
        "uri": page.uri,
        "page": page.index,
        "etag": page.etag,
        "byte_size": page.byte_size,
        "sha256": page.sha256,
        "width": page.width,
        "height": page.height,
        "text": page.text,
        "lines": [_line_row(line) for line in page.lines],
        "bundle_id": bundle_id,
        "run_id": run_id,
        "damage": page.damage,
        "doubtful": doubtful(page.lines),
        "carried": page.carried,
        "text_from": page.text_from,
    }


def _line_row(line: Line) -> dict[str, Any]:
    chars = None if line.chars is None else [_char_row(char) for char in line.chars]
    words = None if line.words is None else [_word_row(word) for word in line.words]
    return {
        "text": line.text,
        "confidence": line.confidence,
        "polygon": _corners(line.polygon),
        "detection_score": line.detection_score,
        "direction": line.direction,
        "direction_confidence": line.direction_confidence,
        "needs_review": line.needs_review,
        "chars": chars,
        "words": words,
        "recognizer": line.recognizer,
        "other_confidence": line.other_confidence,
    }


def _word_row(word: Word) -> dict[str, Any]:
    return {"text": word.text, "confidence": word.confidence, "polygon": _corners(word.polygon)}


def _corners(polygon: Quad) -> list[dict[str, float]]:
    return [{"x": x, "y": y} for x, y in np.asarray(polygon).tolist()]


def _char_row(char: Char) -> dict[str, Any]:
    return {"text": char.text, "confidence": char.confidence, "x0": char.x0, "x1": char.x1}


def error_row(failure: Failure, run_id: str) -> dict[str, Any]:
    """A failure as a row of `ERRORS`."""
    return {
        "uri": failure.uri,
        "page": failure.page,
        "stage": failure.stage,
        "kind": failure.kind,
        "message": failure.message,
        "run_id": run_id,
    }


class Rows(NamedTuple):
    """Two collections of `pa.Table`: of `PAGES` and of `ERRORS`."""

    pages: beam.pvalue.PCollection
    errors: beam.pvalue.PCollection


class ToRows(beam.PTransform):
    """Makes tables of finished pages, as `Finish` gives them, and of the failures.

    Args:
        bundle_id: for the column of that name.
        run_id: likewise.
    """

    def __init__(self, bundle_id: str, run_id: str) -> None:
        super().__init__()
        self._work = _ToTables(bundle_id, run_id)

    def expand(self, pages: beam.pvalue.PCollection) -> Rows:
        """Applies the stage to pages and failures."""
        tables = pages | beam.ParDo(self._work).with_outputs("errors", main="pages")
        return Rows(tables.pages, tables.errors)


class _ToTables(beam.DoFn):
    def __init__(self, bundle_id: str, run_id: str) -> None:
        self._bundle_id = bundle_id
        self._run_id = run_id

    def start_bundle(self) -> None:
        self._pages = TableBuilder(PAGES)
        self._errors = TableBuilder(ERRORS)

    def process(self, element: PageOrFailure) -> Iterator[Any]:
        with metrics.timed(STAGE):
            outcome = self._row(element)
            if isinstance(outcome, Failure):
                metrics.count(f"{metrics.ERRORS}{outcome.kind}")
                row = error_row(outcome, self._run_id)
                _log.info("error %s", json.dumps(row, ensure_ascii=False))  # by name, for a cluster's search
                errors, pages = self._errors.add(row), None
            else:
                metrics.count("pages")
                metrics.count("lines", len(outcome["lines"]))
                metrics.count(metrics.DAMAGED, outcome["damage"] is not None)
                metrics.count(metrics.DOUBTFUL, outcome["doubtful"])
                errors, pages = None, self._pages.add(outcome)
        if pages is not None:
            yield pages
        if errors is not None:
            yield beam.pvalue.TaggedOutput("errors", errors)

    def finish_bundle(self) -> Iterator[Any]:
        pages, errors = self._pages.flush(), self._errors.flush()
        if pages is not None:
            yield GlobalWindows.windowed_value_at_end_of_window(pages)
        if errors is not None:
            yield beam.pvalue.TaggedOutput("errors", GlobalWindows.windowed_value_at_end_of_window(errors))

    def _row(self, element: PageOrFailure) -> dict[str, Any] | Failure:
        """The page's row, or the failure that it became here at the latest."""
        if isinstance(element, Failure):
            return element
        try:
            return page_row(element, self._bundle_id, self._run_id)
        except Exception as error:  # as in every stage, a page's error is the page's
            return failed(STAGE, element, error)


class TableBuilder:
    """Collects rows into tables of bounded size.

    Args:
        schema: of the rows.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._rows: list[dict[str, Any]] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, row: dict[str, Any]) -> pa.Table | None:
        """Adds a row; returns a table when that made one full."""
        self._rows.append(row)
        if len(self._rows) < BATCH_ROWS:
            return None
        self._convert()
        rows, size = _total(self._batches)
        return self.flush() if rows + BATCH_ROWS > GROUP_ROWS or size >= GROUP_BYTES else None

    def flush(self) -> pa.Table | None:
        """What was collected, as one table of one chunk (so one row group); None where there is nothing."""
        self._convert()
        batches, self._batches = self._batches, []
        return pa.Table.from_batches(batches, self._schema).combine_chunks() if batches else None

    def _convert(self) -> None:
        if self._rows:
            self._batches.append(pa.RecordBatch.from_pylist(self._rows, self._schema))
            self._rows = []


def _total(batches: Iterable[pa.RecordBatch]) -> tuple[int, int]:
    sizes = [(batch.num_rows, batch.nbytes) for batch in batches]
    return sum(rows for rows, _ in sizes), sum(size for _, size in sizes)
