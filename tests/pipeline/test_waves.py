from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.records import InputError, UsageError
from pipeline import waves
from pipeline.waves import Marker
from tests.fake_cloud import running
from transforms import storage
from transforms.storage import Source, gcs

MARKER = Marker(
    wave=3, files=10, pages=9, lines=50, errors={"not_found": 1}, microseconds={"detect": 1200}, seconds=2.5,
    bundle="tiny", bundle_id="0123456789abcdef", options={"direction": "sample", "chars": False},
    run_id="run", name="wave-00003-run",
)  # fmt: skip


def marker(wave: int = 3, run_id: str = "run") -> Marker:
    return replace(MARKER, wave=wave, run_id=run_id, name=waves.name_of(wave, run_id))


def never() -> None:
    """The output is still the run's."""


def put(output: Path, *names: str) -> None:
    for name in names:
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def held(output: Path, *folders: str) -> list[str]:
    """Names of the files in those folders of an output."""
    return sorted(
        str(path.relative_to(output))
        for folder in folders
        for path in (output / folder).rglob("*")
        if path.is_file()
    )


def test_marker_comes_back_as_it_was_committed(tmp_path: Path) -> None:
    waves.commit(str(tmp_path), MARKER, never)
    waves.commit(str(tmp_path), marker(1), never)
    (tmp_path / "_waves" / "lock.json").write_text("{}")
    assert list(waves.markers(str(tmp_path)).items()) == [(1, marker(1)), (3, MARKER)]
    assert json.loads((tmp_path / "_waves" / "00003.json").read_text())["errors"] == {"not_found": 1}


COPIES = ["_waves/backup/00001.json", "_waves/_waves/00001.json", "_waves_old/00001.json"]


def test_copies_of_markers_are_no_markers(tmp_path: Path) -> None:
    waves.commit(str(tmp_path), MARKER, never)
    for copy in COPIES:
        (tmp_path / copy).parent.mkdir(exist_ok=True)
        (tmp_path / copy).write_text(json.dumps(asdict(replace(MARKER, wave=1))))
    assert list(waves.markers(str(tmp_path))) == [3]
    assert list(waves.markers(tmp_path.as_uri())) == [3]


def test_nor_are_they_in_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as cloud:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
        gcs._client.cache_clear()
        waves.commit("gs://bucket/out", MARKER, never)
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
        pytest.param(json.dumps({**asdict(MARKER), "pages": "9"}), id="a string for a number"),
        pytest.param(json.dumps({**asdict(MARKER), "errors": None}), id="null"),
        pytest.param(json.dumps({**asdict(MARKER), "errors": {"timeout": "1"}}), id="wrong deep inside"),
        pytest.param(json.dumps({**asdict(MARKER), "ended": 10**400}), id="a number that is no time"),
        pytest.param(json.dumps({**asdict(MARKER), "seconds": float("nan")}), id="no number"),
    ],
)
def test_damaged_marker_is_none_and_the_log_says_so(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    waves.commit(str(tmp_path), marker(1), never)
    (tmp_path / "_waves" / "00003.json").write_text(text, encoding="latin-1")
    assert list(waves.markers(str(tmp_path))) == [1]
    assert "00003.json is damaged" in caplog.text


def test_whole_seconds_are_seconds_too() -> None:
    assert Marker.of({**asdict(MARKER), "seconds": 2}).seconds == 2


def test_marker_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "_waves").mkdir()
    (tmp_path / "_waves" / "00003.json").write_text(json.dumps({"schema": 2, **asdict(MARKER)}))
    with pytest.raises(UsageError, match=r"00003\.json was written by a newer version .*'schema'"):
        waves.markers(str(tmp_path))


STAGED = ["pages/wave-00003-{}-00000-of-00001.parquet", "errors/wave-00003-{}-00000-of-00001.parquet"]


def finish(output: Path, run_id: str, check: Callable[[], None] = never) -> None:
    """Ends wave 3 as a run of that name does."""
    put(output, *(f"_staged/{run_id}/{name.format(run_id)}" for name in STAGED))
    waves.commit(str(output), marker(run_id=run_id), check)


def whole(run_id: str) -> list[str]:
    """What an output holds of a wave that a run has done."""
    return sorted(["_waves/00003.json", *(name.format(run_id) for name in STAGED)])


def test_finished_files_move_to_their_places_and_earlier_ones_go(tmp_path: Path) -> None:
    other = ["pages/wave-00031-one-0.parquet", "errors/wave-00002-one-0.parquet", "pages/mine.txt"]
    put(tmp_path, *other, "pages/wave-00003-00000-of-00001.parquet")
    for run_id in ("one", "two"):
        finish(tmp_path, run_id)
        assert waves.markers(str(tmp_path))[3].run_id == run_id
        assert held(tmp_path, "_waves", "pages", "errors") == sorted([*whole(run_id), *other])
    assert held(tmp_path, "_staged") == []


def take_over(output: Path) -> None:
    """What the next run does with an output: it removes what is unfinished, and does the wave."""
    waves.sweep(str(output))
    finish(output, "next")


def test_run_that_has_lost_its_lock_moves_nothing(tmp_path: Path) -> None:
    def lost() -> None:
        take_over(tmp_path)
        raise UsageError("another run has taken over")

    with pytest.raises(UsageError):
        finish(tmp_path, "first", lost)
    assert held(tmp_path, "_waves", "pages", "errors") == whole("next")


@pytest.mark.parametrize("moves", [0, 1, 2])
@pytest.mark.parametrize("root", ["{path}", "gs://bucket"])
def test_run_that_stood_still_after_it_looked_at_its_lock_finds_nothing_to_move(
    tmp_path: Path, root: str, moves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, move, done = root.format(path=tmp_path), storage.move, list[str]()

    def moving(uri: str, target: str) -> None:
        if len(done) == moves:
            monkeypatch.setattr(storage, "move", move)
            waves.sweep(output)
            stage(output, "next")
            waves.commit(output, marker(run_id="next"), never)
        done.append(uri)
        move(uri, target)

    def stage(output: str, run_id: str) -> None:
        for name in STAGED:
            storage.write_atomic(f"{output}/_staged/{run_id}/{name.format(run_id)}", b"rows")

    with running() as cloud:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
        gcs._client.cache_clear()
        stage(output, "first")
        monkeypatch.setattr(storage, "move", moving)
        monkeypatch.setattr(waves, "ThreadPoolExecutor", OneByOne)
        with pytest.raises(InputError, match="no such file"):
            waves.commit(output, marker(run_id="first"), never)
        found = [
            f"{kind}/" + Path(source.uri).name
            for kind in ("_waves", *waves.KINDS)
            for source in storage.list_files(f"{output}/{kind}/")
        ]
        assert sorted(found) == whole("next")
        assert waves.markers(output)[3].run_id == "next"
    gcs._client.cache_clear()


class OneByOne:
    """A pool of one thread: the caller's."""

    def __init__(self, threads: int) -> None:
        self.map = map

    def __enter__(self) -> OneByOne:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_run_that_stood_still_after_its_marker_removes_only_what_it_had_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(tmp_path, "before")
    delete, taken = storage.delete, list[str]()

    def deleting(uri: str) -> None:
        if not taken:
            taken.append(uri)
            monkeypatch.setattr(storage, "delete", delete)
            take_over(tmp_path)
        delete(uri)

    monkeypatch.setattr(waves, "ThreadPoolExecutor", OneByOne)
    monkeypatch.setattr(storage, "delete", deleting)
    finish(tmp_path, "first")
    assert held(tmp_path, "_waves", "pages", "errors") == whole("next")


def test_tidy_removes_what_markers_do_not_speak_of(tmp_path: Path) -> None:
    finish(tmp_path, "run")
    stay = ["pages/wave-00004-other-0.parquet", "pages/wave-00005-0.parquet", "errors/notes.txt"]
    put(tmp_path, *stay, "pages/wave-00003-other-0.parquet", "errors/wave-00003-run2-0.parquet")
    old = replace(MARKER, wave=5, name="")  # of a version whose files did not say whose they are
    waves.tidy(str(tmp_path), {**waves.markers(str(tmp_path)), 5: old})
    assert held(tmp_path, "_waves", "pages", "errors") == sorted([*whole("run"), *stay])


def test_lists_that_are_gone_are_noticed(tmp_path: Path) -> None:
    put(tmp_path, "_manifest/00000.parquet", "_manifest/00001.parquet")
    waves.refuse_unlisted(str(tmp_path), {0: marker(0), 1: marker(1)})
    (tmp_path / "_manifest/00001.parquet").unlink()
    waves.refuse_unlisted(str(tmp_path), {0: marker(0)})
    with pytest.raises(UsageError, match=r"_manifest/00001\.parquet is gone, but wave 1 is done"):
        waves.refuse_unlisted(str(tmp_path), {0: marker(0), 1: marker(1)})


@pytest.mark.parametrize(
    ("errors", "expected"), [({}, 0), ({"corrupt": 2}, 0), ({"corrupt": 2, "timeout": 3, "crashed": 1}, 4)]
)
def test_errors_that_may_have_passed_are_told_from_others(errors: dict[str, int], expected: int) -> None:
    assert replace(MARKER, errors=errors).retryable == expected


def test_new_output_has_no_markers(tmp_path: Path) -> None:
    assert waves.markers(str(tmp_path / "nothing")) == {}


def test_clean_removes_what_a_wave_left_and_nothing_else(tmp_path: Path) -> None:
    stay = [
        "_waves/wave-00003-run.json",
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
        "_waves/wave-00002-run.json",
    ]
    put(tmp_path, *stay, *go)
    waves.clean(str(tmp_path), "wave-00002")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == sorted(stay)
    assert not list(tmp_path.glob("*/beam-temp-wave-00002-*"))


def test_clear_removes_a_wave_from_all_runs_stages(tmp_path: Path) -> None:
    stay = ["_staged/a/pages/wave-00020-a-0.parquet", "_staged/b/errors/wave-00001-b-0.parquet"]
    put(tmp_path, *stay, "pages/wave-00002-a-0.parquet")
    put(tmp_path, "_staged/a/pages/wave-00002-a-0.parquet", "_staged/b/_waves/wave-00002-b.json")
    put(tmp_path, "_staged/b/errors/beam-temp-wave-00002-b-1/0.wave-00002-b.parquet")
    waves.clear(str(tmp_path), 2)
    assert held(tmp_path, ".") == sorted([*stay, "pages/wave-00002-a-0.parquet"])


def test_a_stage_goes_and_those_of_other_shares_stay(tmp_path: Path) -> None:
    put(tmp_path, "_staged/a/pages/x", "_staged/b/pages/x")
    waves.unstage(str(tmp_path), "a")
    assert held(tmp_path, "_staged") == ["_staged/b/pages/x"]
    waves.unstage(str(tmp_path), "b")
    assert not list(tmp_path.iterdir())


def test_sweep_removes_half_written_files_and_no_others(tmp_path: Path) -> None:
    stay = ["_waves/00001.json", "pages/.mine.tmp", "pages/x.parquet", "pages/deep/.%s.tmp" % ("0" * 32)]
    go = [f"{folder}/.{'0a' * 16}.tmp" for folder in ("_manifest", "_runs", "_waves", "errors")]
    go += ["_staged/run/pages/wave-00001-run-0.parquet"]
    for name in [*stay, *go]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    waves.sweep(str(tmp_path))
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == sorted(stay)
    waves.sweep(str(tmp_path / "nothing"))


def test_sweep_and_clear_in_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    stay = ["out/pages/wave-00001-run-0.parquet", "out/_staged_not/x"]
    with running() as cloud:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
        gcs._client.cache_clear()
        for work in (waves.sweep, lambda output: waves.clear(output, 1)):
            cloud.files.update(dict.fromkeys([*stay, "out/_staged/run/pages/wave-00001-run-0.parquet"], b"x"))
            work("gs://bucket/out")
            assert sorted(cloud.files) == sorted(stay)
    gcs._client.cache_clear()


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
        pytest.param("0123456789abcdef", {"carry": None}, None, id="nothing carried, as then"),
        pytest.param("0123456789abcdef", {"words": True}, "words = False, not True", id="words now"),
        pytest.param("0123456789abcdef", {"carry": "id"}, "carry = None, not id", id="carried now"),
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
