"""The whole command, its driver in this process, with one worker and models that take milliseconds."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline import command, driver
from pipeline.__main__ import main
from pipeline.dealing import ordered
from pipeline.rescue import Counts
from pipeline.status import DONE, FAILED, INTERRUPTED, TOO_MANY_ERRORS, USAGE
from pipeline.workers import WorkerDiedError
from tests.builders import tiny_bundle, write_pages
from tests.corpus import tar
from tests.fake_cloud import FakeCloud, running
from tests.typeset import document, text
from transforms import storage

FILES = 7
MEETING_S = 100.0
"""Seconds that a file is kept back: storage's own deadline comes later."""
FN_API = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pages and a file that is none."""
    write_pages(tmp_path / "in", FILES - 1)
    (tmp_path / "in" / "broken.png").write_text("not an image")
    return tmp_path


@pytest.fixture
def job(folder: Path, bundle: str) -> Callable[..., int]:
    """Runs the command on the folder's files with more options."""

    def run(*more: str) -> int:
        needed = ["--input", str(folder / "in"), "--output", str(folder / "out"), "--bundle", bundle]
        return main([*needed, "--workers", "1", *more])

    return run


def rows(output: Path, kind: str = "pages") -> list[dict[str, Any]]:
    """Rows without the run's name, sorted."""
    tables = [pq.read_table(path).drop_columns(["run_id"]) for path in (output / kind).glob("*.parquet")]
    return sorted((row for table in tables for row in table.to_pylist()), key=repr)


def markers(output: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((output / "_waves").glob("*.json"))]


def test_reads_all_files_once_and_says_so(
    job: Callable[..., int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = folder / "out"
    (folder / "in" / "notes.txt").touch()
    left = output / "_waves" / f".{'0' * 32}.tmp"
    left.parent.mkdir(parents=True)
    left.touch()
    assert job("--wave_size", "3") == DONE
    assert not left.exists()
    shown = capsys.readouterr()
    assert "Left out 1 file of other kinds: 1 .txt." in shown.out
    assert "Read 6 pages" in shown.out
    assert "1 error: " in shown.out
    assert "Traceback" not in shown.err
    assert len(rows(output)) == 6
    (error,) = rows(output, "errors")
    assert error["uri"].endswith("broken.png")
    found = markers(output)
    assert [marker["wave"] for marker in found] == [0, 1, 2]
    assert [marker["files"] for marker in found] == [3, 3, 1]
    assert sum(marker["pages"] for marker in found) == 6
    (record,) = (output / "_runs").glob("*.json")
    summary = json.loads(record.read_text())
    assert (summary["files"], summary["pages"], sum(summary["errors"].values())) == (7, 6, 1)
    assert {"read", "decode", "detect", "rectify", "direction", "recognize", "finish", "row"} == set(
        summary["seconds_by_stage"]
    )
    assert summary["peak_megabytes"][0] > 50
    metadata = pq.read_schema(next((output / "pages").glob("*.parquet"))).metadata
    assert metadata[b"bundle"] == b"tiny"
    assert metadata[b"direction"] == b"sample"
    assert not [path for path in output.rglob("*") if "beam-temp" in path.name or path.name == "lock.json"]


def test_pages_of_pdfs_say_where_their_text_is_from(
    job: Callable[..., int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = "0.5 w 40 30 m 200 30 l S"
    (folder / "in" / "a.pdf").write_bytes(document(text("Read me", 40, 200), "0 0 50 50 re f", rule))
    assert job("--pdf_text", "prefer") == DONE
    found = {(Path(row["uri"]).suffix, row["page"]): row for row in rows(folder / "out")}
    assert [found[".pdf", page]["text_from"] for page in range(3)] == ["pdf", "image", "image"]
    assert (found[".pdf", 0]["text"], found[".png", 0]["text_from"]) == ("Read me", "image")
    assert found[".pdf", 0]["lines"][0]["confidence"] == 1.0
    (folder / "in" / "b.pdf").write_bytes(document(text("Read me too", 40, 200)))
    assert job() == USAGE
    assert "holds pages read with pdf_text = prefer, not ignore" in capsys.readouterr().err


def test_rows_are_the_same_however_the_work_is_cut(job: Callable[..., int], folder: Path) -> None:
    assert job() == DONE
    assert job("--output", str(folder / "b"), "--wave_size", "2", "--detection_batch", "3") == DONE
    assert job("--output", str(folder / "c"), "--recognition_batch", "32") == DONE
    expected = rows(folder / "out")
    assert len(expected) == 6
    assert rows(folder / "b") == expected
    assert rows(folder / "c") == expected


@pytest.fixture
def meeting(folder: Path) -> Iterator[FakeCloud]:
    """A web server that gives no file before all that it has are asked for; the job's inputs list them.

    So who holds one of two waits until another one asks for the other, however busy the machine is.
    """
    with running() as cloud:
        asked: set[str] = set()
        all_asked = threading.Event()

        def meet(method: str, path: str) -> None:
            if method == "GET":
                asked.add(path)
                if len(asked) == len(cloud.files):
                    all_asked.set()
                all_asked.wait(MEETING_S)

        cloud.chance = meet
        yield cloud


def listed(cloud: FakeCloud, folder: Path) -> list[str]:
    """Options that read what a server has."""
    lines = ["uri", *(f"{cloud.url}/web/{name}" for name in cloud.files)]
    (folder / "list.csv").write_text("\n".join(lines))
    return ["--input", str(folder / "list.csv"), "--allow_private_hosts"]


def test_two_worker_processes_share_the_work(bundle: str, folder: Path, meeting: FakeCloud) -> None:
    for page in sorted((folder / "in").glob("page-*.png"))[:2]:
        meeting.files[page.name] = page.read_bytes()
    output = folder / "pair"
    words = [*listed(meeting, folder), "--output", str(output), "--bundle", bundle, "--workers", "2"]
    assert main(words) == DONE
    (record,) = (output / "_runs").glob("*.json")
    assert len(json.loads(record.read_text())["peak_megabytes"]) == 2  # both have had pages
    files = (output / "pages").glob("*.parquet")
    assert [pq.ParquetFile(path).metadata.num_rows for path in files] == [1, 1]


def test_two_worker_processes_give_the_rows_of_one(job: Callable[..., int], folder: Path) -> None:
    write_pages(folder / "in", 20)
    assert job() == DONE
    assert job("--output", str(folder / "pair"), "--workers", "2", "--wave_size", "0") == DONE
    assert rows(folder / "pair") == rows(folder / "out")
    assert rows(folder / "pair", "errors") == rows(folder / "out", "errors")


def test_archives_spread_over_all_workers(bundle: str, folder: Path, meeting: FakeCloud) -> None:
    for name in "ab":
        meeting.files[f"{name}.tar"] = tar(
            [(page.name, page.read_bytes()) for page in sorted((folder / "in").glob("page-*.png"))]
        )
    output = folder / "pair"
    words = [*listed(meeting, folder), "--output", str(output), "--bundle", bundle, "--workers", "2"]
    assert main(words) == DONE
    files = (output / "pages").glob("*.parquet")
    assert [pq.ParquetFile(path).metadata.num_rows for path in files] == [FILES - 1] * 2


def test_files_that_nobody_took_end_the_run(
    job: Callable[..., int], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(driver, "run_once", lambda *_: Counts(files=FILES - 1))
    assert job() == FAILED
    assert "6 of 7 files were taken" in capsys.readouterr().err


def test_any_of_beam_s_runners_can_be_named(job: Callable[..., int], folder: Path) -> None:
    assert job("--runner", FN_API) == DONE
    assert [marker["files"] for marker in markers(folder / "out")] == [7]
    assert len(rows(folder / "out")) == 6


def test_graph_that_nobody_waits_for_leaves_no_marker(
    job: Callable[..., int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--dry_run=true", "--template_location=gs://bucket/template"):
        assert job("--runner", FN_API, option) == DONE
        assert "wave-00000: the graph is made" in capsys.readouterr().err
        assert not markers(folder / "out")


def test_files_tell_what_a_cluster_does_not_count(
    job: Callable[..., int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object) -> None:
        raise LookupError("no metrics container")

    monkeypatch.setattr(
        "apache_beam.runners.portability.fn_api_runner.fn_runner.RunnerResult.metrics", refuse
    )
    assert job("--runner", FN_API) == DONE
    (marker,) = markers(folder / "out")
    assert (marker["pages"], marker["errors"]) == (6, {"not_an_image": 1})


def test_new_files_are_read_and_old_ones_are_not(
    job: Callable[..., int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job("--limit", "4") == DONE
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "out" / "pages").iterdir()}
    assert job() == DONE
    assert "from 3 files" in capsys.readouterr().out
    assert len(rows(folder / "out")) + len(rows(folder / "out", "errors")) == 7
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "out" / "pages").iterdir()}
    assert before.items() <= after.items()
    assert job() == DONE
    assert "Nothing new to read" in capsys.readouterr().out


def test_members_of_other_kinds_are_told_with_the_files(
    job: Callable[..., int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "in" / "notes.txt").touch()
    with tarfile.open(folder / "in" / "shard.tar", "w") as archive:
        for page in sorted((folder / "in").glob("page-*.png")):
            archive.add(page, page.name)
            archive.add(folder / "in" / "notes.txt", f"{page.stem}.txt")
            archive.add(folder / "in" / "notes.txt", f"{page.stem}.json")
    assert job("--wave_size", "3") == DONE
    told = "Left out 1 file of other kinds: 1 .txt.\nLeft out 12 members of archives: no images."
    assert told in capsys.readouterr().out
    assert sum(marker["left_out"] for marker in markers(folder / "out")) == 12
    assert job("--wave_size", "3") == DONE
    assert told in capsys.readouterr().out


def test_files_that_change_after_they_were_listed_are_read_as_they_are_and_once(
    job: Callable[..., int],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, late = driver._run_pipeline, folder / "in" / "page-001.png"

    def changing(job: driver.Job, manifest: str, name: str) -> Any:
        os.utime(late, (1, 1))
        return run(job, manifest, name)

    monkeypatch.setattr(driver, "_run_pipeline", changing)
    assert job() == DONE
    assert "1 file had changed since the listing: read as found." in capsys.readouterr().out
    now = storage.stat(str(late)).etag
    assert [row["etag"] for row in rows(folder / "out") if row["uri"] == str(late)] == [now]
    (marker,) = markers(folder / "out")
    assert marker["changed"] == {str(late): now}
    assert job() == DONE
    assert "Nothing new to read" in capsys.readouterr().out


def test_waves_with_errors_that_may_have_passed_are_read_again_when_asked(
    job: Callable[..., int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job("--wave_size", "4") == DONE
    expected, marker = rows(folder / "out"), folder / "out" / "_waves" / "00000.json"
    before = markers(folder / "out")
    errors = {"unavailable": 1, **before[0]["errors"]}
    marker.write_text(json.dumps({**before[0], "errors": errors}))
    assert job() == DONE
    assert "Nothing new to read" in capsys.readouterr().out
    assert job("--retry_errors") == DONE
    assert "from 4 files" in capsys.readouterr().out
    after = markers(folder / "out")
    assert after[0]["run_id"] != before[0]["run_id"]
    assert after[0]["errors"] == before[0]["errors"]
    assert after[1] == before[1]
    assert rows(folder / "out") == expected
    (last,) = (
        record for record in (folder / "out" / "_runs").glob("*.json") if after[0]["run_id"] in record.name
    )
    assert json.loads(last.read_text())["error_rate"] == pytest.approx(1 / FILES)


def snapshot(output: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in output.rglob("*") if path.is_file()}


@pytest.mark.parametrize("fails", [False, True], ids=["goes on", "tries again"])
def test_run_that_stood_still_while_another_one_finished_touches_nothing(
    job: Callable[..., int],
    folder: Path,
    fails: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, after = driver.run_once, dict[str, bytes]()

    def standing_still(*given: Any) -> Counts:
        monkeypatch.setattr(driver, "run_once", run)
        counts = run(*given)  # the rows are written, and not yet in their places
        assert job("--workers", "2") == DONE
        after.update(snapshot(folder / "out"))
        if fails:
            raise RuntimeError("its files are gone")
        return counts

    monkeypatch.setattr(driver, "run_once", standing_still)
    assert job() == USAGE
    assert "has taken over" in capsys.readouterr().err
    assert snapshot(folder / "out") == after
    assert len(rows(folder / "out")) == 6
    assert len(rows(folder / "out", "errors")) == 1
    assert job() == DONE
    assert "Nothing new to read" in capsys.readouterr().out


def test_run_that_is_killed_before_its_marker_is_followed_by_one_that_removes_its_rows(
    job: Callable[..., int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = storage.move

    def killed(uri: str, target: str) -> None:
        if target.endswith(".json"):
            raise KeyboardInterrupt
        move(uri, target)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "move", killed)
        assert job() == INTERRUPTED
    assert job() == DONE
    assert len(rows(folder / "out")) == 6
    assert not list(folder.glob("out/_staged"))


@pytest.mark.parametrize("errors", [{"not_found": 1}, {}], ids=["and an error is one", "and all is good"])
def test_good_rows_stay_when_their_files_cannot_be_read_again(
    job: Callable[..., int], folder: Path, errors: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    if not errors:
        (folder / "in" / "broken.png").unlink()
    assert job() == DONE
    before, marker = rows(folder / "out"), folder / "out" / "_waves" / "00000.json"
    (values,) = markers(folder / "out")
    marker.write_text(json.dumps({**values, "errors": {"unavailable": 1, **values["errors"]}}))
    for name in ("page-001.png", "page-002.png", "broken.png"):
        (folder / "in" / name).unlink(missing_ok=True)
    assert job("--retry_errors") == DONE
    assert "2 pages could not be read again: their earlier rows stay." in capsys.readouterr().out
    assert rows(folder / "out") == before
    left = {Path(row["uri"]).name: row["kind"] for row in rows(folder / "out", "errors")}
    assert left == ({"broken.png": "not_found"} if errors else {})
    (after,) = markers(folder / "out")
    counted = {name: after[name] for name in ("pages", "lines", "errors", "kept")}
    assert counted == {"pages": 6, "lines": values["lines"], "errors": errors, "kept": 2}


@pytest.mark.parametrize("text", ["{", None], ids=["damaged", "of a newer version"])
def test_good_rows_stay_whatever_becomes_of_their_marker(
    job: Callable[..., int], folder: Path, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job() == DONE
    marker = folder / "out" / "_waves" / "00000.json"
    marker.write_text(text or json.dumps({"schema": 2, **json.loads(marker.read_text())}))
    before = snapshot(folder / "out")
    for path in (folder / "in").glob("page-*"):
        path.rename(folder / path.name)
    write_pages(folder / "in" / "new", 1)
    assert job() == (DONE if text else USAGE)
    assert len(rows(folder / "out")) == (7 if text else 6)
    if text is None:
        assert snapshot(folder / "out") == before
        assert "00000.json was written by a newer version" in capsys.readouterr().err


def test_an_output_without_its_lists_is_refused(
    job: Callable[..., int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job() == DONE
    shutil.rmtree(folder / "out" / "_manifest")
    before = snapshot(folder / "out")
    assert job() == USAGE
    assert "_manifest/00000.parquet is gone" in capsys.readouterr().err
    assert snapshot(folder / "out") == before


def test_files_that_have_changed_have_one_row_a_version_when_their_wave_is_read_again(
    job: Callable[..., int], folder: Path
) -> None:
    assert job() == DONE
    for changed in (["page-001.png"], [path.name for path in (folder / "in").iterdir()]):
        for name in changed:
            os.utime(folder / "in" / name, (1, len(changed)))
        assert job() == DONE
        marker = folder / "out" / "_waves" / "00000.json"
        values = json.loads(marker.read_text())
        marker.write_text(json.dumps({**values, "errors": {"unavailable": 1, **values["errors"]}}))
        assert job("--retry_errors") == DONE
        keys = [(row["uri"], row["page"], row["etag"]) for row in rows(folder / "out")]
        assert len(set(keys)) == len(keys)
    assert json.loads(marker.read_text())["files"] == 0  # all of them have newer versions


@pytest.mark.parametrize(
    ("runner", "message"),
    [("nosuch", "--runner nosuch: "), ("DataflowRunner", "--runner DataflowRunner: ")],
)
def test_a_runner_that_cannot_be_had_is_wrong_usage(
    job: Callable[..., int], folder: Path, capsys: pytest.CaptureFixture[str], runner: str, message: str
) -> None:
    assert job("--runner", runner) == USAGE
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not markers(folder / "out")


def test_broken_models_end_the_job_and_write_no_rows_of_it(
    job: Callable[..., int], tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_bundle(tmp_path / "broken")
    manifest = tmp_path / "broken" / "manifest.json"
    values = json.loads(manifest.read_text())
    values["recognition"]["charset"] = values["recognition"]["charset"][:1]  # its model knows more
    manifest.write_text(json.dumps(values))
    assert job("--bundle", str(tmp_path / "broken")) == FAILED
    said = capsys.readouterr().err
    assert "wave 0: the models failed on every page, such as: recognize failed on this page" in said
    assert said.count("\n") == 1
    assert markers(folder / "out") == rows(folder / "out", "errors") == []


@pytest.fixture
def accident(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[BaseException], list[int]], list[int]]:
    """Makes waves fail just before they would be declared done; gives a list that fills with attempts."""

    def fail(error: type[BaseException], attempts: list[int]) -> list[int]:
        run, calls = driver._run_pipeline, []

        def failing(job: driver.Job, manifest: str, name: str) -> Any:
            result = run(job, manifest, name)
            calls.append(int(Path(manifest).stem))
            if len(calls) in attempts:
                raise error("Traceback of a worker\n  Channel closed prematurely.")
            return result

        monkeypatch.setattr(driver, "_run_pipeline", failing)
        return calls

    return fail


def test_wave_that_fails_is_tried_again_and_its_rows_are_not_doubled(
    job: Callable[..., int],
    folder: Path,
    accident: Callable[..., list[int]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    attempts = accident(RuntimeError, [2])
    assert job("--wave_size", "4") == DONE
    assert attempts == [0, 1, 1]
    assert len(rows(folder / "out")) == 6
    assert "wave 1 failed (Channel closed prematurely.); trying it again" in caplog.text


def test_wave_that_keeps_failing_ends_the_run_and_the_next_run_resumes(
    job: Callable[..., int],
    folder: Path,
    accident: Callable[..., list[int]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    attempts = accident(RuntimeError, [2, 3, 4])
    assert job("--wave_size", "4") == FAILED
    said = capsys.readouterr().err
    assert attempts == [0, 1, 1, 1]
    assert "wave 1 failed 3 times, at last with: Channel closed prematurely. Run the same command" in said
    assert len(markers(folder / "out")) == 1
    assert job("--wave_size", "4") == DONE
    assert len(rows(folder / "out")) == 6


def test_interrupted_run_says_how_to_resume_and_does(
    job: Callable[..., int],
    folder: Path,
    accident: Callable[..., list[int]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    accident(KeyboardInterrupt, [2])
    assert job("--wave_size", "4") == INTERRUPTED
    assert "Interrupted" in capsys.readouterr().err
    assert job("--wave_size", "4") == DONE
    assert len(rows(folder / "out")) == 6
    assert len(rows(folder / "out", "errors")) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_that_is_interrupted_while_it_lists_says_so(
    job: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    monkeypatch.setattr(command, "list_sources", lambda *_: signal.raise_signal(number))
    before = signal.getsignal(number)
    assert job() == INTERRUPTED
    assert capsys.readouterr().err.startswith("ppocr-beam: Interrupted")
    assert signal.getsignal(number) is before


def test_a_second_interrupt_ends_at_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    statuses: list[int] = []
    monkeypatch.setattr(command.os, "_exit", statuses.append)
    with pytest.raises(KeyboardInterrupt), command.interruptible():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:  # as while the lock is given back
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
    assert statuses == [INTERRUPTED]
    assert "ends at once" in capfd.readouterr().err


def test_a_summary_that_nobody_reads_changes_no_status(
    job: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "tell", lambda text: OSError(28, "No space left on device"))
    assert job("--limit", "1") == DONE
    assert "cannot be printed (No space left on device): see" in capsys.readouterr().err


def test_interrupt_that_was_swallowed_still_ends_the_run(
    job: Callable[..., int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = driver._run_pipeline

    def swallowing(job: driver.Job, manifest: str, name: str) -> Any:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        return run(job, manifest, name)

    monkeypatch.setattr(driver, "_run_pipeline", swallowing)
    # Workers' pipelines run in a thread, where no interrupt arrives.
    assert job("--wave_size", "4", "--runner", FN_API) == INTERRUPTED
    assert [marker["wave"] for marker in markers(folder / "out")] == [0]


def test_file_that_kills_workers_becomes_an_error_row_and_costs_no_other(
    job: Callable[..., int], folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = driver.run_once

    def deadly(job: driver.Job, manifest: str, name: str) -> Counts:
        counts = run(job, manifest, name)  # its rows are there, and must not stay
        names = [Path(source.uri).name for source in ordered(manifest)]
        if "page-002.png" in names:
            raise WorkerDiedError([names.index("page-002.png")], len(names))
        return counts

    monkeypatch.setattr(driver, "run_once", deadly)
    assert job() == DONE
    output = folder / "out"
    assert {Path(row["uri"]).name for row in rows(output)} == {f"page-00{i}.png" for i in (0, 1, 3, 4, 5)}
    errors = {Path(row["uri"]).name: row["kind"] for row in rows(output, "errors")}
    assert set(errors) == {"broken.png", "page-002.png"}
    assert errors["page-002.png"] == "crashed"
    (marker,) = markers(output)
    assert (marker["pages"], marker["errors"]["crashed"]) == (5, 1)
    assert "looking for the file at fault" in caplog.text
    assert not list((output / "_manifest").glob("*.part"))


def test_rows_that_got_lost_are_noticed(
    job: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(driver.waves, "rows", lambda output, name, kind: 5 if kind == "pages" else 1)
    assert job() == FAILED
    assert "(5, 1) rows of pages and errors" in capsys.readouterr().err


@pytest.mark.parametrize(("rate", "status"), [("0.1", TOO_MANY_ERRORS), ("0.2", DONE)])
def test_too_many_errors_have_a_status_of_their_own_also_when_all_is_done(
    job: Callable[..., int], rate: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job("--max_error_rate", rate) == status
    assert job("--max_error_rate", rate) == status
    assert ("14.3% of the rows are errors" in capsys.readouterr().err) == (status == TOO_MANY_ERRORS)


def test_options_change_what_is_read(job: Callable[..., int], folder: Path) -> None:
    assert job("--chars", "--words", "--review_threshold", "1") == DONE
    lines = [line for row in rows(folder / "out") for line in row["lines"]]
    assert all(line["needs_review"] for line in lines)
    assert all("".join(char["text"] for char in line["chars"]) == line["text"] for line in lines)
    assert all([word["text"] for word in line["words"]] == line["text"].split() for line in lines)
    assert job("--output", str(folder / "b"), "--min_confidence", "1") == DONE
    assert [row["lines"] for row in rows(folder / "b")] == [[]] * 6


def test_the_summary_counts_damaged_and_doubtful_pages(
    job: Callable[..., int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = next((folder / "in").glob("*.png")).read_bytes()
    (folder / "in" / "cut.png").write_bytes(data[: len(data) * 3 // 4])
    assert job("--review_threshold", "1") == DONE
    found = rows(folder / "out")
    assert [row["doubtful"] for row in found] == [bool(row["lines"]) for row in found]
    assert [Path(row["uri"]).name for row in found if row["damage"]] == ["cut.png"]
    doubtful = sum(row["doubtful"] for row in found)
    assert doubtful >= 6
    told = capsys.readouterr()
    assert "\n1 page of damaged files: the column damage" in told.out + told.err
    assert f"\n{doubtful} pages can hardly be read: the column doubtful" in told.out + told.err


def test_asking_for_the_bundle_s_own_value_is_the_same_work(
    job: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert job() == DONE
    assert job("--min_confidence", "0.5") == DONE
    assert job("--min_confidence", "0.4") == USAGE
    assert "holds pages read with min_confidence = 0.5, not 0.4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--wave_sise", "3"], "did you mean --wave_size?", id="misspelt option"),
        pytest.param(["--bundle", "nowhere"], "'nowhere': no manifest.json there", id="unknown bundle"),
        pytest.param(["--input", "missing.png"], "missing.png", id="missing input"),
        pytest.param(["--output", "/dev/null/out"], "/dev/null is not a folder", id="unwritable output"),
    ],
)
def test_wrong_usage_is_one_line(
    job: Callable[..., int],
    folder: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert job(*arguments) == USAGE
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("ppocr-beam: ")
    assert said.count("\n") == 1
    assert not (folder / "out").exists()


def test_empty_folder_is_wrong_usage(tmp_path: Path, bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert (
        main(["--input", str(tmp_path / "empty"), "--output", str(tmp_path / "out"), "--bundle", bundle])
        == USAGE
    )
    assert "holds no images" in capsys.readouterr().err


def test_another_bundle_or_another_option_is_refused(
    job: Callable[..., int], other_bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job() == DONE
    assert job("--bundle", other_bundle) == USAGE
    assert "holds pages read with the bundle tiny" in capsys.readouterr().err
    assert job("--chars") == USAGE
    assert "chars = False, not True" in capsys.readouterr().err
    assert job("--words") == USAGE
    assert "words = False, not True" in capsys.readouterr().err


def test_unforeseen_errors_are_one_line_too(
    job: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("Traceback (most recent call last):\n  of a worker\nwhat\n")

    monkeypatch.setattr("pipeline.command.build", fail)
    assert job() == FAILED
    assert (
        capsys.readouterr().err
        == "ppocr-beam: ZeroDivisionError: what. Run the same command again to resume.\n"
    )


def test_tampered_bundle_is_refused_before_anything_is_read(
    job: Callable[..., int], tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_bundle(tmp_path / "tampered")
    (tmp_path / "tampered" / "recognition.onnx").write_bytes(b"something else")
    assert job("--bundle", str(tmp_path / "tampered")) == USAGE
    assert "recognition.onnx" in capsys.readouterr().err
    assert not (folder / "out").exists()
