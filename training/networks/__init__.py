"""Networks, one file each: they know tensors and nothing of labels. `build_network` finds them by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

NETWORKS: dict[str, str] = {
    "crnn": "training.networks.crnn:crnn",
    "line_net": "training.networks.line_net:line_net",
    "db": "training.networks.db:db",
    "direction": "training.networks.direction:direction",
}


def build_network(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Builds a network by its name with the options of its builder.

    Raises:
        ValueError: no network of that name, or an option that it does not have.
    """
    if name not in NETWORKS:
        raise ValueError(f"no network {name!r}; there are {', '.join(NETWORKS)}")
    module, _, function = NETWORKS[name].partition(":")
    try:
        network: nn.Module = getattr(importlib.import_module(module), function)(**options)
    except TypeError as error:
        raise ValueError(f"network {name}: {error}") from error
    return network
