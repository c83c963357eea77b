"""A contact sheet: lines of a shard with their texts beneath, as one PNG."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training.data.shards import Shard

CELL_WIDTH, LINE_HEIGHT, TEXT_HEIGHT = 480, 40, 18


def contact_sheet(shard_path: Path, out: Path, *, lines: int = 60, seed: int = 0, columns: int = 3) -> None:
    """Draws `lines` random lines of a shard.

    Raises:
        OSError: the file cannot be written.
    """
    shard = Shard(shard_path)
    rng = np.random.default_rng(seed)
    chosen = sorted(rng.permutation(len(shard))[:lines].tolist())
    rows = -(-max(1, len(chosen)) // columns)
    sheet = Image.new("RGB", (columns * CELL_WIDTH, rows * (LINE_HEIGHT + TEXT_HEIGHT)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for place, i in enumerate(chosen):
        x, y = place % columns * CELL_WIDTH, place // columns * (LINE_HEIGHT + TEXT_HEIGHT)
        sheet.paste(Image.fromarray(_fit(shard.image(i))), (x, y))
        label = shard.labels[i]
        draw.text(
            (x + 2, y + LINE_HEIGHT),
            str(label.get("cased") or label.get("text") or ""),
            fill="black",
            font=font,
        )
    aside = out.with_name(out.name + ".partial")
    sheet.save(aside, "PNG")
    os.replace(aside, out)


def _fit(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = min((LINE_HEIGHT - 4) / height, (CELL_WIDTH - 8) / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(
        cv2.cvtColor(resized, cv2.COLOR_BGR2RGB if resized.ndim == 3 else cv2.COLOR_GRAY2RGB), np.uint8
    )
