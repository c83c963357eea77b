"""How far a tuned network goes from its old weights to the tuned ones: as far as the rest is read as well.

On the straight way between both a network forgets more slowly than it learns (Wortsman et al. 2022, WiSE-FT):
some way back costs little on their images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


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


def walk_back(ask: Callable[[float], Blend], max_loss: float) -> tuple[Blend, ...]:
    """Goes back from the tuned network until the made score has lost no more than `max_loss`.

    Returns:
        The old network (share 0), and then those that were tried, each a shorter way than the one before; the
        last, which is to be taken, is a tenth at the shortest, even where that loses more.
    """
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
