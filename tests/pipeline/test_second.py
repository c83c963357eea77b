"""The whole command with a second recogniser: the first reads small letters, the second capitals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from models.bundle import load_bundle, with_second
from models.reader import Reader, ReadOptions
from pipeline.__main__ import main
from pipeline.status import DONE, INTERRUPTED, USAGE
from tests.builders import write_pages
from transforms import storage

FILES = 9
BELOW = "0.98"
Job = Callable[..., int]


@pytest.fixture
def job(tmp_path: Path, bundle: str, second_bundle: str) -> Job:
    """Runs the command on some pages, with more options."""
    write_pages(tmp_path / "in", FILES)

    def run(output: str, *more: str) -> int:
        needed = [str(tmp_path / "in"), "--output", str(tmp_path / output), "--bundle", bundle]
        return main([*needed, "--second", second_bundle, "--second_below", BELOW, "--workers", "1", *more])

    return run


def rows(output: Path) -> list[dict[str, Any]]:
    """Rows without the run's name, sorted."""
    tables = [pq.read_table(path).drop_columns(["run_id"]) for path in (output / "pages").glob("*.parquet")]
    return sorted((row for table in tables for row in table.to_pylist()), key=lambda row: row["uri"])


def test_rows_are_those_of_the_reader_however_the_work_is_cut(
    job: Job, tmp_path: Path, bundle: str, second_bundle: str
) -> None:
    assert job("a") == DONE
    found = rows(tmp_path / "a")
    both = with_second(load_bundle(bundle), load_bundle(second_bundle))
    reader = Reader(load_bundle(bundle), ReadOptions(second=second_bundle, second_below=float(BELOW)))
    for row in found:
        (page,) = reader.read_file(row["uri"])
        assert (row["text"], row["bundle_id"]) == (page.text, both.id)
        assert [line["recognizer"] for line in row["lines"]] == [line.recognizer for line in page.lines]
    lines = [line for row in found for line in row["lines"]]
    assert {line["recognizer"] for line in lines} == {1, 2}
    assert {line["other_confidence"] is None for line in lines if line["recognizer"] == 1} == {True}
    assert all(line["other_confidence"] < float(BELOW) for line in lines if line["recognizer"] == 2)
    assert all(line["text"].isupper() == (line["recognizer"] == 2) for line in lines)
    assert job("b", "--workers", "2", "--wave_size", "4", "--detection_batch", "3") == DONE
    assert job("c", "--recognition_batch", "1") == DONE
    assert rows(tmp_path / "b") == found
    assert rows(tmp_path / "c") == found


def test_a_run_that_was_killed_is_resumed_to_the_same_rows(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert job("whole") == DONE
    move, moved = storage.move, list[str]()

    def killed(uri: str, target: str) -> None:
        moved.append(target)
        if len([name for name in moved if name.endswith(".json")]) == 2:
            raise KeyboardInterrupt
        move(uri, target)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "move", killed)
        assert job("killed", "--wave_size", "3") == INTERRUPTED
    assert len(list(tmp_path.glob("killed/_waves/0*.json"))) == 1
    assert job("killed", "--wave_size", "3") == DONE
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")


def test_another_second_or_threshold_is_refused(
    job: Job, tmp_path: Path, bundle: str, second_bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job("out") == DONE
    (schema,) = {pq.read_schema(path) for path in (tmp_path / "out" / "pages").glob("*.parquet")}
    assert schema.metadata[b"second_below"] == BELOW.encode()
    assert schema.metadata[b"bundle"] == b"tiny + capitals"
    capsys.readouterr()
    assert job("out", "--second_below", "0.5") == USAGE
    assert "holds pages read with second_below = 0.98, not 0.5" in capsys.readouterr().err
    assert job("out", "--second", bundle) == USAGE
    assert "read with the bundle tiny + capitals" in capsys.readouterr().err
    alone = [str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--bundle", bundle, "--workers", "1"]
    assert main(alone) == USAGE
    assert "read with the bundle tiny + capitals" in capsys.readouterr().err
    assert job("out") == DONE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--second_below", "0.5"], "has no second recogniser that --second_below could be for"),
        (["--second", "no-such"], "bundle 'no-such'"),
        (["--second_below", "2"], "'2' is not a number from 0 to 1"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pages(tmp_path / "in", 1)
    needed = [str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--bundle", bundle]
    assert main([*needed, *arguments]) == USAGE
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()
