"""`ppocr-train finetune`: a bundle tuned to your own documents, from 10 to 500 labelled images.

    ppocr-train finetune --bundle latin --data my/ --output bundles/mine
    ppocr-train finetune --bundle latin --data my/ --model detection recognition --output bundles/mine
    ppocr-train finetune --bundle latin --data my/ --output bundles/mine --steps 500 optimizer.lr=5e-4

The same command again goes on where it was stopped. `OUTPUT.work/report/NAME/report.md` tells how well
your held-out images, and made ones, are read before and after, and what going more or less far would give.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from models.bundle import MODELS
from models.records import UsageError
from training.commands import add_steps, settings
from training.finetuning import ALLOWED_LOSS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--bundle", required=True, help="name or folder of the bundle to start from")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="LABELS",
        help="your labels: Label.txt, rec_gt.txt, or a folder with either or ICDAR's gt_*.txt",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="a new folder for the bundle"
    )
    parser.add_argument(
        "--model",
        nargs="+",
        choices=MODELS,
        default=["recognition"],
        help="which models to tune (default: recognition)",
    )
    parser.add_argument("--name", default="", help="the bundle's name (default: the output folder's)")
    parser.add_argument(
        "--trained_on",
        default="",
        metavar="NAME",
        help="what the manifest calls your data (default: its folder)",
    )
    parser.add_argument(
        "--work",
        type=Path,
        metavar="FOLDER",
        help="sets, checkpoints and the report; the same command goes on from there (default: OUTPUT.work)",
    )
    training = parser.add_argument_group("training")
    training.add_argument(
        "--regularization",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="share of made text among what is learnt, so that the bundle forgets nothing; 0: none "
        "(default: %(default)s)",
    )
    training.add_argument(
        "--max_loss",
        type=float,
        metavar="SHARE",
        help="share of made lines that may be lost: the weights go as far towards the tuned ones as that "
        "allows; 1: all the way. The same command and --work, with another --output, trains no further "
        f"(default: {ALLOWED_LOSS}, or 1 with --regularization 0)",
    )
    training.add_argument(
        "--held_out",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="share of your images to stop by and to report on, never learnt from (default: %(default)s)",
    )
    training.add_argument(
        "--charset",
        default="labels",
        help="characters to add where the bundle lacks them: `labels` for those of your labels, or a file "
        "of one character a line (default: %(default)s)",
    )
    training.add_argument(
        "--freeze",
        nargs="+",
        default=[],
        metavar="LAYER",
        help="layers that stay as they are, such as stages.0",
    )
    training.add_argument(
        "--start",
        nargs="+",
        type=Path,
        default=[],
        metavar="CHECKPOINT",
        help="start from these .safetensors of ppocr-train instead of the bundle's own models",
    )
    add_steps(training, "of training (default: that of training/configs/finetune_MODEL.yaml)")
    training.add_argument(
        "--max_minutes", type=float, default=0.0, help="stop training after so long, resumably; 0: never"
    )
    training.add_argument(
        "--workers", type=int, default=1, help="processes that make and read pages (default: %(default)s)"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="settings laid over training/configs/finetune_MODEL.yaml, such as optimizer.lr=5e-4",
    )


def run(args: argparse.Namespace) -> int:
    """Tunes, and says where bundle and report are."""
    from training.bundle import size
    from training.finetuning.result import report_folder
    from training.finetuning.run import finetune
    from training.finetuning.wish import Wish

    for name, low, high in (("regularization", 0.0, 0.95), ("held_out", 0.01, 0.9), ("max_loss", 0.0, 1.0)):
        value = getattr(args, name)
        if value is not None and not low <= value <= high:
            raise UsageError(f"--{name} is {value}, must be from {low:g} to {high:g}")
    work = args.work or args.output.with_name(f"{args.output.name}.work")
    wish = Wish(
        bundle=args.bundle,
        labels=args.data,
        output=args.output,
        work=work,
        models=tuple(args.model),
        name=args.name,
        trained_on=args.trained_on,
        regularization=args.regularization,
        max_loss=args.max_loss,
        held_out=args.held_out,
        charset=args.charset,
        freeze=tuple(args.freeze),
        starts=tuple(args.start),
        overrides=tuple(settings(args)),
        workers=args.workers,
        max_minutes=args.max_minutes,
    )
    bundle = finetune(wish)
    if bundle is None:
        return 0
    folder = report_folder(wish)
    report = (folder / "report.md").read_text("utf-8").split("\n## ")[0]
    print(f"{report}\n{args.output}: {size(bundle):,} bytes, id {bundle.id}; more in {folder}")
    return 0
