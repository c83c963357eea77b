"""Pre-trained weights (PP-OCR sections 2.1 to 2.3): a run starts from those of another that fit."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn


def load_fitting(network: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Copies every weight whose name and shape fit and returns the names that kept their start.

    A classifier over another charset, say, stays as it was. Of a net for colour, a net for grey takes the sum
    over the three channels: what that net says where they are all the same.
    """
    own = network.state_dict()
    fitting = {}
    for name, value in weights.items():
        if name in own and value.ndim == 4 and value.shape[1] == 3 and own[name].shape[1] == 1:
            value = value.sum(1, keepdim=True)
        if name in own and own[name].shape == value.shape:
            fitting[name] = value
    network.load_state_dict({**own, **fitting})
    return sorted(set(own) - set(fitting))
