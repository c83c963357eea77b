from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from models.bundle import Bundle
from models.geometry import turn
from models.records import Line
from training.evaluation import lines


def line(*, dark_start: bool) -> Line:
    crop = np.full((10, 80, 3), 255, np.uint8)
    crop[:, 0 if dark_start else -1] = 0
    return Line(np.zeros((4, 2), np.float32), 1.0, crop=crop)


class Dark:
    """Takes a line for upside down where its first column is dark."""

    def __init__(self, *_: object) -> None: ...

    def probabilities(self, asked: list[Line]) -> np.ndarray:
        return np.array(
            [0.96 if each.crop is not None and not each.crop[0, 0, 0] else 0.94 for each in asked]
        )


def test_direction_counts_lines_called_rightly_either_way_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "DirectionClassifier", Dark)
    monkeypatch.setattr(lines, "Session", lambda path: None)
    direction = SimpleNamespace(threshold=0.95)
    bundle = cast(Bundle, SimpleNamespace(manifest=SimpleNamespace(direction=direction), model_path=id))
    upright = [line(dark_start=start) for start in (False, False, False, True)]
    turned = [turn(each) for each in upright[:2]] + upright[:2]
    found: dict[str, Any] = lines.direction_scores(bundle, upright, turned)
    assert found == {"upright": 0.75, "upside_down": 0.5, "accuracy": 0.625}
