from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.records import UsageError
from pipeline import waves
from pipeline.waves import Marker
from tests.fake_cloud import running
from transforms.storage import Source, gcs

MARKER = Marker(
    wave=3, files=10, pages=9, lines=50, errors={"not_found": 1}, microseconds={"detect": 1200}, seconds=2.5,
    bundle="tiny", bundle_id="0123456789abcdef", options={"direction": "sample", "chars": False},
    run_id="run",
)  # fmt: skip


def test_marker_comes_back_as_it_was_committed(tmp_path: Path) -> None:
    waves.commit(str(tmp_path), MARKER)
    waves.commit(str(tmp_path), replace(MARKER, wave=1))
    (tmp_path / "_waves" / "lock.json").write_text("{}")
    assert list(waves.markers(str(tmp_path)).items()) == [(1, replace(MARKER, wave=1)), (3, MARKER)]
    assert json.loads((tmp_path / "_waves" / "00003.json").read_text())["errors"] == {"not_found": 1}


COPIES = ["_waves/backup/00001.json", "_waves/_waves/00001.json", "_waves_old/00001.json"]


def test_copies_of_markers_are_no_markers(tmp_path: Path) -> None:
    waves.commit(str(tmp_path), MARKER)
    for copy in COPIES:
        (tmp_path / copy).parent.mkdir(exist_ok=True)
        (tmp_path / copy).write_text(json.dumps(asdict(replace(MARKER, wave=1))))
    assert list(waves.markers(str(tmp_path))) == [3]
    assert list(waves.markers(tmp_path.as_uri())) == [3]


def test_nor_are_they_in_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as cloud:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
        gcs._client.cache_clear()
        waves.commit("gs://bucket/out", MARKER)
        data = json.dumps(asdict(replace(MARKER, wave=1))).encode()
        cloud.files |= {f"out/{copy}": data for copy in COPIES}
        assert list(waves.markers("gs://bucket/out")) == [3]
    gcs._client.cache_clear()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param('{"wave": 1, "fi', id="cut off"),
        pytest.param("\xff", id="no text"),
        pytest.param("[1]", id="no object"),
        pytest.param("{}", id="nothing in it"),
        pytest.param(json.dumps({**asdict(MARKER), "more": 1}), id="too much in it"),
        pytest.param(json.dumps({**asdict(MARKER), "pages": "9"}), id="a string for a number"),
        pytest.param(json.dumps({**asdict(MARKER), "errors": None}), id="null"),
        pytest.param(json.dumps({**asdict(MARKER), "errors": {"timeout": "1"}}), id="wrong deep inside"),
    ],
)
def test_damaged_marker_is_none_and_the_log_says_so(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    waves.commit(str(tmp_path), replace(MARKER, wave=1))
    (tmp_path / "_waves" / "00003.json").write_text(text, encoding="latin-1")
    assert list(waves.markers(str(tmp_path))) == [1]
    assert "00003.json is damaged" in caplog.text


def test_whole_seconds_are_seconds_too() -> None:
    assert Marker.of({**asdict(MARKER), "seconds": 2}).seconds == 2


def test_wave_can_be_opened_again(tmp_path: Path) -> None:
    waves.commit(str(tmp_path), MARKER)
    waves.reopen(str(tmp_path), 3)
    waves.reopen(str(tmp_path), 4)  # which was not done
    assert waves.markers(str(tmp_path)) == {}


@pytest.mark.parametrize(
    ("errors", "expected"), [({}, 0), ({"corrupt": 2}, 0), ({"corrupt": 2, "timeout": 3, "crashed": 1}, 4)]
)
def test_errors_that_may_have_passed_are_told_from_others(errors: dict[str, int], expected: int) -> None:
    assert replace(MARKER, errors=errors).retryable == expected


def test_new_output_has_no_markers(tmp_path: Path) -> None:
    assert waves.markers(str(tmp_path / "nothing")) == {}


def test_clean_removes_what_a_wave_left_and_nothing_else(tmp_path: Path) -> None:
    stay = [
        "pages/wave-00001-00000-of-00001.parquet",
        "pages/wave-00012-00000-of-00001.parquet",
        "errors/beam-temp-wave-00012-abc/x.parquet",
        "pages/notes.txt",
        "_waves/00001.json",
        "_manifest/00002.parquet",
        "_manifest/wave-00001-b.part",
    ]
    go = [
        "pages/wave-00002-00000-of-00002.parquet",
        "errors/wave-00002-00000-of-00001.parquet",
        "pages/beam-temp-wave-00002-5c7a/d0.wave-00002.parquet",
        "errors/beam-temp-wave-00002-11/left",
        "pages/wave-00002-a-00000-of-00001.parquet",
        "_manifest/wave-00002-a.part",
    ]
    for name in [*stay, *go]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    waves.clean(str(tmp_path), "wave-00002")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == sorted(stay)
    assert not list(tmp_path.glob("*/beam-temp-wave-00002-*"))


def test_sweep_removes_half_written_files_and_no_others(tmp_path: Path) -> None:
    stay = ["_waves/00001.json", "pages/.mine.tmp", "pages/x.parquet", "pages/deep/.%s.tmp" % ("0" * 32)]
    go = [f"{folder}/.{'0a' * 16}.tmp" for folder in ("_manifest", "_runs", "_waves", "errors")]
    for name in [*stay, *go]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    waves.sweep(str(tmp_path))
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == sorted(stay)
    waves.sweep(str(tmp_path / "nothing"))
    waves.sweep("gs://bucket/out")


def test_clean_of_an_empty_output_does_nothing(tmp_path: Path) -> None:
    waves.clean(str(tmp_path), "wave-00000")
    assert list(tmp_path.iterdir()) == []


def test_rows_are_counted_in_the_wave_s_files(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    for name, rows in (("wave-00001-a.parquet", 3), ("wave-00001-b.parquet", 4), ("wave-00002-a.parquet", 5)):
        pq.write_table(pa.table({"x": list(range(rows))}), tmp_path / "pages" / name)
    assert waves.rows(str(tmp_path), "wave-00001", "pages") == 7
    assert waves.rows(str(tmp_path), "wave-00001", "errors") == 0


def test_files_that_had_changed_are_found_by_their_rows(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    rows = {"uri": ["a.jpg", "scan #1.tar#b#c.jpg", "b.jpg"], "etag": ["new", "new", "old"]}
    pq.write_table(pa.table(rows), tmp_path / "pages" / "wave-00001-a.parquet")
    listed = [Source(name, "old") for name in ("a.jpg", "scan #1.tar", "b.jpg")]
    found = waves.changed(str(tmp_path), "wave-00001", listed)
    assert found == {"a.jpg": "new", "scan #1.tar": "new"}


@pytest.mark.parametrize(
    ("bundle_id", "options", "message"),
    [
        pytest.param("0123456789abcdef", {"direction": "sample", "chars": False}, None, id="the same"),
        pytest.param(
            "0123456789abcdef", {"direction": "sample", "new": 1}, None, id="an option not known then"
        ),
        pytest.param(
            "fedcba9876543210", {}, "bundle tiny (0123456789ab), not with other (fedcba987654)", id="bundle"
        ),
        pytest.param("0123456789abcdef", {"chars": True}, "chars = False, not True", id="option"),
    ],
)
def test_one_output_holds_one_bundle_and_one_set_of_options(
    bundle_id: str, options: dict[str, object], message: str | None
) -> None:
    if message is None:
        waves.refuse_mixing("out", {3: MARKER}, bundle_id, "other", options)
        return
    with pytest.raises(UsageError) as error:
        waves.refuse_mixing("out", {3: MARKER}, bundle_id, "other", options)
    assert message in str(error.value)
    assert "choose another --output, or delete out" in str(error.value)
