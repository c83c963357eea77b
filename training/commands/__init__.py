"""The commands of `ppocr-train`, one module each: `add_arguments(parser)` and `run(args) -> exit status`."""

from __future__ import annotations

import argparse


def share(text: str) -> float:
    """The type of an option that must be from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must be from 0 to 1")
    return value


def positive(text: str) -> int:
    """The type of an option that must be 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def add_steps(parser: argparse._ActionsContainer, what: str, default: int | None = None) -> None:
    """Adds `--steps`, as every command that trains has it.

    Args:
        parser: the command's, or a group of it.
        what: of what they are steps.
        default: None: the configuration's.
    """
    shown = "" if default is None else " (default: %(default)s)"
    parser.add_argument("--steps", type=int, default=default, metavar="N", help=what + shown)


def settings(args: argparse.Namespace) -> list[str]:
    """The `key=value` given for a configuration, the number of steps among them."""
    return [*args.overrides, *([] if args.steps is None else [f"steps={args.steps}"])]
