"""Exponential moving average of the weights: it is validated and exported, not the last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """Averages of a network's parameters and floating buffers.

    Args:
        decay: weight of the past in one step. The first steps use less, or the random start would linger.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.averages = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Takes the weights after optimizer step `step` (0-based) into the average."""
        decay = min(self.decay, (1 + step) / (10 + step))
        floating: tuple[list[Tensor], list[Tensor]] = ([], [])
        for name, value in network.state_dict().items():
            average = self.averages[name]
            if value.dtype.is_floating_point:
                floating[0].append(average)
                floating[1].append(value)
            else:
                average.copy_(value)
        torch._foreach_lerp_(floating[0], floating[1], 1 - decay)

    @contextmanager
    def applied_to(self, network: nn.Module) -> Iterator[None]:
        """The network carries the averages inside the block and its own weights again after it."""
        own = {name: value.detach().clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self.averages)
        try:
            yield
        finally:
            network.load_state_dict(own)
