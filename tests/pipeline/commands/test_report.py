from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline import manifest, waves
from pipeline.commands.report import main, report, worked
from pipeline.lock import Lock, Owner
from pipeline.status import INTERRUPTED
from pipeline.waves import Marker
from transforms.storage import Source

MARKER = Marker(0, 4, 7, 30, {"not_found": 1}, {}, 2.0, "tiny", "id")


def write_lock(output: str, owner: Owner) -> None:
    Path(output, "_waves", "lock.json").write_text(json.dumps(asdict(owner)))


@pytest.fixture
def output(tmp_path: Path) -> str:
    """Three waves of four files, one of them done."""
    manifest.extend(str(tmp_path), [Source(f"{number}.png") for number in range(12)], 4)
    waves.commit(str(tmp_path), MARKER, lambda: None)
    return str(tmp_path)


def test_ctrl_c_ends_it_without_a_traceback(
    output: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(output: str) -> dict[int, Marker]:
        raise KeyboardInterrupt

    monkeypatch.setattr(waves, "markers", interrupted)
    assert main([output]) == INTERRUPTED
    assert capfd.readouterr() == ("", "")


def test_tells_how_far_a_job_is_that_goes_on(output: str) -> None:
    with Lock(output):
        shown = report(output).splitlines()
    assert shown[:3] == [
        "Waves: 1 of 3 done, 4 of 12 files.",
        "Rows: 7 pages with 30 lines, 1 error: 1 not_found.",
        "Rate: 4.00 pages/s in the waves that are done; at this rate, 4 s left.",
    ]
    assert shown[3].startswith("Process ") and shown[3].endswith("was 0 s ago.")
    assert len(shown) == 4


def test_tells_of_shards(output: str) -> None:
    with Lock(output, (0, 2)), Lock(output, (1, 2)):
        assert report(output).count("writes it") == 2


def test_tells_that_nobody_works(output: str) -> None:
    assert report(output).endswith("Nobody writes it now: the same command again resumes.")


def test_tells_when_a_dead_run_was_seen_last(output: str) -> None:
    write_lock(output, replace(Owner.me("token"), host="elsewhere", pid=7, time=time.time() - 7200))
    told = "Process 7 on elsewhere wrote it and seems to be gone; its last sign of life was 2 h 00 min ago."
    assert f"{told}\nNobody writes" in report(output)


def test_a_run_that_was_killed_here_a_moment_ago_is_gone(output: str) -> None:
    killed = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    write_lock(output, replace(Owner.me("token"), pid=killed.pid, started=""))
    assert f"Process {killed.pid} on {socket.gethostname()} writes it" in report(output)
    killed.kill()
    killed.communicate()
    shown = report(output)
    assert f"Process {killed.pid} on {socket.gethostname()} wrote it and seems to be gone" in shown
    assert shown.endswith("Nobody writes it now: the same command again resumes.")


def test_a_living_run_elsewhere_is_told_by_its_beat(output: str) -> None:
    write_lock(output, replace(Owner.me("token"), host="elsewhere", pid=7, time=time.time() - 10))
    assert "Process 7 on elsewhere writes it; its last sign of life was 10 s ago." in report(output)


def test_waves_of_shards_that_ran_at_the_same_time_take_that_time_once(output: str) -> None:
    # Two at once from 100 to 104 and 110, a night without any, and one from 1000 to 1005: 15 s of work.
    for wave, ended, seconds in ((0, 104.0, 4.0), (1, 110.0, 10.0), (2, 1005.0, 5.0)):
        waves.commit(output, replace(MARKER, wave=wave, seconds=seconds, ended=ended), lambda: None)
    assert "Rate: 1.60 pages/s in the waves that are done." in report(output)


def test_waves_that_do_not_tell_when_they_were_done_count_one_after_another() -> None:
    assert worked([MARKER, replace(MARKER, wave=1), replace(MARKER, wave=2, ended=50.0)]) == 6.0


def test_tells_that_all_is_done(output: str) -> None:
    for wave in (1, 2):
        waves.commit(output, replace(MARKER, wave=wave, errors={}), lambda: None)
    shown = report(output)
    assert "Waves: 3 of 3 done, 12 of 12 files." in shown
    assert "left" not in shown and "Nobody" not in shown


def test_what_is_no_output_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == main([]) == 2
    assert "has no list of files" in capsys.readouterr().err
