"""Recognition (PP-OCR section 2.3): lines to text by CTC."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from models.records import UsageError
from training.config import Choice, Config
from training.data.charset import Charset, count_missing, read_charset
from training.data.crops import to_color
from training.data.lines import (
    Image,
    LineBatch,
    LineBatches,
    LineShape,
    LineSource,
    ShardSource,
    SyntheticSource,
    dev_batches,
)
from training.data.teacher import Teacher
from training.strategies import AUGMENTATIONS, resolve
from training.strategies.distillation import aligned_targets, class_map, distillation_loss
from training.strategies.keeping import Before
from training.tasks.system import System, Task

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """Where training lines come from.

    Attributes:
        shard: a packed shard, or empty for lines made on the fly.
        weight: share of the samples, relative to the other sources.
        field: which text of the shard's labels is learnt.
        seed: of the lines made on the fly.
        language: of these: `zh` or `ja`; empty for Latin script.
        keep: the lines are to be read as before, beside learning their texts; see `Settings.before`.
    """

    shard: str = ""
    weight: float = 1.0
    field: str = "text"
    seed: int = 0
    language: str = ""
    keep: bool = False


@dataclass(frozen=True, slots=True)
class DevConfig:
    """A shard to score on.

    Attributes:
        name: of the score; the first set's `ned` chooses the best checkpoint.
        fold: compare without case.
        every: take every n-th line.
    """

    name: str
    shard: str
    field: str = "text"
    fold: bool = False
    every: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be at least 1, not {self.every}")


@dataclass(frozen=True, slots=True)
class Settings:
    """What recognition trains on.

    Attributes:
        charset: a file of one character a line, or the name of one in `training/configs`, or several of these
            joined by `+`; or the characters themselves after `=`.
        jitter: see `LineBatches`.
        teacher: a bundle or ONNX file to learn from beside the labels (see `Teacher`); empty = none.
        distillation: weight of its loss beside CTC's.
        before: checkpoint of the network as it was, which says how lines of sources with `keep` are to be
            read (see `training.strategies.keeping`); empty = none.
        keeping: weight of that loss, a mean over columns, beside CTC's, which is one a character.
    """

    charset: str = "latin"
    shape: LineShape = LineShape()
    sources: tuple[SourceConfig, ...] = (SourceConfig(),)
    dev: tuple[DevConfig, ...] = ()
    augment: tuple[Choice, ...] = ()
    jitter: float = 0.12
    block: int = 256
    teacher: str = ""
    distillation: float = 0.5
    before: str = ""
    keeping: float = 20.0


class RecognitionSystem(System):
    """CTC over a line network; scores exact lines and 1 - NED (normalised edit distance) per dev set.

    Args:
        config: of the run.
        charset: what the network learns to tell apart.
    """

    best: ClassVar[str] = "ned"

    def __init__(self, config: Config, charset: Charset) -> None:
        options = {"classes": charset.classes, "channels": 1 if config.data.shape.color == "gray" else 3}
        super().__init__(config, options)
        self.charset = charset
        self.state = {"charset": "".join(charset.characters)}
        self.teacher = Teacher(Path(config.data.teacher)) if config.data.teacher else None
        self.classes = class_map(self.teacher.charset, charset.characters) if self.teacher else None
        kept = any(source.keep for source in config.data.sources)
        if kept != bool(config.data.before):
            raise UsageError("data.before and sources with keep need each other")
        if self.teacher and config.data.before:
            raise UsageError("data.teacher and data.before exclude each other")
        self.before = Before(Path(config.data.before), charset) if config.data.before else None

    def loss(self, batch: LineBatch) -> dict[str, Tensor]:
        """CTC, as the mean over lines of the loss a character, and what was said of kept lines before."""
        images = self._layout(batch.images)
        logits = self.net(images)
        steps = torch.full((len(logits),), logits.shape[1], dtype=torch.long)
        logs = logits.float().log_softmax(2).transpose(0, 1)
        each = F.ctc_loss(logs, batch.targets, steps, batch.lengths, reduction="none", zero_infinity=True)
        loss = (each / batch.lengths.clamp(min=1).to(each.device)).mean()
        if self.before is not None:
            kept, held = self.before.kept(batch), logits.new_zeros(())
            if kept.any():
                said = self.before.said(images[kept], logits.shape[2])
                held = kept.float().mean() * distillation_loss(logits[kept].float(), said)
            return {"loss": loss + self.config.data.keeping * held, "ctc": loss, "kept": held}
        if self.teacher is None:
            return {"loss": loss}
        distilled = distillation_loss(logits.float(), self._taught(batch.images, logits.shape[1]))
        return {"loss": loss + self.config.data.distillation * distilled, "ctc": loss, "distilled": distilled}

    def _taught(self, images: Tensor, columns: int) -> Tensor:
        """(N, T, K): what the teacher reads in these very images, laid over the student's columns."""
        assert self.teacher is not None and self.classes is not None  # for the type checker
        pixels = images.add(1.0).mul(127.5).clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
        lines = [to_color(line, "bgr") for line in pixels]
        targets = [aligned_targets(self.teacher.columns(line), columns, self.classes) for line in lines]
        return torch.from_numpy(np.stack(targets)).to(images.device)

    def measure(self, batch: tuple[int, LineBatch]) -> Iterable[tuple[int, str, str]]:
        """(number of the set, label, reading) of each line."""
        number, lines = batch
        fold = self.config.data.dev[number].fold
        best = self.net(self._layout(lines.images)).argmax(2).tolist()
        for label, path in zip(lines.texts, best, strict=True):
            reading = self.charset.decode(path)
            yield (number, label.lower(), reading.lower()) if fold else (number, label, reading)

    def summarise(self, rows: list[tuple[int, str, str]]) -> dict[str, float]:
        """`ned` and `exact` of the first set, `<name>_ned` and `<name>_exact` of the others."""
        scores: dict[str, float] = {}
        for number, dev in enumerate(self.config.data.dev):
            pairs = [(label, reading) for own, label, reading in rows if own == number]
            prefix = f"{dev.name}_" if number else ""
            scores[prefix + "ned"] = sum(1 - Levenshtein.normalized_distance(a, b) for a, b in pairs) / len(
                pairs
            )
            scores[prefix + "exact"] = sum(a == b for a, b in pairs) / len(pairs)
        return scores

    def _layout(self, images: Tensor) -> Tensor:
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        return images.contiguous(memory_format=layout)


def load_charset(text: str) -> Charset:
    """The charset a configuration means: `=abc` spells it, all else names a file, or files joined by +."""
    if text.startswith("="):
        return Charset(tuple(text[1:]))
    files = [read_charset(name) for name in text.split("+")]
    return Charset(tuple(dict.fromkeys(char for file in files for char in file.characters)))


def make_source(source: SourceConfig, charset: Charset) -> LineSource:
    """Opens a shard, or sets up lines made on the fly."""
    if source.shard:
        opened = ShardSource(Path(source.shard), charset, source.field)
        missing = [
            f"{char!r} ({lines})" for char, lines in count_missing(charset, opened.unspellable).most_common()
        ]
        if missing:
            more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
            log.warning(
                "%s: %d lines left out, with characters that the charset lacks: %s%s",
                source.shard, len(opened.unspellable), ", ".join(missing[:8]), more,
            )  # fmt: skip
        return opened
    from training.synthesis.lines import LineSource as MadeLines

    maker = MadeLines(source.seed, charset.characters, language=source.language)

    def make(index: int) -> tuple[Image, str]:
        made = maker.sample(index)
        return made.image, made.text

    return SyntheticSource(make, charset)


def build(config: Config) -> Task:
    """System, training batches and dev batches of a recognition run."""
    settings: Settings = config.data
    charset = load_charset(settings.charset)
    sources = [(make_source(source, charset), source.weight) for source in settings.sources]
    augment: list[Any] = [resolve(AUGMENTATIONS, choice) for choice in settings.augment]
    batches = LineBatches(
        sources,
        charset,
        settings.shape,
        augment=augment,
        jitter=settings.jitter,
        seed=config.seed,
        block=settings.block,
        kept=[number for number, source in enumerate(settings.sources) if source.keep],
    )
    dev = [
        (i, batch) for i, dev in enumerate(settings.dev) for batch in open_dev(dev, charset, settings.shape)
    ]
    return Task(RecognitionSystem(config, charset), batches, dev)


def open_dev(dev: DevConfig, charset: Charset, shape: LineShape) -> list[LineBatch]:
    """The batches of one dev set."""
    return dev_batches(ShardSource(Path(dev.shard), charset, dev.field), charset, shape, dev.every)
