"""Numerics against tensors that an independent implementation computed; see reference/make.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import Polygon

from models import ctc
from models.bundle import DetectionSpec, ModelFile
from models.detection import find_regions
from models.geometry import crop_quad, fit_height
from models.records import Line
from models.session import Normalizer

HALF = (0.5, 0.5, 0.5)
CHARSET = (*(chr(c) for c in range(33, 127)), " ")


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "reference" / "reference.npz") as arrays:
        return dict(arrays)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    one, other = Polygon(a), Polygon(b)
    return float(one.intersection(other).area / one.union(other).area)


def test_the_same_regions_are_found(reference: dict[str, np.ndarray]) -> None:
    spec = DetectionSpec("d.onnx", "", "bgr", HALF, HALF)
    regions = find_regions(reference["map"].astype(np.float32), spec, width=800, height=512)
    assert len(regions) == len(reference["boxes"])
    for box, score in zip(reference["boxes"], reference["scores"], strict=True):
        polygon, found = max(regions, key=lambda region: iou(region[0], box))
        assert found == pytest.approx(score, abs=0.03)
        # The reference cuts corners down to whole pixels of the map, twice, before it scales them.
        np.testing.assert_allclose(polygon, box, atol=2.5 * 800 / 384)


@pytest.mark.parametrize("i", range(3), ids=["upright", "turned", "tall"])
def test_crops(reference: dict[str, np.ndarray], i: int) -> None:
    crop = crop_quad(reference["image"], reference["quads"][i])
    expected = reference[f"crop_{i}"]
    if i == 2:
        crop = np.rot90(crop)
    assert crop.shape == expected.shape
    assert np.abs(crop.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("name", "i", "width"), [("direction", 0, 192), ("recognition", 1, 320)])
def test_normalisation(reference: dict[str, np.ndarray], name: str, i: int, width: int) -> None:
    line = Line(reference["quads"][i], 1.0, crop=reference[f"crop_{i}"])
    pixels = fit_height(line, 48, (width,), one_channel=False)
    tensor = np.zeros((3, 48, width), np.float32)
    Normalizer(ModelFile("m.onnx", "", "bgr", HALF, HALF))(pixels, tensor[:, :, : pixels.shape[1]])
    np.testing.assert_allclose(tensor, reference[name], atol=1e-6)


def test_ctc(reference: dict[str, np.ndarray]) -> None:
    probabilities = reference["probabilities"]
    readings = ctc.decode(probabilities.argmax(axis=2), probabilities.max(axis=2), CHARSET)
    for reading, text, confidence in zip(readings, reference["texts"], reference["confidences"], strict=True):
        assert reading.text == str(text)
        assert float(reading.confidences.mean()) == pytest.approx(float(confidence), abs=1e-5)
