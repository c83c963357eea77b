"""Networks, one file each: they know tensors and nothing of labels. `build_network` finds them by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from models.records import UsageError

if TYPE_CHECKING:
    from torch import nn

NETWORKS: dict[str, str] = {
    "crnn": "training.networks.crnn:crnn",
    "line_net": "training.networks.line_net:line_net",
    "db": "training.networks.db:db",
    "direction": "training.networks.direction:direction",
    "stock": "training.networks.stock:stock",
}

COMMON = ("pruned", "quantized")
"""Options that every network has beside its builder's own."""


def build_network(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Builds a network by its name with the options of its builder.

    Beside those, any network may have the options `pruned` (see `training.networks.resize`) and `quantized`
    (true: see `training.quantization.pact`).

    Raises:
        UsageError: no network of that name, or an option that it does not have.
    """
    if name not in NETWORKS:
        raise UsageError(f"no network {name!r}; there are {', '.join(NETWORKS)}")
    module, _, function = NETWORKS[name].partition(":")
    own = {key: value for key, value in options.items() if key not in COMMON}
    build = getattr(importlib.import_module(module), function)
    try:
        network: nn.Module = build(**own)
        if options.get("pruned"):
            from training.networks.resize import resize

            resize(network, options["pruned"])
    except (TypeError, ValueError) as error:
        raise UsageError(f"network {name}: {error}") from error
    if options.get("quantized"):
        from training.quantization.pact import quantize

        network = quantize(network)
    return network
