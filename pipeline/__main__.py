"""The command `ppocr-beam`, also `python -m pipeline`.

    ppocr-beam --input scans/ --output out

Beam is imported only when there is work to do: a mistake in the command line is told within a second.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence

from models.records import UsageError
from pipeline import logs
from pipeline.options import parse
from pipeline.status import USAGE, leave, say


def start() -> int:
    """The command as a process of its own, which `main` may not be; returns its exit status."""
    importlib.import_module("pipeline.lean")
    return main()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    logging.basicConfig(format=logs.FORMAT)
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
    except UsageError as error:
        return say(USAGE, str(error))
    if options.verbose:
        logs.show()
    from pipeline.command import command  # --help does without

    return command(options)


if __name__ == "__main__":
    leave(start())
