"""How the command ends: its exit status, and one line on stderr."""

from __future__ import annotations

import sys

DONE, FAILED, USAGE, TOO_MANY_ERRORS, INTERRUPTED = 0, 1, 2, 3, 130


def say(status: int, message: str) -> int:
    """Tells why the command ends with a status; returns it."""
    print(f"ppocr-beam: {message}", file=sys.stderr)
    return status
