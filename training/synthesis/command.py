"""`ppocr-train synthesize lines|pages|directions|devset`: made data on disk, or as a contact sheet.

    ppocr-train synthesize lines --count 10000 --output made/lines
    ppocr-train synthesize pages --kinds receipt,form --count 500 --output made/pages
    ppocr-train synthesize pages --kinds scene=2,form=1 --words words/rec_gt.txt --output made/photos
    ppocr-train synthesize lines --preview docs/images/synthesis_lines.png
    ppocr-train synthesize devset forms --output devsets/forms

Everything is decided by `--seed` and the sample's number, so that the files are the same for any `--workers`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PILImage

from models.records import Image, UsageError
from training.commands import positive
from training.data.charset import read_charset
from training.data.crops import read_image
from training.data.folder import new_folder
from training.data.labels import images_of, read_labels
from training.progress import tracked
from training.synthesis.directions import DirectionSource
from training.synthesis.fonts import usable_faces
from training.synthesis.lines import LineSource
from training.synthesis.pages import MIX, PageSource
from training.synthesis.pixels import resize
from training.synthesis.scenes import WordCrop

LABEL_FILES = {"lines": "rec_gt.txt", "directions": "direction_gt.txt", "pages": "Label.txt"}
"""The label file of each kind; `direction_gt.txt` holds `image<TAB>0|180`."""

DEVSETS = {"forms": "form", "documents": "document", "scene": "scene", "receipts": "receipt"}
"""Made development sets and the kind of page they are of."""

_DEVSET_SEED = 90_001
_CHUNK = 32


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker needs to make any sample.

    Attributes:
        what: lines, directions or pages.
        charset: the characters.
        seed: of the set.
        color: whether lines have three channels.
        mix: kinds of pages and their weights.
        words: label file of real word crops to paste into scenes, or None.
        held_out: whether to use the fonts that training never sees.
    """

    what: str
    charset: tuple[str, ...]
    seed: int
    color: bool = False
    mix: tuple[tuple[str, float], ...] = ()
    words: Path | None = None
    held_out: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what can be made, and the options of each."""
    kinds = parser.add_subparsers(dest="what", required=True)
    lines = kinds.add_parser("lines", help="text lines: images and rec_gt.txt")
    pages = kinds.add_parser("pages", help="pages: images and Label.txt with line quads")
    directions = kinds.add_parser(
        "directions", help="lines, half of them upside down: images and direction_gt.txt"
    )
    devset = kinds.add_parser("devset", help="a development set of pages in fonts that training never uses")
    devset.add_argument("kind", choices=sorted(DEVSETS))
    pages.add_argument(
        "--kinds",
        default=",".join(MIX),
        help="kinds of pages, by commas, each with a weight where wanted (scene=2; default: %(default)s)",
    )
    pages.add_argument(
        "--words",
        type=Path,
        metavar="LABELS",
        help="label file (rec_gt.txt) of real word crops to paste into scenes",
    )
    for each in (lines, directions):
        each.add_argument("--color", action="store_true", help="three channels; gray without")
    for each, count in ((lines, 1000), (directions, 1000), (pages, 100), (devset, 40)):
        _add_common(each, count, seeded=each is not devset)


def _add_common(parser: argparse.ArgumentParser, count: int, seeded: bool) -> None:
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="folder to make; it must not exist, or be empty"
    )
    parser.add_argument(
        "--preview", type=Path, metavar="PNG", help="write a contact sheet of some samples instead"
    )
    parser.add_argument("--count", type=positive, default=count, help="samples (default: %(default)s)")
    parser.add_argument(
        "--charset", default="latin", help="a file of one character a line, or a name (default: latin)"
    )
    parser.add_argument(
        "--workers", type=positive, default=os.cpu_count() or 1, help="processes (default: all cores)"
    )
    if seeded:
        parser.add_argument("--seed", type=int, default=0, help="another seed, another set (default: 0)")


def run(args: argparse.Namespace) -> int:
    """Does what the parsed arguments ask.

    Raises:
        UsageError: no place to write to, no font, an unknown kind, a folder in use, a full disk.
    """
    plan = plan_of(args)
    if (args.output is None) == (args.preview is None):
        raise UsageError("Give either --output DIR or --preview PNG.")
    if args.preview is not None:
        preview(plan, args.preview)
    else:
        write_set(plan, args.output, args.count, args.workers)
    return 0


def plan_of(args: argparse.Namespace) -> Plan:
    """The arguments, checked."""
    charset = read_charset(args.charset).characters
    if args.what == "devset":
        plan = Plan("pages", charset, _DEVSET_SEED, mix=((DEVSETS[args.kind], 1.0),), held_out=True)
    elif args.what == "pages":
        if args.words is not None and not args.words.is_file():
            raise UsageError(f"--words {args.words}: there is no such label file.")
        if args.words is not None:
            images_of(args.words)  # says at once, and once, what cannot be used
        plan = Plan("pages", charset, args.seed, mix=_mix(args.kinds), words=args.words)
    else:
        plan = Plan(args.what, charset, args.seed, color=args.color)
    usable_faces(charset, plan.held_out)  # says at once, and once, if there is none
    return plan


def _mix(kinds: str) -> tuple[tuple[str, float], ...]:
    pairs = [item.partition("=")[::2] for item in kinds.split(",") if item.strip()]
    try:
        mix = [(name.strip(), float(weight or MIX[name.strip()])) for name, weight in pairs]
    except (KeyError, ValueError):
        mix = []
    if not mix or any(name not in MIX for name, _ in mix):
        raise UsageError(f"--kinds {kinds!r}: choose from {', '.join(MIX)}, each with =WEIGHT where wanted.")
    return tuple(mix)


def _word_crops(labels: Path | None) -> list[WordCrop]:
    """The crops of a label file that can be read; images with polygons on them are pages, not crops."""
    if labels is None:
        return []
    crops = []
    for labelled in read_labels(labels).images:
        if labelled.regions and not labelled.regions[0].polygon:
            with contextlib.suppress(OSError, ValueError):
                crops.append(WordCrop(read_image(labelled.path), labelled.regions[0].text))
    return crops


def write_set(plan: Plan, output: Path, count: int, workers: int) -> None:
    """Makes `count` samples with their label file at `output`, all or nothing.

    Raises:
        UsageError: `output` holds something, or cannot be written.
    """
    with new_folder(output) as aside:
        (aside / "images").mkdir()
        rows = [row for chunk in _make_all(plan, aside, count, workers) for row in chunk]
        (aside / LABEL_FILES[plan.what]).write_text("".join(rows), encoding="utf-8")


def _make_all(plan: Plan, folder: Path, count: int, workers: int) -> Iterator[list[str]]:
    """Label rows, chunk by chunk in order, while a bar shows how far it is."""
    starts = range(0, count, _CHUNK)
    jobs = [(plan, folder, range(start, min(start + _CHUNK, count))) for start in starts]
    with contextlib.ExitStack() as stack:
        if workers == 1 or len(jobs) == 1:
            done: Iterator[list[str]] = map(_make_chunk, jobs)
        else:
            done = stack.enter_context(ProcessPoolExecutor(min(workers, len(jobs)))).map(_make_chunk, jobs)
        yield from tracked(done, f"Making {plan.what}", len(jobs))


def _make_chunk(job: tuple[Plan, Path, range]) -> list[str]:
    """Writes the images of some indices; gives their rows of the label file."""
    plan, folder, indices = job
    cv2.setNumThreads(1)
    make, rows = sampler(plan), []
    for index in indices:
        image, label = make(index)
        suffix = ".jpg" if plan.what == "pages" else ".png"
        name = f"images/{index:06d}{suffix}"
        _, data = cv2.imencode(suffix, image, (cv2.IMWRITE_JPEG_QUALITY, 92) if suffix == ".jpg" else ())
        (folder / name).write_bytes(data.tobytes())
        rows.append(f"{name}\t{label}\n")
    return rows


@lru_cache(maxsize=2)
def sampler(plan: Plan) -> Callable[[int], tuple[Image, str]]:
    """The function index -> (image, label as its file spells it) of a plan."""
    faces = usable_faces(plan.charset, plan.held_out)
    if plan.what == "pages":
        pages = PageSource(
            plan.seed, plan.charset, mix=dict(plan.mix), faces=faces, words=_word_crops(plan.words)
        )
        return lambda index: _page_label(pages, index)
    if plan.what == "directions":
        turned = DirectionSource(plan.seed, plan.charset, color=plan.color, faces=faces)
        return lambda index: ((sample := turned.sample(index)).image, str(sample.angle))
    lines = LineSource(plan.seed, plan.charset, color=plan.color, faces=faces)
    return lambda index: ((sample := lines.sample(index)).image, sample.text)


def _page_label(pages: PageSource, index: int) -> tuple[Image, str]:
    page = pages.sample(index)
    lines = [
        {"transcription": text, "points": np.round(quad, 1).tolist(), "difficult": False}
        for quad, text in page.lines
    ]
    return page.image, json.dumps(lines, ensure_ascii=False)


def preview(plan: Plan, path: Path) -> None:
    """Writes a contact sheet: 60 lines in three columns, or 8 pages with their quads."""
    make = sampler(plan)
    if plan.what == "pages":
        sheet = pages_sheet([make(index) for index in range(8)])
    else:
        sheet = lines_sheet([make(index)[0] for index in range(60)])
    data = io.BytesIO()
    # Noise makes large files; 64 colours are enough to see what is there.
    PILImage.fromarray(sheet[..., ::-1]).quantize(64, dither=PILImage.Dither.NONE).save(
        data, "png", optimize=True
    )
    aside = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(data.getvalue())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error


def lines_sheet(images: Sequence[Image], columns: int = 3, height: int = 30, width: int = 400) -> Image:
    """Lines on a coloured ground that shows where their crops end; the longest are condensed."""
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (height + 4), columns * (width + 6), 3), (245, 225, 205), np.uint8)
    for number, image in enumerate(images):
        wide = min(width, max(4, round(image.shape[1] * height / image.shape[0])))
        small = resize(image, wide, height)
        y, x = number // columns * (height + 4) + 2, number % columns * (width + 6) + 3
        sheet[y : y + height, x : x + wide] = small if small.ndim == 3 else small[..., None]
    return sheet


def pages_sheet(samples: Sequence[tuple[Image, str]], columns: int = 4, side: int = 330) -> Image:
    """Pages side by side with their quads drawn in."""
    rows = -(-len(samples) // columns)
    sheet = np.full((rows * side, columns * side, 3), 60, np.uint8)
    for number, (image, label) in enumerate(samples):
        scale = (side - 6) / max(image.shape[:2])
        small = resize(image, image.shape[1] * scale, image.shape[0] * scale)
        for line in json.loads(label):
            quad = np.round(np.array(line["points"]) * scale).astype(np.int32)
            cv2.polylines(small, [quad], True, (40, 40, 230), 1, cv2.LINE_AA)
        y, x = number // columns * side + 3, number % columns * side + 3
        sheet[y : y + small.shape[0], x : x + small.shape[1]] = small
    return sheet
