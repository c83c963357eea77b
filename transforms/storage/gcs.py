"""gs:// through google-cloud-storage: one client a process, its own retries replaced by ours."""

from __future__ import annotations

import functools
import io
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from models.records import InputError
from transforms.storage.records import (
    DEADLINE_S,
    Blob,
    Source,
    anonymous,
    bare,
    call_storage,
    http_error,
    too_large,
)
from transforms.storage.redaction import redacted

_POOL = 32
"""Connections kept open: more than any number of reading threads."""

_CONNECT_S = 10.0
_SILENCE_S = 30.0
"""Seconds without a byte after which a try is given up."""

T = TypeVar("T")


def read(uri: str, max_bytes: int | None, deadline_s: float = DEADLINE_S) -> Blob:
    """Reads a whole file; see `transforms.storage.read`."""

    def attempt(left: float) -> Blob:
        blob = _blob(uri)
        sink = _Sink(uri, max_bytes, left)
        blob.download_to_file(sink, timeout=_timeout(left), retry=None)
        return Blob(sink.getvalue(), bare(blob.etag))

    return _call(uri, attempt, deadline_s)


def read_range(source: Source, start: int, end: int) -> bytes:
    """Reads the bytes from `start` up to before `end`."""

    def attempt(left: float) -> bytes:
        sink = _Sink(source.uri, None, left)
        _blob(source.uri).download_to_file(sink, start=start, end=end - 1, timeout=_timeout(left), retry=None)
        return sink.getvalue()

    return _call(source.uri, attempt)


def stat(uri: str) -> Source:
    """Returns a file's etag and size; see `transforms.storage.stat`."""

    def attempt(left: float) -> Source:
        blob = _blob(uri)
        blob.reload(timeout=_timeout(left), retry=None)
        return Source(uri, bare(blob.etag), blob.size)

    return _call(uri, attempt)


def list_files(uri: str, begin: str) -> Iterator[Source]:
    """Yields the files below a prefix; see `transforms.storage.list_files`."""
    bucket, prefix = _split(uri)
    pages = _client().list_blobs(bucket, prefix=prefix + begin, fields="items(name,etag,size),nextPageToken")
    blobs = iter(pages)
    while True:
        try:
            blob = next(blobs, None)
        except Exception as error:
            raise _input_error(uri, error) from error
        if blob is None:
            return
        if not blob.name.endswith("/"):  # A folder's placeholder.
            yield Source(f"gs://{bucket}/{blob.name}", bare(blob.etag), blob.size)


def write_atomic(uri: str, data: bytes) -> None:
    """Puts a file; see `transforms.storage.write_atomic`."""
    _call(uri, lambda left: _blob(uri).upload_from_string(data, timeout=_timeout(left), retry=None))


def copy(uri: str, target: str) -> None:
    """Copies a file; see `transforms.storage.copy`."""

    def attempt(left: float) -> None:
        token = None
        while True:  # once, but for files that the storage copies piece by piece
            token, _, _ = _blob(target).rewrite(_blob(uri), token, timeout=_timeout(left), retry=None)
            if token is None:
                return

    _call(uri, attempt)


def delete(uri: str) -> None:
    """Deletes a file; see `transforms.storage.delete`."""
    try:
        _call(uri, lambda left: _blob(uri).delete(timeout=_timeout(left), retry=None))
    except InputError as error:
        if error.kind != "not_found":
            raise


class _Sink(io.BytesIO):
    """Takes a download's bytes while there is room and time: a body that trickles never times out alone."""

    def __init__(self, uri: str, max_bytes: int | None, seconds: float) -> None:
        super().__init__()
        self._uri = uri
        self._max_bytes = max_bytes
        self._end = time.monotonic() + seconds

    def write(self, data: Any) -> int:
        if self._max_bytes is not None and self.tell() + len(data) > self._max_bytes:
            raise too_large(self._uri, self.tell() + len(data), self._max_bytes)
        if time.monotonic() > self._end:
            raise InputError("timeout", f"{redacted(self._uri)}: the download takes too long")
        return super().write(data)


def _call(uri: str, attempt: Callable[[float], T], deadline_s: float = DEADLINE_S) -> T:
    return call_storage(uri, attempt, _input_error, deadline_s)


def _input_error(uri: str, error: Exception) -> InputError:
    import google.auth.exceptions
    import requests

    if isinstance(error, InputError):
        return error
    if isinstance(error, google.auth.exceptions.GoogleAuthError):
        return InputError("forbidden", f"{uri}: there are no usable credentials for Google Cloud ({error})")
    if isinstance(error, requests.Timeout):
        return InputError("timeout", f"{uri}: the storage did not answer in time")
    code = getattr(error, "code", None)
    headers = getattr(getattr(error, "response", None), "headers", {})
    reason = str(error) or type(error).__name__
    return http_error(uri, code if isinstance(code, int) else None, reason, headers.get("Retry-After"))


def _blob(uri: str) -> Any:
    bucket, name = _split(uri)
    if not name:
        raise InputError("not_a_file", f"{uri}: is a bucket")
    return _client().bucket(bucket).blob(name)


def _split(uri: str) -> tuple[str, str]:
    bucket, _, name = uri.partition("://")[2].partition("/")
    return bucket, name


def _timeout(left: float) -> tuple[float, float]:
    return min(_CONNECT_S, left), min(_SILENCE_S, left)


@functools.cache
def _client() -> Any:
    try:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage  # type: ignore[attr-defined, unused-ignore]
        from requests.adapters import HTTPAdapter
    except ImportError as error:
        message = "gs:// needs google-cloud-storage: pip install 'ppocr-beam[gcp]'"
        raise InputError("missing_extra", message) from error
    try:
        if anonymous() or os.environ.get("STORAGE_EMULATOR_HOST"):
            client = storage.Client(project="anonymous", credentials=AnonymousCredentials())
        else:
            client = storage.Client()
    except Exception as error:
        raise _input_error("gs://", error) from error
    for scheme in ("http://", "https://"):
        client._http.mount(scheme, HTTPAdapter(pool_connections=_POOL, pool_maxsize=_POOL))
    return client
