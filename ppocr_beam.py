"""Where the commands begin: they run the installed code, whatever the working folder or PYTHONPATH hold.

Importing this module does it, before anything else of the project is imported. `models` and `pipeline` are
names that others use too, and a folder of scans may hold a file that is called like a module.
"""

from __future__ import annotations

import os
import signal
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))
PACKAGES = frozenset(("models", "pipeline", "training", "transforms"))


def elsewhere(path: str) -> bool:
    """Whether an entry of `sys.path` is another folder than the working one, or the one of this file."""
    folder = os.path.realpath(path or os.curdir)
    return folder != os.path.realpath(os.curdir) or folder == os.path.realpath(ROOT)


sys.path[:] = filter(elsewhere, sys.path)

import contextlib  # noqa: E402 - not from the working folder
from collections.abc import Iterator  # noqa: E402
from importlib.machinery import ModuleSpec, PathFinder  # noqa: E402
from typing import Any, NoReturn  # noqa: E402


class _Ours:
    """Finds the project's packages beside this file before anybody else is asked."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [ROOT]) if name in PACKAGES else None


sys.meta_path.insert(0, _Ours)


def quieten(*numbers: signal.Signals) -> None:
    """Lets signals end this process at once, in one line.

    An exception in an import is printed as a traceback, or swallowed by the library that imports. A signal
    that is ignored stays so.
    """
    for number in numbers:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, frame: Any) -> NoReturn:
    try:
        # Not through Python's own stderr: it may be in the middle of a line.
        os.write(2, b"ppocr-beam: Interrupted.\n")
    finally:
        os._exit(130)


@contextlib.contextmanager
def _importing() -> Iterator[None]:
    """Lets Ctrl-C end this process at once, as `quieten` does; behind it does what it did before."""
    before = signal.getsignal(signal.SIGINT)
    quieten(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def job() -> NoReturn:
    """The command `ppocr-beam`; ends the process."""
    quieten(signal.SIGINT, signal.SIGTERM)
    from pipeline.__main__ import start
    from pipeline.status import leave

    leave(start())


def bundle() -> int:
    """The command `ppocr-bundle`; returns its exit status."""
    with _importing():
        from models.bundle_command import main
    return main()


def train() -> int:
    """The command `ppocr-train`; returns its exit status."""
    with _importing():
        from training.__main__ import main
    return main()


def nursery() -> None:
    """The process that workers are forked from, which `pipeline.nursery` starts."""
    if sys.path[0] == ROOT:  # Python has put it first, and other packages may lie in it
        sys.path.append(sys.path.pop(0))
    from pipeline.nursery import main

    main(*sys.argv[1:])


if __name__ == "__main__":
    nursery()
