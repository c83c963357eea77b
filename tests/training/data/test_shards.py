from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.records import UsageError
from training.data.preview import contact_sheet
from training.data.shards import INDEX, LABELS, PIXELS, Shard, write_shard

SHAPES = [(3, 4, 3), (1, 1, 1), (7, 2, 3)]


def records() -> list[tuple[np.ndarray[Any, np.dtype[np.uint8]], dict[str, str]]]:
    rng = np.random.default_rng(0)
    return [(rng.integers(0, 256, shape, np.uint8), {"text": f"ä{i}"}) for i, shape in enumerate(SHAPES)]


def test_a_shard_gives_back_what_was_written(tmp_path: Path) -> None:
    assert write_shard(tmp_path / "s", records()) == 3
    shard = Shard(tmp_path / "s")
    for i, (image, label) in enumerate(records()):
        np.testing.assert_array_equal(shard.image(i), image)
        assert shard.labels[i] == label


def test_an_empty_shard_is_one(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", [])
    assert len(Shard(tmp_path / "s")) == 0


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", records())
    with pytest.raises(FileExistsError, match="exists already"):
        write_shard(tmp_path / "s", [])


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def breaking() -> Iterator[Any]:
        yield records()[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_shard(tmp_path / "s", breaking())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [PIXELS, INDEX, LABELS])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write_shard(tmp_path / "s", records())
    (tmp_path / "s" / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        Shard(tmp_path / "s")


@pytest.mark.parametrize(
    ("name", "message"),
    [(PIXELS, "do not belong together"), (INDEX, "is damaged"), (LABELS, "is damaged")],
)
def test_a_truncated_shard_is_refused(name: str, message: str, tmp_path: Path) -> None:
    write_shard(tmp_path / "s", records())
    path = tmp_path / "s" / name
    path.write_bytes(path.read_bytes()[:12])
    with pytest.raises(UsageError, match=f"{message}.*; pack the set again"):
        Shard(tmp_path / "s")


def test_a_contact_sheet_is_drawn(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", records())
    contact_sheet(tmp_path / "s", tmp_path / "sheet.png", lines=2)
    assert (tmp_path / "sheet.png").read_bytes()[:4] == b"\x89PNG"
