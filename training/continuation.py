"""How pruning and quantising begin: from a trained checkpoint, in a folder of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from models.bundle import file_sha256
from training.checkpoint import Checkpoint, load_checkpoint
from training.claim import claim
from training.config import Config, apply_override, build_config
from training.tasks.loop import build_task
from training.tasks.system import Task


def begin(
    source: Path, folder: Path, steps: int, overrides: Sequence[str]
) -> tuple[Checkpoint, Config, Task]:
    """Loads the checkpoint, sets up its short run, and claims the folder for both.

    Raises:
        UsageError: the checkpoint or an override cannot be used, or the folder was begun for another one.
    """
    checkpoint = load_checkpoint(source)
    config = tuning_config(checkpoint, steps, overrides)
    task = build_task(config)
    claim(folder, {"checkpoint": file_sha256(source), "overrides": list(overrides)}, "--output")
    return checkpoint, config, task


def tuning_config(checkpoint: Checkpoint, steps: int, overrides: Sequence[str]) -> Config:
    """The checkpoint's configuration with a short run at a third of its rate, and `overrides` over that."""
    tree = dict(checkpoint.state["config"])
    tree["steps"] = max(1, steps)
    tree["schedule"] = {"name": "cosine_decay", "options": {"warm_up": min(50, steps // 4)}}
    tree["optimizer"] = {**tree["optimizer"], "lr": tree["optimizer"]["lr"] / 3}
    tree["freeze"], tree["pretrained"] = [], ""
    for override in overrides:
        apply_override(tree, override)
    return build_config(tree)
