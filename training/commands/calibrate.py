"""`ppocr-train calibrate`: confidences that are chances of being right, and thresholds by labelled pages.

    ppocr-train calibrate ppocrv6-small --data receipts/dev forms/dev scene_photos/dev --output v6-calibrated

Reads the pages of all sets, and finds the `min_confidence` of the best word F1, the calibration of lines'
confidences, and the `review_threshold` that marks 5 % of the right lines, in the mean of the sets. Writes a
copy of the bundle that has them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from training.commands import positive, share

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
        "--min_confidence",
        type=share,
        metavar="P",
        help="in the place of the one with the best word F1, where no set shall lose any",
    )
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FOLDER", help="a new folder for the bundle"
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
    after = calibrate(sets, before, args.min_confidence)
    for name, pages in sets.items():
        print(report(name, len(pages), measure(pages, before), measure(pages, after)))
    for key in ("min_confidence", "confidence_scale", "confidence_shift", "review_threshold"):
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
