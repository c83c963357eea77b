"""Checkpoints: one safetensors file with weights, averages and optimizer state; no pickle anywhere.

The header's metadata holds the step, the resolved configuration, the network's options and a SHA-256 over all
tensors, so that a damaged or edited file is refused by name. Files are written aside and renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.records import UsageError
from training.networks import build_network

if TYPE_CHECKING:
    from torch import nn

FORMAT = "ppocr-train 1"


class CheckpointError(UsageError):
    """A checkpoint that cannot be used: says which file and why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        tensors: `net.*` weights, `ema.*` averages, `optim.*` state, `rng.*` generator states.
        state: `step`, `config`, `network` (name, options) and what the task added, as JSON values.
    """

    tensors: dict[str, Tensor]
    state: dict[str, Any]

    def group(self, prefix: str) -> dict[str, Tensor]:
        """The tensors below `prefix.`, without it."""
        return {
            name[len(prefix) + 1 :]: t for name, t in self.tensors.items() if name.startswith(prefix + ".")
        }


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Writes a checkpoint aside and renames it: a kill or a full disk leaves the old one whole.

    Raises:
        CheckpointError: the file could not be written.
    """
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {"format": FORMAT, "sha256": _digest(whole, state), "state": json.dumps(state, sort_keys=True)}
    aside = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(whole, aside, metadata)
        os.replace(aside, path)
    except (OSError, SafetensorError) as error:
        aside.unlink(missing_ok=True)
        raise CheckpointError(
            f"{path} could not be written ({error}); the one before it is untouched"
        ) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint and checks its digest.

    Raises:
        CheckpointError: missing, no checkpoint of ours, or its content is not what was written.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
    except (OSError, SafetensorError) as error:
        why = str(error)
        if path.is_file() and path.suffix != ".safetensors":
            why = (
                "it is no .safetensors of ppocr-train; `ppocr-train recover` makes one of a bundle's network"
            )
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {why}") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} was not written by ppocr-train (format {metadata.get('format')!r})")
    try:
        state = json.loads(metadata["state"])
    except (KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} has a damaged header: {error!r}") from error
    if metadata.get("sha256") != _digest(tensors, state):
        raise CheckpointError(f"{path} is damaged: its tensors do not have the digest that its header states")
    return Checkpoint(tensors, state)


def load_network(path: Path | str, averaged: bool = True) -> nn.Module:
    """Rebuilds the network of a checkpoint, in eval mode, with its averaged weights where it has any.

    Raises:
        CheckpointError: see `load_checkpoint`.
    """
    checkpoint = load_checkpoint(Path(path))
    network = build_network(checkpoint.state["network"]["name"], checkpoint.state["network"]["options"])
    weights = checkpoint.group("ema") if averaged else {}
    network.load_state_dict(weights or checkpoint.group("net"))
    return network.eval()


def _digest(tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> str:
    sha = hashlib.sha256(json.dumps(state, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return sha.hexdigest()
