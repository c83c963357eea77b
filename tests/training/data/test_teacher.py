from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from models.records import UsageError
from training.data.teacher import Teacher


def write_teacher(path: Path, character: str = "a\nb") -> Path:
    """A "recogniser" with a column for 8 pixels: dark ones are `a` (class 1), bright ones blank."""
    nodes = [
        helper.make_node("AveragePool", ["x"], ["pooled"], kernel_shape=[16, 8], strides=[16, 8]),
        helper.make_node("ReduceMean", ["pooled", "axes"], ["level"], keepdims=0),
        helper.make_node("Unsqueeze", ["level", "last"], ["bright"]),
        helper.make_node("Neg", ["bright"], ["dark"]),
        helper.make_node("Mul", ["bright", "zero"], ["nothing"]),
        helper.make_node("Concat", ["bright", "dark", "nothing", "nothing"], ["y"], axis=2),
    ]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
        helper.make_tensor("last", TensorProto.INT64, [1], [2]),
        helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
    ]
    ends = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3, 16, None])]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None, 4])]
    model = helper.make_model(
        helper.make_graph(nodes, "teacher", ends, out, constants), opset_imports=[helper.make_opsetid("", 18)]
    )
    model.ir_version = 9
    if character:
        helper.set_model_props(model, {"character": character})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("shape", [(32, 96), (32, 96, 3)], ids=["gray", "colour"])
def test_a_teacher_reads_what_its_columns_say(tmp_path: Path, shape: tuple[int, ...]) -> None:
    teacher = Teacher(write_teacher(tmp_path / "t.onnx"))
    assert teacher.charset == ("", "a", "b", " ")
    crop = np.full(shape, 255, np.uint8)
    crop[:, 16:32] = crop[:, 64:80] = 0  # columns 1 and 4 at height 16
    columns = teacher.columns(crop)
    assert columns.shape == (6, 4)
    assert columns.argmax(1).tolist() == [0, 1, 0, 0, 1, 0]
    reading = teacher.read(crop)
    assert reading.text == "aa" and reading.confidence == pytest.approx(1, abs=1e-5)


def test_nothing_read_is_an_empty_text_without_confidence(tmp_path: Path) -> None:
    white = np.full((16, 64, 3), 255, np.uint8)
    assert Teacher(write_teacher(tmp_path / "t.onnx")).read(white) == ("", 0.0)


def test_a_model_without_a_charset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"t\.onnx has no `character`"):
        Teacher(write_teacher(tmp_path / "t.onnx", ""))


def test_what_is_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        Teacher(tmp_path / "nowhere")
