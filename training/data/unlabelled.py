"""Text that no label covers, found by a teacher: "don't care", so that no detector is taught to miss it.

Real sets lack labels for stamps, handwriting and lines forgotten: 387 regions beside the 21,618 lines of the
receipts that `latin` is trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from models.records import Image, Quad
from training.data.crops import read_image
from training.data.labels import LabelledImage, Region, write_labels


def mark_unlabelled(labelled: LabelledImage, found: Sequence[Quad], most: float = 0.2) -> LabelledImage:
    """Adds what was found as ignored regions, but for what the labels cover by more than `most`."""
    corners = [corner for polygon in [*(r.polygon for r in labelled.regions), *found] for corner in polygon]
    size = np.ceil(np.max([(0.0, 0.0), *corners], axis=0)).astype(int) + 2
    covered = np.zeros(size[::-1], np.uint8)
    for region in labelled.regions:
        cv2.fillPoly(covered, [np.round(region.polygon).astype(np.int32)], 1)
    regions = list(labelled.regions)
    for quad in found:
        own = np.zeros_like(covered)
        cv2.fillPoly(own, [np.round(quad).astype(np.int32)], 1)
        if (own & covered).sum() <= most * own.sum():
            regions.append(Region("###", tuple((float(x), float(y)) for x, y in quad), ignored=True))
    return replace(labelled, regions=tuple(regions))


def write_marked(images: Iterable[LabelledImage], find: Callable[[Image], Sequence[Quad]], out: Path) -> int:
    """Writes labels with what `find` adds, in PPOCRLabel's format; returns how many regions that was.

    Args:
        images: labelled with quads.
        find: image (H, W, 3) BGR to quads.
        out: the label file; written aside, then renamed.

    Raises:
        ValueError: an image cannot be decoded.
    """
    marked_images, added = [], 0
    for labelled in images:
        marked = mark_unlabelled(labelled, find(read_image(labelled.path)))
        added += len(marked.regions) - len(labelled.regions)
        marked_images.append(marked)
    write_labels(marked_images, out)
    return added
