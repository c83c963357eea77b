from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from random import Random

import pytest

from benchmarks.fuzz import __main__ as fuzz
from benchmarks.fuzz.mutation import mutated
from benchmarks.fuzz.seeds import seeds
from benchmarks.fuzz.targets import TARGETS
from models.records import InputError


def failing(data: bytes, _: Path) -> None:
    if data.startswith(b"exit"):
        os._exit(9)
    if data.startswith(b"refuse"):
        raise InputError("corrupt", "no")
    raise ValueError("what no reader may raise")


def test_every_target_has_seeds_that_it_reads(tmp_path: Path) -> None:
    found = seeds()
    assert {seed.target for seed in found} == set(TARGETS)
    for target in set(TARGETS) - {"image", "archive"}:
        (seed,) = (seed for seed in found if seed.target == target)
        TARGETS[target](seed.data, tmp_path / target)


def test_mutations_repeat_and_change_every_kind() -> None:
    found = seeds()
    others = [seed.data for seed in found]
    for seed in found[::5]:
        made = [mutated(seed.data, Random(number), others) for number in range(20)]
        assert made == [mutated(seed.data, Random(number), others) for number in range(20)]
        assert sum(data != seed.data for data in made) > 15


def test_packed_files_and_json_stay_so_mostly() -> None:
    packed, text = gzip.compress(b"x" * 1000), json.dumps({"a": 1, "b": [1, 2]}).encode()
    assert sum(mutated(packed, Random(number), [b"y"])[:2] == b"\x1f\x8b" for number in range(40)) > 20
    whole = 0
    for number in range(40):
        try:
            json.loads(mutated(text, Random(number), [b"y"]))
            whole += 1
        except ValueError:
            pass
    assert whole > 15


@pytest.mark.parametrize(("data", "wrong"), [(b"raise", "ValueError"), (b"exit", "crash"), (b"refuse", "")])
def test_a_case_that_fails_is_kept_and_can_be_replayed(
    data: bytes,
    wrong: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(TARGETS, "lock", failing)
    monkeypatch.setattr(fuzz, "mutated", lambda *_: data)
    monkeypatch.setattr(fuzz, "FOLDER", tmp_path)
    status = fuzz.main(["--minutes", "0.01", "--only", "lock", "--seed", "1"])
    kept = sorted(tmp_path.glob(f"lock-{wrong}-1-*.bin"))
    assert (status, bool(kept)) == ((1, True) if wrong else (0, False))
    assert "cases ran: " in capsys.readouterr().out
    if kept:
        assert fuzz.main(["--replay", str(kept[0])]) == 1
        assert wrong in capsys.readouterr().out
