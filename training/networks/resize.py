"""Layers of other sizes than the builder gives: how a pruned network is described and built again.

The network option `pruned` names the layers that pruning made smaller and the channels left to each, so that
a configuration or a checkpoint says all about a pruned network, and whatever builds networks builds it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

Sizes = dict[str, list[int]]
"""Name of a layer -> [outputs, inputs] of a convolution or linear layer, [channels] of a norm."""


def sizes(network: nn.Module) -> Sizes:
    """The sizes of all layers that pruning may change."""
    found = ((name, _size(layer)) for name, layer in network.named_modules())
    return {name: size for name, size in found if size}


def changed_sizes(pruned: nn.Module, full: nn.Module) -> Sizes:
    """The sizes of `pruned` that differ from those of `full`, which has the same layers."""
    before = sizes(full)
    return {name: size for name, size in sizes(pruned).items() if size != before[name]}


def resize(network: nn.Module, changes: Mapping[str, Sequence[int]]) -> None:
    """Gives layers other sizes, with fresh weights; a depthwise convolution stays one.

    Raises:
        ValueError: the network has no such layer, or the layer no such size.
    """
    layers = dict(network.named_modules())
    for name, size in changes.items():
        old = _size(layers[name]) if name in layers else []
        if len(old) != len(size) or min(size, default=0) < 1:
            raise ValueError(f"pruned: the network has no layer {name!r} that could have the size {size}")
        parent, _, own = name.rpartition(".")
        setattr(layers[parent], own, _resized(layers[name], list(size)))


def _size(layer: nn.Module) -> list[int]:
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        return [layer.out_channels, layer.in_channels]
    if isinstance(layer, nn.Linear):
        return [layer.out_features, layer.in_features]
    return [layer.num_features] if isinstance(layer, nn.BatchNorm2d) else []


def _resized(layer: nn.Module, size: list[int]) -> nn.Module:
    if isinstance(layer, nn.BatchNorm2d):
        return nn.BatchNorm2d(size[0], layer.eps, layer.momentum)
    assert isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))  # for the type checker
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return nn.Linear(size[1], size[0], bias)
    groups = size[1] if layer.groups > 1 else 1
    if groups not in (1, size[0]):
        raise ValueError(f"pruned: a depthwise convolution cannot have the size {size}")
    shape = {"kernel_size": layer.kernel_size, "stride": layer.stride, "padding": layer.padding}
    return type(layer)(size[1], size[0], **shape, groups=groups, bias=bias)  # type: ignore[arg-type]
