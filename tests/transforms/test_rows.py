from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from models.records import Char, Failure, Line, Page, Word
from transforms import rows

SQUARE = np.array([[1, 2], [31, 2], [31, 12.5], [1, 12.5]], np.float32)
LINE = Line(SQUARE, 0.75, text="résumé", confidence=0.5, direction=180, direction_confidence=0.875)
PAGE = Page(
    *("scans/a b.png", 2, "v1", 1234, "ab12", 640, 480),
    lines=(LINE, replace(LINE, text="two")),
    damage="Its end is missing.",
    carried='{"id": 7}',
    text_from="pdf",
)


def table(page: Page) -> pa.Table:
    return pa.Table.from_pylist([rows.page_row(page, "bundle", "run")], rows.PAGES)


def test_a_page_comes_back_from_arrow_as_it_went_in() -> None:
    (row,) = table(PAGE).to_pylist()
    lines = row.pop("lines")
    assert row == {
        "uri": "scans/a b.png",
        "page": 2,
        "etag": "v1",
        "byte_size": 1234,
        "sha256": "ab12",
        "width": 640,
        "height": 480,
        "text": "résumé\ntwo",
        "bundle_id": "bundle",
        "run_id": "run",
        "damage": "Its end is missing.",
        "doubtful": False,
        "carried": '{"id": 7}',
        "text_from": "pdf",
    }
    assert [line["text"] for line in lines] == ["résumé", "two"]
    assert lines[0] == {
        "text": "résumé",
        "confidence": 0.5,
        "polygon": [{"x": 1, "y": 2}, {"x": 31, "y": 2}, {"x": 31, "y": 12.5}, {"x": 1, "y": 12.5}],
        "detection_score": 0.75,
        "direction": 180,
        "direction_confidence": 0.875,
        "needs_review": False,
        "chars": None,
        "words": None,
        "recognizer": 0,
        "other_confidence": None,
    }


def test_chars_are_there_when_asked_for() -> None:
    chars = (Char("a", 0.5, 0.0, 0.25), Char("b", 1.0, 0.25, 1.0))
    (row,) = table(replace(PAGE, lines=(replace(LINE, chars=chars),))).to_pylist()
    assert row["lines"][0]["chars"] == [
        {"text": "a", "confidence": 0.5, "x0": 0.0, "x1": 0.25},
        {"text": "b", "confidence": 1.0, "x0": 0.25, "x1": 1.0},
    ]


def test_words_are_there_when_asked_for() -> None:
    corners = np.array([(0, 1), (9, 1), (9, 5), (0, 5)], np.float32)
    (row,) = table(replace(PAGE, lines=(replace(LINE, words=(Word("ab", 0.5, corners),)),))).to_pylist()
    polygon = [{"x": x, "y": y} for x, y in corners.tolist()]
    assert row["lines"][0]["words"] == [{"text": "ab", "confidence": 0.5, "polygon": polygon}]


def test_blank_page_is_a_row_without_lines() -> None:
    (row,) = table(Page("a", width=3, height=4)).to_pylist()
    assert (row["text"], row["lines"], row["etag"], row["doubtful"]) == ("", [], None, False)


@pytest.mark.parametrize(("marked", "doubtful"), [(2, False), (3, True), (4, True)])
def test_a_page_is_doubtful_where_nearly_all_of_its_lines_are(marked: int, doubtful: bool) -> None:
    lines = tuple(replace(LINE, needs_review=i < marked) for i in range(4))
    (row,) = table(replace(PAGE, lines=lines)).to_pylist()
    assert row["doubtful"] is doubtful


def test_failure_of_a_whole_file_has_no_page() -> None:
    failure = Failure("a", None, "read", "not_found", "gone")
    (row,) = pa.Table.from_pylist([rows.error_row(failure, "run")], rows.ERRORS).to_pylist()
    assert row == {
        "uri": "a", "page": None, "stage": "read", "kind": "not_found", "message": "gone", "run_id": "run",
    }  # fmt: skip


@pytest.mark.parametrize("schema", [rows.PAGES, rows.ERRORS], ids=["pages", "errors"])
def test_schema_describes_every_column(schema: pa.Schema) -> None:
    described = rows.describe(schema)
    assert [name for name, _, _ in described if "." not in name] == schema.names
    assert all(kind and text for _, kind, text in described)


def test_schema_describes_nested_fields() -> None:
    described = {name: kind for name, kind, _ in rows.describe(rows.PAGES)}
    assert described["etag"] == "string, nullable"
    assert described["lines"] == "struct[]"
    assert described["lines[].confidence"] == "float"
    assert described["lines[].polygon[].x"] == "float"
    assert described["lines[].chars"] == "struct[], nullable"
    assert described["lines[].chars[].x1"] == "float"


def test_facts_name_the_schema_version() -> None:
    found = rows.with_facts(rows.PAGES, {"bundle_id": "b"}).metadata
    assert found == {b"schema_version": b"1", b"bundle_id": b"b"}


class TestTableBuilder:
    row = rows.page_row(PAGE, "bundle", "run")

    def test_empty_gives_nothing(self) -> None:
        assert rows.TableBuilder(rows.PAGES).flush() is None

    def test_flush_gives_one_chunk_of_all_rows_in_order(self) -> None:
        builder = rows.TableBuilder(rows.PAGES)
        count = rows.BATCH_ROWS * 2 + 5
        assert all(builder.add({**self.row, "page": i}) is None for i in range(count))
        flushed = builder.flush()
        assert flushed is not None
        assert flushed["page"].to_pylist() == list(range(count))
        assert flushed["page"].num_chunks == 1
        assert builder.flush() is None

    def test_full_by_rows(self) -> None:
        builder = rows.TableBuilder(rows.PAGES)
        tables = [t for t in (builder.add(self.row) for _ in range(3 * rows.GROUP_ROWS)) if t is not None]
        assert len(tables) == 3
        assert all(t.num_rows <= rows.GROUP_ROWS for t in tables)

    def test_full_by_bytes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rows, "GROUP_BYTES", 1)
        builder = rows.TableBuilder(rows.PAGES)
        sizes = [t.num_rows for t in (builder.add(self.row) for _ in range(200)) if t is not None]
        assert sizes == [rows.BATCH_ROWS] * 3


def test_a_page_that_cannot_become_a_row_becomes_a_failure() -> None:
    work = rows._ToTables("bundle", "run")
    broken = replace(PAGE, lines=(replace(LINE, polygon=None),))  # type: ignore[arg-type]
    failure = work._row(broken)
    assert isinstance(failure, Failure)
    assert (failure.uri, failure.page, failure.stage) == (PAGE.uri, 2, "row")


def test_each_error_is_a_line_of_the_log_with_its_columns(caplog: pytest.LogCaptureFixture) -> None:
    work = rows._ToTables("bundle", "run")
    work.start_bundle()
    failure = Failure("scans/é.png", 2, "decode", "truncated", "It ends\ntoo early.")
    with caplog.at_level(logging.INFO, "transforms.rows"):
        assert not [*work.process(PAGE), *work.process(failure)]
    (line,) = caplog.messages
    assert "\n" not in line
    assert json.loads(line.removeprefix("error ")) == rows.error_row(failure, "run")
