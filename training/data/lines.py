"""Batches of line images for recognition.

Lines come from sources, go into buckets by width, and one warp brings each from its crop to the network's
input. A batch is a pure function of (seed, number). Widths come from a fixed list and each has a fixed batch
size (equal pixel columns a batch), so the network sees a dozen shapes only: with ever-new shapes a CPU
spends a fifth of its time on planning kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from models.records import UsageError
from training.data.charset import Charset, normalize
from training.data.crops import to_color
from training.data.shards import Shard

Image = NDArray[np.uint8]
Augment = Callable[[Image, np.random.Generator], Image]


class Sample(NamedTuple):
    """A line: its image (H, W) or (H, W, C), what it says, and how many pixels around it are margin."""

    image: Image
    text: str
    border: int


class LineBatch(NamedTuple):
    """A batch.

    Attributes:
        images: (N, C, H, W) float32, (v / 255 - .5) / .5.
        targets: classes of all texts back to back, int64.
        lengths: (N,) how many of them belong to each line.
        texts: the texts themselves.
        kept: (N,) bool: lines of sources that are to be read as before; None: there are none.
    """

    images: Tensor
    targets: Tensor
    lengths: Tensor
    texts: tuple[str, ...]
    kept: Tensor | None = None


class LineSource(Protocol):
    """Lines to draw from, for one block of batches; ratios are width / height of the lines without margin."""

    def ratios(self, block: int) -> NDArray[np.float64]:
        """(M,) one a line."""

    def sample(self, block: int, index: int) -> Sample:
        """Line `index` of the block."""


class ShardSource:
    """Lines of a packed shard; lines whose text the charset cannot spell are left out, and counted.

    Args:
        field: which text of the labels to learn; lines without it are left out.
    """

    def __init__(self, path: Path, charset: Charset, field: str = "text") -> None:
        self.shard = Shard(path)
        texts = [normalize(str(label.get(field) or "")) for label in self.shard.labels]
        self.unspellable = [text for text in texts if charset.missing(text)]
        self.usable = np.asarray([i for i, t in enumerate(texts) if t and not charset.missing(t)], np.int64)
        if not len(self.usable):
            relabel = "; `ppocr-train data relabel` gives its lines one" if field == "cased" else ""
            raise UsageError(f"{path} has no line with a {field!r} that the charset can spell{relabel}")
        self.texts = texts
        borders = np.asarray([label.get("border", 0) for label in self.shard.labels], np.int64)
        sizes = self.shard.index[:, 1:3] - 2 * borders[:, None]
        self._ratios: NDArray[np.float64] = (sizes[:, 1] / np.maximum(sizes[:, 0], 1))[self.usable]

    def ratios(self, block: int) -> NDArray[np.float64]:
        return self._ratios

    def sample(self, block: int, index: int) -> Sample:
        i = int(self.usable[index])
        return Sample(self.shard.image(i), self.texts[i], int(self.shard.labels[i].get("border", 0)))


class SyntheticSource:
    """Lines made on the fly, `size` at a time: each block of batches draws from lines of its own.

    Args:
        make: index -> (image (H, W) or (H, W, 3), text); a pure function, such as `synthesis.lines`'
            `sample`.
    """

    def __init__(self, make: Callable[[int], tuple[Image, str]], charset: Charset, size: int = 2048) -> None:
        self.make, self.charset, self.size = make, charset, size
        self._block, self._samples = -1, list[Sample]()

    def _lines(self, block: int) -> list[Sample]:
        if block != self._block:
            made = (self.make(block * self.size + i) for i in range(self.size))
            lines = ((image, normalize(text)) for image, text in made)
            self._samples = [Sample(i, t, 0) for i, t in lines if t and not self.charset.missing(t)]
            self._block = block
        return self._samples

    def ratios(self, block: int) -> NDArray[np.float64]:
        return np.asarray([s.image.shape[1] / s.image.shape[0] for s in self._lines(block)])

    def sample(self, block: int, index: int) -> Sample:
        return self._lines(block)[index]


@dataclass(frozen=True, slots=True)
class LineShape:
    """The network's input.

    Attributes:
        height: in pixels.
        widths: the buckets, ascending; a line goes into the narrowest that holds it and is padded, and one
            wider than the last is squeezed into it.
        columns: pixel columns a batch: a bucket's batch size is columns / width.
        color: gray (1 channel) or bgr (3).
    """

    height: int = 32
    widths: tuple[int, ...] = (32, 64, 96, 128, 160, 192, 256, 320, 416, 544, 704, 960)
    columns: int = 4096
    color: str = "gray"

    def bucket(self, widths: NDArray[np.float64]) -> NDArray[np.int64]:
        """Which bucket holds each width, in pixels at this height."""
        return np.minimum(np.searchsorted(self.widths, np.floor(widths)), len(self.widths) - 1)

    def batch_size(self, bucket: int) -> int:
        """Lines a batch of that bucket."""
        return max(1, self.columns // self.widths[bucket])


class _Plan(NamedTuple):
    """Of one block: members[source][bucket] line indices; shares (sources, buckets) of the samples."""

    members: list[list[NDArray[np.int64]]]
    shares: NDArray[np.float64]


class LineBatches(Dataset[LineBatch]):
    """Training batches by number.

    Args:
        sources: where lines come from, and the share of the samples that each gives.
        augment: image -> image of the same shape, after the warp.
        jitter: how far the crop's corners move, as a fraction of its height: detectors cut looser and tighter
            than labels do.
        block: batches drawn from one block of the sources.
        kept: numbers of the sources whose lines are marked as `LineBatch.kept`.
    """

    def __init__(
        self,
        sources: Sequence[tuple[LineSource, float]],
        charset: Charset,
        shape: LineShape,
        *,
        augment: Sequence[Augment] = (),
        jitter: float = 0.0,
        seed: int = 0,
        block: int = 256,
        kept: Sequence[int] = (),
    ) -> None:
        self.sources = [source for source, _ in sources]
        self.kept = np.isin(np.arange(len(sources)), kept)
        self.weights = np.asarray([weight for _, weight in sources], np.float64)
        self.charset, self.shape, self.augment = charset, shape, tuple(augment)
        self.jitter, self.seed, self.block = jitter, seed, block
        self._plans: dict[int, _Plan] = {}

    def __getitem__(self, number: int) -> LineBatch:
        rng = np.random.default_rng((self.seed, number))
        block = number // self.block
        plan = self._plan(block)
        sizes = np.asarray([self.shape.batch_size(b) for b in range(len(self.shape.widths))])
        chances = plan.shares.sum(axis=0) / sizes
        bucket = int(rng.choice(len(sizes), p=chances / chances.sum()))
        column = plan.shares[:, bucket] / plan.shares[:, bucket].sum()
        drawn = rng.choice(len(self.sources), size=sizes[bucket], p=column)
        samples = [self._draw(plan, block, int(source), bucket, rng) for source in drawn]
        width = self.shape.widths[bucket]
        images = [self.prepare(sample, width, rng) for sample in samples]
        batch = collate(images, [sample.text for sample in samples], self.charset)
        return batch._replace(kept=torch.from_numpy(self.kept[drawn])) if self.kept.any() else batch

    def _plan(self, block: int) -> _Plan:
        if block not in self._plans:
            members, shares = [], []
            for source, weight in zip(self.sources, self.weights, strict=True):
                buckets = self.shape.bucket(source.ratios(block) * self.shape.height)
                rows = [np.flatnonzero(buckets == b) for b in range(len(self.shape.widths))]
                members.append(rows)
                shares.append([weight * len(row) / max(1, len(buckets)) for row in rows])
            self._plans = {block: _Plan(members, np.asarray(shares))}
        return self._plans[block]

    def _draw(self, plan: _Plan, block: int, source: int, bucket: int, rng: np.random.Generator) -> Sample:
        members = plan.members[source][bucket]
        return self.sources[source].sample(block, int(members[rng.integers(len(members))]))

    def prepare(self, sample: Sample, width: int, rng: np.random.Generator) -> Image:
        """Jitters the corners, warps to the network's height, augments and pads to `width`."""
        image = to_color(sample.image, self.shape.color)
        line = warp_line(image, sample.border, self.shape.height, width, rng, self.jitter)
        for augment in self.augment:
            line = augment(line, rng)
        return pad(line, width)


def warp_line(
    image: Image, border: int, height: int, max_width: int, rng: np.random.Generator, jitter: float
) -> Image:
    """Cuts the line out of its crop, its corners moved at random.

    The result has the network's height and at most `max_width`. The upper and the lower edge move by up to
    `jitter` of the height outwards and four tenths of it inwards, left and right half as much again, and each
    corner by a quarter of it on its own.
    """
    rows, columns = image.shape[:2]
    inner_height, inner_width = rows - 2 * border, columns - 2 * border
    ratio = inner_width / inner_height
    reach = jitter * inner_height
    # left, top, right, bottom: outwards is positive
    out = rng.uniform(-0.4 * reach, reach, 4)
    out[[0, 2]] *= 1.5
    out = np.minimum(out, border)  # a crop without margin is not cut any looser: there is nothing to show
    corners = np.asarray(
        [
            [border - out[0], border - out[1]],
            [columns - border + out[2], border - out[1]],
            [columns - border + out[2], rows - border + out[3]],
            [border - out[0], rows - border + out[3]],
        ],
        np.float32,
    ) + rng.uniform(-0.25 * reach, 0.25 * reach, (4, 2)).astype(np.float32)
    stretch = float(np.exp(rng.normal(0, 0.6 * jitter))) if jitter else 1.0
    width = int(np.clip(round(height * ratio * stretch), 4, max_width))
    target = np.asarray([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, target)
    shrink = inner_height / height
    source = image if shrink < 1.6 else cv2.GaussianBlur(image, (0, 0), 0.4 * shrink)
    warped = cv2.warpPerspective(source, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def pad(line: Image, width: int) -> Image:
    """Pads on the right to the bucket's width with 128, which enters the network as about 0."""
    missing = width - line.shape[1]
    return np.pad(line, ((0, 0), (0, missing), *[(0, 0)] * (line.ndim - 2)), constant_values=128)


def collate(images: Sequence[Image], texts: Sequence[str], charset: Charset) -> LineBatch:
    """Stacks images of one size and encodes their texts."""
    stacked = np.stack(images)
    stacked = stacked[:, None] if stacked.ndim == 3 else stacked.transpose(0, 3, 1, 2)
    tensor = torch.from_numpy(np.ascontiguousarray(stacked, np.float32)).mul_(1 / 127.5).sub_(1.0)
    encoded = [charset.encode(text) for text in texts]
    targets = torch.tensor([index for classes in encoded for index in classes], dtype=torch.long)
    return LineBatch(tensor, targets, torch.tensor([len(e) for e in encoded]), tuple(texts))


def dev_batches(source: ShardSource, charset: Charset, shape: LineShape, every: int = 1) -> list[LineBatch]:
    """Every `every`-th usable line of a shard, as labelled: no jitter, no augmentation."""
    rng = np.random.default_rng(0)
    buckets = shape.bucket(source.ratios(0)[::every] * shape.height)
    batches = []
    for bucket, width in enumerate(shape.widths):
        members = np.flatnonzero(buckets == bucket) * every
        for start in range(0, len(members), size := shape.batch_size(bucket)):
            samples = [source.sample(0, int(i)) for i in members[start : start + size]]
            lines = [
                warp_line(to_color(s.image, shape.color), s.border, shape.height, width, rng, 0.0)
                for s in samples
            ]
            batches.append(collate([pad(line, width) for line in lines], [s.text for s in samples], charset))
    return batches
