"""The one training loop: Lightning drives the steps; checkpoints, resuming, averaging and schedules are ours.

Batch number b is a pure function of the configuration and b (see `Task.train`), so a resumed run goes on at
the next number with the same losses as an uninterrupted one, wherever it was stopped.
"""

from __future__ import annotations

import importlib
import logging
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from training.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from training.config import Choice, Config, build_config, save_config, to_tree
from training.progress import training_bars
from training.quantization.pact import decay_ranges
from training.strategies.l2_decay import add_l2_gradient
from training.strategies.pretrained import load_fitting
from training.tasks.system import System, Task

LAST, BEST, CONFIG = "last.safetensors", "best.safetensors", "config.yaml"

log = logging.getLogger(__name__)


def train(
    config: Config, folder: Path, *, resume: bool = False, max_minutes: float = 0.0
) -> dict[str, float]:
    """Trains, and returns the last scores on the dev set.

    Args:
        config: what to train, by what and for how long.
        folder: where `last.safetensors`, `best.safetensors`, `config.yaml` and the logs go.
        resume: go on from `folder/last.safetensors`.
        max_minutes: stop (with a checkpoint) after so many minutes; 0 = when the steps are done.

    Raises:
        CheckpointError: nothing to resume from, or a run is there already and `resume` was not said.
    """
    last = folder / LAST
    if last.exists() and not resume:
        raise CheckpointError(
            f"{folder} holds a run already; add --resume to go on with it, or choose another folder"
        )
    if config.threads:
        torch.set_num_threads(config.threads)
    seed_everything(config.seed, verbose=False)
    config = with_pretrained_network(config)
    task = build_task(config)
    start = load_checkpoint(last) if resume else None
    if start is None and config.pretrained:
        _start_from_pretrained(task.system, Path(config.pretrained))
    folder.mkdir(parents=True, exist_ok=True)
    save_config(config, folder / CONFIG)
    keeper = Keeper(folder, start, max_minutes)
    hush_lightning()
    trainer = make_trainer(config, folder, [keeper, *training_bars()], keeper.step)
    if keeper.step < config.steps:
        log.info(
            "training on %s, steps %d to %d", trainer.strategy.root_device, keeper.step + 1, config.steps
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found .* in eval mode", UserWarning)  # so with `fixed_norms`
        warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)  # of Lightning itself
        trainer.fit(task.system, train_loader(task, config, keeper.step), dev_loader(task))
    return task.system.scores


def with_pretrained_network(config: Config) -> Config:
    """The network called `pretrained` is that of the checkpoint which the run starts from.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    if config.network.name != "pretrained":
        return config
    if not config.pretrained:
        raise CheckpointError("network.name=pretrained needs pretrained=FILE, a checkpoint of that network")
    network = load_checkpoint(Path(config.pretrained)).state["network"]
    return replace(config, network=Choice(network["name"], network["options"]))


def hush_lightning() -> None:
    """Keeps back what Lightning tells of itself at each start; its warnings stay."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)


def resumed_config(folder: Path, overrides: list[str]) -> Config:
    """The configuration a run was started with, from its last checkpoint, with overrides for what follows.

    Raises:
        CheckpointError: no run to resume.
    """
    from training.config import apply_override

    tree = load_checkpoint(folder / LAST).state["config"]
    for override in overrides:
        apply_override(tree, override)
    return build_config(tree)


def build_task(config: Config) -> Task:
    """The system and data of the configured task."""
    task: Task = importlib.import_module(f"training.tasks.{config.task}").build(config)
    return task


def make_trainer(config: Config, folder: Path, callbacks: list[Callback], done: int) -> Trainer:
    """Lightning's trainer without its own checkpoints; `done` steps are behind us."""
    return Trainer(
        max_steps=max(0, config.steps - done),
        accelerator=config.accelerator,
        devices=config.devices,
        precision=config.precision,  # type: ignore[arg-type]
        accumulate_grad_batches=config.accumulate,
        gradient_clip_val=config.optimizer.clip or None,
        val_check_interval=1,  # Lightning counts from 0 in each process: `Keeper` says when by the step
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=any(isinstance(each, ProgressBar) for each in callbacks),
        enable_model_summary=False,
        logger=make_loggers(config, folder),
        log_every_n_steps=20,
        callbacks=callbacks,
    )


def make_loggers(config: Config, folder: Path) -> list[Logger]:
    """TensorBoard by default, CSV by option, both below the run's folder."""
    makers: dict[str, Any] = {"tensorboard": TensorBoardLogger, "csv": CSVLogger}
    return [makers[name](save_dir=folder, name="logs", version=name) for name in config.loggers]


class BatchNumbers(Sampler[int]):
    """The numbers of the batches that this process still has to see, each once and in order."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last

    def __iter__(self) -> Iterator[int]:
        world, rank = 1, 0
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            world, rank = torch.distributed.get_world_size(), torch.distributed.get_rank()
        return iter(range(self.first * world + rank, self.last * world, world))

    def __len__(self) -> int:
        return self.last - self.first


def train_loader(task: Task, config: Config, done: int) -> DataLoader[Any]:
    """Batches from the first one not seen yet."""
    numbers = BatchNumbers(done * config.accumulate, config.steps * config.accumulate)
    # A generator of its own: the loader draws a seed when it starts, which would shift dropout after a
    # resume.
    generator = torch.Generator().manual_seed(config.seed)
    return DataLoader(
        task.train, batch_size=None, sampler=numbers, num_workers=config.workers, generator=generator
    )


def dev_loader(task: Task) -> DataLoader[Any] | None:
    """The dev batches as they are, in order, or None."""
    batches: Any = list(task.dev)
    # A generator of its own here too: what is drawn in training must not depend on when it is validated.
    return DataLoader(batches, batch_size=None, generator=torch.Generator()) if batches else None


def _start_from_pretrained(system: System, path: Path) -> None:
    checkpoint = load_checkpoint(path)
    kept = load_fitting(system.net, checkpoint.group("ema") or checkpoint.group("net"))
    log.info("started from %s", path)
    if kept:
        log.info("%d weights kept their random start: %s", len(kept), ", ".join(kept[:8]))
    if system.ema is not None:
        system.ema.averages = {name: value.clone() for name, value in system.net.state_dict().items()}


class Keeper(Callback):
    """Keeps a run: restores it, sets its rates, averages, saves it by the clock and stops it in time."""

    def __init__(self, folder: Path, start: Checkpoint | None, max_minutes: float) -> None:
        self.folder, self.start = folder, start
        self.step: int = start.state["step"] if start else 0
        self.best: float = start.state["best"] if start else float("-inf")
        self.stale: int = start.state.get("stale", 0) if start else 0
        self.deadline = time.monotonic() + 60 * max_minutes if max_minutes else float("inf")
        self.saved = time.monotonic()

    def on_fit_start(self, trainer: Trainer, system: Any) -> None:
        system.step = self.step
        if self.start is not None:
            restore(self.start, system, trainer.optimizers[0])
            system.scores = self.start.state["scores"]
            if "scaler" in self.start.state:
                trainer.precision_plugin.scaler.load_state_dict(self.start.state["scaler"])  # type: ignore[attr-defined, union-attr]
            self.start = None
        elif system.ema is not None:
            system.ema.averages = {
                name: value.detach().clone() for name, value in system.net.state_dict().items()
            }

    def on_train_batch_start(self, trainer: Trainer, system: Any, batch: Any, batch_idx: int) -> None:
        # Saved here, after the validation of the step before: a run killed while validating does it again.
        if (
            not batch_idx % system.config.accumulate
            and time.monotonic() - self.saved > 60 * system.config.checkpoint_minutes
        ):
            self.save(trainer, system, LAST)
            self.saved = time.monotonic()
        rate = system.learning_rate(system.step)
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def on_before_optimizer_step(self, trainer: Trainer, system: Any, optimizer: Any) -> None:
        if system.config.optimizer.l2_decay:
            add_l2_gradient(system.net.parameters(), system.config.optimizer.l2_decay)
        decay_ranges(system.net)

    def on_train_batch_end(
        self, trainer: Trainer, system: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        trainer.limit_val_batches = 0.0
        if (batch_idx + 1) % system.config.accumulate:
            return
        if system.ema is not None:
            system.ema.update(system.net, system.step)
        system.step += 1
        if validates(system.config, system.step):
            trainer.limit_val_batches = 1.0
        if time.monotonic() > self.deadline:
            trainer.should_stop = True
            log.info(
                "time is up after %d of %d steps; ppocr-train train --resume --output %s goes on",
                system.step,
                system.config.steps,
                self.folder,
            )

    def on_validation_start(self, trainer: Trainer, system: Any) -> None:
        if system.ema is not None:
            self._applied = system.ema.applied_to(system.net)
            self._applied.__enter__()

    def on_validation_end(self, trainer: Trainer, system: Any) -> None:
        if system.ema is not None:
            self._applied.__exit__(None, None, None)
        score = system.scores.get(system.best, float("-inf"))
        scores = " ".join(f"{name} {value:.4f}" for name, value in system.scores.items())
        log.info("step %d: %s", system.step, scores)
        self.stale += 1
        if score > self.best:
            self.best, self.stale = score, 0
            self.save(trainer, system, BEST)
        if 0 < system.config.patience <= self.stale:
            trainer.should_stop = True
            log.info("no better score in %d validations: done at step %d", self.stale, system.step)

    def on_train_end(self, trainer: Trainer, system: Any) -> None:
        self.save(trainer, system, LAST)

    def save(self, trainer: Trainer, system: Any, name: str) -> None:
        """Writes the whole state of the run, from the first process only."""
        if trainer.is_global_zero:
            tensors = snapshot(system, trainer.optimizers[0])
            state = {**describe(system, self.best), "stale": self.stale}
            scaler = getattr(trainer.precision_plugin, "scaler", None)  # of float16 alone
            if scaler is not None:
                state["scaler"] = scaler.state_dict()
            save_checkpoint(self.folder / name, tensors, state)


def validates(config: Config, step: int) -> bool:
    """Whether the dev set is scored after so many steps of the whole run."""
    return step >= config.steps or bool(config.validate_every and step % config.validate_every == 0)


def describe(system: System, best: float) -> dict[str, Any]:
    """What a checkpoint says about itself, as JSON values."""
    return {
        "step": system.step,
        "best": best,
        "scores": system.scores,
        "config": to_tree(system.config),
        "network": {"name": system.config.network.name, "options": system.network_options},
        **system.state,
    }


def snapshot(system: System, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Everything that the next step depends on, as named tensors."""
    tensors = {f"net.{name}": value for name, value in system.net.state_dict().items()}
    if system.ema is not None:
        tensors |= {f"ema.{name}": value for name, value in system.ema.averages.items()}
    for name, parameter in system.net.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optim.{name}:{key}"] = torch.as_tensor(value)
    tensors["rng.torch"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["rng.cuda"] = torch.cuda.get_rng_state()
    return tensors


def restore(checkpoint: Checkpoint, system: System, optimizer: torch.optim.Optimizer) -> None:
    """Puts a snapshot back.

    Raises:
        CheckpointError: the checkpoint belongs to another network.
    """
    try:
        system.net.load_state_dict(checkpoint.group("net"))
    except RuntimeError as error:
        raise CheckpointError(f"the checkpoint does not fit the configured network: {error}") from error
    if system.ema is not None:
        averages = checkpoint.group("ema") or system.net.state_dict()
        device = next(system.net.parameters()).device
        system.ema.averages = {name: value.to(device, copy=True) for name, value in averages.items()}
    parameters = dict(system.net.named_parameters())
    for key, value in checkpoint.group("optim").items():
        name, _, slot = key.rpartition(":")
        parameter = parameters[name]
        # Adam's step counter stays on the CPU; its moments lie in memory as the parameter does.
        optimizer.state[parameter][slot] = value.clone() if slot == "step" else _like(value, parameter)
    torch.set_rng_state(checkpoint.tensors["rng.torch"])
    if torch.cuda.is_available() and "rng.cuda" in checkpoint.tensors:
        torch.cuda.set_rng_state(checkpoint.tensors["rng.cuda"])


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    return torch.empty_like(parameter, requires_grad=False).copy_(value)
