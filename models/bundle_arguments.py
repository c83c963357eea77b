"""Arguments that every command which makes a bundle has, with one meaning."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from models.bundle import About
from models.records import UsageError


def add_arguments(parser: argparse.ArgumentParser, source: str = "") -> None:
    """Adds what a bundle is to be called, what is to be said of it, and which of its values to change.

    Args:
        parser: of the command.
        source: where the models come from, unless the user says so.
    """
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        type=parse_override,
        metavar="MODEL.KEY=VALUE",
        help="a value that differs from the models' own, such as detection.unclip_ratio=1.6 or "
        "recognition.widths=[64,96,128]; repeatable",
    )
    about = parser.add_argument_group("about")
    about.add_argument("--name", help="the bundle's name (default: the output folder's)")
    about.add_argument("--license", default="Apache-2.0", help="of the models; SPDX (default: %(default)s)")
    about.add_argument("--languages", nargs="+", default=[], metavar="CODE", help="such as en zh")
    about.add_argument("--trained_on", nargs="+", default=[], metavar="NAME", help="names of data sets")
    about.add_argument("--description", default="", help="one sentence")
    about.add_argument("--source", default=source, help="where the models came from")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FOLDER", help="a new folder for the bundle"
    )


def about_of(args: argparse.Namespace) -> About:
    """What was given about the bundle."""
    return About(
        args.name or args.output.name,
        args.license,
        tuple(args.languages),
        tuple(args.trained_on),
        args.description,
        args.source,
    )


def parse_override(text: str) -> tuple[str, Any]:
    """`recognition.height=32` as ("recognition.height", 32); lists as JSON, everything else as it reads best.

    Raises:
        UsageError: there is no `=` or no dot before it, or several values that are no list.
    """
    name, equals, value = text.partition("=")
    if not equals or "." not in name:
        raise UsageError(f"{text!r} is not MODEL.KEY=VALUE, such as recognition.height=32")
    try:
        parsed = json.loads(value)
    except ValueError:
        if len(numbers := value.replace(",", " ").split()) > 1 and all(each.isdigit() for each in numbers):
            raise UsageError(f"{text!r}: a list stands in brackets: {name}=[{', '.join(numbers)}]") from None
        parsed = value
    return name, tuple(parsed) if isinstance(parsed, list) else parsed
