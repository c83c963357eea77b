"""Tiny ONNX files with the inputs and outputs of stock PP-OCR models, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper


def save_detector(path: Path) -> Path:
    """(N, 3, H, W) -> (N, 1, H, W): the sigmoid of the mean over the channels."""
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=1),
        helper.make_node("Sigmoid", ["mean"], ["y"]),
    ]
    return _save(path, nodes, [axes], height=None)


def save_classifier(path: Path) -> Path:
    """(N, 3, H, W) -> (N, 2): the softmax of the mean of two channels."""
    constants = [
        helper.make_tensor("starts", TensorProto.INT64, [1], [0]),
        helper.make_tensor("ends", TensorProto.INT64, [1], [2]),
        helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
    ]
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Slice", ["flat", "starts", "ends", "axes"], ["two"]),
        helper.make_node("Softmax", ["two"], ["y"], axis=1),
    ]
    return _save(path, nodes, constants, height=None)


def save_recognizer(
    path: Path, classes: int, characters: Sequence[str] | None = None, height: int = 48, softmax: bool = True
) -> Path:
    """(N, 3, height, W) -> (N, W, classes); every class is equally likely."""
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
        helper.make_tensor("last", TensorProto.INT64, [1], [2]),
        helper.make_tensor("head", TensorProto.FLOAT, [1, classes], [1.0] * classes),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["columns"], keepdims=0),
        helper.make_node("Unsqueeze", ["columns", "last"], ["steps"]),
        helper.make_node("MatMul", ["steps", "head"], ["logits" if softmax else "y"]),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["logits"], ["y"], axis=2))
    metadata = {} if characters is None else {"character": "\n".join(characters)}
    return _save(path, nodes, constants, height, metadata)


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    height: int | None,
    metadata: dict[str, str] | None = None,
) -> Path:
    shape = ["N", 3, height or "H", "W"]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, str(path))
    return path
