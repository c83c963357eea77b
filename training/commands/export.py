"""`ppocr-train export`: a checkpoint to an ONNX file, checked against it.

ppocr-train export runs/rec/best.safetensors --output rec.onnx --labels crops/rec_gt.txt
"""

from __future__ import annotations

import argparse
from pathlib import Path

WEIGHTS = ("int8", "float16", "float32")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("checkpoint", type=Path, help="a .safetensors of ppocr-train train")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="ONNX", help="the file to write")
    parser.add_argument(
        "--weights", choices=WEIGHTS, default=WEIGHTS[0], help="how they are stored (default: %(default)s)"
    )
    parser.add_argument(
        "--labels",
        type=Path,
        help="Label.txt or rec_gt.txt: check on its lines or pages and report accuracy (default: made ones)",
    )
    parser.add_argument(
        "--samples",
        type=int,
        default=200,
        help="most lines to check on; pages: a tenth (default: %(default)s)",
    )
    parser.add_argument(
        "--agreement",
        type=float,
        default=0.98,
        metavar="SHARE",
        help="least share of decisions that int8 or float16 weights must leave alone (default: %(default)s)",
    )
    parser.add_argument("--fold", action="store_true", help="accuracy without case")


def run(args: argparse.Namespace) -> int:
    """Exports, prints what was measured, writes."""
    from training.export import accepted, export, report, write_model
    from training.graph import load_trained
    from training.parity import labelled_samples, specimens

    trained = load_trained(args.checkpoint)
    if args.labels:
        samples = labelled_samples(trained.spec, args.labels, args.samples)
    else:
        samples = specimens(trained.spec)
    exported = export(trained, samples, args.fold)
    print(report(exported))
    write_model(accepted(exported, args.weights, args.agreement), args.output)
    print(f"wrote {args.output} with {args.weights} weights")
    return 0
