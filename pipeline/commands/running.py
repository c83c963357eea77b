"""What all commands beside the job do: read their arguments, work, and say in one line why they could not."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from models.records import InputError, UsageError
from models.version import add_version
from pipeline.commands import COMMANDS
from pipeline.status import DONE, INTERRUPTED, USAGE


class _Parser(argparse.ArgumentParser):
    """Says what is meant where somebody wants the job to read a folder that is called like a command."""

    def error(self, message: str) -> NoReturn:
        name = self.prog.split()[-1]
        hint = f" (to read the folder {name}, name it ./{name})" if os.path.exists(name) else ""
        super().error(f"{message}{hint}")


def run(
    name: str,
    add: Callable[[argparse.ArgumentParser], None],
    work: Callable[[argparse.Namespace], None],
    argv: Sequence[str] | None,
) -> int:
    """Runs the command `ppocr-beam NAME`.

    Args:
        name: of the command, as in `COMMANDS`.
        add: adds its arguments.
        work: does what they ask for; may raise `UsageError`, `InputError` and `OSError`.
        argv: None: the process's own.

    Returns:
        The exit status.
    """
    what = COMMANDS[name]
    parser = _Parser(f"ppocr-beam {name}", description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False)
    add(parser)
    add_version(parser)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may lack letters that pages have
    try:
        work(parser.parse_args(argv))
        sys.stdout.flush()
    except SystemExit as end:  # argparse has told the usage
        return int(end.code or DONE)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # nobody reads on, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (UsageError, InputError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return USAGE
    return DONE


def add_output(parser: argparse.ArgumentParser) -> None:
    """Adds `output`, which most commands look at."""
    parser.add_argument("output", metavar="OUT", help="what the job was given as --output")
