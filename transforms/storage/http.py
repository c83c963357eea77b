"""https:// and http://, read only, through requests."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from models.records import InputError
from transforms.storage.records import (
    DEADLINE_S,
    Blob,
    Source,
    bare,
    call_storage,
    http_error,
    redacted,
    too_large,
)

_POOL = 32
_REDIRECTS = 5
_CONNECT_S = 10.0
_SILENCE_S = 30.0
_CHUNK = 1 << 20

T = TypeVar("T")


def read(uri: str, max_bytes: int | None, deadline_s: float = DEADLINE_S) -> Blob:
    """Reads a whole file; see `transforms.storage.read`."""

    def attempt(left: float) -> Blob:
        with _get(uri, {}, left) as answer:
            return Blob(_body(uri, answer, max_bytes, left), bare(answer.headers.get("ETag")))

    return _call(uri, attempt, deadline_s)


def read_range(uri: str, start: int, end: int) -> bytes:
    """Reads the bytes from `start` up to before `end`.

    Raises:
        InputError: also when the server sends something else than this range.
    """

    def attempt(left: float) -> bytes:
        with _get(uri, {"Range": f"bytes={start}-{end - 1}"}, left) as answer:
            if answer.status_code != 206:
                raise InputError("unsupported", f"{redacted(uri)}: the server cannot send a part of a file")
            return _body(uri, answer, end - start, left)

    return _call(uri, attempt)


def stat(uri: str) -> Source:
    """Returns a file's etag and size; see `transforms.storage.stat`."""

    def attempt(left: float) -> Source:
        with _get(uri, {"Range": "bytes=0-0"}, left) as answer:
            length = answer.headers.get("Content-Range", "").rpartition("/")[2]
            length = length if answer.status_code == 206 else answer.headers.get("Content-Length", "")
            return Source(uri, bare(answer.headers.get("ETag")), int(length) if length.isdigit() else None)

    return _call(uri, attempt)


def list_files(uri: str) -> Iterator[Source]:
    """Raises, since HTTP has no folders."""
    raise InputError(
        "unsupported", f"{redacted(uri)}: a web server's files cannot be listed; name each of them"
    )


def write_atomic(uri: str, data: bytes) -> None:
    """Raises, since nothing is written to web servers."""
    raise InputError("unsupported", f"{redacted(uri)}: cannot be written to")


def copy(uri: str, target: str) -> None:
    """Raises, since nothing is written to web servers."""
    write_atomic(target, b"")


def delete(uri: str) -> None:
    """Raises, since nothing is deleted on web servers."""
    raise InputError("unsupported", f"{redacted(uri)}: cannot be deleted")


def _get(uri: str, headers: dict[str, str], left: float) -> Any:
    # Without `identity` a server may compress, and lengths would be of something else.
    headers = {"Accept-Encoding": "identity", **headers}
    timeout = (min(_CONNECT_S, left), min(_SILENCE_S, left))
    answer = _session().get(uri, headers=headers, stream=True, timeout=timeout)
    if answer.status_code >= 400:
        answer.close()
        raise http_error(uri, answer.status_code, answer.reason or "", answer.headers.get("Retry-After"))
    return answer


def _body(uri: str, answer: Any, max_bytes: int | None, seconds: float) -> bytes:
    """Takes an answer's body within the cap and the time, and checks that all of it came."""
    end = time.monotonic() + seconds
    length = answer.headers.get("Content-Length", "")
    if max_bytes is not None and length.isdigit() and int(length) > max_bytes:
        raise too_large(uri, int(length), max_bytes)
    # read1 gives what has come; read would wait for a whole chunk of a body that trickles.
    read = getattr(answer.raw, "read1", answer.raw.read)
    body = bytearray()
    while chunk := read(_CHUNK):
        body += chunk
        if max_bytes is not None and len(body) > max_bytes:
            raise too_large(uri, len(body), max_bytes)
        if time.monotonic() > end:
            raise InputError("timeout", f"{redacted(uri)}: the download takes too long")
    if length.isdigit() and len(body) != int(length):
        raise InputError("unavailable", f"{redacted(uri)}: only {len(body):,} of {int(length):,} bytes came")
    return bytes(body)


def _call(uri: str, attempt: Callable[[float], T], deadline_s: float = DEADLINE_S) -> T:
    return call_storage(uri, attempt, _input_error, deadline_s)


def _input_error(uri: str, error: Exception) -> InputError:
    import requests

    if isinstance(error, InputError):
        return error
    if isinstance(error, requests.Timeout):
        return InputError("timeout", f"{redacted(uri)}: the server did not answer in time")
    if isinstance(error, requests.TooManyRedirects | requests.exceptions.InvalidURL | ValueError):
        return InputError("unsupported", f"{redacted(uri)}: cannot be read ({type(error).__name__})")
    return http_error(uri, None, type(error).__name__)  # Its text holds the URL, which may be signed.


@functools.cache
def _session() -> Any:
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.max_redirects = _REDIRECTS
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_connections=_POOL, pool_maxsize=_POOL))
    return session
