from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.bundle import RecognitionSpec
from training.data.labels import LabelledImage, Region
from training.evaluation.labelled import labelled_images, labelled_lines


@pytest.mark.parametrize(("least_height", "shape"), [(0, (10, 50)), (32, (32, 160))])
def test_labelled_lines_are_cut_out_as_the_recogniser_wants_them(
    least_height: int, shape: tuple[int, int], tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "page.png"), np.zeros((60, 80, 3), np.uint8))
    polygon = ((5.0, 5.0), (55.0, 5.0), (55.0, 15.0), (5.0, 15.0))
    image = LabelledImage(tmp_path / "page.png", (Region("x", polygon),))
    spec = RecognitionSpec("", "", "gray", (0.5,), (0.5,), least_height=least_height)
    (line,) = labelled_lines([image], spec)
    assert line.crop is not None and line.crop.shape[:2] == shape


def test_lines_of_a_page_on_its_head_are_cut_out_on_their_heads(tmp_path: Path) -> None:
    page = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    quad = ((5.0, 5.0), (55.0, 5.0), (55.0, 45.0), (5.0, 45.0))
    turned = tuple((80 - x, 60 - y) for x, y in (quad[2], quad[3], quad[0], quad[1]))
    cv2.imwrite(str(tmp_path / "page.png"), page)
    cv2.imwrite(str(tmp_path / "scanned.png"), page[::-1, ::-1])
    spec = RecognitionSpec("", "", "gray", (0.5,), (0.5,), least_height=64)
    (line,) = labelled_lines([LabelledImage(tmp_path / "page.png", (Region("x", quad),))], spec, turned=True)
    (same,) = labelled_lines([LabelledImage(tmp_path / "scanned.png", (Region("x", turned),))], spec)
    assert line.crop is not None and same.crop is not None
    np.testing.assert_array_equal(line.crop, same.crop)


def test_a_half_copied_set_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "Label.txt").write_text("a.png\t[]\nb.png\t[]\n")
    assert len(labelled_images(tmp_path)) == 1
    assert "1 x missing file" in caplog.text
