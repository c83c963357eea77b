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
