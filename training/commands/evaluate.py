"""`ppocr-train evaluate`: scores of a bundle or of any engine's predictions on labelled pages or lines.

    ppocr-train evaluate receipts/dev/Label.txt --bundle latin --fold --workers 2 --output scores
    ppocr-train evaluate receipts/dev/Label.txt --predictions other.jsonl --fold
    ppocr-train evaluate words/rec_gt.txt --bundle latin

Predictions are one image a line, where `score` may be left out:
`{"image": name, "lines": [{"poly": [[x, y], ...], "text": str, "score": float}]}`.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.records import UsageError
from training.commands import positive

if TYPE_CHECKING:
    from training.data.labels import LabelledImage
    from training.evaluation.readings import Readings
    from training.evaluation.scoring import Tally, Text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "labels", type=Path, help="Label.txt of pages, rec_gt.txt of lines, or a folder of ICDAR's gt_*.txt"
    )
    engine = parser.add_mutually_exclusive_group(required=True)
    engine.add_argument("--bundle", help="name or folder of a bundle")
    engine.add_argument("--predictions", type=Path, metavar="JSONL", help="what any engine read on the pages")
    parser.add_argument(
        "--lines", action="store_true", help="read labelled lines cut out of the pages, detection left aside"
    )
    parser.add_argument("--fold", action="store_true", help="compare without case")
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="take every n-th image")
    parser.add_argument("--workers", type=int, default=1, help="processes that read (default: %(default)s)")
    parser.add_argument(
        "--direction",
        choices=("all", "sample", "off"),
        default="sample",
        help="which lines are asked whether they are upside down (default: %(default)s)",
    )
    parser.add_argument("--worst", type=int, default=20, help="cases on the sheet (default: %(default)s)")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="write scores.json, images.csv, readings.jsonl and worst.html there",
    )


def run(args: argparse.Namespace) -> int:
    """Scores and prints; writes where asked to."""
    from training.evaluation.labelled import holds_pages, labelled_images

    images = labelled_images(args.labels)[:: args.every]
    with _folder(args.output):
        if holds_pages(images) and not args.lines:
            scores = _pages(args, images)
        elif args.bundle:
            scores = _lines(args, images)
        else:
            raise UsageError(f"{args.labels} holds lines, and predictions are of pages: give a --bundle")
    if args.output:
        about = {
            "labels": str(args.labels),
            "engine": args.bundle or str(args.predictions),
            "fold": args.fold,
        }
        text = json.dumps({**about, **scores}, ensure_ascii=False, indent=1)
        (args.output / "scores.json").write_text(text + "\n", "utf-8")
    return 0


@contextmanager
def _folder(path: Path | None) -> Iterator[None]:
    """Makes a folder before the long part, and removes it where that fails and has written nothing."""
    if path is None or path.is_dir():
        yield
        return
    path.mkdir(parents=True)
    try:
        yield
    except BaseException:
        if not any(path.iterdir()):
            path.rmdir()
        raise


def _pages(args: argparse.Namespace, images: tuple[LabelledImage, ...]) -> dict[str, Any]:
    from training.evaluation.coco import average_precision
    from training.evaluation.readings import save_readings, texts_of, truth_of
    from training.evaluation.scoring import Tally, tallies

    truth = truth_of(images)
    readings, rate = _readings(args, images)
    read = texts_of(readings)
    counts = tallies(truth, read, args.fold)
    total = sum(counts.values(), Tally())
    missing = len(set(truth) - set(readings))
    scores = {
        "images": len(truth),
        "missing": missing,
        **asdict(total.score),
        "precision": total.precision,
        "recall": total.recall,
        **average_precision(truth, readings),
        **rate,
    }
    print_scores(scores)
    if args.output:
        save_readings(readings, args.output / "readings.jsonl")
        write_table(counts, args.output / "images.csv")
        _page_sheet(args, images, truth, read, counts)
    return {"pages": scores}


def _readings(
    args: argparse.Namespace, images: tuple[LabelledImage, ...]
) -> tuple[Readings, dict[str, float]]:
    from models.reader import ReadOptions
    from training.evaluation.readings import load_readings, read_images

    if args.predictions:
        return load_readings(args.predictions), {}
    options = ReadOptions(direction=args.direction)
    start = time.perf_counter()
    readings = dict(read_images(args.bundle, [image.path for image in images], options, args.workers))
    return readings, {"images_per_second": len(images) / (time.perf_counter() - start)}


def print_scores(scores: dict[str, Any]) -> None:
    """One score a line."""
    for name, value in scores.items():
        print(f"{name:<20}{value:>10.4f}" if isinstance(value, float) else f"{name:<20}{value:>10}")


def write_table(counts: dict[str, Tally], path: Path) -> None:
    """What was counted on each image, and its word F1, as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        for number, (image, tally) in enumerate(counts.items()):
            values = {
                "image": image,
                **asdict(tally),
                **{f"{k}_score": v for k, v in asdict(tally.score).items()},
            }
            if number == 0:
                rows.writerow(values)
            rows.writerow(f"{value:.4f}" if isinstance(value, float) else value for value in values.values())


def _page_sheet(
    args: argparse.Namespace,
    images: tuple[LabelledImage, ...],
    truth: dict[str, list[Text]],
    read: dict[str, list[Text]],
    counts: dict[str, Tally],
) -> None:
    from training.evaluation.sheet import differences, page_section, write_sheet

    paths = {image.path.name: image.path for image in images}
    worst = sorted(counts, key=lambda image: counts[image].score.words)[: args.worst]
    sections = [
        page_section(paths[name], counts[name], differences(truth[name], read.get(name, []), args.fold))
        for name in worst
    ]
    write_sheet(sections, args.output / "worst.html")


def _lines(args: argparse.Namespace, images: tuple[LabelledImage, ...]) -> dict[str, Any]:
    from models.bundle import load_bundle
    from training.evaluation.labelled import labelled_lines
    from training.evaluation.lines import direction_scores, line_scores, read_lines
    from training.evaluation.scoring import normal
    from training.evaluation.sheet import line_section, write_sheet

    bundle = load_bundle(args.bundle)
    spec = bundle.manifest.recognition
    lines, turned = list(labelled_lines(images, spec)), list(labelled_lines(images, spec, turned=True))
    pairs = read_lines(bundle, lines)
    scores = {name: asdict(score) for name, score in line_scores(pairs).items()}
    direction = direction_scores(bundle, lines, turned)
    print(f"{'lines':<20}{len(lines):>10}\n{'':<20}{'exact':>10}{'1-NED':>10}")
    for name, score in scores.items():
        print(f"{name:<20}{score['exact']:>10.4f}{score['similarity']:>10.4f}")
    print_scores({f"direction {name}": value for name, value in direction.items()})
    if args.output:
        wrong = [(line, read) for line, (_, read) in zip(lines, pairs, strict=True)]
        wrong = [
            (line, read) for line, read in wrong if normal(line.text, args.fold) != normal(read, args.fold)
        ]
        write_sheet(
            [line_section(line, read) for line, read in wrong[: args.worst]], args.output / "worst.html"
        )
    return {"lines": {"count": len(lines), **scores}, "direction": direction}
