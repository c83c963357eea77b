"""Weights stored as float16 and widened by Cast: half of the size, where int8 would change too much.

Only storage changes: at load, ONNX Runtime widens the weights once and the float kernels run as before.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from training.int8 import SMALLEST, Packed, repacked

LARGEST = float(np.finfo(np.float16).max)


def store_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model whose large weights are float16; the model stays as it is.

    Weights that float16 cannot hold, of a magnitude above 65,504, stay float32.
    """

    def pack(name: str, weights: npt.NDArray[np.float32], axis: int) -> Packed | None:
        if weights.size < SMALLEST or np.abs(weights).max() > LARGEST:
            return None
        tensor = numpy_helper.from_array(weights.astype(np.float16), f"{name}.float16")
        return [tensor], helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT)

    return repacked(model, pack)


def stored_as(model: onnx.ModelProto) -> str:
    """How a model's weights are stored: `int8`, `float16` or `float32`."""
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    if TensorProto.INT8 in kinds:
        return "int8"
    return "float16" if TensorProto.FLOAT16 in kinds else "float32"
