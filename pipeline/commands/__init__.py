"""Commands beside the job, such as `ppocr-beam show OUT`: each is the module here of its name.

A module has `main(argv) -> int`, and imports what takes long when its arguments are read: `--help` is quick.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

COMMANDS = {
    "look": "read one file, print its text, and draw it where asked for",
    "report": "tell how far a job is, from its output alone",
    "show": "print what was read of a page, and draw it beside the page",
}
"""What each command does, for its help and the job's."""


def run_named(argv: Sequence[str]) -> int | None:
    """Runs the command that the first word names; returns its exit status.

    Args:
        argv: the words behind `ppocr-beam`.

    Returns:
        None where the first word names no command: the job is asked for.
    """
    if not argv or argv[0] not in COMMANDS:
        return None
    status: int = importlib.import_module(f"pipeline.commands.{argv[0]}").main(argv[1:])
    return status
