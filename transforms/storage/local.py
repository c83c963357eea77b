"""Local files: plain paths and file:// URIs."""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import stat as stat_module
import urllib.parse
import uuid
from collections import deque
from collections.abc import Iterator
from itertools import islice
from operator import attrgetter
from typing import BinaryIO

from models.records import InputError
from transforms.storage.records import DEADLINE_S, Blob, Source, too_large

_SORTED_RUN = 100_000
"""Entries of a folder that are sorted at once: bounds memory in folders of millions."""

_log = logging.getLogger(__name__)


def path_of(uri: str) -> str:
    """Returns the path of a plain path (as it is) or of a file:// URI (percent escapes decoded)."""
    if uri[:7].lower() != "file://":
        return uri
    _, _, path = uri[7:].partition("/")
    return os.fsdecode(b"/" + urllib.parse.unquote_to_bytes(path))


def uri_of(path: str) -> str:
    """Returns the path itself, or a file:// URI for a name that is not UTF-8 and so fits no text column."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "file://" + urllib.parse.quote_from_bytes(os.fsencode(os.path.abspath(path)))
    return path


def place_of(uri: str, folder: str) -> str:
    """The file that a name means: absolute, the links among its folders followed, but for its own.

    Args:
        uri: a plain path or a file:// URI.
        folder: what a relative one is below.
    """
    parent, name = os.path.split(os.path.join(folder, path_of(uri)))
    return os.path.join(_followed(parent), name)


def read(uri: str, max_bytes: int | None, deadline_s: float) -> Blob:
    """Reads a whole file; see `transforms.storage.read`."""
    with open_file(uri) as file:
        info = os.fstat(file.fileno())
        if max_bytes is not None and info.st_size > max_bytes:
            raise too_large(uri, info.st_size, max_bytes)
        try:
            return Blob(file.read(), _etag(info))
        except OSError as error:
            raise _input_error(uri, error) from error


def open_file(uri: str) -> BinaryIO:
    """Opens a file for reading; see `transforms.storage.open_file`."""
    stat(uri)  # Opening a pipe would wait for a writer for ever.
    try:
        return open(path_of(uri), "rb")
    except OSError as error:
        raise _input_error(uri, error) from error


def stat(uri: str) -> Source:
    """Returns a file's etag and size; see `transforms.storage.stat`."""
    try:
        info = os.stat(path_of(uri))
    except (OSError, ValueError) as error:
        raise _input_error(uri, error) from error
    if not stat_module.S_ISREG(info.st_mode):
        what = "a folder" if stat_module.S_ISDIR(info.st_mode) else "neither a file nor a folder"
        raise InputError("not_a_file", f"{uri}: is {what}")
    return Source(uri, _etag(info), info.st_size)


def list_files(uri: str, begin: str) -> Iterator[Source]:
    """Yields the files below a folder; see `transforms.storage.list_files`."""
    root = os.path.normpath(path_of(uri))
    try:
        os.scandir(root).close()
    except FileNotFoundError:
        return iter(())
    except (OSError, ValueError) as error:
        raise _input_error(root, error) from error
    return _walk(root, begin)


def write_atomic(uri: str, data: bytes) -> None:
    """Writes a file beside its place and renames it; see `transforms.storage.write_atomic`."""
    path = path_of(uri)
    folder = os.path.dirname(path) or "."
    temporary = os.path.join(folder, f".{uuid.uuid4().hex}.tmp")
    try:
        os.makedirs(folder, exist_ok=True)
        try:
            _write_synced(temporary, data)
            os.replace(temporary, path)
        except BaseException:
            _unlink(temporary)
            raise
        _sync_folder(folder)
    except OSError as error:
        raise _input_error(uri, error) from error


def copy(uri: str, target: str) -> None:
    """Copies a file; see `transforms.storage.copy`."""
    write_atomic(target, read(uri, None, DEADLINE_S).data)


def move(uri: str, target: str) -> None:
    """Renames a file; see `transforms.storage.move`."""
    path = path_of(target)
    folder = os.path.dirname(path) or "."
    try:
        os.makedirs(folder, exist_ok=True)
        os.replace(path_of(uri), path)
        _sync_folder(folder)
    except OSError as error:
        raise _input_error(uri, error) from error


def delete(uri: str) -> None:
    """Deletes a file; see `transforms.storage.delete`."""
    try:
        _unlink(path_of(uri))
    except OSError as error:
        raise _input_error(uri, error) from error


@functools.lru_cache(maxsize=4096)
def _followed(folder: str) -> str:
    try:
        return os.path.realpath(folder)
    except ValueError:  # no folder can have this name: who reads the file says so
        return folder


def _walk(root: str, begin: str) -> Iterator[Source]:
    """Yields the files below, those of a folder once, however many links lead to it.

    Links to folders come last: what they lead to may lie below too, where it has a name of its own. A hidden
    folder's files have none that callers care for, so that a link to it is followed.
    """
    visited, links = set[tuple[int, int]](), deque[str]()
    _is_new(root, visited)
    open_folders = [_entries(root, begin)]  # no recursion: folders may be nested deeper than calls
    while open_folders or links:
        if not open_folders:
            link = links.popleft()
            if _is_new(link, visited):
                _tell_of_way_out(link, root)
                open_folders.append(_entries(link))
            continue
        entry = next(open_folders[-1], None)
        if entry is None:
            open_folders.pop()
        elif isinstance(entry, Source):
            yield entry
        elif not _is_folder(entry):
            yield _source(entry)
        else:
            hidden = f"{os.sep}." in entry.path[len(root) :]
            if entry.is_symlink():
                links.extend([] if hidden else [entry.path])
            elif hidden or _is_new(entry.path, visited):
                open_folders.append(_entries(entry.path))


def _entries(folder: str, begin: str = "") -> Iterator[os.DirEntry[str] | Source]:
    """A folder's entries in the order of their names; the folder itself where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            wanted = (entry for entry in entries if entry.name.startswith(begin))
            while len(run := sorted(islice(wanted, _SORTED_RUN), key=attrgetter("name"))) == _SORTED_RUN:
                yield from run
    except FileNotFoundError:
        return
    except OSError:
        yield Source(uri_of(folder))
        return
    yield from run  # closed by now: folders within folders would use up what may be open


def _is_new(folder: str, visited: set[tuple[int, int]]) -> bool:
    """Whether a folder was not visited by any name; adds it."""
    try:
        info = os.stat(folder)
    except OSError:  # listing it will say why
        return True
    key = info.st_dev, info.st_ino
    new = key not in visited
    visited.add(key)
    return new


def _tell_of_way_out(link: str, root: str) -> None:
    target = os.path.realpath(link)
    if os.path.commonpath([target, os.path.realpath(root)]) != os.path.realpath(root):
        _log.warning("%s leads out of %s: what lies in %s is read too", link, root, target)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # A link into a folder that may not be entered.
        return False


def _source(entry: os.DirEntry[str]) -> Source:
    uri = uri_of(os.path.normpath(entry.path))
    try:
        info = entry.stat()
    except OSError:  # A dangling link, or gone since: reading it says so.
        return Source(uri)
    return Source(uri, _etag(info), info.st_size)


def _etag(info: os.stat_result) -> str:
    return f"{info.st_mtime_ns:x}-{info.st_size:x}"


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _write_synced(path: str, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: str) -> None:
    """Makes a rename survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:  # Some network file systems cannot sync a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def _input_error(uri: str, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, FileNotFoundError | NotADirectoryError | ValueError):
        return InputError("not_found", f"{uri}: there is no such file")
    if isinstance(error, PermissionError):
        return InputError("forbidden", f"{uri}: may not be accessed ({reason}); check its permissions")
    if isinstance(error, IsADirectoryError):
        return InputError("not_a_file", f"{uri}: is a folder")
    return InputError("unavailable", f"{uri}: {reason}")
