"""`ppocr-train blend`: a mean of the weights of two networks, one of which was trained on from the other.

ppocr-train blend runs/a/last.safetensors runs/b/last.safetensors --share 0.5 --output runs/mean.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("start", type=Path, help="a .safetensors of ppocr-train")
    parser.add_argument("trained", type=Path, help="another one, of the same network")
    parser.add_argument(
        "--share",
        type=float,
        default=0.5,
        help="how far to go from the first to the second, 0 to 1 (default: %(default)s)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the .safetensors to write"
    )


def run(args: argparse.Namespace) -> int:
    """Blends averaged weights where there are any, scores them on the run's dev sets, writes a checkpoint."""
    from models.records import UsageError
    from training.checkpoint import load_checkpoint, load_network, save_checkpoint
    from training.config import build_config
    from training.finetuning.blend import blended
    from training.pruning.sensitivity import score
    from training.tasks.loop import build_task

    if not 0 <= args.share <= 1:
        raise UsageError(f"--share is {args.share:g}, must be 0 to 1")
    if args.output.exists():
        raise UsageError(f"{args.output} is there already; choose another --output")
    start, trained = load_checkpoint(args.start), load_checkpoint(args.trained)
    for fact in ("network", "charset"):
        if (start.state.get(fact) or "") != (trained.state.get(fact) or ""):
            raise UsageError(f"{args.start} and {args.trained} have no mean: they differ in the {fact}")
    network = load_network(args.trained)
    weights = blended(load_network(args.start).state_dict(), network.state_dict(), args.share)
    network.load_state_dict(weights)
    scores = score(build_task(build_config(trained.state["config"])), network)
    state = {**trained.state, "scores": scores}
    save_checkpoint(args.output, {f"net.{name}": value for name, value in weights.items()}, state)
    print(", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    print(f"wrote {args.output}: {args.share:g} of the way from {args.start} to {args.trained}")
    return 0
