"""The contract between the loop and a task: a net knows tensors, a system knows labels, loss and scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.utils.data import Dataset

from training.config import Config
from training.networks import build_network
from training.strategies import AUGMENTATIONS, MIXES, SCHEDULES, resolve
from training.strategies.ema import Ema


class System(LightningModule, ABC):
    """A network with its loss and its scores.

    A task subclasses it and says `loss`, `measure` and `summarise`; the rest is the same for all.

    Args:
        config: the whole configuration.
        options: options of the network's builder that the task knows, laid over the configured ones.

    Attributes:
        best: the score of `summarise` by which the best checkpoint is chosen; larger is better.
        step: optimizer steps taken, over all resumed runs.
        state: what the task wants saved beside the weights, as JSON values (the charset, say).
    """

    best: ClassVar[str]

    def __init__(self, config: Config, options: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.config = config
        self.network_options = {**config.network.options, **(options or {})}
        self.net: nn.Module = build_network(config.network.name, self.network_options)
        if config.channels_last:
            self.net = self.net.to(memory_format=torch.channels_last)
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad_(not any(fnmatch(name, pattern) for pattern in config.freeze))
        self.schedule = resolve(SCHEDULES, config.schedule)
        self.ema = Ema(self.net, config.ema) if config.ema else None
        self.step = 0
        self.state: dict[str, Any] = {}
        self.scores: dict[str, float] = {}
        self._rows: list[Any] = []
        self.train()

    def train(self, mode: bool = True) -> System:
        """Sets the mode; fixed batch norms stay in evaluation."""
        super().train(mode)
        if self.config.fixed_norms:
            for module in self.net.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    @abstractmethod
    def loss(self, batch: Any) -> dict[str, Tensor]:
        """The loss of one training batch under `loss`, and whatever else is worth a curve."""

    @abstractmethod
    def measure(self, batch: Any) -> Iterable[Any]:
        """Rows of results of one dev batch for `summarise`, read with the averaged weights."""

    @abstractmethod
    def summarise(self, rows: list[Any]) -> dict[str, float]:
        """Scores of the whole dev set."""

    def training_step(self, batch: Any, _index: int) -> Tensor:
        losses = self.loss(batch)
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.items()}, prog_bar=True)
        return losses["loss"]

    def validation_step(self, batch: Any, _index: int) -> None:
        self._rows.extend(self.measure(batch))

    def on_validation_epoch_end(self) -> None:
        self.scores = self.summarise(self._rows)
        self._rows = []
        self.log_dict({f"dev/{name}": value for name, value in self.scores.items()}, prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        settings = self.config.optimizer
        trained = [p for p in self.net.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=settings.lr, betas=settings.betas)

    def learning_rate(self, step: int) -> float:
        """The rate of optimizer step `step` (0-based)."""
        factor: float = self.schedule(step, self.config.steps)
        return self.config.optimizer.lr * factor


def check_choices(config: Config) -> None:
    """Looks at what a run chooses by name and at its options, without its data.

    Raises:
        UsageError: there is no such network, schedule or augmentation, or no such option of it.
    """
    build_network(config.network.name, config.network.options)
    resolve(SCHEDULES, config.schedule)
    for table, key in ((AUGMENTATIONS, "augment"), (MIXES, "mix")):
        for choice in getattr(config.data, key, ()):
            resolve(table, choice)


@dataclass(frozen=True, slots=True)
class Task:
    """A system and its data.

    Attributes:
        train: batch number -> batch; a pure function of the number, so that a run can go on anywhere. Its
            length is not asked for.
        dev: batches to score, in order; empty = no validation.
    """

    system: System
    train: Dataset[Any]
    dev: Iterable[Any] = field(default_factory=list)
