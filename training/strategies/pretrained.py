"""Pre-trained weights (PP-OCR sections 2.1 to 2.3): a run starts from those of another that fit."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn


def load_fitting(network: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Copies every weight whose name and shape fit and returns the names that kept their start.

    A classifier over another charset, say, stays as it was.
    """
    own = network.state_dict()
    fitting = {
        name: value for name, value in weights.items() if name in own and own[name].shape == value.shape
    }
    network.load_state_dict({**own, **fitting})
    return sorted(set(own) - set(fitting))
