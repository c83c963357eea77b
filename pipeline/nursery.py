"""The process that workers are forked from.

It has one thread and has imported what workers need, so that they start at once and nothing of the driver's
threads and connections comes along. Driver and nursery speak through a pair of sockets without a name: a byte
and what the worker shall have open one way, its process id the other way. When the driver is gone, however it
went, the nursery ends its workers, also those that hear nothing while native code keeps them.

Python's `forkserver` does as much, but it begins with the working folder in its path of modules, and listens
on a socket with a name, which Python before 3.10.9 gives to everybody on the machine.
"""

from __future__ import annotations

import atexit
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

_ENTRY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "ppocr_beam.py")
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
        folder: for sockets, of this user alone; the nursery removes it where the driver cannot any more.
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
        command = [sys.executable, *isolated, _ENTRY, str(its.fileno()), folder]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[its.fileno()])
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            its.close()
        nursery = cls(process, ours, folder)
        atexit.register(nursery.close)
        return nursery

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
        """Ends the nursery, whose workers have ended, also while it still imports; removes the folder."""
        self.line.close()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


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
    """The nursery's life, from its start by `ppocr_beam.nursery` to its end."""
    with contextlib.suppress(ImportError, OSError):  # the driver imports the same, or is gone
        for name in _PRELOADED:
            importlib.import_module(name)
        serve(socket.socket(fileno=int(descriptor)), importlib.import_module("pipeline.life").live)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)
