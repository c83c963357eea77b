"""What the storage backends share: the records they return and the way they try again."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from models.records import InputError
from transforms.storage.redaction import redacted

DEADLINE_S = 120.0
"""Seconds that one read may take, all its tries together."""

TRANSIENT = ("timeout", "unavailable")
"""Kinds of error that may go away by themselves; all others are final at once."""

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 10.0
_TRIES = 6
_LONGEST_ASKED_S = 30.0
"""Seconds that a storage may ask to be left alone; more is not believed."""

T = TypeVar("T")


def anonymous() -> bool:
    """Whether cloud storage is to be asked without credentials."""
    return os.environ.get("PPOCR_BEAM_NO_AUTH", "") not in ("", "0")


@dataclass(frozen=True, slots=True)
class Source:
    """One file, as its storage lists it.

    Attributes:
        uri: where it lies: a local path as it was given (never URL-encoded), or a URI.
        etag: the storage's version of the file; for local files made from time and size. None where unknown.
        byte_size: size of the file in bytes, None where unknown.
    """

    uri: str
    etag: str | None = None
    byte_size: int | None = None


@dataclass(frozen=True, slots=True)
class Blob:
    """A file's bytes and the version they are of."""

    data: bytes
    etag: str | None = None


class ThrottledError(InputError):
    """The storage asks to be left alone for so many seconds."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__("unavailable", message)
        self.seconds = seconds


def http_error(uri: str, status: int | None, reason: str, retry_after: str | None = None) -> InputError:
    """The error that an HTTP status means; None where there was no answer.

    Args:
        uri: what was asked for.
        status: see above.
        reason: what the answer says of it.
        retry_after: its header of that name, in seconds.
    """
    shown, reason = redacted(uri), "".join(filter(str.isprintable, redacted(reason)))
    if status == 404 or status == 410:
        return InputError("not_found", f"{shown}: there is no such file")
    if status in (401, 403):
        return InputError("forbidden", f"{shown}: access is refused (HTTP {status}); check the credentials")
    if status is None or status in (408, 429) or status >= 500:
        message = f"{shown}: the storage does not answer as it should ({reason})"
        if retry_after and retry_after.isdecimal():
            return ThrottledError(message, min(float(retry_after), _LONGEST_ASKED_S))
        return InputError("unavailable", message)
    return InputError("unsupported", f"{shown}: the storage refuses the request (HTTP {status}, {reason})")


def bare(etag: str | None) -> str | None:
    """Returns an etag without its quotes: listings leave them out where answers have them."""
    return etag.strip('"') if etag else None


def too_large(uri: str, byte_size: int, max_bytes: int) -> InputError:
    """The error for a file over the caller's cap; `byte_size` is what is known of its size so far."""
    return InputError(
        "too_large", f"{redacted(uri)}: has {byte_size:,} bytes or more; the cap is {max_bytes:,}"
    )


def call_storage(
    uri: str,
    attempt: Callable[[float], T],
    translate: Callable[[str, Exception], Exception],
    deadline_s: float = DEADLINE_S,
) -> T:
    """Calls `attempt` as `retry` does, with a client library's errors put into ours.

    Args:
        uri: what is read or written, for messages.
        attempt: see `retry`.
        translate: what an error of the library means.
        deadline_s: see `retry`.

    Raises:
        InputError: the last attempt's.
    """

    def translated(left: float) -> T:
        try:
            return attempt(left)
        except Exception as error:
            raise translate(uri, error) from error

    return retry(translated, deadline_s)


def retry(
    call: Callable[[float], T],
    deadline_s: float,
    wait: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> T:
    """Calls until it works, with exponential backoff and full jitter, and no sooner than the storage asks.

    Args:
        call: gets the seconds left; raises `InputError` of a `TRANSIENT` kind where trying again may help.
        deadline_s: seconds for all tries and waits together.
        wait: sleeps for a number of seconds.
        now: a clock in seconds.

    Raises:
        InputError: the last one, when tries or time are used up; one that is not transient at once.
    """
    end = now() + deadline_s
    for attempt in range(1, _TRIES + 1):
        try:
            return call(max(end - now(), 0.001))
        except InputError as error:
            pause = random.uniform(0, min(_FIRST_WAIT_S * 2**attempt, _LONGEST_WAIT_S))
            if error.kind not in TRANSIENT:
                raise
            if isinstance(error, ThrottledError):
                pause += error.seconds
            if attempt == _TRIES or now() + pause >= end:
                raise InputError(error.kind, f"{error.message} (tried {attempt} times)") from error
            wait(pause)
    raise AssertionError("unreachable")
