"""Bundles by name, folder or URI, ready on this machine."""

from __future__ import annotations

import functools
import hashlib
import tempfile
from pathlib import Path

from models.bundle import MANIFEST, Bundle, load_bundle, parse_manifest
from models.records import InputError, UsageError
from transforms import storage


@functools.lru_cache(maxsize=4)
def open_bundle(name: str, check: bool = False) -> Bundle:
    """Loads a bundle, copying its files here first where they lie on object storage.

    Args:
        name: a built-in bundle's name, or the path or URI of a folder with a manifest.
        check: compare the files' digests. Copied files always are.

    Raises:
        UsageError: there is no such bundle, or it is not what its manifest says.
    """
    if storage.is_local(name):
        return load_bundle(name.removeprefix("file://"), check=check)
    try:
        return _fetch(name)
    except InputError as error:
        raise UsageError(f"bundle {storage.redacted(name)}: {error.message}") from error


def _fetch(uri: str) -> Bundle:
    """Copies a bundle into a folder named after its id; one that is there already is checked and used."""
    data = storage.read(storage.join(uri, MANIFEST)).data
    manifest = parse_manifest(data, uri)
    folder = Path(tempfile.gettempdir()) / "ppocr-beam-bundles" / hashlib.sha256(data).hexdigest()
    if not (folder / MANIFEST).exists():
        models = () if manifest.package else (manifest.detection, manifest.direction, manifest.recognition)
        for model in models:
            storage.write_atomic(str(folder / model.file), storage.read(storage.join(uri, model.file)).data)
        storage.write_atomic(str(folder / MANIFEST), data)
    return load_bundle(folder)
