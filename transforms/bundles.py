"""Bundles by name, folder or URI, ready on this machine."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from models.bundle import MANIFEST, Bundle, file_sha256, load_bundle, parse_manifest, with_second
from models.records import InputError, UsageError
from transforms import storage
from transforms.storage import local


@functools.lru_cache(maxsize=8)
def open_bundle(
    name: str, check: bool = False, private_hosts: bool = False, second: str | None = None
) -> Bundle:
    """Loads a bundle, copying its files here first where they lie on object storage.

    Args:
        name: a built-in bundle's name, or the path or URI of a folder with a manifest.
        check: compare the files' digests. Copied files always are.
        private_hosts: let this process read https:// also from addresses that are not public, from now on.
        second: the bundle whose recogniser becomes the second one, named likewise.

    Raises:
        UsageError: there is no such bundle, or it is not what its manifest says.
    """
    if second is not None:
        return with_second(*(open_bundle(each, check, private_hosts) for each in (name, second)))
    if storage.is_local(name):
        return load_bundle(local.path_of(name), check=check)
    if private_hosts:  # a stage may come before the one that reads pages and says so too
        storage.allow_private_hosts(True)
    try:
        return _fetch(name)
    except InputError as error:
        raise UsageError(f"bundle {storage.redacted(name)}: {error.message}") from error


def _fetch(uri: str) -> Bundle:
    """Copies a bundle into a folder named after its id; of one that is there, what is not as it should be."""
    data = storage.read(storage.join(uri, MANIFEST)).data
    manifest = parse_manifest(data, storage.redacted(uri))
    digest = hashlib.sha256(data).hexdigest()
    folder = _own_folder() / digest
    for model in () if manifest.package else manifest.models:
        if not model.bundle and not _holds(folder / model.file, model.sha256):
            storage.write_atomic(str(folder / model.file), storage.read(storage.join(uri, model.file)).data)
    if not _holds(folder / MANIFEST, digest):
        storage.write_atomic(str(folder / MANIFEST), data)
    return load_bundle(folder)


def _own_folder() -> Path:
    """A folder for copies that nobody but this user can have put anything into.

    Raises:
        UsageError: another user has taken its name.
    """
    folder = Path(tempfile.gettempdir()) / f"ppocr-beam-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UsageError(
            f"{folder} is not a folder of yours alone: remove it, or set TMPDIR to a folder that is"
        )
    return folder


def _holds(path: Path, digest: str) -> bool:
    return path.is_file() and file_sha256(path) == digest
