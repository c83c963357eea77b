"""How the command ends: its exit status, and one line on stderr."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from typing import NoReturn

DONE, FAILED, USAGE, TOO_MANY_ERRORS, INTERRUPTED = 0, 1, 2, 3, 130


def say(status: int, message: str) -> int:
    """Tells why the command ends with a status; returns it."""
    with contextlib.suppress(OSError):  # nobody listens any more
        print(f"ppocr-beam: {message}", file=sys.stderr, flush=True)
    return status


def tell(text: str) -> OSError | None:
    """Prints a result; returns why it could not, which changes nothing of what is done."""
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again at its end
        return error
    return None


def leave(status: int) -> NoReturn:
    """Ends the process with a status, once all is done that is registered to be done at its end.

    Python takes itself apart at its end while threads of libraries still run: one of obstore's that calls it
    then brings the process down, with the status of a crash.
    """
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):  # closed ones are None
        with contextlib.suppress(OSError):  # nobody listens any more
            stream.flush()
    os._exit(status)


def reason(error: BaseException) -> str:
    """The last line that says something: Beam's errors hold whole tracebacks of workers."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1] if lines else type(error).__name__
    return text if len(text) <= 300 else text[:300] + "…"
