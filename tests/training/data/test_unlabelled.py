from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.labels import LabelledImage, Region, read_labels
from training.data.unlabelled import mark_unlabelled, write_marked


def quad(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def labelled(path: Path = Path("a.png")) -> LabelledImage:
    return LabelledImage(path, (Region("TOTAL", tuple(map(tuple, quad(10, 10, 60, 20).tolist()))),))


@pytest.mark.parametrize(
    ("found", "added"),
    [
        pytest.param(quad(9, 9, 61, 21), 0, id="the labelled line"),
        pytest.param(quad(10, 40, 60, 50), 1, id="elsewhere"),
        pytest.param(quad(10, 18, 60, 38), 1, id="touches a label"),
        pytest.param(quad(40, 10, 90, 20), 0, id="a label's longer self"),
    ],
)
def test_only_what_no_label_covers_is_added(found: np.ndarray, added: int) -> None:
    marked = mark_unlabelled(labelled(), [found])
    assert marked.regions[:1] == labelled().regions
    assert [region.ignored for region in marked.regions[1:]] == [True] * added


def test_polygons_may_have_any_number_of_corners_and_pages_no_text() -> None:
    corners = ((10.0, 10.0), (35.0, 8.0), (60.0, 10.0), (60.0, 20.0), (10.0, 20.0))
    curved = LabelledImage(Path("a.png"), (Region("TOTAL", corners), *labelled().regions))
    assert mark_unlabelled(curved, [quad(9, 9, 61, 21)]) == curved
    blank = LabelledImage(Path("a.png"), ())
    assert mark_unlabelled(blank, []) == blank
    assert len(mark_unlabelled(blank, [quad(10, 40, 60, 50)]).regions) == 1


def test_the_written_file_reads_back(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    path = tmp_path / "images" / "a.png"
    cv2.imwrite(str(path), np.zeros((60, 100, 3), np.uint8))
    added = write_marked([labelled(path)], lambda image: [quad(10, 40, 60, 50)], tmp_path / "Label.txt")
    assert added == 1
    (read,) = read_labels(tmp_path / "Label.txt").images
    assert read.path == path
    assert [(r.text, r.ignored) for r in read.regions] == [("TOTAL", False), ("###", True)]
    assert read.regions[1].polygon == ((10.0, 40.0), (60.0, 40.0), (60.0, 50.0), (10.0, 50.0))


def test_a_broken_image_is_named_and_nothing_written(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"a\.png cannot be decoded"):
        write_marked([labelled(tmp_path / "a.png")], lambda image: [], tmp_path / "Label.txt")
    assert not (tmp_path / "Label.txt").exists()
