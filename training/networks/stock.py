"""StockNet: a network that is described by data, node by node, as PP-OCR's stock ONNX files are.

`training.stock` reads such a file into nodes and weights. The nodes are options of the network, so a
checkpoint says all about its network, and whatever builds networks (training, pruning, export) builds this
one too. Convolutions, linear layers and batch norms are torch's own modules, which training, FPGM and the
exporter know.

Shapes: N images, C channels, H x W pixels, T columns, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.networks.db import FLAT, SHARPNESS, DBMaps, TransposedHead, flatten

INPUT = "x"
"""Name of the value that is the image."""
HEAD = "classifier"
"""Name of the layer whose outputs are the classes."""

Attributes: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    Attributes:
        op: of `MODULES` or `FUNCTIONS`.
        name: of the node, of its output and, where it has weights, of its module.
        inputs: names of the nodes whose outputs it takes; `INPUT` is the image.
        attributes: of the operation.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    attributes: Attributes = field(default_factory=dict)


def to_tree(nodes: Sequence[Node]) -> list[list[Any]]:
    """Nodes as JSON values."""
    return [[node.op, node.name, list(node.inputs), dict(node.attributes)] for node in nodes]


def from_tree(tree: Sequence[Sequence[Any]]) -> tuple[Node, ...]:
    """The opposite of `to_tree`."""
    return tuple(Node(op, name, tuple(inputs), attributes) for op, name, inputs, attributes in tree)


class Scale(nn.Module):
    """Multiplies by a trained tensor that broadcasts."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(*shape))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class Shift(nn.Module):
    """Adds a trained tensor that broadcasts."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(*shape))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


def _convolution(kind: type[nn.Conv2d] | type[nn.ConvTranspose2d]) -> Callable[[Attributes], nn.Module]:
    def build(attributes: Attributes) -> nn.Module:
        options = {key: value for key, value in attributes.items() if key not in ("inputs", "outputs")}
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
        return kind(attributes["inputs"], attributes["outputs"], **options)

    return build


MODULES: dict[str, Callable[[Attributes], nn.Module]] = {
    "conv": _convolution(nn.Conv2d),
    "conv_transpose": _convolution(nn.ConvTranspose2d),
    "linear": lambda a: nn.Linear(a["inputs"], a["outputs"], a.get("bias", True)),
    "norm": lambda a: nn.BatchNorm2d(a["channels"], a.get("eps", 1e-5)),
    "scale": lambda a: Scale(a["shape"]),
    "shift": lambda a: Shift(a["shape"]),
}
"""Operations with weights: attributes -> module of one input."""


def _slice(x: Tensor, a: Attributes) -> Tensor:
    index = [slice(None)] * x.ndim
    for axis, start, end in zip(a["axes"], a["starts"], a["ends"], strict=True):
        index[axis] = slice(start, None if end >= 2**31 - 1 else end)
    return x[tuple(index)]


def _squeeze(x: Tensor, a: Attributes) -> Tensor:
    """ONNX's. `Tensor.squeeze` would be exported with a question for the axis' size."""
    for axis in sorted((axis % x.ndim for axis in a["axes"]), reverse=True):
        x = x.select(axis, 0)
    return x


def _unsqueeze(x: Tensor, a: Attributes) -> Tensor:
    for axis in sorted(a["axes"]):
        x = x.unsqueeze(axis)
    return x


def _reshape(x: Tensor, shape: Tensor) -> Tensor:
    """ONNX's: a size of 0 stays as it is. Sizes stay tensors, so that tracing follows them."""
    sizes = [shape[i] if int(shape[i]) else x.shape[i] for i in range(len(shape))]
    return x.reshape(sizes)  # type: ignore[arg-type]


def _pooled(x: Tensor, a: Attributes, pool: Callable[..., Tensor], **options: Any) -> Tensor:
    return pool(x, a["kernel"], a["stride"], a.get("padding", 0), **options)


def _constant(values: Sequence[Any] | int | float, like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device)


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "add": lambda a, x, y: x + y,
    "sub": lambda a, x, y: x - y,
    "mul": lambda a, x, y: x * y,
    "div": lambda a, x, y: x / y,
    "matmul": lambda a, x, y: x @ y,
    "add_number": lambda a, x: x + a["value"],
    "mul_number": lambda a, x: x * a["value"],
    "pow_number": lambda a, x: x ** a["value"],
    "sqrt": lambda a, x: x.sqrt(),
    "relu": lambda a, x: F.relu(x),
    "gelu": lambda a, x: F.gelu(x),
    "sigmoid": lambda a, x: torch.sigmoid(x),
    "hard_sigmoid": lambda a, x: (x * a["alpha"] + a["beta"]).clamp(0, 1),
    "hard_swish": lambda a, x: F.hardswish(x),
    "silu": lambda a, x: F.silu(x),
    "clip": lambda a, x: x.clamp(a.get("min"), a.get("max")),
    "softmax": lambda a, x: x.softmax(a["axis"]),
    "mean": lambda a, x: x.mean(a["axes"], keepdim=a["keepdim"]),
    "max_pool": lambda a, x: _pooled(x, a, F.max_pool2d),
    "average_pool": lambda a, x: _pooled(x, a, F.avg_pool2d, count_include_pad=a.get("include_pad", False)),
    "pad": lambda a, x: F.pad(x, a["pads"], value=-math.inf if a.get("lowest") else 0.0),
    "enlarge": lambda a, x: F.interpolate(x, scale_factor=tuple(a["scale"])),
    "pixel_shuffle": lambda a, x: F.pixel_shuffle(x, a["size"]),
    "concat": lambda a, *xs: torch.cat(xs, a["axis"]),
    "squeeze": lambda a, x: _squeeze(x, a),
    "unsqueeze": lambda a, x: _unsqueeze(x, a),
    "transpose": lambda a, x: x.permute(a["order"]),
    "flatten": lambda a, x: x.flatten(a["axis"]),
    "slice": lambda a, x: _slice(x, a),
    "select": lambda a, x: x.select(a["axis"], a["index"]),
    "shape": lambda a, x: torch._shape_as_tensor(x),
    "constant": lambda a, x: _constant(a["value"], x),
    "reshape": lambda a, x, shape: _reshape(x, shape),
    "reshape_to": lambda a, x: x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(a["shape"])]),
}
"""Operations without weights: (attributes, inputs) -> output."""


def convolve(x: Tensor, layer: nn.Conv2d, norm: nn.Module | None = None) -> Tensor:
    """What a convolution gives, and a fixed norm behind it, in the way in which a CPU trains fastest.

    On one thread torch convolves 1 x 1 by a slow path of its own, and a matrix product takes half the time.
    """
    weight, bias = layer.weight, layer.bias
    if isinstance(norm, nn.BatchNorm2d):
        assert norm.running_mean is not None and norm.running_var is not None  # for the type checker
        factor = norm.weight / (norm.running_var + norm.eps).sqrt()
        shift = norm.bias - norm.running_mean * factor
        weight, bias = weight * factor.reshape(-1, 1, 1, 1), shift if bias is None else bias * factor + shift
    if layer.kernel_size == layer.stride == (1, 1) and layer.groups == 1:
        return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)
    return F.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)


class StockNet(nn.Module):
    """Runs nodes in order.

    Args:
        nodes: each after those that it takes from; the last one's output is the network's.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        super().__init__()
        self.nodes = tuple(nodes)
        for node in self.nodes:
            if node.op in MODULES:
                self.add_module(node.name, MODULES[node.op](node.attributes))
        self._norms = {node.inputs[0]: node.name for node in self.nodes if node.op == "norm"}
        last_use = {name: i for i, node in enumerate(self.nodes) for name in node.inputs}
        self._done = [
            tuple(name for name in set(node.inputs) if last_use[name] == i)
            for i, node in enumerate(self.nodes)
        ]

    def values(self, x: Tensor, wanted: Sequence[str]) -> list[Tensor]:
        """Outputs of the named nodes."""
        values, kept = {INPUT: x}, dict[str, Tensor]()
        for node, done in zip(self.nodes, self._done, strict=True):
            inputs = [values[name] for name in node.inputs]
            if node.op in MODULES:
                value = self._run(node, *inputs)
            else:
                value = FUNCTIONS[node.op](node.attributes, *inputs)
            values[node.name] = value
            if node.name in wanted:
                kept[node.name] = value
            for name in done:
                del values[name]
        return [kept[name] for name in wanted]

    def _run(self, node: Node, x: Tensor) -> Tensor:
        """A layer's output. In training, a fixed norm works on the weights before it, not on the map."""
        module = self.get_submodule(node.name)
        norm = self.get_submodule(node.name if node.op == "norm" else self._norms.get(node.name, ""))
        # A norm that somebody watches, to measure what passes it, has to run itself.
        alone = norm.training or bool(norm._forward_pre_hooks)
        fixed = isinstance(norm, nn.BatchNorm2d) and self.training and not alone
        if fixed and node.op == "norm":
            return x
        if self.training and isinstance(module, nn.Conv2d):
            return convolve(x, module, norm if fixed else None)
        output: Tensor = module(x)
        return output

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> the last node's output: a recogniser's N x T x K logits."""
        return self.values(x, [self.nodes[-1].name])[0]


class StockClassifier(StockNet):
    """A stock direction classifier."""

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x 2: logits in training, probabilities in evaluation."""
        logits = super().forward(x)
        return logits if self.training else logits.softmax(1)


class StockDetector(StockNet):
    """A stock detector, with a head for the threshold map, which its file does not hold.

    Args:
        nodes: the last one gives the logits of the shrink map, N x 1 x H x W.
        features: name of the node that both heads start from.
        inner: its channels.
    """

    def __init__(self, nodes: Sequence[Node], features: str, inner: int) -> None:
        super().__init__(nodes)
        self.features = features
        self.threshold = TransposedHead(inner)

    def flatten_threshold(self) -> None:
        """See `DBNet.flatten_threshold`."""
        flatten(self.threshold)

    def forward(self, x: Tensor) -> DBMaps | Tensor:  # type: ignore[override]
        """N x C x H x W -> maps in training; in evaluation the probability map, N x 1 x H x W."""
        if not self.training:
            return torch.sigmoid(super().forward(x))
        features, shrink = self.values(x, [self.features, self.nodes[-1].name])
        if any(parameter.requires_grad for parameter in self.threshold.parameters()):
            threshold = self.threshold(features)
        else:  # frozen it stays flat, and need not be computed
            threshold = torch.full_like(shrink, FLAT)
        binary = SHARPNESS * (torch.sigmoid(shrink) - torch.sigmoid(threshold))
        return DBMaps(shrink, threshold, binary)


def stock(
    nodes: Sequence[Sequence[Any]],
    channels: int = 0,
    classes: int = 0,
    features: str = "",
    classifier: bool = False,
) -> StockNet:
    """Builds a stock network.

    Args:
        nodes: as `to_tree` gives them.
        channels: of the image, where others than the first convolution's.
        classes: of the layer called `HEAD`, where others than the nodes say.
        features: of a detector, see `StockDetector`.
        classifier: whether it is a `StockClassifier`.
    """
    built = [_resized(node, channels, classes) for node in from_tree(nodes)]
    if not features:
        return StockClassifier(built) if classifier else StockNet(built)
    inner = next(node.attributes["inputs"] for node in built if node.op == "conv" and features in node.inputs)
    return StockDetector(built, features, inner)


def _resized(node: Node, channels: int, classes: int) -> Node:
    if channels and node.op == "conv" and node.inputs == (INPUT,):
        return Node(node.op, node.name, node.inputs, {**node.attributes, "inputs": channels})
    if classes and node.name == HEAD:
        return Node(node.op, node.name, node.inputs, {**node.attributes, "outputs": classes})
    return node
