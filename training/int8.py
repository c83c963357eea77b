"""Weights stored as int8, one scale a channel, and unpacked by DequantizeLinear: a quarter of the size.

Only storage changes: at load, ONNX Runtime unpacks the weights once and the float kernels run as before (with
`session.disable_quant_qdq`, which `models.session` sets; else they would be unpacked at every call).
Activations stay float, so nothing needs calibrating. Biases and other small vectors stay float: they are 1 %
of the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

SMALLEST = 256
"""Values that a weight must have to be worth packing."""

Packed = tuple[list[onnx.TensorProto], onnx.NodeProto]
"""What is stored in a weight's place, and the operator that makes it that weight again."""


def store_int8(model: onnx.ModelProto, kernels: bool = False) -> onnx.ModelProto:
    """A copy of the model whose large weights are int8, symmetric, with one float scale an output channel.

    Args:
        model: stays as it is.
        kernels: make it for int8 kernels, which compute with the weights as they are: small ones are packed
            too, and zero points are stated.
    """

    def pack(name: str, weights: npt.NDArray[np.float32], axis: int) -> Packed | None:
        if weights.size < (1 if kernels else SMALLEST):
            return None
        values, scales = quantize(weights, axis)
        stored: dict[str, npt.NDArray[Any]] = {"int8": values, "scale": scales}
        if kernels:
            stored["zero"] = np.zeros(len(scales), np.int8)
        tensors = [numpy_helper.from_array(value, f"{name}.{kind}") for kind, value in stored.items()]
        names = [tensor.name for tensor in tensors]
        return tensors, helper.make_node("DequantizeLinear", names, [name], axis=axis)

    return repacked(model, pack)


def repacked(
    model: onnx.ModelProto, pack: Callable[[str, npt.NDArray[np.float32], int], Packed | None]
) -> onnx.ModelProto:
    """A copy of the model whose weights are stored in another way; the model stays as it is.

    Args:
        model: its float32 weights are looked at.
        pack: of a weight's name, values and axis of outputs, what is stored in its place; None: it stays.
    """
    packed = onnx.ModelProto()
    packed.CopyFrom(model)
    axes = channel_axes(packed.graph)
    unpack, kept = list[onnx.NodeProto](), list[onnx.TensorProto]()
    for tensor in packed.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        known = tensor.name in axes and weights.dtype == np.float32
        if known and (made := pack(tensor.name, weights, axes[tensor.name] % weights.ndim)):
            kept += made[0]
            unpack.append(made[1])
        else:
            kept.append(tensor)
    nodes = [*unpack, *packed.graph.node]
    del packed.graph.node[:], packed.graph.initializer[:]
    packed.graph.node.extend(nodes)
    packed.graph.initializer.extend(kept)
    onnx.checker.check_model(packed)
    return packed


def channel_axes(graph: onnx.GraphProto) -> dict[str, int]:
    """Names of the weights of convolutions, products and LSTMs, and which of their axes counts outputs."""
    axes = {}
    for node in graph.node:
        if node.op_type == "Conv":
            axes[node.input[1]] = 0
        elif node.op_type == "ConvTranspose":
            axes[node.input[1]] = 1
        elif node.op_type == "MatMul":
            axes[node.input[1]] = -1
        elif node.op_type == "Gemm":
            axes[node.input[1]] = 0 if _attribute(node, "transB") else 1
        elif node.op_type == "LSTM":
            axes |= {node.input[1]: 1, node.input[2]: 1}
    return axes


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), None)


def quantize(
    weights: npt.NDArray[np.float32], axis: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Rounds to 255 even steps between minus and plus the largest magnitude of each channel.

    Returns:
        The steps, shaped as the weights, and the size of a step of each channel.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis)
    scales = np.abs(weights).max(axis=others).astype(np.float32) / 127
    scales[scales == 0] = 1
    shaped = np.expand_dims(scales, others)
    return np.clip(np.rint(weights / shaped), -127, 127).astype(np.int8), scales
