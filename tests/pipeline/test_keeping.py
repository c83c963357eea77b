from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import waves
from pipeline.keeping import Kept, keep_good
from transforms.rows import ERRORS, PAGES

NAME = waves.name_of(1, "new")


def page(uri: str, page: int, run_id: str, lines: int = 1) -> dict[str, Any]:
    line = {"text": "x", "confidence": 1.0, "polygon": [], "detection_score": 1.0, "direction": 0,
            "direction_confidence": None, "needs_review": False, "chars": None, "recognizer": 1}  # fmt: skip
    return {"uri": uri, "page": page, "etag": None, "byte_size": 1, "sha256": "", "width": 1, "height": 1,
            "text": "", "lines": [line] * lines, "bundle_id": "", "run_id": run_id,
            "doubtful": False, "text_from": "image"}  # fmt: skip


def error(uri: str, page: int | None, run_id: str, kind: str = "forbidden") -> dict[str, Any]:
    return {"uri": uri, "page": page, "stage": "read", "kind": kind, "message": "", "run_id": run_id}


def write(folder: Path, name: str, pages: list[dict[str, Any]], errors: list[dict[str, Any]]) -> None:
    for kind, rows, schema in (("pages", pages, PAGES), ("errors", errors, ERRORS)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist(rows, schema)
        pq.write_table(table, folder / kind / f"{name}-00000-of-00001.parquet", row_group_size=2)


def found(folder: Path) -> list[tuple[str, int | None, str]]:
    """The rows of both kinds: file, page, and the run or kind of error."""
    pages, errors = (pq.read_table(folder / kind).to_pylist() for kind in waves.KINDS)
    told = [(row["uri"], row["page"], row["run_id"]) for row in pages]
    return sorted(told + [(row["uri"], row["page"], row["kind"]) for row in errors], key=repr)


@pytest.fixture
def keep(tmp_path: Path) -> Any:
    def run(old: Any, new: Any) -> tuple[Kept, list[tuple[str, int | None, str]]]:
        write(tmp_path / "out", waves.name_of(1, "old"), *old)
        write(tmp_path / "stage", NAME, *new)
        earlier = {kind: [str(path) for path in (tmp_path / "out" / kind).iterdir()] for kind in waves.KINDS}
        return keep_good(earlier, str(tmp_path / "stage"), NAME), found(tmp_path / "stage")

    return run


def test_good_rows_stay_where_reading_fails_and_go_where_it_does_not(keep: Any) -> None:
    old = [page(name, 0, "old", lines) for lines, name in enumerate(["a", "b", "c", "gone"], 1)]
    new = [page("a", 0, "new")], [error("b", None, "new"), error("c", None, "new"), error("d", None, "new")]
    kept, rows = keep((old, [error("d", None, "old", "timeout")]), new)
    assert rows == [("a", 0, "new"), ("b", 0, "old"), ("c", 0, "old"), ("d", None, "forbidden")]
    assert kept == Kept(2, 5, Counter(forbidden=1))


def test_a_document_s_pages_are_kept_one_by_one(keep: Any) -> None:
    old = [page("a.pdf", 0, "old"), page("a.pdf", 1, "old")], [error("a.pdf", 2, "old", "timeout")]
    new = [page("a.pdf", 0, "new"), page("a.pdf", 2, "new")], [error("a.pdf", 1, "new", "model_failure")]
    kept, rows = keep(old, new)
    assert rows == [("a.pdf", 0, "new"), ("a.pdf", 1, "old"), ("a.pdf", 2, "new")]
    assert kept == Kept(1, 1)


def test_a_file_that_fails_as_a_whole_keeps_what_it_was(keep: Any) -> None:
    old = [page("a.pdf", 0, "old"), page("a.pdf", 1, "old")], [error("a.pdf", 2, "old", "timeout")]
    kept, rows = keep(old, ([], [error("a.pdf", None, "new")]))
    assert rows == [("a.pdf", 0, "old"), ("a.pdf", 1, "old"), ("a.pdf", 2, "timeout")]
    assert kept == Kept(2, 2, Counter(timeout=1))


def test_an_archive_that_breaks_off_earlier_keeps_its_members(keep: Any) -> None:
    old = [page(f"s.tar#{name}", 0, "old") for name in "abc"], [error("s.tar", None, "old", "truncated")]
    new = [page("s.tar#a", 0, "new")], [error("s.tar", None, "new", "unavailable")]
    _, rows = keep(old, new)
    pages = [("s.tar#a", 0, "new"), ("s.tar#b", 0, "old"), ("s.tar#c", 0, "old")]
    assert rows == sorted([("s.tar", None, "truncated"), *pages], key=repr)


@pytest.mark.parametrize("errors", [[], [error("z", None, "new")]])
def test_nothing_is_kept_of_what_was_read_again(keep: Any, errors: list[dict[str, Any]]) -> None:
    old = [page("a", 0, "old"), page("a", 1, "old"), page("gone", 0, "old")]
    kept, rows = keep((old, []), ([page("a", 0, "new")], errors))  # it has fewer pages now
    assert rows[0] == ("a", 0, "new") and len(rows) == 1 + len(errors)
    assert kept == Kept()


def test_rows_that_lie_there_twice_are_kept_once(keep: Any) -> None:
    old = [page("a", 0, "old"), page("b", 0, "old"), page("a", 0, "older")]
    assert keep((old, []), ([], [error("a", None, "new")]))[1] == [("a", 0, "old")]


def test_a_wave_that_is_new_keeps_nothing(tmp_path: Path) -> None:
    write(tmp_path, NAME, [], [error("a", None, "new")])
    assert keep_good({"pages": [], "errors": []}, str(tmp_path), NAME) == Kept()
