"""PDFs, opened and drawn in a process of their own.

PDFium cannot be interrupted: a few bytes of patterns, functions or shapes upon shapes keep it busy for hours,
and where it lacks memory it ends its process. So a child process draws, and the system bounds its processor
time, page by page. The child is kept for the next file; it ends with this process, when it has nothing to
read any more. It is told a line of JSON and the file; it says a line of JSON for each page, then its pixels.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import resource
import signal
import subprocess
import sys
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

_PIPE_BYTES = 1 << 20
"""As many as Linux gives anybody: pixels pass in fewer pieces."""
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_CHILD = """
import sys
sys.path[:] = [sys.argv[1], *filter(None, sys.path)]
import models
del sys.path[0]
from models.decoding.apart import serve
serve(sys.stdin.buffer, sys.stdout.buffer)
"""
"""Finds this package first, whatever PYTHONPATH holds, and nothing in the working folder."""


@dataclass(frozen=True, slots=True)
class _Child:
    """A process that draws, and the two ends of its pipes."""

    process: subprocess.Popen[bytes]
    told: IO[bytes]
    says: IO[bytes]

    def end(self) -> int:
        """Ends it, where it has not ended; returns its status."""
        self.process.kill()
        with contextlib.suppress(OSError):  # what it was not told yet
            self.told.close()
        self.says.close()
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
        _tell(child, data, limits, one_channel)
        number = 0
        while not ended:
            said = _heard(child, number := number + 1)
            ended = "end" in said
            if not ended:
                yield _page(said, child) if "width" in said else InputError(**said)
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
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD, _ROOT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pipesize=_PIPE_BYTES,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    return _Child(process, process.stdin, process.stdout)


@atexit.register
def _end_idle() -> None:
    while _idle:
        _idle.pop().end()


def _tell(child: _Child, data: bytes, limits: Limits, one_channel: bool) -> None:
    asked = {"bytes": len(data), "limits": asdict(limits), "one_channel": one_channel, "seconds": PAGE_S}
    with contextlib.suppress(BrokenPipeError):  # it is gone, as will be heard
        child.told.write(json.dumps(asked).encode() + b"\n")
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


def _page(said: dict[str, Any], child: _Child) -> Page:
    shape, image = said.pop("shape"), None
    if shape is not None:
        image = np.empty(shape, np.uint8)
        if child.says.readinto(image.data.cast("B")) < image.nbytes:  # type: ignore[attr-defined]
            raise InputError("crashed", "What draws the PDF's pages was ended; reading stops.")
    lines = [Line(**{**line, "polygon": np.array(line["polygon"], np.float32)}) for line in said.pop("lines")]
    return Page(**{**said, "lines": tuple(lines), "image": image})


def serve(told: IO[bytes], says: IO[bytes]) -> None:
    """The child's life: draws what it is told to, until there is nobody to tell it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while line := told.readline():
        asked = json.loads(line)
        data = told.read(asked["bytes"])
        end = None
        try:
            drawn = pdf.pages(data, Limits(**asked["limits"]), asked["one_channel"])
            while page := _next(drawn, asked["seconds"]):
                _say(says, page)
        except InputError as error:
            end = _told(error)
        says.write(json.dumps({"end": end}).encode() + b"\n")
        says.flush()


def _next(drawn: Iterator[Page | InputError], seconds: float) -> Page | InputError | None:
    """The next page, if there is one; the system ends this process where it takes too long."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    bound = math.ceil(time.process_time() + seconds)
    soft = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
    return next(drawn, None)


def _say(says: IO[bytes], page: Page | InputError) -> None:
    if isinstance(page, InputError):
        says.write(json.dumps(_told(page)).encode() + b"\n")
        return
    values = asdict(replace(page, image=None))
    del values["image"]
    values["shape"] = None if page.image is None else page.image.shape
    says.write(json.dumps(values, default=np.ndarray.tolist).encode() + b"\n")
    if page.image is not None:
        says.write(np.ascontiguousarray(page.image).data)
    says.flush()


def _told(error: InputError) -> dict[str, str]:
    return {"kind": error.kind, "message": error.message}
