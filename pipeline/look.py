"""What commands that look at a job's output share: one argument, and one line where it cannot be read."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from models.records import InputError, UsageError
from pipeline.status import DONE, USAGE


def look(name: str, tell: Callable[[str], None], argv: Sequence[str] | None) -> int:
    """Runs `python -m pipeline.NAME OUT`.

    Args:
        name: of the command.
        tell: prints what there is to see in OUT.
        argv: None: the process's own.

    Returns:
        The exit status.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(f"usage: python -m pipeline.{name} OUT", file=sys.stderr)
        return USAGE
    try:
        tell(arguments[0])
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (UsageError, InputError, OSError) as error:
        print(f"pipeline.{name}: {error}", file=sys.stderr)
        return USAGE
    return DONE
