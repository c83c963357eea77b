"""Files by URI, wherever they lie: local paths and file://, gs://, s3://, az://, https://.

The one door to storage for reading and for the driver. Every function takes a URI, finds the backend by its
scheme, tries again where trying again can help, and raises `InputError` with a kind that is the same for all
backends:

    not_found    there is no such file
    forbidden    it may not be read or written, or lies on a private network
    not_a_file   a folder, a pipe, a device
    too_large    larger than the caller's cap (nothing, or little more than the cap, is downloaded)
    timeout      it took longer than the deadline
    unavailable  the storage answered with errors until the last try
    changed      a web server's file became another one while its parts were read
    unsupported  a scheme that nothing here can read, or not in this way
    missing_extra  a scheme whose library is not installed

Credentials are found where each cloud's own tools find them. Without any, for public or emulated buckets, set
STORAGE_EMULATOR_HOST (gs://) or PPOCR_BEAM_NO_AUTH=1 (gs://, s3://, az://) in the environment.

No message holds credentials or a signed URL's query. Clients are made once a process, at the first use, and
the cloud libraries are imported then and only then.
"""

from __future__ import annotations

import functools
import os
import posixpath
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from models.records import InputError, UsageError
from transforms.storage import local
from transforms.storage.ranges import open_ranges
from transforms.storage.records import DEADLINE_S, Blob, Source, too_large
from transforms.storage.redaction import redacted

__all__ = [
    "Blob",
    "Source",
    "allow_private_hosts",
    "below",
    "copy",
    "delete",
    "exists",
    "file_name",
    "is_local",
    "join",
    "list_files",
    "move",
    "open_file",
    "place",
    "read",
    "redacted",
    "scheme",
    "stat",
    "too_large",
    "write_atomic",
]

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")


def allow_private_hosts(allowed: bool) -> None:
    """Says whether this process may read https:// from addresses that are not public; not until told so."""
    from transforms.storage import http

    http.allow_private_hosts(allowed)


def read(uri: str, max_bytes: int | None = None, deadline_s: float = DEADLINE_S) -> Blob:
    """Reads a whole file.

    Args:
        uri: the file.
        max_bytes: files larger than this are refused before they are downloaded; None for no cap.
        deadline_s: seconds that all tries together may take.

    Raises:
        InputError: of a kind named above.
    """
    blob: Blob = _backend(uri).read(uri, max_bytes, deadline_s)
    return blob


def open_file(uri: str, found: Source | None = None) -> BinaryIO:
    """Opens a file for reading, seekable, without loading all of it: for archives and Parquet.

    Args:
        uri: the file.
        found: what `stat` has just told of it, where it was asked: saves a request.

    Raises:
        InputError: of a kind named above, here or while reading.
    """
    backend = _backend(uri)
    if is_local(uri):
        file: BinaryIO = backend.open_file(uri)
        return file
    source = found or backend.stat(uri)
    if source.byte_size is None:
        raise InputError("unsupported", f"{redacted(uri)}: the server does not tell the file's size")
    return open_ranges(functools.partial(backend.read_range, source), source.byte_size)


def stat(uri: str) -> Source:
    """Returns a file's etag and size.

    Raises:
        InputError: of a kind named above.
    """
    source: Source = _backend(uri).stat(uri)
    return source


def place(uri: str, folder: str) -> str:
    """Of a local file what is the same for all its names, see `local.place_of`; of others the name.

    Args:
        uri: the file.
        folder: what a relative path is below.
    """
    return local.place_of(uri, folder) if is_local(uri) else uri


def exists(uri: str) -> bool:
    """Whether there is a file (not a folder) of this name.

    Raises:
        InputError: when that cannot be found out (forbidden, timeout, unavailable).
    """
    try:
        stat(uri)
    except InputError as error:
        if error.kind in ("not_found", "not_a_file"):
            return False
        raise
    return True


def list_files(uri: str, begin: str = "") -> Iterator[Source]:
    """Yields all files under a folder, at any depth, as a stream; none where there is no folder.

    Local folders come sorted by name (in runs of 100,000 entries), object stores in their own order, which is
    the names' order too. A sub-folder that cannot be listed is yielded itself, so that reading it says why.

    Args:
        uri: the folder, its name ending in `/` where there may be others that begin like it.
        begin: only what lies in files and folders right below whose names begin so; others are not looked at.

    Raises:
        InputError: when the folder itself cannot be listed.
        UsageError: when it holds a name that its storage's library refuses.
    """
    files: Iterator[Source] = _backend(uri).list_files(uri, begin)
    return files


def write_atomic(uri: str, data: bytes) -> None:
    """Writes a file so that a reader sees all of it or nothing; replaces one of the same name.

    Locally: a temporary file beside it, synced, then renamed; folders are made too. Object stores: a put.

    Raises:
        InputError: of a kind named above.
    """
    _backend(uri).write_atomic(uri, data)


def copy(uri: str, target: str) -> None:
    """Copies a file within its bucket, without its bytes' coming here; replaces one of the same name.

    Raises:
        InputError: of a kind named above.
    """
    _backend(uri).copy(uri, target)


def move(uri: str, target: str) -> None:
    """Gives a file another name, in the same file system or bucket; replaces one of that name.

    Object stores: a copy, then a deletion. Either way there has to be a file: where somebody else has deleted
    it, nothing comes to stand under the new name.

    Raises:
        InputError: of a kind named above; `not_found` where the file is gone.
    """
    if is_local(uri):
        _backend(uri).move(uri, target)
        return
    copy(uri, target)
    delete(uri)


def delete(uri: str) -> None:
    """Deletes a file; a file that is not there is no error.

    Raises:
        InputError: of a kind named above.
    """
    _backend(uri).delete(uri)


def is_local(uri: str) -> bool:
    """Whether the URI is a local path or a file:// URI."""
    return scheme(uri) == "file"


def refuse_pattern(folder: str) -> None:
    """Refuses an output that Beam's sinks would take for a pattern: they delete whatever fits it.

    Raises:
        UsageError: its name is one.
    """
    if char := next((char for char in folder if char in "*?["), None):
        raise UsageError(f"{folder}: an output's name may not hold {char}; choose another folder")


def join(folder: str, *names: str) -> str:
    """Joins a folder's URI or path and names below it."""
    return posixpath.join(folder, *names)


def below(folder: str, uri: str) -> str:
    """A file's path relative to the folder it was listed under, which on object stores ends in `/`."""
    if not is_local(folder):
        return uri[len(folder) :]
    from transforms.storage import local

    return os.path.relpath(local.path_of(uri), local.path_of(folder))


def file_name(uri: str) -> str:
    """The part of a URI that names a file: a URL's query does not."""
    return uri.partition("?")[0] if scheme(uri) in ("http", "https") else uri


def scheme(uri: str) -> str:
    """Returns the URI's scheme in lower case, `file` for a plain path."""
    match = _SCHEME.match(uri)
    return match[1].lower() if match else "file"


def _backend(uri: str) -> Any:
    name = scheme(uri)
    if name == "file":
        from transforms.storage import local

        return local
    if name == "gs":
        from transforms.storage import gcs

        return gcs
    if name in ("http", "https"):
        from transforms.storage import http

        return http
    if name in ("s3", "s3a", "az", "abfs", "abfss"):
        from transforms.storage import object_store

        return object_store
    raise InputError(
        "unsupported",
        f"{redacted(uri)}: nothing here reads {name}://; use a path, gs://, s3://, az:// or https://",
    )
