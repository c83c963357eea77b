"""What of an ONNX graph is known without input, and what its nodes say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

Array = npt.NDArray[Any]


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by name."""
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def constants(graph: onnx.GraphProto) -> dict[str, Array]:
    """All tensors of a graph that are known without input, int8 ones unpacked and float16 ones widened."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        known = [values[name] for name in node.input if name in values]
        if node.op_type == "Constant":
            value = attributes(node).get("value")
            if value is not None:
                values[node.output[0]] = numpy_helper.to_array(value)
        elif node.op_type == "Identity" and known:
            values[node.output[0]] = known[0]
        elif node.op_type == "Cast" and known:
            values[node.output[0]] = known[0].astype(helper.tensor_dtype_to_np_dtype(attributes(node)["to"]))
        elif node.op_type == "DequantizeLinear" and len(known) == len(node.input):
            values[node.output[0]] = _unpacked(known, int(attributes(node).get("axis", 1)))
    return values


def _unpacked(known: Sequence[npt.NDArray[Any]], axis: int) -> npt.NDArray[np.float32]:
    """(quantised, scale[, zero point]) to float, the latter two along `axis`."""
    steps, scale = known[0].astype(np.float32), known[1]
    zero = known[2].astype(np.float32) if len(known) > 2 else np.zeros_like(scale)
    if scale.ndim:
        shape = [-1 if i == axis % steps.ndim else 1 for i in range(steps.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return np.asarray((steps - zero) * scale, np.float32)


def computed(
    nodes: Iterable[onnx.NodeProto], known: dict[str, Array], opset: Sequence[onnx.OperatorSetIdProto]
) -> Iterator[onnx.NodeProto]:
    """Yields the nodes that depend on the graph's input, in order.

    Args:
        nodes: of the graph, in order.
        known: its constants; what the other nodes give is added.
        opset: of the model.
    """
    for node in nodes:
        if all(output in known for output in node.output):
            continue
        if node.input and all(name in known for name in node.input if name):
            known[node.output[0]] = _folded(node, known, opset)
        else:
            yield node


def _folded(
    node: onnx.NodeProto, known: Mapping[str, Array], opset: Sequence[onnx.OperatorSetIdProto]
) -> Array:
    """What an operator gives whose inputs are all known."""
    inputs = [numpy_helper.from_array(known[name], name) for name in dict.fromkeys(node.input) if name]
    output = helper.make_empty_tensor_value_info(node.output[0])
    graph = helper.make_graph([node], "constant", [], [output], inputs)
    outputs: Any = ReferenceEvaluator(helper.make_model(graph, opset_imports=opset)).run(None, {})
    return np.asarray(outputs[0])
