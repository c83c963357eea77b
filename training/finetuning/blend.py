"""How far a tuned network goes from its old weights to the tuned ones: as far as the rest is read as well.

On the straight way between both a network forgets more slowly than it learns (Wortsman et al. 2022, WiSE-FT):
some way back costs little on their images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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


def advice(model: str, tried: Sequence[Blend], max_loss: float, work: Path) -> str:
    """What was given up for made text, or lost of it, and how to choose otherwise.

    Args:
        model: which one went so far.
        tried: see `walk_back`.
        max_loss: the bound that chose.
        work: the run's work folder.
    """
    again = f"the same command with --work {work} and another --output trains nothing again"
    losses = [100 * (tried[0].made - each.made) for each in tried]
    if tried[-1].share == 1:
        return (
            f"The {model} model went all the way to the tuned weights and lost {losses[-1]:.1f} points of "
            f"made text. Where that is too much, give a smaller --max_loss: {again}."
        )
    rows = [
        f"| {each.share:g} | {each.yours:.4f} | {losses[i]:.1f} | {bound_of(tried, i)} |"
        for i, each in enumerate(tried)
        if i
    ]
    head = ["| share of the way | yours | points of made text lost | asked for by |", "|---|---|---|---|"]
    return (
        f"The {model} model went {tried[-1].share:g} of the way to the tuned weights, as far as --max_loss "
        f"{max_loss:g} allows. What going farther gives and costs:\n\n"
        + "\n".join([*head, *rows])
        + f"\n\nTo take another one, {again}."
    )


def bound_of(tried: Sequence[Blend], i: int) -> str:
    """The option by which `walk_back` ends at the i-th."""
    if i == len(tried) - 1:
        return "taken"
    loss = tried[0].made - tried[i].made
    if any(tried[0].made - each.made <= loss for each in tried[1:i]):
        return "-"  # what is farther loses no more
    return f"--max_loss {math.ceil(loss * 10_000) / 10_000:g}"


def curve(tried: Sequence[Blend]) -> str:
    """What was tried, as a sentence for the report."""
    return "; ".join(f"{each.share:g}: {each.yours:.4f}, {each.made:.4f}" for each in tried)
