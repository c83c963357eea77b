from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest

from models.bundle import Bundle, load_bundle
from models.geometry import turn
from models.reader import language_of
from models.recognition import Recognizer
from models.records import Line
from models.session import Session
from training.evaluation import lines
from training.specimen import specimen_crops


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


def worn(of: Line, seed: int) -> Line:
    """The line as a poor scan has it: nine pixels high, with noise."""
    assert of.crop is not None
    height, width = of.crop.shape[:2]
    small = cv2.resize(of.crop, (width * 9 // height, 9), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(seed).normal(0, 22, small.shape)
    return replace(of, crop=np.clip(small + noise, 0, 255).astype(np.uint8))


def test_lines_are_read_as_the_job_reads_them_with_the_bundles_language_model() -> None:
    bundle = load_bundle("latin")
    spec, asked = bundle.manifest.recognition, [worn(each, i) for i, each in enumerate(specimen_crops(12))]
    session, language = Session(bundle.model_path(spec)), language_of(bundle, spec)
    alone, helped = (
        [read.text for read in Recognizer(spec, session, language=each).read(asked)]
        for each in (None, language)
    )
    assert [read for _, read in lines.read_lines(bundle, asked)] == helped != alone
