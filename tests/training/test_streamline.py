"""A streamlined graph computes the same; what might come out otherwise is left alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.bundle import DetectionSpec
from training.graph import Trained, to_onnx
from training.networks.stock import Node, stock, to_tree
from training.recover import start_from_stock
from training.streamline import streamline

RNG = np.random.default_rng(5)
SIDE = 8


def node(op: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], **attributes)


def model(nodes: Sequence[onnx.NodeProto], **tensors: Any) -> onnx.ModelProto:
    """A graph from `x`, 1 x 4 x 8 x 8, to `y`."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, list("abcd"))],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def weights(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def said(file: onnx.ModelProto, image: Any = None) -> Any:
    image = np.random.default_rng(1).standard_normal((1, 4, SIDE, SIDE)) if image is None else image
    session = ort.InferenceSession(file.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs: Any = session.run(None, {session.get_inputs()[0].name: np.asarray(image, np.float32)})
    return outputs[0]


def operators(file: onnx.ModelProto) -> Counter[str]:
    return Counter(each.op_type for each in file.graph.node)


PADS = np.array([0, 0, 0, 0, 0, 0, 1, 1])
GATE = [
    node("ReduceMean", "x", "m", axes=[2, 3]),
    node("Conv", "m w", "c"),
    node("Mul", "c sixth", "t"),
    node("Add", "t half", "p"),
    node("Clip", "p zero one", "g"),
]
GATE_TENSORS = {
    "w": weights(4, 4, 1, 1),
    **{"sixth": np.float32(1 / 6), "half": np.float32([0.5]), "zero": np.float32(0), "one": np.float32(1)},
}
END = [
    node("ConvTranspose", "x w1 b1", "a", strides=[2, 2], kernel_shape=[2, 2]),
    node("Relu", "a", "r"),
    node("ConvTranspose", "r w2 b2", "b", strides=[2, 2], kernel_shape=[2, 2]),
    node("Sigmoid", "b", "y"),
]
CASES = {
    "pool": (
        [
            node("Relu", "x", "r"),
            node("Pad", "r pads", "p"),
            node("MaxPool", "p", "y", kernel_shape=[2, 2], strides=[1, 1]),
        ],
        {"pads": PADS},
        {"Relu": 1, "MaxPool": 1},
    ),
    "gate": (
        [*GATE, node("Mul", "g x", "s"), node("Add", "x s", "y")],
        GATE_TENSORS,
        {"ReduceMean": 1, "Conv": 1, "HardSigmoid": 1, "Add": 1, "Mul": 1},
    ),
    "side by side": (
        [
            node("Conv", "x a", "l", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            node("Relu", "l", "k"),
            node("Concat", "k x", "c", axis=1),
            node("Conv", "c b bias", "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        ],
        {"a": weights(6, 4, 3, 3), "b": weights(5, 10, 3, 3), "bias": weights(5)},
        {"Conv": 3, "Relu": 1, "Add": 1},
    ),
    "end": (
        END,
        {"w1": weights(4, 3, 2, 2), "b1": weights(3), "w2": weights(3, 1, 2, 2), "b2": weights(1)},
        {"Conv": 2, "Relu": 1, "DepthToSpace": 1, "Sigmoid": 1},
    ),
    "constants": (
        [
            node("Concat", "one two", "both", axis=0),
            node("Reshape", "x both", "y"),
        ],
        {"one": np.array([1, 4]), "two": np.array([SIDE * SIDE])},
        {"Reshape": 1},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_graph_says_the_same_by_fewer_operators(name: str) -> None:
    nodes, tensors, expected = CASES[name]
    file = model(nodes, **tensors)
    before = file.SerializeToString()
    fast = streamline(file)
    assert operators(fast) == expected
    np.testing.assert_allclose(said(fast), said(file), rtol=1e-5, atol=1e-5)
    assert file.SerializeToString() == before  # what was given stays


LEFT_ALONE = {
    "a pool over values below zero, where the padding's 0 counts": (
        [node("Pad", "x pads", "p"), node("MaxPool", "p", "y", kernel_shape=[2, 2], strides=[1, 1])],
        {"pads": PADS},
    ),
    "a padded map that is used again": (
        [
            node("Relu", "x", "r"),
            node("Pad", "r pads", "p"),
            node("MaxPool", "p", "m", kernel_shape=[2, 2], strides=[1, 1], pads=[0, 0, 1, 1]),
            node("Add", "m p", "y"),
        ],
        {"pads": PADS},
    ),
    "a factor for each pixel": (
        [node("Sigmoid", "x", "g"), node("Mul", "g x", "s"), node("Add", "x s", "y")],
        {},
    ),
    "two channels at the end": (
        END,
        {"w1": weights(4, 3, 2, 2), "b1": weights(3), "w2": weights(3, 2, 2, 2), "b2": weights(2)},
    ),
    "transposed convolutions that overlap": (
        [node("ConvTranspose", "x w1 b1", "a", strides=[2, 2], kernel_shape=[3, 3]), *END[1:]],
        {"w1": weights(4, 3, 3, 3), "b1": weights(3), "w2": weights(3, 1, 2, 2), "b2": weights(1)},
    ),
    "maps side by side along another axis": (
        [node("Concat", "x x", "c", axis=2), node("Conv", "c w", "y", kernel_shape=[1, 1])],
        {"w": weights(2, 4, 1, 1)},
    ),
    "a clip that ends elsewhere": (
        [node("Mul", "x sixth", "t"), node("Add", "t half", "p"), node("Clip", "p zero six", "y")],
        {"sixth": np.float32(1 / 6), "half": np.float32(0.5), "zero": np.float32(0), "six": np.float32(6)},
    ),
}


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_left_alone(name: str) -> None:
    nodes, tensors = LEFT_ALONE[name]
    file = model(nodes, **tensors)
    fast = streamline(file)
    assert operators(fast) == operators(file)
    np.testing.assert_array_equal(said(fast), said(file))


def _conv(name: str, source: str, **attributes: Any) -> Node:
    plain = {"kernel_size": [3, 3], "padding": [1, 1], "dilation": [1, 1], "groups": 1, "bias": True}
    return Node("conv", name, (source,), {**plain, **attributes})


def _twice(name: str, source: str, outputs: int) -> Node:
    attributes = {"inputs": 4, "outputs": outputs, "kernel_size": [2, 2], "stride": [2, 2], "bias": True}
    return Node("conv_transpose", name, (source,), attributes)


def test_streamlined_detector_can_be_recovered_and_exported_again() -> None:
    nodes = [
        _conv("conv0", "x", inputs=1, outputs=8, stride=[4, 4]),
        Node("relu", "relu1", ("conv0",)),
        _conv("conv2", "relu1", inputs=8, outputs=4, stride=[1, 1]),
        Node("relu", "relu3", ("conv2",)),
        _twice("up4", "relu3", outputs=4),
        Node("relu", "relu5", ("up4",)),
        _twice("up6", "relu5", outputs=1),
    ]
    spec = DetectionSpec("", "", "gray", (0.5,), (0.5,))
    network = stock(to_tree(nodes), features="relu1").eval()
    file = to_onnx(Trained(network, spec))
    assert operators(file)["DepthToSpace"] == 1
    start = start_from_stock(file, spec)  # raises where it says something else
    assert start.network.options["features"]
    again = stock(**start.network.options)
    again.load_state_dict(start.weights)
    image = RNG.uniform(-1, 1, (1, 1, 32, 64)).astype(np.float32)
    np.testing.assert_allclose(
        said(to_onnx(Trained(again.eval(), spec)), image), said(file, image), atol=1e-5
    )
