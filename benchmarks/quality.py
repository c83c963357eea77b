"""How well bundles and other engines read labelled pages, and what a page costs: `make bench-quality`.

    python -m benchmarks.quality --data sets --bundles latin ppocrv6-small runs/bundle --every 4
    python -m benchmarks.quality --data sets --set documents=my_pdfs/dev --update README.md docs/training.md

A set is a folder with images and labels that `ppocr-train` takes. Where the labels' lines are put together
from words, `words.jsonl` beside them has those, an image on each line:
`{"image": name, "lines": [{"poly": [[x, y], ...], "text": word}]}`. Where no label has a lower-case letter,
words are compared without case.

Prints the tables and writes them beside JSON; `--update` puts them into pages between
`<!-- bench-quality -->` and `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from benchmarks.engines import ENVIRONMENTS, PEERS
from benchmarks.readers import Engine, ours, processor_seconds, read_all, theirs
from benchmarks.report import line, share
from models.records import UsageError
from training.data.labels import images_of
from training.evaluation.labelled import spread
from training.evaluation.readings import load_readings, texts_of, truth_of
from training.evaluation.scoring import Texts, has_case, score

SETS = ("receipts", "forms", "scene_photos", "catalogues", "documents")
"""Looked for as NAME/dev in the folder of data."""
BEGIN, END = "<!-- bench-quality -->", "<!-- end -->"


@dataclass(frozen=True, slots=True)
class DevSet:
    """Labelled pages.

    Attributes:
        name: what tables call it.
        paths: of its images.
        lines: labels, to be found.
        words: labels, to be read.
    """

    name: str
    paths: tuple[Path, ...]
    lines: Texts
    words: Texts


@dataclass(frozen=True, slots=True)
class Row:
    """An engine on a set.

    Attributes:
        engine: its title.
        megabytes: of its models.
        set: the set's name.
        pages: how many it read.
        words: word F1.
        detection: H-mean of the lines that it read, found where lines are labelled.
        seconds: of the processor for a page; None where it was not timed.
    """

    engine: str
    megabytes: float
    set: str
    pages: int
    words: float
    detection: float | None
    seconds: float | None


def main() -> None:
    """Reads, scores, times; prints and writes the tables."""
    args = _parser().parse_args()
    cv2.setNumThreads(1)
    if hasattr(
        os, "sched_setaffinity"
    ):  # one core for each engine: their threads would wait for others' work
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    sets = [
        read_set(name, folder, args.every) for name, folder in _folders(args.data, dict(args.set)).items()
    ]
    peers = [theirs(peer) for peer in PEERS if peer.name in args.peers]
    engines = [*map(ours, args.bundles), *filter(None, peers)]
    rows = [row for each in sets for row in measure(each, engines, args.timed, args.again)]
    text = tables(rows)
    print(f"\n{text}")
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "quality.md").write_text(f"{text}\n", "utf-8")
    (args.output / "quality.json").write_text(json.dumps([*map(asdict, rows)], indent=1) + "\n", "utf-8")
    for page in args.update:
        page.write_text(updated(page.read_text("utf-8"), text, str(page)), "utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", type=Path, help=f"folder that holds any of {', '.join(SETS)}, each with dev/ in it"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_named,
        metavar="NAME=FOLDER",
        help="one more set; repeatable",
    )
    parser.add_argument("--bundles", nargs="+", default=["latin", "ppocrv6-small"], metavar="BUNDLE")
    names = [peer.name for peer in PEERS]
    parser.add_argument(
        "--peers", nargs="*", default=names[:3], choices=names, metavar="PEER",
        help=f"of {', '.join(names)} (default: the first three); what they read is kept",
    )  # fmt: skip
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every n-th page")
    parser.add_argument(
        "--timed",
        type=int,
        default=8,
        metavar="N",
        help="pages of each set that engines are timed on (%(default)s)",
    )
    parser.add_argument("--again", action="store_true", help="read all pages again, whatever was kept")
    parser.add_argument(
        "--output", type=Path, default=ENVIRONMENTS / "results", help="of the tables (%(default)s)"
    )
    parser.add_argument(
        "--update", type=Path, nargs="*", default=[], metavar="PAGE", help="of the documentation"
    )
    return parser


def _named(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FOLDER")
    return name, Path(folder)


def _folders(data: Path | None, named: dict[str, Path]) -> dict[str, Path]:
    found = {name: data / name / "dev" for name in SETS} if data else {}
    folders = {name: folder for name, folder in found.items() if folder.is_dir()} | named
    if not folders:
        raise UsageError("no set to read: name a folder by --data, or sets by --set NAME=FOLDER")
    for name in set(found) - set(folders):
        print(f"{found[name]} is not there: left out", file=sys.stderr)
    return folders


def read_set(name: str, folder: Path, every: int = 1) -> DevSet:
    """Reads a set's labels.

    Raises:
        FileNotFoundError: the folder holds no labels.
        UsageError: a label file is none, or lacks an image.
    """
    images = images_of(folder)[::every]
    lines = truth_of(images)
    words = folder / "words.jsonl"
    if not words.is_file():
        return DevSet(name, tuple(image.path for image in images), lines, lines)
    labelled = texts_of(load_readings(words))
    if missing := sorted(set(lines) - set(labelled)):
        raise UsageError(f"{words} lacks {missing[0]}")
    return DevSet(
        name, tuple(image.path for image in images), lines, {image: labelled[image] for image in lines}
    )


def measure(dev: DevSet, engines: Sequence[Engine], timed: int, again: bool = False) -> list[Row]:
    """Scores engines on a set, and times them on some of its pages."""
    read = [_told(dev, engine, read_all(engine, dev.paths, again)) for engine in engines]
    seconds: Sequence[float | None] = [None] * len(engines)
    if timed:
        seconds = processor_seconds(engines, spread(dev.paths, timed))
    return [row_of(dev, *each) for each in zip(engines, read, seconds, strict=True)]


def _told(dev: DevSet, engine: Engine, read: Texts) -> Texts:
    print(f"{dev.name}: {engine.title} has read {len(read)} pages", file=sys.stderr, flush=True)
    return read


def row_of(dev: DevSet, engine: Engine, read: Texts, seconds: float | None) -> Row:
    """Scores an engine on a set."""
    fold = not has_case(dev.words)
    detection = score(dev.lines, read).detection
    words = score(dev.words, read, fold).words
    return Row(engine.title, engine.megabytes, dev.name, len(dev.paths), words, detection, seconds)


def tables(rows: Sequence[Row]) -> str:
    """Word F1, detection's H-mean and processor seconds of all engines on all sets, as tables in Markdown."""
    pages = ", ".join(f"{count} {name}" for name, count in {row.set: row.pages for row in rows}.items())
    parts = [f"Word F1 ({pages}):", _table(rows, lambda row: share(row.words))]
    parts += ["H-mean of the lines found:", _table(rows, lambda row: share(row.detection))]
    if any(row.seconds is not None for row in rows):
        parts += [
            "Processor seconds a page, one core:",
            _table(rows, lambda row: "-" if row.seconds is None else f"{row.seconds:.2f}"),
        ]
    return "\n\n".join(parts)


def _table(rows: Sequence[Row], cell: Callable[[Row], str]) -> str:
    sets = list(dict.fromkeys(row.set for row in rows))
    lines = [line(["reader", "models, MB", *(name.replace("_", " ") for name in sets)])]
    lines.append(line(["---"] * (2 + len(sets))))
    for engine, megabytes in dict.fromkeys((row.engine, row.megabytes) for row in rows):
        cells = [cell(row) for row in rows if row.engine == engine]
        lines.append(line([engine, f"{megabytes:.1f}", *cells]))
    return "\n".join(lines)


def updated(page: str, text: str, name: str) -> str:
    """A page of the documentation with tables in the place of those that it has.

    Raises:
        UsageError: it has no place for them.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"{name} has no {BEGIN} with {END} behind it")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


if __name__ == "__main__":
    try:
        main()
    except (UsageError, FileNotFoundError) as error:
        sys.exit(f"benchmarks.quality: {error}")
