"""Batch norms that an export folded into their layers, taken out again so that training can go on.

A folded filter computes what it did, but no longer learns as it did. Before a batch norm its size means
nothing; Adam's steps, though, are as large for small weights as for large ones, and folded filters have
anything from a thousandth to one: some hardly move, others are wiped out by the first steps.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

FILTER_RMS = 0.2
"""Root mean square of a filter's weights, about what AdamW at `latin`'s rate and weight decay keeps.

It is met within a factor of root 2: powers of two round nothing."""


@torch.no_grad()
def unfold(layer: nn.Module, norm: nn.BatchNorm2d, bias: Tensor) -> None:
    """Gives a layer's filters one size, and its norm what makes up for that and adds `bias`.

    In evaluation both together compute what the layer with `bias` did alone. The norm's averages are those of
    no data, so that they hold in evaluation only; see `measure_norms`.

    Args:
        layer: a convolution with folded weights, overwritten.
        norm: the norm behind it, overwritten.
        bias: (C,), of the folded layer.
    """
    assert norm.running_mean is not None and norm.running_var is not None  # for the type checker
    weight = layer.weight
    assert isinstance(weight, Tensor)
    filters = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    others = [axis for axis in range(weight.ndim) if axis != filters]
    size = weight.square().mean(others).sqrt()
    factor = torch.where(size > 0, (FILTER_RMS / size.clamp(min=1e-9)).log2().round().exp2(), 1.0)
    weight.mul_(factor.reshape([-1 if axis == filters else 1 for axis in range(weight.ndim)]))
    norm.running_mean.zero_()
    norm.running_var.copy_(factor.square())
    norm.weight.copy_((factor.square() + norm.eps).sqrt() / factor)
    norm.bias.copy_(bias)


@torch.no_grad()
def measure_norms(network: nn.Module, run: Callable[[], object]) -> None:
    """Gives batch norms the averages of what passes them, and changes nothing that the network says.

    Afterwards they may be trained, since in training and in evaluation they then do the same but for chance.

    Args:
        network: its batch norms in evaluation.
        run: puts data through it.
    """
    sums: dict[nn.BatchNorm2d, list[Tensor]] = {}

    def add(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        values = inputs[0].double()
        count = torch.tensor(values.numel() / values.shape[1])
        new = [count, values.sum((0, 2, 3)), values.square().sum((0, 2, 3))]
        sums[norm] = [a + b for a, b in zip(sums[norm], new, strict=True)] if norm in sums else new

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(add) for norm in norms]
    run()
    for hook in hooks:
        hook.remove()
    for norm, (count, total, squares) in sums.items():
        assert norm.running_mean is not None and norm.running_var is not None  # for the type checker
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0.0)
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        shift = norm.bias - norm.running_mean * scale
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(scale * (norm.running_var + norm.eps).sqrt())
        norm.bias.copy_(shift + norm.running_mean * scale)
