"""How much each layer's filters matter, and how many to take from each (Li et al. 2016, section 3.2).

One layer at a time loses a share of its channels, and the network is scored as it then stands. A layer that
may lose much and costs little is redundant. What was measured lies in a JSON file, so that a long run can be
stopped at any time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from models.records import UsageError
from training.pruning.fpgm import cut, prunable
from training.tasks.system import Task

SHARES = (0.25, 0.5, 0.75)
"""Shares of a layer's channels that are taken out to measure it."""

Score = Callable[[nn.Module], float]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What pruning costs.

    Attributes:
        score: of the whole network.
        losses: layer -> score lost for each of `SHARES`, in that order.
    """

    score: float
    losses: dict[str, tuple[float, ...]]


def score(task: Task, network: nn.Module) -> dict[str, float]:
    """A network's scores on the task's dev sets, in the order that the task says them; the first one counts.

    Raises:
        UsageError: the task has no dev set.
    """
    system = task.system.eval()
    own, system.net = system.net, network.eval()
    try:
        with torch.inference_mode():
            rows = [row for batch in task.dev for row in system.measure(batch)]
    finally:
        system.net = own
    if not rows:
        raise UsageError("there is nothing to score on: give the configuration a dev set (data.dev)")
    return system.summarise(rows)


def mean_score(task: Task, network: nn.Module) -> float:
    """The mean over the dev sets of the score by which the task chooses its best checkpoint."""
    best = task.system.best
    scores = [value for name, value in score(task, network).items() if name in (best, *_own(task, best))]
    return sum(scores) / len(scores)


def _own(task: Task, best: str) -> list[str]:
    return [f"{dev.name}_{best}" for dev in task.system.config.data.dev]


def measure(
    network: nn.Module, image: Tensor, ask: Score, state: Path, say: Callable[[str], None]
) -> Sensitivity:
    """Measures every layer, going on where `state` says that an earlier call stopped.

    Args:
        network: whole.
        image: an input that it takes.
        ask: scores a network, larger is better.
        state: JSON file, written after each measurement.
        say: is told of each layer.

    Raises:
        UsageError: `state` is of another measurement, or the network has no layer that can lose channels.
    """
    layers = prunable(network, image)
    if not layers:
        raise UsageError("no layer of this network can lose channels: there is nothing to prune")
    known = json.loads(state.read_text("utf-8")) if state.exists() else {}
    if known and known["shares"] != list(SHARES):
        raise UsageError(f"{state} was measured at other shares: choose another folder")
    if "score" not in known:
        known = {"score": ask(network), "shares": list(SHARES), "losses": {}}
        _write(state, known)
    for number, name in enumerate(layers):
        losses = known["losses"].setdefault(name, [])
        for share in SHARES[len(losses) :]:
            losses.append(known["score"] - ask(cut(network, image, {name: share})))
            _write(state, known)
        say(f"{number + 1}/{len(layers)} {name}: " + " ".join(f"{loss:.3f}" for loss in losses))
    return Sensitivity(known["score"], {name: tuple(known["losses"][name]) for name in layers})


def _write(path: Path, values: object) -> None:
    aside = path.with_name(path.name + ".partial")
    aside.write_text(json.dumps(values, indent=1), "utf-8")
    os.replace(aside, path)


def shares_at(sensitivity: Sensitivity, loss: float) -> dict[str, float]:
    """The share that each layer may lose and alone cost at most `loss`; linear between measured ones."""
    return {name: _share(losses, loss) for name, losses in sensitivity.losses.items()}


def _share(losses: Sequence[float], allowed: float) -> float:
    before, paid = 0.0, 0.0
    for share, loss in zip(SHARES, losses, strict=True):
        if loss > allowed:
            return before + (share - before) * max(0.0, allowed - paid) / max(loss - paid, 1e-9)
        before, paid = share, max(paid, loss)
    return before


def shares_for(
    sensitivity: Sensitivity, size: Callable[[dict[str, float]], int], bytes_: int
) -> dict[str, float]:
    """The shares of the smallest equal loss a layer with which the network fits into `bytes_`.

    Args:
        sensitivity: of the layers.
        size: bytes of the network without such shares.
        bytes_: to fit into.

    Raises:
        UsageError: it does not fit even with the largest shares measured.
    """
    low, high = 0.0, max(max(losses) for losses in sensitivity.losses.values()) + 1e-6
    least = size(shares_at(sensitivity, high))
    if least > bytes_:
        raise UsageError(
            f"{bytes_:,} bytes cannot be reached: with {SHARES[-1]:.0%} of all layers gone it has {least:,}"
        )
    for _ in range(9):
        middle = (low + high) / 2
        if size(shares_at(sensitivity, middle)) > bytes_:
            low = middle
        else:
            high = middle
    return shares_at(sensitivity, high)
