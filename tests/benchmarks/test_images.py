from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.__main__ import FEWEST, _copies, _labels, find_images
from models.records import UsageError
from training.evaluation.scoring import DONT_CARE, Text


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


def test_images_of_the_same_name_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "sub" / "b.png").write_bytes((folder / "b.png").read_bytes())
    with pytest.raises(UsageError, match=r"2 images are called b\.png"):
        _copies(find_images(folder), tmp_path)


def test_labels_are_read_by_file_name_as_training_reads_them(tmp_path: Path) -> None:
    points = [[0, 0], [9, 0], [9, 4], [0, 4]]
    texts = [("Größe 7", False), ("*", False), ("hard", True)]
    regions = [{"transcription": text, "points": points, "difficult": hard} for text, hard in texts]
    path = tmp_path / "Label.txt"
    rows = f"images/1.jpg\t{json.dumps(regions)}\nimages/2.jpg\t[]\n"
    path.write_text(f"{rows}images/not_asked.jpg\t[]\n", encoding="utf-8")
    polygon = tuple((float(x), float(y)) for x, y in points)
    expected = [Text(polygon, text) for text in ("Größe 7", DONT_CARE, DONT_CARE)]
    assert _labels(path, tmp_path, ["1.jpg", "2.jpg", "3.jpg"]) == {"1.jpg": expected, "2.jpg": []}
    path.write_text(f"{rows}more/2.jpg\t[]\n", encoding="utf-8")
    with pytest.raises(UsageError, match="another image of the set has that name too"):
        _labels(path, tmp_path, ["1.jpg", "2.jpg"])


def test_the_benchmark_needs_no_torch() -> None:
    code = "import sys, benchmarks.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
