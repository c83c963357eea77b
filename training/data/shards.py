"""Packed shards: many small images in one memory-mapped file, so that training decodes nothing.

A shard is a folder of three files: `pixels.bin` (uint8 pixels back to back), `index.npy` (int64 rows of
offset, height, width, channels) and `labels.jsonl` (one JSON object an image).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.records import UsageError

PIXELS, INDEX, LABELS = "pixels.bin", "index.npy", "labels.jsonl"


class Shard:
    """A shard opened for reading; images are views of the mapped file.

    Raises:
        FileNotFoundError: a file of the shard is missing.
        UsageError: its files are damaged or do not belong together.
    """

    def __init__(self, path: Path) -> None:
        missing = [name for name in (PIXELS, INDEX, LABELS) if not (path / name).is_file()]
        if missing:
            raise FileNotFoundError(
                f"{path} is no shard: {', '.join(missing)} missing; make it with `data pack`"
            )
        self.path = path
        try:
            self.index: NDArray[np.int64] = np.load(path / INDEX, allow_pickle=False)
            self.labels = read_jsonl(path / LABELS)
        except (ValueError, EOFError) as error:
            raise UsageError(f"{path} is damaged ({error}); pack the set again") from error
        ends = self.index[:, 0] + self.index[:, 1:].prod(axis=1)
        size = (path / PIXELS).stat().st_size
        if len(self.labels) != len(self.index) or (len(ends) and int(ends.max()) > size):
            raise UsageError(f"{path}: pixels, index and labels do not belong together; pack the set again")
        self._pixels = np.memmap(path / PIXELS, np.uint8, "r") if size else np.empty(0, np.uint8)

    def __len__(self) -> int:
        return len(self.index)

    def image(self, i: int) -> NDArray[np.uint8]:
        """Image i as a read-only (H, W, C) view."""
        offset, height, width, channels = (int(value) for value in self.index[i])
        flat = self._pixels[offset : offset + height * width * channels]
        return flat.reshape(height, width, channels)


def write_shard(path: Path, records: Iterable[tuple[NDArray[np.uint8], Mapping[str, Any]]]) -> int:
    """Writes (image, label) pairs as a shard, aside and then renamed, and returns how many there were.

    Raises:
        FileExistsError: the shard is there already.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already; remove it or choose another name")
    aside = path.with_name(path.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        rows, labels, offset = [], [], 0
        with open(aside / PIXELS, "wb") as pixels:
            for image, label in records:
                image = np.ascontiguousarray(image if image.ndim == 3 else image[..., None])
                pixels.write(image.tobytes())
                rows.append((offset, *image.shape))
                labels.append(dict(label))
                offset += image.size
        np.save(aside / INDEX, np.asarray(rows, np.int64).reshape(-1, 4))
        write_jsonl(aside / LABELS, labels)
        aside.rename(path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return len(rows)


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """One object a line."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def write_jsonl(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """One object a line, aside and then renamed."""
    aside = path.with_name(path.name + ".partial")
    aside.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    aside.replace(path)
