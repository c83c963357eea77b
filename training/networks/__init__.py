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

COMMON = ("pruned", "quantized")
"""Options that every network has beside its builder's own."""


def build_network(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Builds a network by its name with the options of its builder.

    Beside those, any network may have the options `pruned` (see `training.networks.resize`) and `quantized`
    (true: see `training.quantization.pact`).

    Raises:
        ValueError: no network of that name, or an option that it does not have.
    """
    if name not in NETWORKS:
        raise ValueError(f"no network {name!r}; there are {', '.join(NETWORKS)}")
    module, _, function = NETWORKS[name].partition(":")
    own = {key: value for key, value in options.items() if key not in COMMON}
    try:
        network: nn.Module = getattr(importlib.import_module(module), function)(**own)
    except TypeError as error:
        raise ValueError(f"network {name}: {error}") from error
    if options.get("pruned"):
        from training.networks.resize import resize

        resize(network, options["pruned"])
    if options.get("quantized"):
        from training.quantization.pact import quantize

        network = quantize(network)
    return network
