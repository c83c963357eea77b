from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from models.records import UsageError
from pipeline import lock
from pipeline.lock import Lock, Owner, lives, seems_alive


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


HERE = replace(Owner.me("another"), pid=os.getppid(), time=0.0, started=lock._started(os.getppid()))


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
    write(tmp_path, replace(HERE, time=time.time()))
    with pytest.raises(UsageError, match=rf"process {HERE.pid} on .* is writing"), Lock(str(tmp_path)):
        pass


def test_lock_of_a_killed_run_is_taken_over_at_once(tmp_path: Path) -> None:
    write(tmp_path, replace(HERE, pid=dead_pid(), time=time.time()))
    with Lock(str(tmp_path)):
        pass


@pytest.mark.parametrize(
    ("pid", "age", "expected"),
    [
        pytest.param(HERE.pid, 5, True, id="beating"),
        pytest.param(HERE.pid, 1000, False, id="silent"),
        pytest.param(1, 5, True, id="of another user"),
        pytest.param(dead_pid(), 5, False, id="gone"),
        pytest.param(os.getpid(), 5, False, id="an earlier container's, with our number"),
    ],
)
def test_process_here_is_known_at_once(pid: int, age: float, expected: bool) -> None:
    def again() -> Owner | None:
        raise AssertionError("nothing to wait for")

    untold = replace(HERE, pid=pid, time=time.time() - age, started="")  # an older version's, or no Linux
    assert lives(untold, again) == expected


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="when processes began")


@needs_proc
def test_process_that_stands_still_lives_until_it_is_gone(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        process.send_signal(signal.SIGSTOP)
        owner = replace(HERE, pid=process.pid, started=lock._started(process.pid))  # silent since 1970
        write(tmp_path, owner)
        with pytest.raises(UsageError, match="but stands still: end it, or choose"), Lock(str(tmp_path)):
            pass
    finally:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not seems_alive(owner)  # also while nobody has asked for its exit status
    process.wait()
    with Lock(str(tmp_path)):
        pass


@needs_proc
def test_another_process_of_the_number_is_not_the_run() -> None:
    assert seems_alive(HERE)
    assert not seems_alive(replace(HERE, time=time.time(), started="1"))


@pytest.mark.parametrize(
    "elsewhere",
    [{"host": "elsewhere"}, {"space": HERE.space.replace(" ", " another ")}, {"space": f"0{HERE.space}"}],
    ids=["host", "container", "another machine of the name"],
)
@pytest.mark.parametrize("skew", [-10_000, 0, 10_000])
@pytest.mark.parametrize(
    ("beats", "expected"),
    [
        pytest.param([0, 0, 1], True, id="beats"),
        pytest.param([0, 0, 0], False, id="silent"),
        pytest.param([0, None], False, id="ends"),
    ],
)
def test_run_elsewhere_is_watched_whatever_its_clock_says(
    elsewhere: dict[str, str],
    skew: float,
    beats: list[int | None],
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lock, "STALE_S", 0.2)
    monkeypatch.setattr(lock, "LOOK_S", 0.01)
    owner = replace(HERE, **elsewhere, time=time.time() + skew)  # type: ignore[arg-type]
    seen = [None if beat is None else replace(owner, time=owner.time + beat) for beat in beats]
    assert lives(owner, lambda: seen.pop(0) if len(seen) > 1 else seen[0]) == expected


@pytest.mark.parametrize("text", ["", "[]", '{"token": 1}', "{"])
def test_damaged_lock_holds_nobody_up(tmp_path: Path, text: str) -> None:
    (tmp_path / "_waves").mkdir()
    (tmp_path / "_waves" / "lock.json").write_text(text)
    with Lock(str(tmp_path)) as held:
        held.check()


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


def test_shards_of_one_number_write_together(tmp_path: Path) -> None:
    with Lock(str(tmp_path), (0, 2)) as first, Lock(str(tmp_path), (1, 2)) as second:
        first.check()
        second.check()
    assert not list((tmp_path / "_waves").iterdir())


@pytest.mark.parametrize("shard", [None, (0, 3), (1, 2)], ids=["whole", "of another number", "the same"])
def test_a_living_shard_keeps_out_what_is_no_other_of_its_kind(
    tmp_path: Path, shard: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.lock.lives", lambda owner, again: True)
    with Lock(str(tmp_path), (1, 2)):  # noqa: SIM117 - the first is held
        with pytest.raises(UsageError, match="is writing"), Lock(str(tmp_path), shard):
            pass


def test_a_dead_shard_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.lock.lives", lambda owner, again: False)
    left = Lock(str(tmp_path), (1, 2))
    left._write()
    with Lock(str(tmp_path)) as whole:
        whole.check()
        with pytest.raises(UsageError, match="removed its lock"):
            left.check()
