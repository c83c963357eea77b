from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.bundle import RecognitionSpec
from training.data.labels import LabelledImage, Region
from training.evaluation.labelled import labelled_lines


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
