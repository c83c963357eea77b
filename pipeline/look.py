"""What commands that look at a job's output share: the output named, and one line where it cannot be read."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from models.records import InputError, UsageError
from models.version import add_version
from pipeline.status import DONE, INTERRUPTED, USAGE


def look(
    name: str,
    what: str,
    tell: Callable[[argparse.Namespace], None],
    argv: Sequence[str] | None,
    add: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> int:
    """Runs `python -m pipeline.NAME OUT`.

    Args:
        name: of the command.
        what: it does, for its help.
        tell: prints what there is to see in `output`, one of the arguments.
        argv: None: the process's own.
        add: adds further arguments.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog=f"python -m pipeline.{name}", description=what)
    parser.add_argument("output", metavar="OUT", help="what the job was given as --output")
    add(parser)
    add_version(parser)
    try:
        tell(parser.parse_args(argv))
        sys.stdout.flush()
    except SystemExit as end:  # argparse has told the usage
        return int(end.code or DONE)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads on, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (UsageError, InputError, OSError) as error:
        print(f"pipeline.{name}: {error}", file=sys.stderr)
        return USAGE
    return DONE
