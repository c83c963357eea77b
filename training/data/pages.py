"""Batches of page crops for detection, and whole pages to score on.

A batch is a pure function of (seed, number), whatever process makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from models.records import Image, UsageError
from training.data.crops import to_color
from training.data.detection import (
    LabelledPage,
    Targets,
    Warp,
    load_page,
    make_targets,
    normalize,
    random_crop,
)
from training.data.labels import LabelledImage, images_of
from training.losses.db import DBTargets

Augment = Callable[[Image, np.random.Generator], Image]
PageDraw = Callable[[np.random.Generator], LabelledPage]


class PageBatch(NamedTuple):
    """(B, C, H, W) float32 images, C being 3 or 1, and the maps (B, 1, H, W) that the net should say."""

    images: Tensor
    targets: DBTargets


@dataclass(frozen=True, slots=True)
class PageInput:
    """How pixels enter the net: `(v / 255 - mean) / std`.

    Attributes:
        color: bgr (channels blue, green, red) or gray.
        mean: one number a channel.
        std: likewise.
    """

    color: Literal["bgr", "gray"] = "bgr"
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)


class PageBatches(Dataset[PageBatch]):
    """Batches of random crops.

    Args:
        sources: what draws a page, and its weight.
        warp: how crops are cut.
        pixels: how they are normalised.
        batch: crops a batch.
        shrink_ratios: the shrink ratio at the first and at the last batch (it moves evenly in between).
        batches: number of batches of the whole run.
        augment: what changes a crop's pixels.
        seed: of everything drawn.
    """

    def __init__(
        self,
        sources: Sequence[tuple[PageDraw, float]],
        warp: Warp,
        pixels: PageInput,
        batch: int,
        shrink_ratios: tuple[float, ...],
        batches: int,
        augment: Sequence[Augment] = (),
        seed: int = 0,
    ) -> None:
        self.sources, self.warp, self.pixels, self.batch = sources, warp, pixels, batch
        self.shrink_ratios, self.batches = shrink_ratios, batches
        self.augment, self.seed = augment, seed
        weights = np.array([weight for _, weight in sources], np.float64)
        self.weights = weights / weights.sum()

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, number: int) -> PageBatch:
        rng = np.random.default_rng((self.seed, number))
        first, last = self.shrink_ratios[0], self.shrink_ratios[-1]
        ratio = first + (last - first) * min(1.0, number / max(self.batches - 1, 1))
        return collate([self._sample(rng, ratio) for _ in range(self.batch)])

    def _sample(self, rng: np.random.Generator, ratio: float) -> tuple[np.ndarray[Any, Any], Targets]:
        draw, _ = self.sources[rng.choice(len(self.sources), p=self.weights)]
        crop = random_crop(draw(rng), self.warp, rng)
        targets = make_targets(crop.quads, crop.ignored, (self.warp.size, self.warp.size), ratio)
        image = crop.image
        for change in self.augment:
            image = change(image, rng)
        return normalize(to_color(image, self.pixels.color), self.pixels.mean, self.pixels.std), targets


def collate(samples: Sequence[tuple[np.ndarray[Any, Any], Targets]]) -> PageBatch:
    """Stacks crops and their maps."""
    images = torch.from_numpy(np.stack([image for image, _ in samples]))
    maps = [torch.from_numpy(np.stack(each))[:, None] for each in zip(*(t for _, t in samples), strict=True)]
    return PageBatch(images, DBTargets(*maps))


def labelled_pages(path: Path) -> tuple[LabelledImage, ...]:
    """The pages of a label file, those without text among them: lines found there are false alarms.

    Raises:
        UsageError: no image has a polygon on it.
    """
    images = images_of(path)
    pages = tuple(image for image in images if not image.regions or any(r.polygon for r in image.regions))
    if not any(page.regions for page in pages):
        raise UsageError(f"{path} holds no image with polygons: detection needs PPOCRLabel or ICDAR labels")
    return pages


def draw_labelled(path: Path) -> PageDraw:
    """Draws pages of a label file evenly."""
    images = labelled_pages(path)
    return lambda rng: load_page(images[rng.integers(len(images))])


def draw_made(seed: int, characters: Sequence[str]) -> PageDraw:
    """Draws made pages, without end."""
    from training.synthesis.pages import PageSource

    source = PageSource(seed, characters)

    def draw(rng: np.random.Generator) -> LabelledPage:
        page = source.sample(int(rng.integers(2**31)))
        quads = np.array([quad for quad, _ in page.lines], np.float32).reshape(-1, 4, 2)
        return LabelledPage(page.image, quads, np.zeros(len(quads), bool))

    return draw
