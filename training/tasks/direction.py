"""Direction (PP-OCR section 2.2): is a line upright? Any upright lines teach it, half of them turned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from models.direction import SQUEEZE
from training.config import Choice, Config
from training.data.crops import to_color
from training.data.lines import Augment, Image, LineSource, Sample, ShardSource, pad, warp_line
from training.strategies import AUGMENTATIONS, MIXES, resolve
from training.tasks.recognition import DevConfig, SourceConfig, load_charset, make_source
from training.tasks.system import System, Task


@dataclass(frozen=True, slots=True)
class Settings:
    """What direction trains on.

    Attributes:
        charset: lines with other characters are left out.
        sources: upright lines, as recognition learns from.
        dev: shards of upright lines to score on, each line shown both ways up.
        height: of the input in pixels; a line is scaled to it.
        width: of the input; a shorter line is padded, a longer one squeezed.
        color: gray or bgr.
        threshold: probability of 180 degrees over which the job turns a line; the scores ask the same.
        jitter: see `training.data.lines.LineBatches`.
        augment: what changes a line's pixels, one after the other.
        mix: what mixes the lines of a batch; each batch draws one of them.
    """

    charset: str = "latin"
    sources: tuple[SourceConfig, ...] = (SourceConfig(),)
    dev: tuple[DevConfig, ...] = ()
    height: int = 48
    width: int = 192
    color: str = "bgr"
    batch: int = 64
    threshold: float = 0.9
    jitter: float = 0.12
    augment: tuple[Choice, ...] = ()
    mix: tuple[Choice, ...] = ()


class DirectionBatch(NamedTuple):
    """(B, C, H, W) float32 images, `(v / 255 - .5) / .5`; (B,) int64: 1 where the line is upside down."""

    images: Tensor
    turned: Tensor


class DirectionBatches(Dataset[DirectionBatch]):
    """Batches by number: lines of the sources, each turned with probability a half before any distortion."""

    def __init__(
        self,
        sources: list[tuple[LineSource, float]],
        settings: Settings,
        augment: list[Augment],
        seed: int = 0,
    ) -> None:
        self.sources, self.settings, self.augment, self.seed = sources, settings, augment, seed
        weights = np.array([weight for _, weight in sources], np.float64)
        self.weights = weights / weights.sum()

    def __getitem__(self, number: int) -> DirectionBatch:
        rng = np.random.default_rng((self.seed, number))
        return stack([self._sample(number, rng) for _ in range(self.settings.batch)])

    def _sample(self, number: int, rng: np.random.Generator) -> tuple[Image, bool]:
        source, _ = self.sources[rng.choice(len(self.sources), p=self.weights)]
        block = number // 64
        sample = source.sample(block, int(rng.integers(len(source.ratios(block)))))
        turned = bool(rng.integers(2))
        line = prepare(sample, turned, self.settings, rng, self.settings.jitter)
        for change in self.augment:
            line = change(line, rng)
        return pad(line, self.settings.width), turned


def prepare(
    sample: Sample, turned: bool, settings: Settings, rng: np.random.Generator, jitter: float = 0.0
) -> Image:
    """A line at the network's height, as it stands or turned by 180 degrees, not padded yet.

    Of a long line a part is shown, as `models.direction` does, but any part.
    """
    image = to_color(_part(sample, SQUEEZE * settings.width / settings.height, rng), settings.color)
    upright = np.ascontiguousarray(image[::-1, ::-1]) if turned else image
    return warp_line(upright, sample.border, settings.height, settings.width, rng, jitter)


def _part(sample: Sample, aspect: float, rng: np.random.Generator) -> Image:
    height, width = (side - 2 * sample.border for side in sample.image.shape[:2])
    columns = round(aspect * height)
    if width <= columns:
        return sample.image
    start = int(rng.integers(width - columns + 1))
    return sample.image[:, start : start + columns + 2 * sample.border]


def stack(samples: list[tuple[Image, bool]]) -> DirectionBatch:
    """Stacks padded lines of one size."""
    pixels = np.stack([image if image.ndim == 3 else image[..., None] for image, _ in samples]).transpose(
        0, 3, 1, 2
    )
    images = torch.from_numpy(np.ascontiguousarray(pixels, np.float32)).mul_(1 / 127.5).sub_(1.0)
    return DirectionBatch(images, torch.tensor([int(turned) for _, turned in samples]))


class DirectionSystem(System):
    """Cross entropy; accuracy as the job decides, with its threshold."""

    best: ClassVar[str] = "accuracy"

    def __init__(self, config: Config) -> None:
        super().__init__(config, {"channels": 1 if config.data.color == "gray" else 3})
        self.mixes = [resolve(MIXES, choice) for choice in config.data.mix]

    def loss(self, batch: DirectionBatch) -> dict[str, Tensor]:
        """Cross entropy, and the share of lines (as they were before mixing) that would be called rightly."""
        images, turned = batch
        partners, share = torch.arange(len(images)), 1.0
        if self.mixes:
            images, partners, share = self.mixes[int(torch.randint(len(self.mixes), ()))](images)
        logits = self.net(self._layout(images))
        own, other = F.cross_entropy(logits, turned), F.cross_entropy(logits, turned[partners])
        right = (logits.argmax(1) == turned).float().mean()
        return {"loss": share * own + (1 - share) * other, "accuracy": right}

    def measure(self, batch: tuple[str, DirectionBatch]) -> Iterable[tuple[str, bool, bool]]:
        """(set, upside down, called upside down) of each line."""
        name, lines = batch
        called = self.net(self._layout(lines.images))[:, 1] > self.config.data.threshold
        for turned, call in zip(lines.turned.tolist(), called.tolist(), strict=True):
            yield name, bool(turned), call

    def summarise(self, rows: list[tuple[str, bool, bool]]) -> dict[str, float]:
        """`accuracy` of the first dev set, `<name>_accuracy` of the others."""
        scores: dict[str, float] = {}
        for number, dev in enumerate(self.config.data.dev):
            right = [turned == called for name, turned, called in rows if name == dev.name]
            scores[f"{dev.name}_accuracy" if number else "accuracy"] = sum(right) / max(len(right), 1)
        return scores

    def _layout(self, images: Tensor) -> Tensor:
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        return images.contiguous(memory_format=layout)


def dev_batches(dev: DevConfig, settings: Settings) -> Iterable[tuple[str, DirectionBatch]]:
    """Each line of the shard as labelled, both ways up."""
    source = ShardSource(Path(dev.shard), load_charset(settings.charset))
    rng = np.random.default_rng(0)
    chosen = range(0, len(source.ratios(0)), dev.every)
    for start in range(0, len(chosen), settings.batch):
        samples = [source.sample(0, i) for i in chosen[start : start + settings.batch]]
        both = [
            (pad(prepare(s, turned, settings, rng), settings.width), turned)
            for s in samples
            for turned in (False, True)
        ]
        yield dev.name, stack(both)


def build(config: Config) -> Task:
    """System, training batches and dev batches of a direction run."""
    settings: Settings = config.data
    charset = load_charset(settings.charset)
    sources = [(make_source(source, charset), source.weight) for source in settings.sources]
    batches = DirectionBatches(
        sources, settings, [resolve(AUGMENTATIONS, c) for c in settings.augment], config.seed
    )
    dev = [batch for dev in settings.dev for batch in dev_batches(dev, settings)]
    return Task(DirectionSystem(config), batches, dev)
