from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline import manifest, waves
from pipeline.lock import Lock, Owner
from pipeline.report import main, report
from pipeline.waves import Marker
from transforms.storage import Source

MARKER = Marker(0, 4, 7, 30, {"not_found": 1}, {}, 2.0, "tiny", "id")


@pytest.fixture
def output(tmp_path: Path) -> str:
    """Three waves of four files, one of them done."""
    manifest.extend(str(tmp_path), [Source(f"{number}.png") for number in range(12)], 4)
    waves.commit(str(tmp_path), MARKER)
    return str(tmp_path)


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
    dead = replace(Owner.me("token"), host="elsewhere", pid=7, time=Owner.me("").time - 7200)
    Path(output, "_waves", "lock.json").write_text(json.dumps(asdict(dead)))
    assert "Process 7 on elsewhere writes it; its last sign of life was 2 h 00 min ago." in report(output)


def test_tells_that_all_is_done(output: str) -> None:
    for wave in (1, 2):
        waves.commit(output, replace(MARKER, wave=wave, errors={}))
    shown = report(output)
    assert "Waves: 3 of 3 done, 12 of 12 files." in shown
    assert "left" not in shown and "Nobody" not in shown


def test_what_is_no_output_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == main([]) == 2
    assert "has no list of files" in capsys.readouterr().err
