"""The process that workers are forked from.

It has one thread and has imported what workers need, so that they start at once and nothing of the driver's
threads and connections comes along. Driver and nursery speak through a pair of sockets without a name: a byte
and what the worker shall have open one way, its process id the other way. When the driver is gone, however it
went, the nursery ends its workers, also those that hear nothing while native code keeps them.

Python's `forkserver` does as much, but it begins with the working folder in its path of modules, and listens
on a socket with a name, which Python before 3.10.9 gives to everybody on the machine.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_PRELOADED = (
    "pipeline.lean",
    "pipeline.logs",
    "pipeline.graph",
    "apache_beam.runners.worker.sdk_worker",
    "onnxruntime",
)
_ASKED = b"w"
_FILES = 4
_BYTES = 8
_PLAIN = re.compile(r"/[\w./+-]{0,63}", re.ASCII)
"""Folders whose sockets' names fit into the system's 104 bytes and mean the same to everybody."""


@dataclass(frozen=True, slots=True)
class Nursery:
    """The driver's end.

    Attributes:
        process: the nursery.
        line: leads to it.
        folder: for sockets, of this user alone; the nursery removes it in the end.
    """

    process: subprocess.Popen[bytes]
    line: socket.socket
    folder: str

    @classmethod
    def start(cls) -> Nursery:
        """Starts a nursery, which imports what workers need in the meantime.

        Ctrl-C reaches all processes of a terminal; this one is deaf to it, or it would print a traceback.
        """
        ours, its = socket.socketpair()
        folder = _folder()
        isolated = ["-I"] if sys.flags.isolated else []
        command = [sys.executable, *isolated, __file__, str(its.fileno()), folder]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[its.fileno()])
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            its.close()
        return cls(process, ours, folder)

    def fork(self, files: Sequence[int]) -> int:
        """Has a worker forked that gets copies of four open files; returns its process id.

        Raises:
            RuntimeError: the nursery is gone.
        """
        try:
            socket.send_fds(self.line, [_ASKED], files)
            answer = self.line.recv(_BYTES, socket.MSG_WAITALL)
        except OSError:
            answer = b""
        except BaseException:
            self.line.close()  # or its answer would be taken for the next one's
            raise
        if len(answer) < _BYTES:
            raise RuntimeError("the process that workers are forked from has ended; is there enough memory?")
        return int.from_bytes(answer, "little")

    def lives(self) -> bool:
        """Whether it can be asked."""
        return self.line.fileno() >= 0 and self.process.poll() is None

    def close(self) -> None:
        """Ends the nursery and all its workers."""
        self.line.close()
        self.process.wait()


def _folder() -> str:
    """A new folder for sockets: not in TMPDIR where that has a long name."""
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if _PLAIN.fullmatch(parent):
            with contextlib.suppress(OSError):
                return tempfile.mkdtemp(prefix="ppocr-beam-", dir=parent)
    raise RuntimeError(
        "worker processes need a folder for sockets: set TMPDIR to one with a short, plain name"
    )


def serve(line: socket.socket, live: Callable[[Sequence[int]], Any]) -> None:
    """Forks a worker whenever the driver asks for one, until the driver is gone; then ends them all.

    Args:
        line: leads to the driver.
        live: a worker's life, from its open files on.
    """
    living = set[int]()
    while True:
        asked, files, *_ = socket.recv_fds(line, len(_ASKED), _FILES)
        living = {pid for pid in living if os.waitpid(pid, os.WNOHANG) == (0, 0)}
        if not asked:
            break
        pid = os.fork()
        if pid == 0:
            line.close()
            _live(live, files)
        living.add(pid)
        for file in files:
            os.close(file)
        line.sendall(pid.to_bytes(_BYTES, "little"))
    for pid in living:
        os.kill(pid, signal.SIGKILL)


def _live(live: Callable[[Sequence[int]], Any], files: Sequence[int]) -> None:
    """Lives a worker's life, and never comes back from it into the nursery's."""
    try:
        live(files)
    except BaseException:
        logging.debug("a worker's life", exc_info=True)
    finally:
        os._exit(1)


def main(descriptor: str, folder: str) -> None:
    """The nursery's life."""
    for name in _PRELOADED:
        with contextlib.suppress(ImportError):  # the driver imports it too and says what is missing
            importlib.import_module(name)
    from pipeline.life import live

    with contextlib.suppress(OSError):  # the driver is gone before it has its answer
        serve(socket.socket(fileno=int(descriptor)), live)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    # Python has put the folder of this file first, whose modules are no top-level ones.
    _here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [*(path for path in sys.path if path != _here), os.path.dirname(_here)]
    importlib.import_module("ppocr_beam")
    main(*sys.argv[1:])
    os._exit(0)
