"""What reads files from elsewhere, each as a function of a file's bytes and of an empty folder."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from unittest.mock import patch

import numpy as np

from models.bundle import parse_manifest
from models.decoding import decode_each
from models.limits import Limits
from models.records import InputError
from pipeline import lock, manifest, waves
from pipeline.commands import report
from transforms import archives, sources
from transforms.storage import Source

_PAGES = 300
_MEMBERS = 20_000
_MAX_BYTES = 1 << 30

Target = Callable[[bytes, Path], None]


def _image(data: bytes, _: Path) -> None:
    for page in islice(decode_each(data, Limits(), one_channel=True), _PAGES):
        if isinstance(page, InputError):
            page.message.encode()
        elif page.image is None or page.image.dtype != np.uint8 or min(page.image.shape) < 1:
            raise AssertionError("a page without pixels, or of another kind")


def _archive(data: bytes, _: Path) -> None:
    found = archives.members("x", io.BytesIO(data), len(data), _MAX_BYTES, ("json", "uri", "path"))
    for member in islice(found, _MEMBERS):
        f"{member.uri}{member.carried}".encode()
        if isinstance(member.data, InputError):
            member.data.message.encode()


def _bundle(data: bytes, _: Path) -> None:
    parse_manifest(data, "manifest.json")


def _list(name: str) -> Target:
    def read(data: bytes, folder: Path) -> None:
        path = _written(folder / name, data)
        found = list(sources.list_sources([str(path)]))
        manifest.extend(str(folder / "out"), found, None)

    return read


def _marker(data: bytes, folder: Path) -> None:
    output = str(folder)
    manifest.extend(output, [Source("a.png")], None)
    _written(folder / "_waves" / "00000.json", data)
    done = waves.markers(output)
    for marker in done.values():
        waves.refuse_mixing(output, done, marker.bundle_id, marker.bundle, {"dpi": 200})
    report.report(output)


def _lock(data: bytes, folder: Path) -> None:
    _written(folder / "_waves" / "lock.json", data)
    lock.owners(str(folder))
    with patch.object(lock, "STALE_S", 0.01), patch.object(lock, "LOOK_S", 0.005), lock.Lock(str(folder)):
        pass


def _manifest(data: bytes, folder: Path) -> None:
    _written(folder / "_manifest" / "00000.parquet", data)
    manifest.extend(str(folder), [], None, None, {})


def _written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


TARGETS: dict[str, Target] = {
    "image": _image,
    "archive": _archive,
    "bundle": _bundle,
    "marker": _marker,
    "lock": _lock,
    "manifest": _manifest,
    **{f"list {suffix}": _list(f"list.{suffix}") for suffix in ("csv", "txt", "jsonl", "parquet")},
}
