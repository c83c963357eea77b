"""Beam's file sinks on `transforms.storage`: its clients, credentials and retries, for the output too.

Beam has file systems for gs:// and s3:// of its own. They search for credentials in other ways than the job,
make a client for each file, need further packages, and there is none for az://. So the sinks are given URIs
with a scheme in front that is ours, `ppocr-beam://gs://bucket/name`. Local paths stay Beam's.
"""

from __future__ import annotations

import io
import posixpath
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata, FileSystem
from apache_beam.options.value_provider import StaticValueProvider

from models.records import InputError
from transforms import storage

SCHEME = "ppocr-beam"
_PREFIX = f"{SCHEME}://"


class _Path(StaticValueProvider):
    """A path as a sink keeps it. Workers that unpickle one import this module, and so know its scheme.

    Beam's `beam_plugins` are imported by its own images for workers, not by pools of workers in plain Python.
    """


def beam_path(uri: str) -> StaticValueProvider:
    """What Beam's file sinks are to be told to write a file to.

    Args:
        uri: local path, or URI of an object store.

    Raises:
        UsageError: see `storage.refuse_pattern`.
    """
    storage.refuse_pattern(uri)
    return _Path(str, uri if storage.is_local(uri) else _PREFIX + uri)


class StorageFileSystem(FileSystem):
    """What Beam's sinks need of a file system, by way of `transforms.storage`. There are no folders."""

    CHUNK_SIZE = 100  # renames that Beam gives to one thread

    @classmethod
    def scheme(cls) -> str:
        """The scheme that Beam finds this class by."""
        return SCHEME

    def join(self, basepath: str, *paths: str) -> str:
        """Joins a path and names below it."""
        return posixpath.join(basepath, *paths)

    def split(self, path: str) -> tuple[str, str]:
        """A path's folder and its last part."""
        return posixpath.split(path)

    def mkdirs(self, path: str) -> None:
        """Does nothing."""

    def has_dirs(self) -> bool:
        """Whether listings are by folder: no, by prefix."""
        return False

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        folder, name = posixpath.split(_uri(dir_or_prefix))
        for source in storage.list_files(f"{folder}/", name):
            yield FileMetadata(_PREFIX + source.uri, source.byte_size)

    def create(
        self, path: str, mime_type: str = "", compression_type: str = CompressionTypes.UNCOMPRESSED
    ) -> io.BytesIO:
        """Opens a file for writing, which is put when it is closed."""
        return _Upload(_uri(path))

    def open(
        self, path: str, mime_type: str = "", compression_type: str = CompressionTypes.UNCOMPRESSED
    ) -> Any:
        """Opens a file for reading."""
        return storage.open_file(_uri(path))

    def copy(self, source_file_names: Sequence[str], destination_file_names: Sequence[str]) -> None:
        """Copies files."""
        _each(_copy, list(zip(source_file_names, destination_file_names, strict=True)))

    def rename(self, source_file_names: Sequence[str], destination_file_names: Sequence[str]) -> None:
        """Copies files, then deletes those copied."""

        def rename(pair: tuple[str, str]) -> None:
            _copy(pair)
            storage.delete(_uri(pair[0]))

        _each(rename, list(zip(source_file_names, destination_file_names, strict=True)))

    def exists(self, path: str) -> bool:
        """Whether there is a file of this name."""
        return storage.exists(_uri(path))

    def size(self, path: str) -> int:
        """A file's size in bytes."""
        return self.metadata(path).size_in_bytes

    def last_updated(self, path: str) -> float:
        """Raises: nothing here asks for it."""
        raise NotImplementedError

    def checksum(self, path: str) -> str | None:
        """What differs where files differ."""
        return storage.stat(_uri(path)).etag

    def metadata(self, path: str) -> FileMetadata:
        """A file's size."""
        return FileMetadata(path, storage.stat(_uri(path)).byte_size)

    def delete(self, paths: Sequence[str]) -> None:
        """Deletes files, or all files in folders."""

        def delete(path: str) -> None:
            storage.delete(_uri(path))
            for source in list(storage.list_files(f"{_uri(path).rstrip('/')}/")):
                storage.delete(source.uri)

        _each(delete, list(paths))


class _Upload(io.BytesIO):
    """Bytes that become a file when they are closed, and only then: not when they are given up."""

    def __init__(self, uri: str) -> None:
        super().__init__()
        self._uri = uri

    def close(self) -> None:
        if not self.closed:
            storage.write_atomic(self._uri, self.getvalue())
            super().close()

    def __del__(self) -> None:
        """Overrides that of files, which closes them."""


def _uri(path: str) -> str:
    return path[len(_PREFIX) :]


def _copy(pair: tuple[str, str]) -> None:
    storage.copy(_uri(pair[0]), _uri(pair[1]))


def _each(work: Callable[[Any], None], items: Sequence[Any]) -> None:
    """Does all, and tells Beam by name what failed."""
    failed = {}
    for item in items:
        try:
            work(item)
        except InputError as error:
            failed[item] = error
    if failed:
        raise BeamIOError(next(iter(failed.values())).message, failed)
