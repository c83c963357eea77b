"""Average precision of detection as COCO defines it, over polygons (`pycocotools`)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.evaluation.readings import Reading
from training.evaluation.scoring import DONT_CARE, Text, polygon

MOST_LINES = 1000
"""Detections of a page that count; COCO's own 100 is less than a dense page holds."""


def average_precision(
    truth: Mapping[str, Sequence[Text]], readings: Mapping[str, Sequence[Reading]]
) -> dict[str, float]:
    """`ap` (mean over overlaps of .50 to .95), `ap50` and `ap75`, each 0 to 1.

    "Don't care" labels are COCO's crowds: what lies on them is not counted. Regions are compared as pixels.

    Args:
        truth: labels by image.
        readings: lines found by image; their scores decide the order in which they are judged.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images = list(truth)
    if not any(label.text != DONT_CARE for labels in truth.values() for label in labels):
        return {"ap": 0.0, "ap50": 0.0, "ap75": 0.0}
    with contextlib.redirect_stdout(io.StringIO()):  # it prints as it goes
        labels = COCO()
        labels.dataset = _labels(images, truth)
        labels.createIndex()
        found = _found(images, truth, readings)
        if not found:
            return {"ap": 0.0, "ap50": 0.0, "ap75": 0.0}
        evaluation = COCOeval(labels, labels.loadRes(found), "segm")
        evaluation.params.maxDets = [1, 10, MOST_LINES]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, 0, 0, -1]  # overlap x recall; class, area and limit fixed
    return {
        "ap": float(precision.mean()),
        "ap50": float(precision[0].mean()),
        "ap75": float(precision[5].mean()),
    }


def _labels(images: Sequence[str], truth: Mapping[str, Sequence[Text]]) -> dict[str, Any]:
    annotations = [
        {
            "id": 0,
            "image_id": number,
            "category_id": 1,
            "segmentation": [_flat(label.corners)],
            "area": float(polygon(label).area),
            "bbox": _box(label.corners),
            "iscrowd": int(label.text == DONT_CARE),
        }
        for number, image in enumerate(images)
        for label in truth[image]
    ]
    for number, annotation in enumerate(annotations, 1):  # 0 would mean "not matched"
        annotation["id"] = number
    sizes = [_size(truth[image]) for image in images]
    return {
        "info": {},
        "images": [{"id": i, "height": height, "width": width} for i, (height, width) in enumerate(sizes)],
        "categories": [{"id": 1, "name": "line"}],
        "annotations": annotations,
    }


def _found(
    images: Sequence[str], truth: Mapping[str, Sequence[Text]], readings: Mapping[str, Sequence[Reading]]
) -> list[dict[str, Any]]:
    return [
        {
            "image_id": number,
            "category_id": 1,
            "segmentation": [_clipped(reading.corners, _size(truth[image]))],
            "bbox": _box(reading.corners),
            "score": reading.score,
        }
        for number, image in enumerate(images)
        for reading in readings.get(image, ())
    ]


def _size(labels: Sequence[Text]) -> tuple[int, int]:
    """A canvas that holds the labels with room around them; masks need one, whatever the image's own size."""
    corners = np.array([corner for label in labels for corner in label.corners] or [(0, 0)], np.float64)
    width, height = np.ceil(corners.max(axis=0) * 1.25 + 64).astype(int)
    return int(max(height, 64)), int(max(width, 64))


def _clipped(corners: Sequence[Sequence[float]], size: tuple[int, int]) -> list[float]:
    """A region inside the canvas; one that lies outside shrinks to its edge and still counts as found."""
    points = np.asarray(corners, np.float64)
    return _flat(np.clip(points, 0, [size[1] - 1, size[0] - 1]).tolist())


def _flat(corners: Sequence[Sequence[float]]) -> list[float]:
    return [float(value) for corner in corners for value in corner]


def _box(corners: Sequence[Sequence[float]]) -> list[float]:
    points = np.asarray(corners, np.float64)
    return [*points.min(axis=0).tolist(), *np.ptp(points, axis=0).tolist()]
