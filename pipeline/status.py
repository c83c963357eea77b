"""How the command ends: its exit status, and one line on stderr."""

from __future__ import annotations

import sys

DONE, FAILED, USAGE, TOO_MANY_ERRORS, INTERRUPTED = 0, 1, 2, 3, 130


def say(status: int, message: str) -> int:
    """Tells why the command ends with a status; returns it."""
    print(f"ppocr-beam: {message}", file=sys.stderr)
    return status


def reason(error: BaseException) -> str:
    """The last line that says something: Beam's errors hold whole tracebacks of workers."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1] if lines else type(error).__name__
    return text if len(text) <= 300 else text[:300] + "…"
