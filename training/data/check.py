"""What is wrong with a labelled set, counted and listed; and its lines as single PNG files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2

from training.data.charset import Charset, normalize
from training.data.crops import read_image
from training.data.labels import LabelledImage, LabelSet, Problem
from training.data.pack import line_records, region_problem


@dataclass(frozen=True, slots=True)
class Report:
    """What a set holds and what is wrong with it."""

    images: int
    lines: int
    ignored: int
    problems: tuple[Problem, ...]


def check_labels(labels: LabelSet, charset: Charset) -> Report:
    """Looks at every image and every region: decodable, inside the image, not degenerate, in the charset."""
    problems = list(labels.problems)
    for image in labels.images:
        problems += _image_problems(image, charset)
    regions = [region for image in labels.images for region in image.regions]
    ignored = sum(region.ignored for region in regions)
    return Report(len(labels.images), len(regions) - ignored, ignored, tuple(problems))


def _image_problems(labelled: LabelledImage, charset: Charset) -> list[Problem]:
    try:
        height, width = read_image(labelled.path).shape[:2]
    except (OSError, ValueError) as error:
        return [Problem("broken image", str(labelled.path), str(error))]
    problems = []
    for number, region in enumerate(labelled.regions):
        where = f"{labelled.path.name}#{number}"
        problem = region_problem(region, where)
        if problem is not None:
            problems.append(problem)
        if any(not (-1 <= x <= width + 1 and -1 <= y <= height + 1) for x, y in region.polygon):
            problems.append(Problem("outside the image", where, f"{region.polygon} in {width} x {height}"))
        missing = "" if region.ignored else charset.missing(normalize(region.text))
        if missing:
            problems.append(Problem("not in the charset", where, f"{missing!r} in {region.text!r}"))
    return problems


def write_crops(labels: LabelSet, folder: Path) -> tuple[int, list[Problem]]:
    """Writes each line as `folder/images/*.png` and their texts as `folder/rec_gt.txt`.

    Returns:
        How many lines were written, and what could not be.

    Raises:
        FileExistsError: the folder holds a rec_gt.txt already.
        OSError: an image cannot be written.
    """
    target = folder / "rec_gt.txt"
    if target.exists():
        raise FileExistsError(f"{target} exists already; choose another folder")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    problems = list(labels.problems)
    rows = []
    for number, (crop, label) in enumerate(
        line_records(labels.images, problems, max_height=10_000, margin=0.0)
    ):
        name = f"images/{number:06d}.png"
        if not cv2.imwrite(str(folder / name), crop):
            raise OSError(f"{folder / name} could not be written")
        rows.append(f"{name}\t{label['text']}\n")
    aside = target.with_name(target.name + ".partial")
    aside.write_text("".join(rows), "utf-8")
    os.replace(aside, target)
    return len(rows), problems
