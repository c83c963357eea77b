"""Label files into shards: every usable line cut out once, upright, with a margin for augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.crops import crop_line, quad_of, quad_size, read_image, turned_if_tall
from training.data.labels import LabelledImage, LabelSet, Problem, Region
from training.data.shards import write_shard

Record = tuple[NDArray[np.uint8], dict[str, Any]]


def pack_lines(
    labels: LabelSet, path: Path, *, max_height: int = 48, margin: float = 0.25
) -> tuple[int, list[Problem]]:
    """Writes a shard of line crops and returns how many lines it holds and what could not be packed."""
    problems = list(labels.problems)
    count = write_shard(path, line_records(labels.images, problems, max_height=max_height, margin=margin))
    return count, problems


def line_records(
    images: tuple[LabelledImage, ...], problems: list[Problem], *, max_height: int, margin: float
) -> Iterator[Record]:
    """Yields crops with their labels: `text`, `border` (pixels of margin on each side) and `source`.

    What cannot be cropped is appended to `problems`.
    """
    for labelled in images:
        try:
            image = read_image(labelled.path)
        except (OSError, ValueError) as error:
            problems.append(Problem("broken image", str(labelled.path), str(error)))
            continue
        for number, region in enumerate(labelled.regions):
            where = f"{labelled.path.name}#{number}"
            problem = region_problem(region, where)
            if problem is not None:
                problems.append(problem)
            elif not region.ignored:
                crop, border = _cut(image, region, max_height, margin)
                yield crop, {"text": region.text, "border": border, "source": where}


def _cut(
    image: NDArray[np.uint8], region: Region, max_height: int, margin: float
) -> tuple[NDArray[np.uint8], int]:
    if region.polygon:
        quad = turned_if_tall(quad_of(region.polygon), region.text)
        return crop_line(image, quad, max_height=max_height, margin=margin)
    # Whoever cut out a line that is an image of its own has turned it: `evaluate` takes it as it is too.
    height, width = image.shape[:2]
    whole = np.asarray([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    return crop_line(image, whole, max_height=max_height)


def region_problem(region: Region, where: str) -> Problem | None:
    """What is wrong with a region, or None: empty text, too few corners, less than two pixels high."""
    if region.ignored:
        return None
    if not region.text.strip():
        return Problem("empty text", where)
    if not region.polygon:
        return None
    if len(region.polygon) < 4:
        return Problem("degenerate quad", where, f"{len(region.polygon)} corners")
    width, height = quad_size(quad_of(region.polygon))
    if min(width, height) < 2:
        return Problem("degenerate quad", where, f"{width:.1f} x {height:.1f} pixels")
    return None
