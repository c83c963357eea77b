"""What native decoders print: the only place where libjpeg and libtiff tell of damage that they pass over."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator

_STDERR = 2
_MOST = 1 << 16
"""Bytes of words that are kept of one page: a pipe of Linux holds as many, and the rest is dropped."""

_TOLD = re.compile(
    rb"(?:Corrupt JPEG data|Premature end of JPEG|Warning: unknown JFIF|Inconsistent progression|Invalid SOS"
    rb"|Unsupported marker type|Unknown Adobe|\w*(?:Decode|Lib|Setup)\w*: |_?TIFF\w+: |tempfile\.tif: "
    rb"|\[ ?WARN:)"
)
"""How lines of libjpeg, libtiff and OpenCV begin."""

_HARMLESS = re.compile(
    r"Corrupt JPEG data: \d\d? extraneous bytes|Warning: unknown JFIF|Inconsistent progression|Invalid SOS"
    r"|Unknown Adobe|\[ ?WARN:"
)
"""Words that tell of no pixels lost: cameras write some bytes too many before a marker."""

_listening = threading.Lock()
"""A process has one standard error: what is printed while one thread decodes is about its page."""


class Words:
    """What decoders said while they were listened to; complete when the listening is over."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @property
    def damage(self) -> str | None:
        """What they said of damage, in one sentence; None: nothing."""
        told = [line for line in self.lines if not _HARMLESS.match(line)]
        more = f" (and {len(told) - 1:,} more such words)" if len(told) > 1 else ""
        return f"{told[0].rstrip('.')}{more}." if told else None


@contextlib.contextmanager
def listening(words: Words) -> Iterator[None]:
    """Keeps decoders' words from standard error and notes them; others' lines are passed on.

    One thread at a time: others wait.
    """
    with _listening:
        redirected = _redirect()
        try:
            yield
        finally:
            if redirected:
                words.lines = _restore(*redirected)


def _redirect() -> tuple[int, int] | None:
    """Points standard error at a pipe; returns the end to read and what standard error was."""
    try:
        kept = os.dup(_STDERR)
    except OSError:  # It is closed: nobody would see what is printed either.
        return None
    try:
        ours, theirs = os.pipe()
    except OSError:
        os.close(kept)
        return None
    for end in (ours, theirs):
        os.set_blocking(end, False)
    os.dup2(theirs, _STDERR)
    os.close(theirs)
    return ours, kept


def _restore(pipe: int, kept: int) -> list[str]:
    """Undoes `_redirect`, passes on what others printed, and returns the decoders' lines."""
    os.dup2(kept, _STDERR)
    os.close(kept)
    lines = _read(pipe).splitlines(keepends=True)
    _pass_on(b"".join(line for line in lines if not _TOLD.match(line)))
    return [line.decode(errors="replace").strip() for line in lines if _TOLD.match(line)]


def _read(pipe: int) -> bytes:
    with open(pipe, "rb", buffering=0) as file:
        return file.read(_MOST) or b""


def _pass_on(other: bytes) -> None:
    if other:
        with contextlib.suppress(OSError):
            os.write(_STDERR, other)
