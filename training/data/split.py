"""A label file in two, by image: all lines of a page stay on the same side."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from models.records import UsageError
from training.data.labels import LabelledImage


def split_labels(path: Path, dev: float, seed: int = 0) -> dict[Path, int]:
    """Writes `<stem>_train.txt` and `<stem>_dev.txt` beside a label file and returns their counts.

    An image's side is decided by its name and the seed alone: a set that grows keeps its split.

    Raises:
        FileNotFoundError: no such label file (a folder is not split: name the file in it).
        UsageError: a part would have no image.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no label file")
    sides: dict[str, list[str]] = {"train": [], "dev": []}
    for line in path.read_text("utf-8-sig").split("\n"):
        if line.strip():
            name = line.partition("\t")[0]
            sides["dev" if _share(name, seed) < dev else "train"].append(line)
    if empty := next((side for side, lines in sides.items() if not lines), None):
        raise UsageError(
            f"{path}: of {sum(map(len, sides.values()))} lines none is for the {empty} part with --dev {dev} "
            f"and --seed {seed}: give another seed or share, or more images"
        )
    counts = {}
    for side, lines in sides.items():
        target = path.with_name(f"{path.stem}_{side}.txt")
        aside = target.with_name(target.name + ".partial")
        aside.write_text("".join(line + "\n" for line in lines), "utf-8")
        aside.replace(target)
        counts[target] = len(lines)
    return counts


def hold_out(
    images: Sequence[LabelledImage], share: float, seed: int = 0
) -> tuple[tuple[LabelledImage, ...], tuple[LabelledImage, ...]]:
    """Splits images into those to learn from and those to score on, of both at least one.

    Raises:
        UsageError: there are fewer than two.
    """
    if len(images) < 2:
        raise UsageError(f"{len(images)} labelled images cannot be split in two: label some more")
    count = min(max(1, round(share * len(images))), len(images) - 1)
    ranked = sorted(images, key=lambda image: _share(image.path.name, seed))
    held_out = {image.path for image in ranked[:count]}
    parts = [tuple(each for each in images if (each.path in held_out) == side) for side in (False, True)]
    return parts[0], parts[1]


def _share(name: str, seed: int) -> float:
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
