"""The command `ppocr-beam`, also `python -m pipeline`.

    ppocr-beam scans/ --output out    the job
    ppocr-beam show out               one of `pipeline.commands`

Beam is imported only when there is work to do: a mistake in the command line is told within a second.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence

from models.records import UsageError
from pipeline import logs
from pipeline.commands import run_named
from pipeline.options import parse
from pipeline.status import USAGE, leave, say


def start() -> int:
    """The command as a process of its own, which `main` may not be; returns its exit status."""
    importlib.import_module("pipeline.lean")
    return main()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    logging.basicConfig(format=logs.FORMAT)
    if (status := run_named(argv)) is not None:
        return status
    try:
        options = parse(argv)
    except UsageError as error:
        return say(USAGE, str(error))
    if options.verbose:
        logs.show()
    from pipeline.command import command  # --help does without

    return command(options)


if __name__ == "__main__":
    leave(start())
