from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.summary import Summary, save, summarize, versions
from pipeline.waves import Marker
from transforms.sources import IN_OUTPUTS

ONE = Marker(
    0, 10, 9, 50, {"not_found": 1}, {"detect": 1_500_000, "read": 200}, 5.0, "tiny", "id", {}, "run-1"
)
TWO = replace(ONE, wave=1, files=10, pages=7, lines=30, errors={"not_found": 1, "truncated": 2})


def summary(done: list[Marker], before: list[Marker]) -> Summary:
    return summarize("run-2", "out", "onnxruntime f32", done, before, 8.0, [204800, 102400], {})


def test_adds_up_what_the_run_did() -> None:
    found = summary([ONE, TWO], [])
    assert (found.waves, found.files, found.pages, found.lines) == (2, 20, 16, 80)
    assert found.errors == {"not_found": 2, "truncated": 2}
    assert found.images_per_second == 2.5
    assert found.seconds_by_stage == {"detect": 3.0, "read": 0.0004}
    assert found.peak_megabytes == [200, 100]
    assert (found.bundle, found.bundle_id) == ("tiny", "id")


def test_error_rate_is_that_of_the_whole_output_however_many_runs_it_took() -> None:
    assert summary([ONE, TWO], []).error_rate == pytest.approx(4 / 20)
    assert summary([TWO], [ONE]).error_rate == pytest.approx(4 / 20)
    assert summary([], [ONE, TWO]).error_rate == pytest.approx(4 / 20)


def test_text_for_a_person() -> None:
    assert str(summary([ONE, TWO], [])).splitlines() == [
        "Read 16 pages with 80 lines from 20 files in 8 s (2.00 pages/s; bundle tiny, onnxruntime f32).",
        "4 errors: 2 not_found, 2 truncated. See out/errors",
        "Rows: out/pages/*.parquet",
    ]


def test_text_tells_what_earlier_runs_had_done() -> None:
    assert str(summary([TWO], [ONE])).splitlines()[:2] == [
        "Read 7 pages with 30 lines from 10 files in 8 s (0.88 pages/s; bundle tiny, onnxruntime f32).",
        "Earlier runs: 9 pages and 1 error.",
    ]
    assert "\nEarlier runs: 16 pages and 4 errors.\n" in str(summary([], [ONE, TWO]))


def test_text_tells_what_was_left_out_most_first() -> None:
    left_out = dict.fromkeys(("no suffix", ".xml", ".md", ".csv", ".py"), 1) | {".txt": 2000}
    text = str(replace(summary([ONE], []), left_out=left_out))
    assert "\nLeft out 2,005 files of other kinds: 2,000 .txt, 1 .csv, 1 .md, 1 .py, 1 .xml.\n" in text


def test_text_tells_of_images_where_jobs_write() -> None:
    text = str(replace(summary([ONE], []), left_out={IN_OUTPUTS: 2}))
    assert "\nLeft out 2 images in folders of outputs: move them to have them read.\n" in text
    assert "other kinds" not in text


def test_text_tells_how_to_read_again_what_may_be_readable_now() -> None:
    later = replace(TWO, errors={"missing_extra": 3, "timeout": 1, "truncated": 9})
    line = "\n4 errors may be gone by now: --retry_errors reads their waves again.\n"
    assert line in str(summary([], [ONE, later])) and line in str(summary([later], [ONE]))
    assert "--retry_errors" not in str(summary([ONE], [TWO]))


def test_text_counts_as_people_do() -> None:
    one = replace(ONE, files=1, pages=1, lines=1)
    assert str(summary([one], [])).startswith("Read 1 page with 1 line from 1 file in 8 s")
    assert "\n1 error: 1 not_found." in str(summary([one], []))


def test_text_tells_of_pages_to_look_at_and_by_which_column() -> None:
    text = str(summary([replace(ONE, damaged=1), replace(TWO, damaged=2, doubtful=1)], []))
    assert "\n3 pages of damaged files: the column damage says what is missing.\n" in text
    assert "\n1 page can hardly be read: the column doubtful is true there.\n" in text
    assert "damage" not in str(summary([ONE], [])) and "doubtful" not in str(summary([ONE], []))


def test_text_where_there_was_nothing_to_do() -> None:
    assert (
        str(summary([], [replace(ONE, errors={})])).splitlines()[0]
        == "Nothing new to read: 1 wave was done before."
    )
    assert "all 2 waves were done before" in str(summary([], [ONE, TWO]))


def test_record_is_json(tmp_path: Path) -> None:
    save(replace(summary([ONE], []), output=str(tmp_path)))
    found = json.loads((tmp_path / "_runs" / "run-2.json").read_text())
    assert found["pages"] == 9
    assert found["versions"]["python"].startswith("3.")


def test_versions_are_those_of_what_does_the_work() -> None:
    assert {"python", "apache-beam", "onnxruntime", "pyarrow"} <= set(versions())
