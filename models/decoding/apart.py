"""PDFs, opened and drawn in a process of their own.

PDFium cannot be interrupted: a few bytes of patterns, functions or shapes upon shapes keep it busy for hours,
and where it lacks memory it ends its process. So a child process draws, and the system bounds its processor
time, page by page. The child is kept for the next file; it ends with this process, also while it draws. It is
told a line of JSON and the file, and a line for each page that is wanted; it says a line of JSON for each,
whose pixels are in a file of memory that both have open.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import IO, Any

import numpy as np

from models.decoding import pdf
from models.limits import Limits
from models.records import InputError, Line, Page

PAGE_S = 30
"""Seconds of a processor that a page may take, the first with opening its file: most take a tenth of one."""

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_CHILD = """
import sys
sys.path[:] = [sys.argv[1], *filter(None, sys.path)]
import models
del sys.path[0]
from models.decoding.apart import serve
serve(sys.stdin.buffer, sys.stdout.buffer, int(sys.argv[2]))
"""
"""Finds this package first, whatever PYTHONPATH holds, and nothing in the working folder."""


@dataclass(frozen=True, slots=True)
class _Child:
    """A process that draws, the two ends of its pipes, and the file of a page's pixels."""

    process: subprocess.Popen[bytes]
    told: IO[bytes]
    says: IO[bytes]
    pixels: IO[bytes]

    def end(self) -> int:
        """Ends it, where it has not ended; returns its status."""
        self.process.kill()
        with contextlib.suppress(OSError):  # what it was not told yet
            self.told.close()
        self.says.close()
        self.pixels.close()
        return self.process.wait()


_idle: list[_Child] = []
os.register_at_fork(after_in_child=_idle.clear)  # they answer the parent


def pages(data: bytes, limits: Limits, one_channel: bool) -> Iterator[Page | InputError]:
    """Yields the pages of a PDF; see `models.decoding.decode_each`.

    Raises:
        InputError: as there. Reading stops with kind `too_large` at a page that takes over `PAGE_S` seconds,
            and with `crashed` where PDFium brings its process down.
    """
    child, error, ended = _take(), None, False
    try:
        _tell(child, {"bytes": len(data), "limits": asdict(limits), "one_channel": one_channel}, data)
        number = 0
        while not ended:
            _tell(child, PAGE_S)
            said = _heard(child, number := number + 1)
            ended = "end" in said
            if not ended:
                yield _page(said, child.pixels) if "width" in said else InputError(**said)
            elif said["end"]:
                error = InputError(**said["end"])
    finally:
        if ended:
            _idle.append(child)
        else:
            child.end()
    if error:
        raise error


def _take() -> _Child:
    """A child that has nothing to do; Ctrl-C in a terminal does not reach it."""
    with contextlib.suppress(IndexError):
        while (child := _idle.pop()).process.poll() is not None:
            child.end()
        return child
    pixels = _file_of_memory()
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD, _ROOT, str(pixels.fileno())],
        pass_fds=[pixels.fileno()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    return _Child(process, process.stdin, process.stdout, pixels)


def _file_of_memory() -> IO[bytes]:
    """A file without a name: where the system has none in memory, in the temporary folder."""
    if sys.platform == "linux":
        return open(os.memfd_create("page"), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


@atexit.register
def _end_idle() -> None:
    while _idle:
        _idle.pop().end()


def _tell(child: _Child, value: object, data: bytes = b"") -> None:
    with contextlib.suppress(BrokenPipeError):  # it is gone, as will be heard
        child.told.write(json.dumps(value).encode() + b"\n")
        child.told.write(data)
        child.told.flush()


def _heard(child: _Child, number: int) -> dict[str, Any]:
    """What the child says of the page of this number, from 1 on, or that it is through.

    Raises:
        InputError: the page has ended it.
    """
    said = child.says.readline()
    if said.endswith(b"\n"):
        return dict(json.loads(said))
    if child.process.wait() == -signal.SIGXCPU:
        raise InputError(
            "too_large", f"Page {number} of the PDF takes over {PAGE_S} seconds to draw; reading stops."
        )
    raise InputError("crashed", f"Drawing page {number} of the PDF ended PDFium; reading stops.")


def _page(said: dict[str, Any], pixels: IO[bytes]) -> Page:
    shape, image = said.pop("shape"), None
    if shape is not None:
        image = np.empty(shape, np.uint8)
        pixels.seek(0)
        pixels.readinto(image.data.cast("B"))  # type: ignore[attr-defined]
    lines = [Line(**{**line, "polygon": np.array(line["polygon"], np.float32)}) for line in said.pop("lines")]
    return Page(**{**said, "lines": tuple(lines), "image": image})


def serve(told: IO[bytes], says: IO[bytes], file: int) -> None:
    """The child's life: draws what it is told to, until there is nobody to tell it.

    Args:
        told: requests: what to draw, and the seconds that each page may take.
        says: answers.
        file: number of the open file that takes a page's pixels.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_end_with, args=(told.fileno(),), daemon=True).start()
    with open(file, "r+b", buffering=0) as pixels:
        while line := told.readline():
            asked = json.loads(line)
            data = told.read(asked["bytes"])
            drawn = pdf.pages(data, Limits(**asked["limits"]), asked["one_channel"])
            while "end" not in (said := _drawn(drawn, json.loads(told.readline()), pixels)):
                _say(says, said)
            pixels.truncate(0)
            _say(says, said)


def _end_with(file: int) -> None:
    """Ends this process once nobody has the other end of a pipe any more, also while PDFium draws."""
    poll = select.poll()
    poll.register(file, 0)  # nothing but that the other end is closed
    poll.poll()
    os._exit(0)


def _say(says: IO[bytes], said: dict[str, Any]) -> None:
    says.write(json.dumps(said, default=np.ndarray.tolist).encode() + b"\n")
    says.flush()


def _drawn(drawn: Iterator[Page | InputError], seconds: float, pixels: IO[bytes]) -> dict[str, Any]:
    """What to say of the next page, or at the end; the system ends this process where it takes too long."""
    _allow(seconds)
    try:
        page = next(drawn, None)
    except InputError as error:
        return {"end": _told(error)}
    if page is None:
        return {"end": None}
    return _told(page) if isinstance(page, InputError) else _kept(page, pixels)


def _allow(seconds: float) -> None:
    """Lets this process compute for so long from now on."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    bound = math.ceil(time.process_time() + seconds)
    soft = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _kept(page: Page, pixels: IO[bytes]) -> dict[str, Any]:
    """A page but for its pixels, which go into the file."""
    values = asdict(replace(page, image=None))
    del values["image"]
    if page.image is None:
        return {**values, "shape": None}
    pixels.seek(0)
    pixels.write(np.ascontiguousarray(page.image).data)
    return {**values, "shape": page.image.shape}


def _told(error: InputError) -> dict[str, str]:
    return {"kind": error.kind, "message": error.message}
