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
MADE = "made"
"""Name of the dev set of made text."""
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
        max_loss: what the score on made text may lose. Without a dev set `made` nothing but 1 is tried.

    Returns:
        The old network (share 0), and then those that were tried, each a shorter way than the one before; the
        shortest is a tenth, even where that loses more.
    """
    sets = [dev["name"] for dev in load_checkpoint(checkpoint).state["config"]["data"]["dev"]]
    made = sets.index(MADE) if MADE in sets else None
    config = resumed_config(checkpoint.parent, [] if made is None else [f"data.dev.{made}.every=1"])
    task, names = build_task(config), SCORES[config.task]
    start = load_checkpoint(checkpoint.with_name("start.safetensors")).group("net")
    network = load_network(checkpoint)
    tuned = {name: value.clone() for name, value in network.state_dict().items()}

    def ask(share: float) -> Blend:
        network.load_state_dict(blended(start, tuned, share))
        scores = score(task, network)
        tried = Blend(share, scores[names[0]], 0.0 if made is None else scores[names[1]])
        log.info("blend %.1f: yours %.4f, made %.4f", tried.share, tried.yours, tried.made)
        return tried

    tried = walk_back(ask, max_loss)
    if lost(tried) > max_loss:
        log.warning(
            "even %g of the way the %s model loses %.4f on made text, more than --max_loss %g allows",
            tried[-1].share, config.task, lost(tried), max_loss,
        )  # fmt: skip
    return tried


def walk_back(ask: Callable[[float], Blend], max_loss: float) -> tuple[Blend, ...]:
    """Goes back from the tuned network until the made score has lost no more than `max_loss`."""
    tried = [ask(0.0)]
    for share in SHARES:
        tried.append(ask(share))
        if lost(tried) <= max_loss:
            break
    return tuple(tried)


def lost(tried: Sequence[Blend]) -> float:
    """What the last one, which is taken, lost on made text."""
    return tried[0].made - tried[-1].made


def curve(tried: Sequence[Blend]) -> str:
    """What was tried, as a sentence for the report."""
    return "; ".join(f"{each.share:g}: {each.yours:.4f}, {each.made:.4f}" for each in tried)
