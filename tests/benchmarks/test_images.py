from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.__main__ import FEWEST, _copies, find_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.JPG", "sub/c.jpeg"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.random.default_rng(7).integers(0, 255, (64, 64, 3), np.uint8))
    whole = (tmp_path / "images" / "a.JPG").read_bytes()
    (tmp_path / "images" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "images" / "text.txt").touch()
    return tmp_path / "images"


def test_only_whole_images_are_taken(folder: Path) -> None:
    assert [path.name for path in find_images(folder)] == ["a.JPG", "b.png", "c.jpeg"]


def test_few_images_are_repeated(folder: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    copies = _copies(find_images(folder), scratch)
    assert len(copies) == FEWEST
    assert len(set(copies)) == FEWEST
    assert [path.name for path in copies[:3]] == ["a.JPG", "b.png", "c.jpeg"]
    assert copies[3].read_bytes() == copies[0].read_bytes()
