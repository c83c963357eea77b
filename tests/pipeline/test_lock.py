from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from models.records import UsageError
from pipeline import lock
from pipeline.lock import Lock, Owner, lives

HERE = Owner("another", socket.gethostname(), os.getpid(), 0.0)


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def write(output: Path, owner: Owner) -> None:
    (output / "_waves").mkdir(exist_ok=True)
    (output / "_waves" / "lock.json").write_text(json.dumps(asdict(owner)))


def test_is_there_while_held_and_gone_afterwards(tmp_path: Path) -> None:
    with Lock(str(tmp_path)) as held:
        held.check()
        owner = Owner(**json.loads((tmp_path / "_waves" / "lock.json").read_text()))
        assert (owner.host, owner.pid) == (socket.gethostname(), os.getpid())
        assert abs(owner.time - time.time()) < 60
    assert not list((tmp_path / "_waves").iterdir())


def test_second_run_is_refused_with_the_first_one_s_name(tmp_path: Path) -> None:
    with (
        Lock(str(tmp_path)),
        pytest.raises(UsageError, match=rf"process {os.getpid()} on .* is writing"),
        Lock(str(tmp_path)),
    ):
        pass


def test_lock_of_a_killed_run_is_taken_over_at_once(tmp_path: Path) -> None:
    write(tmp_path, replace(HERE, pid=dead_pid(), time=time.time()))
    with Lock(str(tmp_path)):
        pass


@pytest.mark.parametrize(
    ("host", "age", "expected"),
    [
        pytest.param(HERE.host, 5, True, id="here and beating"),
        pytest.param(HERE.host, 1000, False, id="here and silent"),
        pytest.param("elsewhere", 5, True, id="elsewhere and beating"),
        pytest.param("elsewhere", 1000, False, id="elsewhere and silent"),
    ],
)
def test_silence_is_death(host: str, age: float, expected: bool) -> None:
    assert lives(replace(HERE, host=host, time=time.time() - age)) == expected


def test_process_of_another_user_lives() -> None:
    assert lives(replace(HERE, pid=1, time=time.time()))


def test_lock_that_was_taken_over_is_noticed_and_left_alone(tmp_path: Path) -> None:
    with Lock(str(tmp_path)) as held:
        write(tmp_path, HERE)
        with pytest.raises(UsageError, match="another run .* has taken over"):
            held.check()
    assert json.loads((tmp_path / "_waves" / "lock.json").read_text())["token"] == "another"


def test_lock_file_that_somebody_removed_is_noticed(tmp_path: Path) -> None:
    with Lock(str(tmp_path)) as held:
        (tmp_path / "_waves" / "lock.json").unlink()
        with pytest.raises(UsageError, match="removed its lock file"):
            held.check()


def test_holder_gives_signs_of_life_until_it_loses_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT_S", 0.01)
    path = tmp_path / "_waves" / "lock.json"
    with Lock(str(tmp_path)) as held:
        first = json.loads(path.read_text())["time"]
        deadline = time.monotonic() + 20
        while json.loads(path.read_text())["time"] == first:
            assert time.monotonic() < deadline
        write(tmp_path, HERE)
        held._beating.join(20)
        assert not held._beating.is_alive()


def test_output_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="the output cannot be written"), Lock(str(tmp_path / "file")):
        pass
