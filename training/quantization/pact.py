"""Convolutions and linear layers that compute as 8 bits will, and learn the ranges of what goes into them.

Choi et al. 2018, "PACT": what enters a layer is clipped at a learnt range alpha before it is rounded to 256
levels, so that rare outliers do not make all levels coarse. PP-OCR's equation 1 is theirs, for what a ReLU
puts out; its equation 2 is for what may be negative, as after hard-swish. Weights are rounded to 255 levels
an output channel, as `training.int8` stores them. Rounding passes gradients as if it were not there.

Batch norms are folded into their convolutions before, so that what is trained is what will be stored. An LSTM
stays as it is (section 2.3).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 256
RANGE_DECAY = 0.001
"""L2 regularisation of the ranges (section 2.2)."""

Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
QUANTIZED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def pact(x: Tensor, alpha: Tensor) -> Tensor:
    """Equation 1: 0.5 (|x| - |x - alpha| + alpha), which is x clipped to 0 ... alpha.

    The gradient goes to x inside, to alpha where x is above it.
    """
    return 0.5 * (x.abs() - (x - alpha).abs() + alpha)


def signed_pact(x: Tensor, alpha: Tensor) -> Tensor:
    """Equation 2: x clipped to -alpha ... alpha.

    The gradient goes to x inside, to alpha where x is above it, to alpha reversed where it is below -alpha.
    """
    return torch.maximum(torch.minimum(x, alpha), -alpha)


def step_size(alpha: Tensor, signed: bool) -> Tensor:
    """What a level is worth: levels 0 ... 255 reach to alpha, -128 ... 127 from -alpha to one below alpha."""
    return alpha / (LEVELS / 2 if signed else LEVELS - 1)


def rounded(x: Tensor, step: Tensor, low: int, high: int) -> Tensor:
    """The nearest of the levels `low` ... `high`; for gradients, x."""
    levels = torch.clamp(torch.round(x / step), low, high) * step
    return x + (levels - x).detach()


def rounded_weight(weight: Tensor, axis: int) -> Tensor:
    """Weights of 255 even levels up to the largest magnitude of each output channel (`axis`)."""
    others = [i for i in range(weight.ndim) if i != axis]
    steps = (weight.detach().abs().amax(others, keepdim=True) / 127).clamp(min=1e-12)
    return rounded(weight, steps, -127, 127)


class Activation(nn.Module):
    """What enters a layer: clipped by PACT, and rounded unless `rounding` is off.

    Attributes:
        alpha: the range, learnt.
        signed: equation 2 instead of 1; known once `calibrated` has seen what comes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("signed", torch.tensor(True))
        self.rounding = True

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, kept."""
        signed = bool(self.signed)
        if torch.onnx.is_in_onnx_export() and self.rounding:
            # One operator, which becomes QuantizeLinear and DequantizeLinear; what is out of range saturates.
            step = float(step_size(self.alpha.detach(), signed))
            low, high = (-128, 127) if signed else (0, 255)
            return torch.fake_quantize_per_tensor_affine(x, step, 0, low, high)
        clipped = (signed_pact if signed else pact)(x, self.alpha)
        if not self.rounding:
            return clipped
        low, high = (-128, 127) if signed else (0, 255)
        return rounded(clipped, step_size(self.alpha, signed), low, high)


class QuantizedLayer(nn.Module):
    """A layer whose input and weights are rounded.

    Attributes:
        layer: keeps its float weights, which are what is trained.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer
        self.activation = Activation()

    def forward(self, x: Tensor) -> Tensor:
        """As the layer's own."""
        x, layer = self.activation(x), self.layer
        weight = rounded_weight(layer.weight, weight_axis(layer))
        if isinstance(layer, nn.Linear):
            return F.linear(x, weight, layer.bias)
        if isinstance(layer, nn.ConvTranspose2d):
            settings = (layer.stride, layer.padding, layer.output_padding, layer.groups)
            return F.conv_transpose2d(x, weight, layer.bias, *settings)  # type: ignore[arg-type]
        return F.conv2d(x, weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)


def weight_axis(layer: Layer) -> int:
    """Which axis of a layer's weight counts outputs."""
    return 1 if isinstance(layer, nn.ConvTranspose2d) else 0


def quantize(network: nn.Module) -> nn.Module:
    """A copy with norms folded and all layers but LSTMs quantised, their ranges not known yet."""
    folded = fold_norms(network)
    for parent in list(folded.modules()):
        if isinstance(parent, QuantizedLayer):
            continue
        for name, child in list(parent.named_children()):
            if isinstance(child, QUANTIZED):
                setattr(parent, name, QuantizedLayer(child))
    return folded


def fold_norms(network: nn.Module) -> nn.Module:
    """A copy in which each batch norm behind a convolution is part of it; in evaluation it says the same."""
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for i in range(len(module) - 1):
            layer, norm = module[i], module[i + 1]
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) and isinstance(norm, nn.BatchNorm2d):
                transposed = isinstance(layer, nn.ConvTranspose2d)
                module[i] = torch.nn.utils.fuse_conv_bn_eval(layer, norm, transposed)
                module[i + 1] = nn.Identity()
    return folded.train(network.training)


def quantized_layers(network: nn.Module) -> list[QuantizedLayer]:
    """All of them, in the network's order."""
    return [module for module in network.modules() if isinstance(module, QuantizedLayer)]


def ranges(network: nn.Module) -> list[nn.Parameter]:
    """The alphas of all quantised layers."""
    return [layer.activation.alpha for layer in quantized_layers(network)]


@torch.no_grad()
def decay_ranges(network: nn.Module) -> None:
    """Adds the gradient of the ranges' L2 regularisation to theirs."""
    for alpha in ranges(network):
        if alpha.grad is not None:
            alpha.grad.add_(alpha, alpha=RANGE_DECAY)


@torch.no_grad()
def calibrate(network: nn.Module, inputs: Iterable[Tensor]) -> None:
    """Sets each range to the mean over the inputs of the largest magnitude, and finds out what is negative.

    Args:
        network: quantised.
        inputs: batches that the network takes.
    """
    layers = quantized_layers(network)
    largest: dict[Activation, list[float]] = {layer.activation: [] for layer in layers}
    negative = dict.fromkeys(largest, False)

    def watch(module: nn.Module, args: tuple[Tensor]) -> None:
        assert isinstance(module, Activation)  # for the type checker
        largest[module].append(float(args[0].abs().max()))
        negative[module] |= bool((args[0] < 0).any())

    hooks = [activation.register_forward_pre_hook(watch) for activation in largest]
    with exact(network):
        for batch in inputs:
            network(batch)
    for hook in hooks:
        hook.remove()
    for activation, seen in largest.items():
        if seen:
            activation.alpha.fill_(max(sum(seen) / len(seen), 1e-3))
            activation.signed.fill_(negative[activation])  # type: ignore[operator]


@contextmanager
def exact(network: nn.Module) -> Iterator[None]:
    """Inside the block nothing that enters a layer is clipped or rounded; weights still are."""
    layers = quantized_layers(network)
    own = [layer.activation.forward for layer in layers]
    for layer in layers:
        layer.activation.forward = _same  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer, forward in zip(layers, own, strict=True):
            layer.activation.forward = forward  # type: ignore[method-assign]


def _same(x: Tensor) -> Tensor:
    return x


def deployed(network: nn.Module, activations: bool) -> nn.Module:
    """A copy that is exported: rounded weights as they are, and what enters a layer clipped.

    Args:
        network: maybe quantised; another one is returned as it is.
        activations: whether what enters a layer is rounded too.
    """
    if not quantized_layers(network):
        return network
    plain = copy.deepcopy(network)
    for parent in list(plain.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, QuantizedLayer):
                layer = child.layer
                layer.weight.data = rounded_weight(layer.weight.detach(), weight_axis(layer))
                child.activation.rounding = activations
                setattr(parent, name, nn.Sequential(child.activation, layer))
    return plain
