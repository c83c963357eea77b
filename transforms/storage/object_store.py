"""s3:// and az:// through obstore: one store a bucket and process, its own retries replaced by ours."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import os
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from models.records import InputError, UsageError
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

_CONNECT_S = 10
_TRY_S = 60
"""Seconds that one request may take, body included."""
_LISTED = 1000
"""Files in one answer of S3's to a listing."""

T = TypeVar("T")


def read(uri: str, max_bytes: int | None, deadline_s: float = DEADLINE_S) -> Blob:
    """Reads a whole file; see `transforms.storage.read`."""

    async def attempt(store: Any, key: str) -> Blob:
        answer = await _obstore().get_async(store, key)
        size = answer.meta["size"]
        if max_bytes is not None and size > max_bytes:
            raise too_large(uri, size, max_bytes)
        return Blob(bytes(await answer.bytes_async()), bare(answer.meta.get("e_tag")))

    return _call(uri, attempt, deadline_s)


def read_range(source: Source, start: int, end: int) -> bytes:
    """Reads the bytes from `start` up to before `end`."""

    async def attempt(store: Any, key: str) -> bytes:
        return bytes(await _obstore().get_range_async(store, key, start=start, end=end))

    return _call(source.uri, attempt)


def stat(uri: str) -> Source:
    """Returns a file's etag and size; see `transforms.storage.stat`."""

    async def attempt(store: Any, key: str) -> Source:
        meta = await _obstore().head_async(store, key)
        return Source(uri, bare(meta.get("e_tag")), meta["size"])

    return _call(uri, attempt)


def list_files(uri: str, begin: str) -> Iterator[Source]:
    """Yields the files below a prefix, a folder's name ending in `/`; see `transforms.storage.list_files`.

    Raises:
        UsageError: also when it holds a name that obstore refuses, on whatever page of the listing.
    """
    root, prefix = _split(uri)
    chunks: Iterator[Any] | None = None
    wanted = prefix + begin if begin else ""
    last = wanted  # obstore's prefixes are whole names of folders: so listing starts there, and ends past it

    def attempt(left: float) -> Any:
        nonlocal chunks
        if chunks is None:  # the first time, and after a fault: from where it happened
            below = prefix.rstrip("/") or None
            chunks = iter(_obstore().list(_store(root), below, offset=last or None, chunk_size=_LISTED))
        try:
            return next(chunks, None)
        except Exception:
            chunks = None
            raise

    while chunk := call_storage(uri, attempt, _listing_error):
        # Azure may begin with the offset itself.
        fresh = [meta for meta in chunk if meta["path"] > last]
        for meta in fresh:
            if not meta["path"].startswith(wanted):
                return
            yield Source(f"{root}/{meta['path']}", bare(meta.get("e_tag")), meta["size"])
        last = max(last, chunk[-1]["path"])


def write_atomic(uri: str, data: bytes) -> None:
    """Puts a file; see `transforms.storage.write_atomic`."""
    _call(uri, lambda store, key: _obstore().put_async(store, key, data))


def copy(uri: str, target: str) -> None:
    """Copies a file; see `transforms.storage.copy`."""
    _call(uri, lambda store, key: _obstore().copy_async(store, key, _split(target)[1]))


def delete(uri: str) -> None:
    """Deletes a file; see `transforms.storage.delete`."""
    try:
        _call(uri, lambda store, key: _obstore().delete_async(store, key))
    except InputError as error:
        if error.kind != "not_found":
            raise


def _call(uri: str, attempt: Callable[[Any, str], Awaitable[T]], deadline_s: float = DEADLINE_S) -> T:
    root, key = _split(uri)
    if not key:
        raise InputError("not_a_file", f"{uri}: is a bucket")

    async def started() -> T:
        return await attempt(_store(root), key)

    def bounded(left: float) -> T:
        future = asyncio.run_coroutine_threadsafe(started(), _loop())
        try:
            return future.result(left)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise InputError("timeout", f"{redacted(uri)}: the storage did not answer in time") from None

    return call_storage(uri, bounded, _input_error, deadline_s)


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """Where requests are waited for: obstore's calls that block cannot be given up."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="obstore", daemon=True).start()
    return loop


def _listing_error(uri: str, error: Exception) -> Exception:
    from obstore import exceptions

    if not isinstance(error, exceptions.InvalidPathError):
        return _input_error(uri, error)
    # The other names of that answer are lost with it, and obstore cannot begin behind a name that it refuses.
    found = re.search(r'Path "(.*?)"(?: contained|: Encountered)', str(error), re.DOTALL)
    name = repr(found[1]) if found else "a file in it"
    return UsageError(
        f"{redacted(uri)}: cannot be listed because of the name of {name}: s3:// and az:// cannot list names "
        "with an empty part (//), a part . or .., or a control character; rename it, or give a narrower "
        "prefix or a list of files"
    )


def _input_error(uri: str, error: Exception) -> InputError:
    from obstore import exceptions

    if isinstance(error, InputError):
        return error
    reason = str(error).split("\n")[0]  # What follows are internals, among them words like `timeout`.
    status = re.search(r"status code: (\d{3})", reason)
    if isinstance(error, exceptions.NotFoundError | FileNotFoundError):
        return http_error(uri, 404, reason)
    if isinstance(
        error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError | PermissionError
    ):
        return http_error(uri, 403, reason)
    if isinstance(error, exceptions.InvalidPathError | exceptions.NotSupportedError | ValueError):
        return InputError("unsupported", f"{redacted(uri)}: cannot be a file here ({redacted(reason)})")
    if "timed out" in reason:
        return InputError("timeout", f"{redacted(uri)}: the storage did not answer in time")
    return http_error(uri, int(status[1]) if status else None, reason)


def _split(uri: str) -> tuple[str, str]:
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    return f"{scheme}://{bucket}", key


def _obstore() -> Any:
    try:
        import obstore
    except ImportError as error:
        raise InputError("missing_extra", "s3:// and az:// need obstore: pip install obstore") from error
    return obstore


@functools.cache
def _store(root: str) -> Any:
    from obstore.store import from_url

    endpoint = os.environ.get("AWS_ENDPOINT_URL", "") + os.environ.get("AZURE_STORAGE_ENDPOINT", "")
    client = {
        "connect_timeout": f"{_CONNECT_S}s",
        "timeout": f"{_TRY_S}s",
        "allow_http": endpoint.startswith("http://"),
    }
    options: dict[str, Any] = {"client_options": client, "retry_config": {"max_retries": 0}}
    if anonymous():
        options["skip_signature"] = True
    return from_url(root, **options)
