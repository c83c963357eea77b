"""Label files: PPOCRLabel's `Label.txt`, `rec_gt.txt` of crops and ICDAR's `gt_*.txt`, read into one record.

Nothing wrong is dropped silently: what cannot be used comes back as a `Problem` that says where and why.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.records import UsageError

log = logging.getLogger(__name__)

IGNORED_TEXTS = frozenset({"###", "*"})  # "don't care" of ICDAR and of PPOCRLabel


@dataclass(frozen=True, slots=True)
class Region:
    """One labelled line.

    Attributes:
        text: what it says; empty where nobody could tell.
        polygon: corners (x, y) in pixels of the image, clockwise from the text's top left; empty = the whole
            image.
        ignored: "don't care": neither to be found nor to be missed.
    """

    text: str
    polygon: tuple[tuple[float, float], ...] = ()
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image file and the lines on it."""

    path: Path
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a set that cannot be used as it stands.

    Attributes:
        kind: one word or two to count by, such as `missing file`.
        where: label file and line, or image and region.
    """

    kind: str
    where: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """What a label file holds: the usable images and the problems met on the way."""

    images: tuple[LabelledImage, ...]
    problems: tuple[Problem, ...]


def read_labels(path: Path, images: bool = True) -> LabelSet:
    """Reads a label file, or a folder of ICDAR's `gt_*.txt`, whatever its format; images lie beside it.

    Args:
        path: of the file or folder.
        images: whether a label in the file needs its image there.

    Raises:
        FileNotFoundError: no such file or folder, or a folder without any label file.
        UsageError: the file holds no text.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise FileNotFoundError(f"label file {path} does not exist")
    with path.open("rb") as file:
        if b"\0" in file.read(1 << 12):
            raise UsageError(
                f"{path} is no label file: it is no text; name Label.txt, rec_gt.txt or their folder"
            )
    entries = [_parse_line(path, number, line, images) for number, line in _lines(path)]
    return _label_set(entries)


def images_of(path: Path, images: bool = True) -> tuple[LabelledImage, ...]:
    """The usable images of a label file or folder; one warning counts what cannot be used.

    Args:
        path: see `read_labels`.
        images: likewise.

    Raises:
        FileNotFoundError: see `read_labels`.
    """
    labels = read_labels(path, images)
    if labels.problems:
        first = labels.problems[0]
        kinds = Counter(problem.kind for problem in labels.problems).most_common()
        log.warning(
            "%s: left out are %s, such as %s %s; ppocr-train data check %s lists them",
            path, ", ".join(f"{count} x {kind}" for kind, count in kinds), first.where, first.detail, path,
        )  # fmt: skip
    return labels.images


def write_labels(images: Iterable[LabelledImage], path: Path) -> None:
    """Writes a label file: PPOCRLabel's format for pages, also those without text, `rec_gt.txt`'s for lines.

    Images below the file's folder are named relative to it, others by their whole path.
    """
    aside = path.with_name(path.name + ".partial")
    aside.write_text("".join(f"{_row(image, path.parent)}\n" for image in images), "utf-8")
    aside.replace(path)


def _row(image: LabelledImage, folder: Path) -> str:
    own, base = image.path.resolve(), folder.resolve()
    name = own.relative_to(base).as_posix() if own.is_relative_to(base) else own.as_posix()
    if image.regions and not any(region.polygon for region in image.regions):
        return "\n".join(f"{name}\t{region.text}" for region in image.regions)
    records = [{"transcription": r.text, "points": r.polygon, "difficult": r.ignored} for r in image.regions]
    return f"{name}\t{json.dumps(records, ensure_ascii=False)}"


def _read_folder(path: Path) -> LabelSet:
    for name in ("Label.txt", "rec_gt.txt"):
        if (path / name).is_file():
            return read_labels(path / name)
    files = sorted(path.glob("gt_*.txt"))
    if not files:
        raise FileNotFoundError(f"{path} holds no Label.txt, rec_gt.txt or gt_*.txt")
    return _label_set([_parse_icdar(file) for file in files])


def _label_set(entries: list[tuple[LabelledImage | None, list[Problem]]]) -> LabelSet:
    images = tuple(image for image, _ in entries if image is not None)
    return LabelSet(images, tuple(problem for _, problems in entries for problem in problems))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line.rstrip("\r")


def _parse_line(
    path: Path, number: int, line: str, there: bool
) -> tuple[LabelledImage | None, list[Problem]]:
    where = f"{path.name}:{number}"
    name, tab, rest = line.partition("\t")
    if not tab:
        return None, [Problem("no tab", where, line[:60])]
    image = _image_of(path, name)
    if there and not image.is_file():
        return None, [Problem("missing file", where, name)]
    if not rest.startswith("["):
        return LabelledImage(image, (Region(rest),)), []
    try:
        records = json.loads(rest)
    except json.JSONDecodeError as error:
        # A crop's text may well begin with a bracket: only what looks like PPOCRLabel's JSON is a broken
        # label.
        if not rest.startswith("[{"):
            return LabelledImage(image, (Region(rest),)), []
        return None, [Problem("broken JSON", where, str(error))]
    if not (isinstance(records, list) and all(isinstance(record, dict) for record in records)):
        return LabelledImage(image, (Region(rest),)), []
    return _regions(image, records, where)


def _image_of(path: Path, name: str) -> Path:
    """Where an image lies: beside its label file, whose own folder PPOCRLabel puts before its name."""
    beside = path.parent / name
    folder, _, rest = name.partition("/")
    inside = path.parent / rest
    return inside if rest and folder == path.parent.resolve().name and not beside.is_file() else beside


def _regions(
    image: Path, records: list[dict[str, Any]], where: str
) -> tuple[LabelledImage | None, list[Problem]]:
    regions, problems = [], []
    for index, record in enumerate(records):
        try:
            text = str(record["transcription"])
            polygon = tuple((float(x), float(y)) for x, y in record["points"])
        except (KeyError, TypeError, ValueError) as error:
            problems.append(Problem("broken region", f"{where} region {index}", repr(error)))
            continue
        regions.append(Region(text, polygon, bool(record.get("difficult")) or text in IGNORED_TEXTS))
    return _page(image, regions, problems), problems


def _page(image: Path, regions: list[Region], problems: list[Problem]) -> LabelledImage | None:
    return LabelledImage(image, tuple(regions)) if regions or not problems else None  # it is not blank


def _parse_icdar(path: Path) -> tuple[LabelledImage | None, list[Problem]]:
    stem = path.stem.removeprefix("gt_")
    found = [path.with_name(stem + suffix) for suffix in (".jpg", ".png", ".jpeg")]
    image = next((candidate for candidate in found if candidate.is_file()), None)
    if image is None:
        return None, [Problem("missing file", path.name, stem)]
    regions, problems = [], []
    for number, line in _lines(path):
        fields = line.split(",", 8)
        try:
            numbers = [float(field) for field in fields[:8]]
            text = fields[8]
        except (ValueError, IndexError):
            problems.append(Problem("broken region", f"{path.name}:{number}", line[:60]))
            continue
        polygon = tuple(zip(numbers[0::2], numbers[1::2], strict=True))
        regions.append(Region(text, polygon, text in IGNORED_TEXTS))
    return _page(image, regions, problems), problems
