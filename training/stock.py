"""Stock ONNX files become networks that train: `training.networks.stock`.

Batch norms that the file still has go into their convolutions, biases into the layers before them, GELU,
hard swish and SiLU are put together again from their parts; then every convolution of the trunk gets a batch
norm of its own (`training.norms`), so that an exported network learns as one that never was. What comes out
is checked against the file by `training.recover`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper
from torch import Tensor

from models.records import UsageError
from training.constants import Array, attributes, computed
from training.networks.stock import HEAD, INPUT, Node, StockNet, stock, to_tree
from training.norms import unfold

Weights = dict[str, Array]
"""Name of a module's tensor, `<node>.weight` or `<node>.bias` -> values."""

SAME = ("Identity", "Cast", "Dropout")
"""Operators that change nothing here."""
PLAIN = {
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "HardSwish": "hard_swish",
    "Sqrt": "sqrt",
    "Erf": "erf",
    "Shape": "shape",
}
BINARY = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}


class StockError(UsageError):
    """A stock file that holds what cannot be trained here: says what."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A stock network.

    Attributes:
        nodes: in order.
        weights: of its layers.
        features: of a detector, see `StockDetector`.
    """

    nodes: tuple[Node, ...]
    weights: Weights
    features: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """What `build_network` needs to build it."""
        features = {"features": self.features} if self.features else {}
        return {"nodes": to_tree(self.nodes), **features}


def parse(file: onnx.ModelProto, constants: Mapping[str, Array]) -> Parsed:
    """Reads a stock file's graph.

    Args:
        file: of PP-OCR's operators.
        constants: all tensors that are known without input.

    Raises:
        StockError: an operator, or a use of one, that is not known here.
    """
    known = dict(constants)
    reader = _Reader(file.graph, known)
    for node in computed(_before_decision(file.graph.node), known, file.opset_import):
        reader.read(node)
    nodes, weights = reader.nodes, reader.weights
    last = nodes[-1].op
    if last not in ("softmax", "sigmoid"):
        raise StockError(f"its last operator is {last}, not a softmax or a sigmoid")
    nodes = _with_gelu(nodes[:-1])
    if last == "softmax":
        nodes, weights = _with_head(nodes, weights)
        return Parsed(tuple(nodes), weights)
    return Parsed(tuple(nodes), weights, _features(nodes))


def _before_decision(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Without the decision that this package's exports end in, but with a softmax in its place."""
    decision = next((node for node in nodes if node.op_type in ("ArgMax", "TopK")), None)
    if decision is None:
        return list(nodes)
    needed, kept = {decision.input[0]}, [helper.make_node("Softmax", decision.input[:1], ["softmax"])]
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    return kept[::-1]


@dataclass
class _Reader:
    """Translates operators one by one."""

    graph: onnx.GraphProto
    constants: Mapping[str, Array]
    nodes: list[Node] = field(default_factory=list)
    weights: Weights = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.uses = Counter(name for node in self.graph.node for name in node.input)
        self.uses.update(output.name for output in self.graph.output)
        inputs = [value.name for value in self.graph.input if value.name not in self.constants]
        self.names = {inputs[0]: INPUT}
        self.shared: set[str] = set()

    def read(self, node: onnx.NodeProto) -> None:
        """Adds what one operator does.

        Raises:
            StockError: it is not known here.
        """
        a = attributes(node)
        if node.op_type in SAME:
            name = self._value(node.input[0])
        elif node.op_type in PLAIN:
            name = self._add(PLAIN[node.op_type], node.input[:1])
        else:
            read: Callable[..., str] | None = getattr(self, f"_{node.op_type.lower()}", None)
            if node.op_type in BINARY:
                name = self._binary(BINARY[node.op_type], node)
            elif read is None:
                raise StockError(f"it has the operator {node.op_type}, which is not known here")
            else:
                name = read(node, a)
        self.names[node.output[0]] = name
        if self.uses[node.output[0]] > 1:
            self.shared.add(name)

    def _add(self, op: str, inputs: Sequence[str], /, **attributes: Any) -> str:
        return self._append(op, [self._value(name) for name in inputs], **attributes)

    def _append(self, op: str, inputs: Sequence[str], /, **attributes: Any) -> str:
        name = f"{op}{len(self.nodes)}"
        self.nodes.append(Node(op, name, tuple(inputs), attributes))
        return name

    def _value(self, name: str) -> str:
        if name in self.names:
            return self.names[name]
        if name not in self.constants:
            raise StockError(f"the value {name} comes from nowhere")
        value = self.constants[name]
        if value.size > 64:
            raise StockError(
                f"the constant {name} of shape {value.shape} is used in a way that is not known here"
            )
        self.names[name] = self._append("constant", [INPUT], value=value.tolist())
        return self.names[name]

    def _node(self, name: str) -> Node | None:
        return next((node for node in reversed(self.nodes) if node.name == name), None)

    def _replace(self, node: Node) -> None:
        place = next(i for i, each in enumerate(self.nodes) if each.name == node.name)
        self.nodes[place] = node

    # Layers with weights

    def _conv(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        weight = self._known(node, 1)
        kernel, stride = list(weight.shape[2:]), list(a.get("strides", [1, 1]))
        source, padding = self._padded(node.input[0], a, kernel, stride)
        groups = int(a.get("group", 1))
        name = self._append(
            *("conv", [source]),
            inputs=weight.shape[1] * groups, outputs=weight.shape[0], kernel_size=kernel, stride=stride,
            padding=padding, dilation=list(a.get("dilations", [1, 1])), groups=groups,
            bias=len(node.input) > 2,
        )  # fmt: skip
        return self._weigh(name, weight, self._known(node, 2) if len(node.input) > 2 else None)

    def _convtranspose(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        weight = self._known(node, 1)
        if any(a.get("pads", [])) or a.get("group", 1) != 1:
            raise StockError("it has a ConvTranspose with pads or groups, which is not known here")
        name = self._append(
            *("conv_transpose", [self._value(node.input[0])]),
            inputs=weight.shape[0], outputs=weight.shape[1], kernel_size=list(weight.shape[2:]),
            stride=list(a.get("strides", [1, 1])), bias=len(node.input) > 2,
        )  # fmt: skip
        return self._weigh(name, weight, self._known(node, 2) if len(node.input) > 2 else None)

    def _matmul(self, node: onnx.NodeProto, _: dict[str, Any]) -> str:
        if node.input[1] not in self.constants:
            return self._add("matmul", node.input)
        return self._linear(node, self.constants[node.input[1]].T, None)

    def _gemm(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        weight = self._known(node, 1)
        bias = self._known(node, 2) if len(node.input) > 2 else None
        return self._linear(node, weight if a.get("transB") else weight.T, bias)

    def _linear(self, node: onnx.NodeProto, weight: Array, bias: Array | None) -> str:
        outputs, inputs = weight.shape
        name = self._add("linear", node.input[:1], inputs=inputs, outputs=outputs, bias=bias is not None)
        return self._weigh(name, weight, bias)

    def _weigh(self, name: str, weight: Array, bias: Array | None) -> str:
        self.weights[f"{name}.weight"] = weight
        if bias is not None:
            self.weights[f"{name}.bias"] = bias
        return name

    def _batchnormalization(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        gamma, beta, mean, variance = (self._known(node, i) for i in range(1, 5))
        factor = gamma / np.sqrt(variance + a.get("epsilon", 1e-5))
        shift = beta - mean * factor
        name = self._value(node.input[0])
        layer = self._before(name, ("squeeze",))
        if layer is None or layer.op not in ("conv", "conv_transpose"):
            raise StockError(
                "it has a BatchNormalization that follows no convolution, which is not known here"
            )
        axis = 0 if layer.op == "conv" else 1
        others = [-1 if i == axis else 1 for i in range(4)]
        self.weights[f"{layer.name}.weight"] = self.weights[f"{layer.name}.weight"] * factor.reshape(others)
        self._shift(
            layer, self.weights.get(f"{layer.name}.bias", np.float32(0)) * factor + shift, replaces=True
        )
        return name

    def _before(self, name: str, skipped: Sequence[str]) -> Node | None:
        """The node of that name or the one before it, behind ops `skipped`; None where others use it too."""
        while (node := self._node(name)) is not None and name not in self.shared:
            if node.op not in skipped:
                return node
            name = node.inputs[0]
        return None

    def _shift(self, layer: Node, bias: Array, replaces: bool = False) -> None:
        """Adds to a layer's bias."""
        old = self.weights.get(f"{layer.name}.bias")
        self.weights[f"{layer.name}.bias"] = bias if replaces or old is None else old + bias
        self._replace(replace(layer, attributes={**layer.attributes, "bias": True}))

    # Arithmetic

    def _binary(self, op: str, node: onnx.NodeProto) -> str:
        known = [name in self.constants for name in node.input]
        if not any(known) or (known[0] and op in ("sub", "div")):
            return self._product(node) if op == "mul" else self._add(op, node.input)
        value = self.constants[node.input[known.index(True)]]
        other = node.input[known.index(False)]
        if op in ("sub", "div"):
            value, op = (-value, "add") if op == "sub" else (1 / value, "mul")
        if value.size == 1 and (op == "mul" or not self._takes_bias(other, value)):
            return self._add(f"{op}_number", [other], value=float(value.reshape(())))
        if op == "add" and self._takes_bias(other, value):
            name = self._value(other)
            layer = self._node(name)
            assert layer is not None  # for the type checker
            self._shift(layer, value.reshape(-1))
            return name
        name = self._add("scale" if op == "mul" else "shift", [other], shape=list(value.shape))
        self.weights[f"{name}.{'weight' if op == 'mul' else 'bias'}"] = value
        return name

    def _takes_bias(self, name: str, value: Array) -> bool:
        layer = self._before(self._value(name), ())
        if layer is None or layer.op not in ("conv", "conv_transpose", "linear"):
            return False
        axis = -1 if layer.op == "linear" else -3
        shape = (1, *value.shape) if value.ndim < -axis else value.shape
        return value.size == layer.attributes["outputs"] and shape[axis] == value.size

    def _product(self, node: onnx.NodeProto) -> str:
        """Multiplies two values; x * hard_sigmoid(x) and x * sigmoid(x) have names of their own."""
        left, right = (self._value(name) for name in node.input)
        for x, gate in ((left, right), (right, left)):
            inner = self._node(gate)
            if inner is None or inner.inputs != (x,) or gate in self.shared:
                continue
            if inner.op == "sigmoid":
                return self._instead(inner, "silu")
            if inner.op == "hard_sigmoid" and math.isclose(inner.attributes["alpha"], 1 / 6, rel_tol=1e-4):
                return self._instead(inner, "hard_swish")
        return self._append("mul", [left, right])

    def _instead(self, node: Node, op: str) -> str:
        self._replace(Node(op, node.name, node.inputs))
        return node.name

    def _pow(self, node: onnx.NodeProto, _: dict[str, Any]) -> str:
        return self._add("pow_number", node.input[:1], value=float(self._known(node, 1).reshape(())))

    def _hardsigmoid(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        return self._add("hard_sigmoid", node.input, alpha=a.get("alpha", 0.2), beta=a.get("beta", 0.5))

    def _clip(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        limits = dict(a)
        for i, key in ((1, "min"), (2, "max")):
            if len(node.input) > i and node.input[i]:
                limits[key] = float(self._known(node, i).reshape(()))
        return self._add("clip", node.input[:1], **limits)

    def _softmax(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        return self._add("softmax", node.input, axis=a.get("axis", -1))

    # Shapes

    def _globalaveragepool(self, node: onnx.NodeProto, _: dict[str, Any]) -> str:
        return self._add("mean", node.input, axes=[2, 3], keepdim=True)

    def _reducemean(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        return self._add("mean", node.input[:1], axes=self._axes(node, a), keepdim=bool(a.get("keepdims", 1)))

    def _averagepool(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        kernel, stride = list(a["kernel_shape"]), list(a.get("strides", [1, 1]))
        if any(a.get("pads", [])) or a.get("ceil_mode"):
            raise StockError("it has an AveragePool with pads, which is not known here")
        return self._add("average_pool", node.input, kernel=kernel, stride=stride)

    def _maxpool(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        kernel, stride = list(a["kernel_shape"]), list(a.get("strides", [1, 1]))
        source, padding = self._padded(node.input[0], a, kernel, stride, lowest=True)
        return self._append("max_pool", [source], kernel=kernel, stride=stride, padding=padding)

    def _padded(
        self, name: str, a: dict[str, Any], kernel: Sequence[int], stride: Sequence[int], **options: bool
    ) -> tuple[str, list[int]]:
        """A layer's input and the padding that its own operation can do; the rest is a node of its own."""
        pads = list(a.get("pads", [0, 0, 0, 0]))
        if a.get("auto_pad", b"NOTSET") == b"SAME_UPPER":
            whole = [max(k - s, 0) for k, s in zip(kernel, stride, strict=True)]
            pads = [*(n // 2 for n in whole), *(n - n // 2 for n in whole)]
        elif a.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            raise StockError(f"it pads by {a['auto_pad'].decode()}, which is not known here")
        top, left, bottom, right = pads
        if (top, left) == (bottom, right):
            return self._value(name), [top, left]
        return self._add("pad", [name], pads=[left, right, top, bottom], **options), [0, 0]

    def _pad(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        pads = self._known(node, 1).tolist()
        value = float(self._known(node, 2).reshape(())) if len(node.input) > 2 and node.input[2] else 0.0
        if (
            a.get("mode", b"constant") != b"constant"
            or value not in (0.0, -math.inf)
            or any(pads[:2] + pads[4:6])
        ):
            raise StockError("it has a Pad of another kind than before a layer, which is not known here")
        _, _, top, left, _, _, bottom, right = pads
        options = {"lowest": True} if value else {}
        return self._add("pad", node.input[:1], pads=[left, right, top, bottom], **options)

    def _resize(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        scales = self.constants.get(node.input[2]) if len(node.input) > 2 else None
        if scales is None or len(scales) != 4 or a.get("mode", b"nearest") != b"nearest":
            raise StockError(
                "it has a Resize that is not nearest by constant factors, which is not known here"
            )
        return self._add("enlarge", node.input[:1], scale=[float(factor) for factor in scales[2:]])

    def _depthtospace(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        layer, size = self._node(self._value(node.input[0])), int(a["blocksize"])
        if layer is None or layer.op != "conv" or layer.attributes["outputs"] != size**2:
            raise StockError("it has a DepthToSpace of more than one channel, which is not known here")
        return self._add("pixel_shuffle", node.input, size=size)

    def _concat(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        return self._add("concat", node.input, axis=a["axis"])

    def _squeeze(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        return self._add("squeeze", node.input[:1], axes=self._axes(node, a))

    def _unsqueeze(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        source, axes = self._node(self._value(node.input[0])), self._axes(node, a)
        if source is not None and source.op == "squeeze" and list(source.attributes["axes"]) == axes:
            return source.inputs[0]  # there and back again
        return self._add("unsqueeze", node.input[:1], axes=axes)

    def _transpose(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        source = self._node(self._value(node.input[0]))
        if source is not None and source.op == "transpose":
            order = [source.attributes["order"][i] for i in a["perm"]]
            return (
                source.inputs[0]
                if order == sorted(order)
                else self._append("transpose", source.inputs, order=order)
            )
        return self._add("transpose", node.input, order=list(a["perm"]))

    def _flatten(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        return self._add("flatten", node.input, axis=a.get("axis", 1))

    def _reshape(self, node: onnx.NodeProto, _: dict[str, Any]) -> str:
        if node.input[1] in self.constants:
            return self._add("reshape_to", node.input[:1], shape=self._known(node, 1).tolist())
        return self._add("reshape", node.input[:2])

    def _slice(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        keys = ("starts", "ends", "axes", "steps")
        parts = {key: list(a[key]) for key in keys if key in a}
        parts |= {key: self._known(node, i).tolist() for i, key in enumerate(keys, 1) if i < len(node.input)}
        parts.setdefault("axes", list(range(len(parts["starts"]))))
        if any(step != 1 for step in parts.pop("steps", [])):
            raise StockError("it has a Slice with steps, which is not known here")
        return self._add("slice", node.input[:1], **parts)

    def _gather(self, node: onnx.NodeProto, a: dict[str, Any]) -> str:
        index = self._known(node, 1)
        if index.size != 1:
            raise StockError("it has a Gather of several places, which is not known here")
        name = self._add("select", node.input[:1], axis=a.get("axis", 0), index=int(index.reshape(())))
        return self._append("unsqueeze", [name], axes=[a.get("axis", 0)]) if index.ndim else name

    def _axes(self, node: onnx.NodeProto, a: dict[str, Any]) -> list[int]:
        return list(a["axes"]) if "axes" in a else self._known(node, 1).tolist()

    def _known(self, node: onnx.NodeProto, i: int) -> Array:
        if node.input[i] not in self.constants:
            raise StockError(f"input {i} of {node.op_type} is computed, which is not known here")
        return self.constants[node.input[i]]


def _with_gelu(nodes: Sequence[Node]) -> list[Node]:
    """Makes one node of x / sqrt(2) -> erf -> + 1 -> * x -> * .5; nodes that nobody needs any more go."""
    by_name = {node.name: node for node in nodes}

    def source(name: str, op: str, value: float | None = None) -> Node | None:
        node = by_name.get(name)
        if node is None or node.op != op:
            return None
        fits = value is None or math.isclose(node.attributes["value"], value, rel_tol=1e-4)
        return node if fits else None

    def gelu_of(node: Node) -> str | None:
        """What `node` is the GELU of."""
        if source(node.name, "mul_number", 0.5) is None or (product := source(node.inputs[0], "mul")) is None:
            return None
        for x, factor in (product.inputs, product.inputs[::-1]):
            plus = source(factor, "add_number", 1.0)
            erf = plus and source(plus.inputs[0], "erf")
            scaled = erf and source(erf.inputs[0], "mul_number", math.sqrt(0.5))
            if scaled and scaled.inputs == (x,):
                return x
        return None

    found = [(node, gelu_of(node)) for node in nodes]
    return _needed([Node("gelu", node.name, (x,)) if x else node for node, x in found])


def _needed(nodes: Sequence[Node]) -> list[Node]:
    """Without the nodes that the last one does not depend on."""
    needed, kept = {nodes[-1].name}, []
    for node in reversed(nodes):
        if node.name in needed:
            kept.append(node)
            needed.update(node.inputs)
    return kept[::-1]


def _with_head(nodes: Sequence[Node], weights: Weights) -> tuple[list[Node], Weights]:
    """The same with the layer whose outputs are the classes called `HEAD`.

    Raises:
        StockError: the last layer is none that could be.
    """
    old = nodes[-1].name
    if nodes[-1].op != "linear":
        raise StockError(f"its classes come from {nodes[-1].op}, not from a linear layer")
    renamed = {
        f"{HEAD}{key[len(old) :]}" if key.startswith(f"{old}.") else key: w for key, w in weights.items()
    }
    return [*nodes[:-1], replace(nodes[-1], name=HEAD)], renamed


def _features(nodes: Sequence[Node]) -> str:
    """Where a detector's head begins: at the convolution before the transposed ones."""
    by_name = {node.name: node for node in nodes}
    node = nodes[-1]
    while _keeps_place(node):
        node = by_name[node.inputs[0]]
    if node.op != "conv" or node.inputs[0] not in by_name:
        raise StockError("its last layers are not a convolution and transposed ones")
    return node.inputs[0]


def _keeps_place(node: Node) -> bool:
    """Whether a node may be among a detector's last ones, which make pixels of a map of a quarter's size."""
    pointwise = node.op == "conv" and list(node.attributes["kernel_size"]) == [1, 1]
    return pointwise or node.op in ("conv_transpose", "relu", "hard_swish", "shift", "pixel_shuffle")


def with_norms(parsed: Parsed) -> Parsed:
    """The same with a batch norm behind each convolution of the trunk, which changes nothing that it says.

    What works on the average of a whole map (squeeze and excitation) has too few values for a norm, and
    the last layer none behind it.
    """
    pooled, nodes, names = set[str](), list[Node](), {INPUT: INPUT}
    for node in parsed.nodes:
        node = replace(node, inputs=tuple(names[name] for name in node.inputs))
        names[node.name] = node.name
        if node.op == "mean" or (node.inputs and all(name in pooled for name in node.inputs)):
            pooled.add(node.name)
        if node.op != "conv" or node.name in pooled or node.name == parsed.nodes[-1].name:
            nodes.append(node)
            continue
        names[node.name] = f"norm_{node.name}"
        nodes.append(replace(node, attributes={**node.attributes, "bias": False}))
        nodes.append(Node("norm", names[node.name], (node.name,), {"channels": node.attributes["outputs"]}))
    features = names.get(parsed.features, "")
    state = {name: torch.from_numpy(np.array(value, np.float32)) for name, value in parsed.weights.items()}
    network = stock(to_tree(nodes))
    fill(network, state)
    return Parsed(
        tuple(nodes), {name: value.numpy() for name, value in network.state_dict().items()}, features
    )


@torch.no_grad()
def fill(network: StockNet, state: Mapping[str, Tensor]) -> None:
    """Copies a stock file's weights into a network that has norms where the file has none."""
    modules = dict(network.named_modules())
    for node in network.nodes:
        own = dict(modules[node.name].named_parameters()) if node.name in modules else {}
        if node.op == "norm":
            layer = node.inputs[0]
            bias = state.get(f"{layer}.bias", torch.zeros(node.attributes["channels"]))
            unfold(modules[layer], modules[node.name], bias)  # type: ignore[arg-type]
            continue
        for name, parameter in own.items():
            parameter.copy_(state[f"{node.name}.{name}"])
