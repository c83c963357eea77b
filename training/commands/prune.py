"""`ppocr-train prune`: a trained network made smaller by FPGM (PP-OCR section 2.1), and fine-tuned.

ppocr-train prune runs/det/best.safetensors --output runs/pruned --max_bytes 1400000 --steps 2000
ppocr-train prune runs/det/best.safetensors --output runs/pruned --max_bytes 1400000 --steps 2000   # goes on
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training.commands import add_steps, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("checkpoint", type=Path, help="a .safetensors of ppocr-train train; stays as it is")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="laid over the checkpoint's configuration, for scoring and fine-tuning (data.dev.0.every=10)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="folder of the run; the same one again goes on with it",
    )
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--max_bytes", type=int, default=0, help="prune until the exported float32 file has so many"
    )
    budget.add_argument(
        "--max_loss",
        type=float,
        default=0.01,
        help="or as much of each layer as costs, alone and before fine-tuning, so much of the dev score "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--multiple",
        type=positive,
        default=4,
        help="of which channels left are a multiple (default: %(default)s)",
    )
    add_steps(parser, "of fine-tuning, 0: none", 1000)
    parser.add_argument(
        "--max_minutes", type=float, default=0.0, help="stop fine-tuning after so long, resumably; 0: never"
    )


def run(args: argparse.Namespace) -> int:
    """Prunes and prints before and after."""
    from training.pruning.run import Budget, prune, report

    budget = Budget(args.max_bytes, args.max_loss, args.multiple)
    rows = prune(
        args.checkpoint, args.output, budget, args.overrides, steps=args.steps, max_minutes=args.max_minutes
    )
    print(report(rows))
    return 0
