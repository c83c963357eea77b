"""Small whole files of every kind that is read, made by code; what is mutated begins as one of them."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from pipeline import manifest
from pipeline.lock import Owner
from pipeline.waves import Marker
from tests import corpus
from tests.builders import tiny_bundle
from transforms.storage import Source

_LARGEST = 300_000
_LEFT_OUT = ("bombs", "impostors", "names", "truncated")
"""Folders of the hostile corpus whose files are broken already, or there for their names."""
_ARCHIVES = ("tar", "zip", "parquet")
_MORE = ("QOI", "SGI", "PCX", "DDS", "MPO", "PSD", "HEIF")


@dataclass(frozen=True, slots=True)
class Seed:
    """A whole file.

    Attributes:
        target: which of `benchmarks.fuzz.targets` reads it.
        name: for people.
        data: its bytes.
    """

    target: str
    name: str
    data: bytes


def seeds() -> list[Seed]:
    """All seeds, sorted."""
    found = [*_files(), *_more_formats(), *_texts(), *_of_a_job()]
    return sorted(found, key=lambda seed: (seed.target, seed.name))


def _files() -> list[Seed]:
    found = []
    for item in corpus.items():
        folder = item.name.partition("/")[0]
        whole = item.pages or not item.name.endswith("gz")  # what is packed is mutated unpacked
        if folder not in _LEFT_OUT and whole and 0 < len(item.data) < _LARGEST:
            found.append(Seed("archive" if folder in _ARCHIVES else "image", item.name, item.data))
    return found


def _more_formats() -> list[Seed]:
    """What Pillow can write beside the corpus' formats; HEIC too where pillow-heif is installed."""
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
    except ImportError:
        pass
    Image.init()
    page, found = corpus.page(), []
    for kind in (kind for kind in _MORE if kind in Image.SAVE):
        found.append(Seed("image", f"more/{kind.lower()}", corpus.encoded(kind, page)))
    for packing in ("jpeg", "group3", "group4", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        bits = page.convert("1") if packing.startswith("group") else page
        found.append(Seed("image", f"more/tiff {packing}", corpus.encoded("TIFF", bits, compression=packing)))
    for kind in ("GIF", "WEBP", "TIFF", "PDF"):
        several = corpus.encoded(kind, page, save_all=True, append_images=[page.rotate(180)])
        found.append(Seed("image", f"more/several {kind.lower()}", several))
    return found


def _texts() -> list[Seed]:
    lists = {
        "csv": 'uri,etag,byte_size\na.png,abc,12\n"b,c.png",,\nhttps://h.example/x.jpg?sig=a,e,5\n',
        "txt": "a.png\r\n# told\n\nfile:///b.png\nhttps://user:word@h.example/x\n",
        "jsonl": '{"uri": "a.png", "etag": "x", "byte_size": 5}\n{"uri": "a/b/../c.png"}\n',
    }
    return [Seed(f"list {suffix}", f"list.{suffix}", text.encode()) for suffix, text in lists.items()]


def _of_a_job() -> list[Seed]:
    """A bundle's manifest, and what a job leaves in its output."""
    owner = Owner("token", "host", "space", 1, time.time(), "1")
    marker = Marker(0, 2, 1, 3, {"corrupt": 1}, {"read": 5}, 1.5, "tiny", "0" * 64, {"dpi": 200}, "run")
    with tempfile.TemporaryDirectory() as folder:
        tiny_bundle(Path(folder, "bundle"))
        manifest.extend(folder, [Source("a.png", "e", 5), Source("https://h.example/x?sig=a")], None)
        listed = Path(folder, "_manifest", "00000.parquet").read_bytes()
        return [
            Seed("bundle", "manifest.json", Path(folder, "bundle", "manifest.json").read_bytes()),
            Seed("marker", "00000.json", json.dumps(asdict(marker)).encode()),
            Seed("lock", "lock.json", json.dumps(asdict(owner)).encode()),
            Seed("manifest", "00000.parquet", listed),
            Seed("list parquet", "list.parquet", listed),
        ]
