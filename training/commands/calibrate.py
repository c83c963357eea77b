"""`ppocr-train calibrate`: confidences that are chances of being right, and thresholds by labelled pages.

    ppocr-train calibrate ppocrv6-small --data receipts/dev forms/dev scene_photos/dev --output v6-calibrated

Reads the pages of all sets, finds the calibration of characters' confidences, the `min_confidence` of the
best word F1 and the `review_threshold` that marks at most 5 % of the right lines of each set, and writes a
copy of the bundle that has them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from training.commands import positive

if TYPE_CHECKING:
    from training.evaluation.calibration import Quality


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("bundle", help="name or folder of a bundle")
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="LABELS",
        help="labels of pages, or folders that hold them",
    )
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="take every n-th page")
    parser.add_argument(
        "--output", required=True, type=Path, metavar="FOLDER", help="a new folder for the bundle"
    )


def run(args: argparse.Namespace) -> int:
    """Calibrates, and says what it changed."""
    from models.bundle import load_bundle
    from training.evaluation.calibration import calibrate, measure, read_pages, write_calibrated
    from training.evaluation.labelled import labelled_images

    bundle = load_bundle(args.bundle)
    before = bundle.manifest.recognition
    images = {name: labelled_images(Path(name))[:: args.every] for name in args.data}
    sets = {name: read_pages(bundle, of_set) for name, of_set in images.items()}
    after = calibrate(sets, before)
    for name, pages in sets.items():
        print(report(name, len(pages), measure(pages, before), measure(pages, after)))
    for key in ("confidence_scale", "confidence_shift", "min_confidence", "review_threshold"):
        print(f"recognition.{key}: {getattr(before, key)} -> {getattr(after, key)}")
    written = write_calibrated(args.bundle, after, args.output)
    print(f"{args.output}: id {written.id}")
    return 0


def report(name: str, pages: int, before: Quality, after: Quality) -> str:
    """What became of a set, in a few lines."""
    rows = [f"{name}: {pages} pages, {after.wrong:.1%} of the lines that are kept are wrong"]
    for title, key in (
        ("expected calibration error", "error"),
        ("wrong lines marked for review", "caught"),
        ("right lines marked too", "marked"),
        ("word F1", "words"),
    ):
        rows.append(f"  {title:<32}{getattr(before, key):>8.4f} -> {getattr(after, key):.4f}")
    return "\n".join(rows)
