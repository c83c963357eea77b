"""What of an ONNX graph is known without input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

Array = npt.NDArray[Any]


def constants(graph: onnx.GraphProto) -> dict[str, Array]:
    """All tensors of a graph that are known without input, int8 ones unpacked."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        known = [values[name] for name in node.input if name in values]
        if node.op_type == "Constant":
            value = next((helper.get_attribute_value(a) for a in node.attribute if a.name == "value"), None)
            if value is not None:
                values[node.output[0]] = numpy_helper.to_array(value)
        elif node.op_type == "Identity" and known:
            values[node.output[0]] = known[0]
        elif node.op_type == "DequantizeLinear" and len(known) == len(node.input):
            axis = next((helper.get_attribute_value(a) for a in node.attribute if a.name == "axis"), 1)
            values[node.output[0]] = _unpacked(known, int(axis))
    return values


def _unpacked(known: Sequence[npt.NDArray[Any]], axis: int) -> npt.NDArray[np.float32]:
    """(quantised, scale[, zero point]) to float, the latter two along `axis`."""
    steps, scale = known[0].astype(np.float32), known[1]
    zero = known[2].astype(np.float32) if len(known) > 2 else np.zeros_like(scale)
    if scale.ndim:
        shape = [-1 if i == axis % steps.ndim else 1 for i in range(steps.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return np.asarray((steps - zero) * scale, np.float32)


def folded(
    node: onnx.NodeProto, known: Mapping[str, Array], opset: Sequence[onnx.OperatorSetIdProto]
) -> Array:
    """What an operator gives whose inputs are all known."""
    inputs = [numpy_helper.from_array(known[name], name) for name in dict.fromkeys(node.input) if name]
    output = helper.make_empty_tensor_value_info(node.output[0])
    graph = helper.make_graph([node], "constant", [], [output], inputs)
    outputs: Any = ReferenceEvaluator(helper.make_model(graph, opset_imports=opset)).run(None, {})
    return np.asarray(outputs[0])
