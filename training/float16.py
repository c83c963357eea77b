"""Weights stored as float16 and widened by Cast: half of the size, where int8 would change too much.

Only storage changes: at load, ONNX Runtime widens the weights once and the float kernels run as before.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from training.int8 import SMALLEST, channel_axes

LARGEST = float(np.finfo(np.float16).max)


def store_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model whose large weights are float16; the model stays as it is.

    Weights that float16 cannot hold, of a magnitude above 65,504, stay float32.
    """
    packed = onnx.ModelProto()
    packed.CopyFrom(model)
    axes = channel_axes(packed.graph)
    widen, kept = [], []
    for tensor in packed.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        fits = weights.dtype == np.float32 and weights.size >= SMALLEST and np.abs(weights).max() <= LARGEST
        if not (tensor.name in axes and fits):
            kept.append(tensor)
            continue
        kept.append(numpy_helper.from_array(weights.astype(np.float16), f"{tensor.name}.float16"))
        widen.append(helper.make_node("Cast", [kept[-1].name], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*widen, *packed.graph.node]
    del packed.graph.node[:], packed.graph.initializer[:]
    packed.graph.node.extend(nodes)
    packed.graph.initializer.extend(kept)
    onnx.checker.check_model(packed)
    return packed


def stored_as(model: onnx.ModelProto) -> str:
    """How a model's weights are stored: `int8`, `float16` or `float32`."""
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    if TensorProto.INT8 in kinds:
        return "int8"
    return "float16" if TensorProto.FLOAT16 in kinds else "float32"
