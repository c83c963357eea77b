"""Detection (PP-OCR section 2.1): pages to shrink maps by DB; the score is the H-mean of the lines found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from models.bundle import DetectionSpec
from models.detection import find_regions
from models.scales import input_size
from training.config import Choice, Config
from training.data.charset import read_charset
from training.data.crops import to_color
from training.data.detection import LabelledPage, Quads, Warp, load_page, normalize
from training.data.labels import LabelledImage
from training.data.pages import (
    PageBatch,
    PageBatches,
    PageDraw,
    PageInput,
    draw_labelled,
    draw_made,
    labelled_pages,
)
from training.evaluation.scoring import DONT_CARE, Text, counted, match, polygon
from training.losses.db import db_loss
from training.strategies import AUGMENTATIONS, resolve
from training.tasks.system import System, Task


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """Where training pages come from.

    Attributes:
        labels: a label file or its folder, or empty for pages made on the fly.
        weight: share of the crops, relative to the other sources.
        seed: of the pages made on the fly.
    """

    labels: str = ""
    weight: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class DevConfig:
    """A label file to score on; every `every`-th page."""

    name: str
    labels: str
    every: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be at least 1, not {self.every}")


@dataclass(frozen=True, slots=True)
class LossConfig:
    """See `training.losses.db.db_loss`."""

    alpha: float = 5.0
    beta: float = 10.0
    negatives: float = 3.0


@dataclass(frozen=True, slots=True)
class PostConfig:
    """How the dev pages' maps become lines; see `models.bundle.DetectionSpec`."""

    limit: int = 960
    threshold: float = 0.3
    box_threshold: float = 0.6
    unclip_ratio: float = 1.5


@dataclass(frozen=True, slots=True)
class Settings:
    """What detection trains on.

    Attributes:
        charset: of the pages made on the fly.
        shrink_ratios: first and last (dynamic shrink ratio), or the only one.
    """

    charset: str = "latin"
    sources: tuple[SourceConfig, ...] = (SourceConfig(),)
    dev: tuple[DevConfig, ...] = ()
    batch: int = 8
    warp: Warp = Warp()
    pixels: PageInput = PageInput()
    shrink_ratios: tuple[float, ...] = (0.4,)
    augment: tuple[Choice, ...] = ()
    loss: LossConfig = LossConfig()
    post: PostConfig = PostConfig()


@dataclass(frozen=True, slots=True)
class Counts:
    """Lines of one page: found rightly, found, and there to be found."""

    dev: str
    hits: int
    found: int
    there: int


class DetectionSystem(System):
    """DB's loss, and the H-mean of the lines found on whole pages."""

    best: ClassVar[str] = "h_mean"

    def __init__(self, config: Config) -> None:
        super().__init__(config, {"channels": 1 if config.data.pixels.color == "gray" else 3})

    def loss(self, batch: PageBatch) -> dict[str, Tensor]:
        """Shrink, binary and threshold map's losses, and their weighted sum."""
        settings = self.config.data.loss
        maps = self.net(self._layout(batch.images))
        return db_loss(maps, batch.targets, settings.alpha, settings.beta, settings.negatives)

    def measure(self, batch: tuple[str, LabelledImage]) -> Iterable[Counts]:
        """Counts of one page."""
        name, labelled = batch
        page = load_page(labelled)
        yield count(name, page, self.find(page.image))

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Moves crops; a dev page is a frozen record, which Lightning refuses to walk through."""
        if not isinstance(batch, PageBatch):
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def find(self, image: np.ndarray[Any, Any]) -> list[Quads]:
        """The lines' quads, as `models.detection` finds them."""
        settings: Settings = self.config.data
        spec = dev_spec(settings)
        height, width = image.shape[:2]
        image = to_color(image, spec.color)
        resized = cv2.resize(image, input_size(width, height, spec), interpolation=cv2.INTER_LINEAR)
        pixels = torch.from_numpy(normalize(np.asarray(resized), spec.mean, spec.std))[None]
        probability = self.net(self._layout(pixels.to(self.device)))[0, 0].float().cpu().numpy()
        return [quad for quad, _ in find_regions(probability, spec, width, height)]

    def summarise(self, rows: list[Counts]) -> dict[str, float]:
        """`h_mean`, `precision` and `recall` of the first dev set, `<name>_h_mean` ... of the others."""
        scores: dict[str, float] = {}
        for number, dev in enumerate(self.config.data.dev):
            own = [row for row in rows if row.dev == dev.name]
            hits, found, there = (sum(getattr(row, key) for row in own) for key in ("hits", "found", "there"))
            prefix = f"{dev.name}_" if number else ""
            scores[prefix + "h_mean"] = 2 * hits / max(found + there, 1)
            scores[prefix + "precision"] = hits / max(found, 1)
            scores[prefix + "recall"] = hits / max(there, 1)
        return scores

    def _layout(self, images: Tensor) -> Tensor:
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        return images.contiguous(memory_format=layout)


def dev_spec(settings: Settings) -> DetectionSpec:
    """The post-processing of the dev pages as a bundle would state it."""
    post, pixels = settings.post, settings.pixels
    return DetectionSpec(
        file="",
        sha256="",
        color=pixels.color,
        mean=pixels.mean,
        std=pixels.std,
        limit=post.limit,
        threshold=post.threshold,
        box_threshold=post.box_threshold,
        unclip_ratio=post.unclip_ratio,
    )


def count(dev: str, page: LabelledPage, quads: Sequence[Quads]) -> Counts:
    """Counts what was found on a page by ICDAR 2015's rule, as `ppocr-train evaluate` does."""
    labels = [
        Text(quad.tolist(), DONT_CARE if ignored else "")
        for quad, ignored in zip(page.quads, page.ignored, strict=True)
    ]
    labels, found = counted(labels, [Text(quad.tolist(), "") for quad in quads])
    pairs = match([polygon(label) for label in labels], [polygon(quad) for quad in found])
    return Counts(dev, len(pairs), len(found), len(labels))


def build(config: Config) -> Task:
    """System, training batches and dev pages of a detection run."""
    settings: Settings = config.data
    batches = PageBatches(
        [(make_source(source, settings.charset), source.weight) for source in settings.sources],
        settings.warp,
        settings.pixels,
        settings.batch,
        settings.shrink_ratios,
        config.steps * config.accumulate,
        augment=[resolve(AUGMENTATIONS, choice) for choice in settings.augment],
        seed=config.seed,
    )
    dev = [
        (dev.name, image) for dev in settings.dev for image in labelled_pages(Path(dev.labels))[:: dev.every]
    ]
    return Task(DetectionSystem(config), batches, dev)


def make_source(source: SourceConfig, charset: str) -> PageDraw:
    """Opens a label file, or sets up pages made on the fly."""
    if source.labels:
        return draw_labelled(Path(source.labels))
    return draw_made(source.seed, read_charset(charset).characters)
