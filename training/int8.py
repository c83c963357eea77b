"""Weights stored as int8, one scale a channel, and unpacked by DequantizeLinear: a quarter of the size.

Only storage changes: at load, ONNX Runtime unpacks the weights once and the float kernels run as before (with
`session.disable_quant_qdq`, which `models.session` sets; else they would be unpacked at every call).
Activations stay float, so nothing needs calibrating. Biases and other small vectors stay float: they are 1 %
of the bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

SMALLEST = 256
"""Values that a weight must have to be worth packing."""


def store_int8(model: onnx.ModelProto, kernels: bool = False) -> onnx.ModelProto:
    """A copy of the model whose large weights are int8, symmetric, with one float scale an output channel.

    Args:
        model: stays as it is.
        kernels: make it for int8 kernels, which compute with the weights as they are: small ones are packed
            too, and zero points are stated.
    """
    packed = onnx.ModelProto()
    packed.CopyFrom(model)
    axes = channel_axes(packed.graph)
    unpack, kept = [], []
    for tensor in packed.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if (
            tensor.name not in axes
            or weights.size < (1 if kernels else SMALLEST)
            or weights.dtype != np.float32
        ):
            kept.append(tensor)
            continue
        axis = axes[tensor.name] % weights.ndim
        values, scales = quantize(weights, axis)
        names = [f"{tensor.name}.int8", f"{tensor.name}.scale"]
        kept += [numpy_helper.from_array(values, names[0]), numpy_helper.from_array(scales, names[1])]
        if kernels:
            names.append(f"{tensor.name}.zero")
            kept.append(numpy_helper.from_array(np.zeros(len(scales), np.int8), names[2]))
        unpack.append(helper.make_node("DequantizeLinear", names, [tensor.name], axis=axis))
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
