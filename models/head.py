"""Cuts a CTC recogniser's output layer to the characters that are wanted.

The layer is a matrix with a column, and a bias, a class. A stock recogniser of many scripts has thousands
of them, and whoever reads a few scripts pays for the others at every step of every line. Without their
columns the remaining classes' logits are what they were; the softmax is taken over those alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.bundle import RecognitionSpec, file_sha256
from models.records import UsageError
from models.session import Session

if TYPE_CHECKING:
    import onnx

BLANK = 0
SPACE = " "
_PASSED = ("Softmax", "Identity")
"""Operators between the layer and the output that mind no class's number."""


def keep_characters(path: Path, spec: RecognitionSpec, wanted: Collection[str]) -> RecognitionSpec:
    """Rewrites a recogniser so that it knows the blank, the space where it had one, and `wanted`.

    The classes keep their order. Characters that the recogniser does not know stay unknown.

    Args:
        path: the ONNX file, of one output (N, T, classes), probabilities; overwritten.
        spec: the file's.
        wanted: characters.

    Returns:
        The spec of the new file: its digest and charset.

    Raises:
        UsageError: onnx is not installed, the recogniser knows none of the characters, or its output is not
            the softmax of a matrix product (and a bias) with a column a class.
    """
    try:
        import onnx
    except ImportError:
        raise UsageError(
            "cutting a recogniser to some characters needs the package onnx; pip install 'ppocr-beam[onnx]'"
        ) from None
    if not set(spec.charset).intersection(wanted):
        raise UsageError(f"{path} knows none of the characters that are wanted")
    kept = [i for i, char in enumerate(spec.charset) if char == SPACE or char in wanted]
    classes = np.array([BLANK, *(i + 1 for i in kept)])
    before = _example(path, spec)
    model = onnx.load(path)
    _cut(model.graph, classes, len(spec.charset) + 1, path)
    charset = tuple(spec.charset[i] for i in kept)
    for entry in model.metadata_props:
        if entry.key == "character":  # where stock files list them, the space that comes last excepted
            entry.value = "\n".join(charset[:-1] if charset[-1] == SPACE else charset)
    onnx.save(model, path)
    _compare(before[:, :, classes], _example(path, spec), path)
    return replace(spec, sha256=file_sha256(path), charset=charset)


def _cut(graph: onnx.GraphProto, classes: npt.NDArray[np.int_], count: int, path: Path) -> None:
    """Leaves of the last matrix and the constants behind it only the columns `classes`, of `count`."""
    from onnx import numpy_helper

    constants = _constants(graph)
    uses = Counter(name for node in graph.node for name in node.input)
    makers = {name: node for node in graph.node for name in node.output}
    name = graph.output[0].name
    while True:
        node = makers.get(name)
        weights = (
            [n for n in node.input if n in constants and constants[n].dims[-1:] == [count]] if node else []
        )
        if node is None or not (
            (node.op_type in _PASSED and not weights)
            or (node.op_type in ("Add", "MatMul") and len(weights) == 1 and uses[weights[0]] == 1)
        ):
            raise UsageError(
                f"{path} ends in {node.op_type if node else 'nothing'}, not in the softmax of a matrix"
            )
        for weight in weights:
            columns = np.ascontiguousarray(numpy_helper.to_array(constants[weight])[..., classes])
            constants[weight].CopyFrom(numpy_helper.from_array(columns, constants[weight].name))
        if node.op_type == "MatMul":
            break
        (name,) = (n for n in node.input if n not in weights)
    shape = graph.output[0].type.tensor_type.shape
    if shape.dim:
        shape.dim[-1].Clear()
        shape.dim[-1].dim_value = len(classes)
    del graph.value_info[:]  # they may name the old number of classes


def _constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Initializers, and the values of Constant nodes, by name."""
    nodes = {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    return {**nodes, **{tensor.name: tensor for tensor in graph.initializer}}


def _example(path: Path, spec: RecognitionSpec) -> npt.NDArray[np.float32]:
    """What the recogniser answers to noise: (1, T, classes)."""
    shape = (1, len(spec.mean), spec.height, spec.widths[0])
    noise = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    output: npt.NDArray[Any] = Session(path).run(noise)[0]
    return output


def _compare(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32], path: Path) -> None:
    total = before.sum(axis=2, keepdims=True)
    if after.shape != before.shape or not np.allclose(after * total, before, atol=1e-5, rtol=1e-3):
        raise UsageError(
            f"{path} answers differently with fewer characters: they are not its output layer alone"
        )
