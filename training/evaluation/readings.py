"""What an engine read on a set of images: from a bundle through the job's Reader, or from JSON Lines."""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from models.bundle import load_bundle
from models.reader import Reader, ReadOptions
from models.records import InputError, UsageError
from training.data.labels import LabelledImage
from training.evaluation.scoring import DONT_CARE, Text


class Reading(NamedTuple):
    """A line that an engine read: corners (x, y) in pixels of the image, text, detection score."""

    corners: Sequence[Sequence[float]]
    text: str
    score: float = 1.0


Readings = dict[str, list[Reading]]
"""File names of images, and the lines read on each."""


def truth_of(images: Iterable[LabelledImage]) -> dict[str, list[Text]]:
    """Labels by file name, in the form that scoring takes.

    Raises:
        UsageError: two images have the same file name.
    """
    truth: dict[str, list[Text]] = {}
    for image in images:
        if image.path.name in truth:
            raise UsageError(f"{image.path}: another image of the set has that name too; rename one of them")
        truth[image.path.name] = [
            Text(region.polygon, DONT_CARE if region.ignored else region.text)
            for region in image.regions
            if len(region.polygon) >= 3
        ]
    return truth


def texts_of(readings: Mapping[str, Sequence[Reading]]) -> dict[str, list[Text]]:
    """Readings in the form that scoring takes."""
    return {image: [Text(r.corners, r.text) for r in lines] for image, lines in readings.items()}


def load_readings(path: Path) -> Readings:
    """Reads `{"image": name, "lines": [{"poly": [[x, y], …], "text": str, "score": float}]}` a line.

    `score` may be left out. Of image names with folders the file name counts.

    Raises:
        UsageError: a line is not that.
    """
    readings: Readings = {}
    for number, row in enumerate(path.read_text("utf-8").split("\n"), 1):
        if not row.strip():
            continue
        try:
            record = json.loads(row)
            readings[Path(record["image"]).name] = [
                Reading(line["poly"], str(line["text"]), float(line.get("score", 1.0)))
                for line in record["lines"]
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{path}:{number} is not an image with its lines: {type(error).__name__}: {error}"
            ) from None
    return readings


def save_readings(readings: Readings, path: Path) -> None:
    """Writes what `load_readings` reads."""
    with path.open("w", encoding="utf-8") as file:
        for image, lines in readings.items():
            record = {
                "image": image,
                "lines": [{"poly": r.corners, "text": r.text, "score": round(r.score, 4)} for r in lines],
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def read_images(
    bundle: str | Path, paths: Sequence[Path], options: ReadOptions, workers: int = 1
) -> Iterator[tuple[str, list[Reading]]]:
    """Reads the first page of each image as the job does; one that cannot be decoded counts as blank.

    Args:
        bundle: see `models.bundle.load_bundle`.
        paths: of encoded images.
        options: of reading.
        workers: processes; each holds the bundle's models.

    Raises:
        UsageError: the bundle cannot be used.
    """
    load_bundle(bundle)
    if workers <= 1:
        _start(bundle, options)
        yield from map(_read, paths)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(bundle, options)) as pool:
        yield from pool.map(_read, paths)


_readers: list[Reader] = []  # of this process: at most one


def _start(bundle: str | Path, options: ReadOptions) -> None:
    _readers[:] = [Reader(load_bundle(bundle, check=False), options)]


def _read(path: Path) -> tuple[str, list[Reading]]:
    try:
        page = next(_readers[0].read_bytes(path.read_bytes()))
    except (InputError, OSError) as error:
        print(f"{path} counts as blank: {error}", file=sys.stderr)
        return path.name, []
    return path.name, [Reading(r.polygon.tolist(), r.text, r.detection_score) for r in page.lines]
