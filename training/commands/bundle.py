"""`ppocr-train bundle`: three models to a verified bundle.

ppocr-train bundle --name latin --output latin --detection runs/det/best.safetensors \
        --direction runs/cls/best.safetensors --recognition runs/rec/best.safetensors \
        --figures receipts=scores/receipts.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from models import bundle_arguments
from models.records import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    models = parser.add_argument_group("models, checkpoints or exported ONNX files")
    models.add_argument("--detection", "--detector", type=Path, required=True, metavar="FILE")
    models.add_argument("--direction", type=Path, required=True, metavar="FILE")
    models.add_argument("--recognition", "--recognizer", type=Path, required=True, metavar="FILE")
    models.add_argument(
        "--language",
        type=Path,
        metavar="FILE",
        help="a language model of ppocr-train language, for the recogniser's file "
        "(asked with --set recognition.language_weight=0.25 --set recognition.language_bonus=0.5)",
    )
    bundle_arguments.add_arguments(parser, source="trained from scratch by ppocr-train")
    parser.add_argument(
        "--figures",
        action="append",
        default=[],
        type=_figures,
        metavar="SET=JSON",
        help="what ppocr-train evaluate wrote, for the card; repeatable",
    )
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--max_bytes", type=int, help="refuse a bundle whose files have more (default: any size)"
    )
    limits.add_argument(
        "--least_words",
        type=float,
        default=0.5,
        help="word F1 that it must reach on plain made print (default: %(default)s)",
    )


def _figures(text: str) -> tuple[str, dict[str, Any]]:
    name, equals, path = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not SET=JSON, such as receipts=scores.json")
    try:
        scores: dict[str, Any] = json.loads(Path(path).read_text("utf-8"))["pages"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise argparse.ArgumentTypeError(f"{path} holds no scores of pages: {error!r}") from None
    return name, scores


def run(args: argparse.Namespace) -> int:
    """Makes the bundle and says what it is."""
    from models.language import Language
    from training.bundle import Limits, make_bundle, size

    models = {"detection": args.detection, "direction": args.direction, "recognition": args.recognition}
    for path in (*models.values(), *([args.language] if args.language else [])):
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
    bundle = make_bundle(
        models,
        bundle_arguments.about_of(args),
        args.output,
        overrides=dict(args.settings),
        figures=dict(args.figures),
        language=Language.from_json(args.language.read_text("utf-8")) if args.language else None,
        limits=Limits(args.max_bytes, args.least_words),
    )
    print(f"{args.output}: {size(bundle):,} bytes, id {bundle.id}")
    return 0
