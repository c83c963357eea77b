"""`--version`, the same for every command."""

from __future__ import annotations

import argparse
import importlib.metadata


def add_version(parser: argparse.ArgumentParser) -> None:
    """Adds `--version`: the command's name and the package's version, and the process ends with 0."""
    parser.add_argument("--version", action="version", version=f"%(prog)s {version()}")


def version() -> str:
    """The version that is installed, such as `0.1.0`."""
    try:
        return importlib.metadata.version("ppocr-beam")
    except importlib.metadata.PackageNotFoundError:
        return "(a checkout that is not installed)"
