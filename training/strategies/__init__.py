"""The strategies of PP-OCR, one file each under the paper's names; configurations switch them on by name."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from training.config import Choice, ConfigError, convert

# (step, steps, **options) -> factor on the learning rate
SCHEDULES: dict[str, str] = {
    "constant": "training.strategies.warm_up:constant",
    "cosine_decay": "training.strategies.cosine_decay:cosine_decay",
    "warmup_stable_decay": "training.strategies.warmup_stable_decay:warmup_stable_decay",
}

# (image (H, W) or (H, W, C) uint8, rng, **options) -> image of the same shape
AUGMENTATIONS: dict[str, str] = {
    "bda": "training.strategies.bda:bda",
    "degrade": "training.strategies.degrade:degrade",
    "tia": "training.strategies.tia:tia",
    "rand_augment": "training.strategies.rand_augment:rand_augment",
    "auto_augment": "training.strategies.auto_augment:auto_augment",
    "cutout": "training.strategies.cutout:cutout",
    "random_erasing": "training.strategies.random_erasing:random_erasing",
    "hide_and_seek": "training.strategies.hide_and_seek:hide_and_seek",
    "grid_mask": "training.strategies.grid_mask:grid_mask",
}

# images (N, C, H, W), **options -> (images, partners, share): see `mixup`
MIXES: dict[str, str] = {
    "mixup": "training.strategies.mixup:mixup",
    "cutmix": "training.strategies.cutmix:cutmix",
}


def resolve(table: dict[str, str], choice: Choice) -> Callable[..., Any]:
    """The function that a choice names, with its options bound.

    Raises:
        ConfigError: no such name in the table, or an option that it does not have or of another type.
    """
    if choice.name not in table:
        raise ConfigError(f"no {choice.name!r}; there are {', '.join(table)}")
    module, _, function = table[choice.name].partition(":")
    chosen = getattr(importlib.import_module(module), function)
    parameters = inspect.signature(chosen).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.default is not parameter.empty]
    if unknown := [key for key in choice.options if key not in known]:
        raise ConfigError(
            f"{choice.name} has no option {unknown[0]!r}; there are {', '.join(known) or 'none'}"
        )
    types = get_type_hints(chosen)
    options = {
        key: convert(types[key], value, f"{choice.name}'s {key}") for key, value in choice.options.items()
    }
    return functools.partial(chosen, **options)
