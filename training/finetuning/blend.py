"""How far a tuned network goes from its old weights to the tuned ones: as far as the rest is read as well.

On the straight way between both a network forgets more slowly than it learns (Wortsman et al. 2022, WiSE-FT):
some way back costs little on their images.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from training.checkpoint import load_checkpoint, load_network
from training.pruning.sensitivity import score
from training.tasks.loop import build_task, resumed_config

log = logging.getLogger(__name__)

SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
SCORES = {
    "recognition": ("ned", "made_exact"),
    "detection": ("h_mean", "made_h_mean"),
    "direction": ("accuracy", "made_accuracy"),
}
"""Of each task: the score of their held-out images, and that of the made ones which must not fall."""


@dataclass(frozen=True, slots=True)
class Blend:
    """A network on the way: how far it went, and its scores on their held-out images and on made ones."""

    share: float
    yours: float
    made: float


def blended(start: Mapping[str, Tensor], tuned: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights on the straight way from the old ones (share 0) to the tuned ones (1)."""
    return {
        name: start[name].lerp(value, share) if value.is_floating_point() else value
        for name, value in tuned.items()
    }


def try_blends(checkpoint: Path, max_loss: float) -> tuple[Blend, ...]:
    """Scores the way back from the tuned network, as far as needed; the last one is to be taken.

    Args:
        checkpoint: the best one of the run, with `start.safetensors` beside it.
        max_loss: what the score on made text may lose. Without such a set nothing but 1 is tried.

    Returns:
        The old network (share 0), and then those that were tried, each a shorter way than the one before.
    """
    config = resumed_config(checkpoint.parent, ["data.dev.1.every=1"] if _has_made(checkpoint) else [])
    task, names = build_task(config), SCORES[config.task]
    start = load_checkpoint(checkpoint.with_name("start.safetensors")).group("net")
    network = load_network(checkpoint)
    tuned = {name: value.clone() for name, value in network.state_dict().items()}

    def ask(share: float) -> Blend:
        network.load_state_dict(blended(start, tuned, share))
        scores = score(task, network)
        tried = Blend(share, scores[names[0]], scores.get(names[1], 0.0))
        log.info("blend %.1f: yours %.4f, made %.4f", tried.share, tried.yours, tried.made)
        return tried

    return walk_back(ask, max_loss)


def walk_back(ask: Callable[[float], Blend], max_loss: float) -> tuple[Blend, ...]:
    """Goes back from the tuned network until the made score has lost no more than `max_loss`."""
    tried = [ask(0.0)]
    for share in SHARES:
        tried.append(ask(share))
        if tried[-1].made >= tried[0].made - max_loss:
            break
    return tuple(tried)


def curve(tried: Sequence[Blend]) -> str:
    """What was tried, as a sentence for the report."""
    return "; ".join(f"{each.share:g}: {each.yours:.4f}, {each.made:.4f}" for each in tried)


def _has_made(checkpoint: Path) -> bool:
    return len(load_checkpoint(checkpoint).state["config"]["data"]["dev"]) > 1
