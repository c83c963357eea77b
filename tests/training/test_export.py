from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from models.beam import CANDIDATES
from models.bundle import DetectionSpec, DirectionSpec, RecognitionSpec
from models.records import UsageError
from models.session import Session
from training.__main__ import main
from training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from training.constants import constants
from training.export import accepted, export, write_model
from training.float16 import store_float16, stored_as
from training.graph import Trained, describe, example, load_trained, read_metadata, to_onnx, with_decision
from training.int8 import channel_axes, quantize, store_int8
from training.networks import build_network
from training.parity import Checked, agreement, check, deviation, specimens

CHARSET = tuple("0123456789 Tabcdefl")
HALF = (0.5,)


class Ink(nn.Module):
    """A recogniser that decides clearly on anything: each column's class follows its own ink."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.columns = nn.Conv2d(1, 32, (32, 4), (32, 4), bias=False)
        self.norm = nn.BatchNorm2d(32)
        self.classify = nn.Conv2d(32, classes, 1)
        nn.init.normal_(self.classify.weight, std=1.5)
        self.norm.running_mean = torch.linspace(-1, 1, 32)
        self.norm.running_var = torch.linspace(0.2, 0.6, 32)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classify(torch.tanh(self.norm(self.columns(image))))
        return logits.squeeze(2).transpose(1, 2)


def recogniser(classes: int = len(CHARSET) + 1) -> Trained:
    torch.manual_seed(0)
    spec = RecognitionSpec("", "", "gray", HALF, HALF, 32, "candidates", (64, 160, 320), CHARSET)
    return Trained(Ink(classes).eval(), spec, {"step": 7, "scores": {"ned": 0.5}})


def direction() -> Trained:
    torch.manual_seed(0)
    network = build_network("direction", {"backbone": "line_net", "channels": 1}).eval()
    return Trained(network, DirectionSpec("", "", "gray", HALF, HALF, 32, 192, 0.9))


def detector() -> Trained:
    torch.manual_seed(0)
    options = {"backbone": "slim", "stem": 8, "widths": [8, 8, 8, 8], "inner": 16, "head": "shuffle"}
    network = build_network("db", options).eval()
    return Trained(network, DetectionSpec("", "", "bgr", HALF * 3, HALF * 3, limit=320))


TRAINED = [
    pytest.param(recogniser, id="recognition"),
    pytest.param(direction, id="direction"),
    pytest.param(detector, id="detection"),
]


@pytest.mark.parametrize("make", TRAINED)
def test_float32_says_what_the_network_says(make) -> None:
    trained = make()
    checked = check(trained, to_onnx(trained), specimens(trained.spec)[:6])
    assert checked.deviation < 1e-4
    assert checked.agreement > 0.9999


@pytest.mark.parametrize(
    ("make", "shapes"),
    [
        pytest.param(recogniser, [(1, 1, 32, 64), (5, 1, 32, 320)], id="recognition"),
        pytest.param(direction, [(1, 1, 32, 192), (7, 1, 32, 192)], id="direction"),
        pytest.param(detector, [(1, 3, 64, 96), (2, 3, 128, 32)], id="detection"),
    ],
)
def test_batch_and_size_are_open(make, shapes, tmp_path: Path) -> None:
    trained = make()
    write_model(to_onnx(trained), tmp_path / "model.onnx")
    session = Session(tmp_path / "model.onnx")
    for shape in shapes:
        tensor = np.random.default_rng(0).standard_normal(shape, np.float32)
        with torch.inference_mode():
            expected = with_decision(trained)(torch.from_numpy(tensor))
        expected = expected if isinstance(expected, tuple) else (expected,)
        outputs = session.run(tensor)
        assert [output.shape for output in outputs] == [tuple(each.shape) for each in expected]
        np.testing.assert_allclose(outputs[-1], expected[-1], atol=1e-4)


@pytest.mark.parametrize("make", TRAINED)
def test_batch_norms_are_folded(make) -> None:
    assert "BatchNormalization" not in {node.op_type for node in to_onnx(make()).graph.node}


def test_decision_is_the_best_classes_and_their_softmax() -> None:
    trained = recogniser()
    image = torch.randn(3, 1, 32, 64)
    with torch.inference_mode():
        classes, probabilities = with_decision(trained)(image)
        softmax = trained.network(image).softmax(2)
    best = softmax.topk(CANDIDATES, 2)
    assert classes.dtype == torch.int64
    assert torch.equal(classes, best.indices)
    torch.testing.assert_close(probabilities, best.values)


@pytest.mark.parametrize("axis", [0, 1])
def test_quantized_weights_are_half_a_step_off_at_most(axis: int) -> None:
    weights = np.random.default_rng(0).standard_normal((6, 5, 3, 3)).astype(np.float32)
    weights[0] = 0
    values, scales = quantize(weights, axis)
    unpacked = values * np.expand_dims(scales, tuple(i for i in range(4) if i != axis))
    assert values.dtype == np.int8
    assert (
        np.abs(unpacked - weights) <= np.expand_dims(scales, (1, 2, 3) if axis == 0 else (0, 2, 3)) / 2 + 1e-7
    ).all()
    assert not unpacked[0].any()


class Products(nn.Module):
    """Every kind of layer whose weights are packed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 5)
        self.grow = nn.ConvTranspose2d(16, 24, 2, 2)
        self.lstm = nn.LSTM(24, 12, bidirectional=True)
        self.dense = nn.Linear(24, 16)
        self.matrix = nn.Parameter(torch.randn(16, 20))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.grow(self.conv(image)).mean(2).permute(2, 0, 1)
        x, _ = self.lstm(x)
        return (self.dense(x) @ self.matrix).transpose(0, 1)


def test_int8_packs_every_kind_of_weight(tmp_path: Path) -> None:
    torch.manual_seed(0)
    spec = replace(recogniser().spec, charset=tuple("abcdefghijklmnopqrs"))
    trained = Trained(Products().eval(), spec)
    plain = to_onnx(trained)
    packed = store_int8(plain)
    unpacked = [node.output[0] for node in packed.graph.node if node.op_type == "DequantizeLinear"]
    assert len(unpacked) == 6  # conv, transposed, both of the LSTM, linear, product
    write_model(plain, tmp_path / "plain.onnx")
    write_model(packed, tmp_path / "packed.onnx")
    tensor = example(spec)
    expected, got = (Session(tmp_path / name).run(tensor) for name in ("plain.onnx", "packed.onnx"))
    np.testing.assert_allclose(got[1], expected[1], atol=0.02)


def test_int8_is_a_quarter_of_the_size_and_the_original_is_left_alone() -> None:
    plain = to_onnx(direction())
    before = plain.SerializeToString()
    packed = store_int8(plain)
    assert len(packed.SerializeToString()) < 0.32 * len(before)
    assert plain.SerializeToString() == before


def test_file_says_how_to_use_it(tmp_path: Path) -> None:
    trained = recogniser()
    write_model(store_int8(to_onnx(trained)), tmp_path / "model.onnx")
    assert read_metadata(tmp_path / "model.onnx") == (trained.spec, trained.facts)
    assert describe(trained)["model"] == "recognition"


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.onnx"
    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), foreign)
    with pytest.raises(UsageError, match=r"foreign\.onnx does not say how to use it"):
        read_metadata(foreign)
    foreign.write_text("not a model")
    with pytest.raises(UsageError, match="cannot be read as an ONNX model"):
        read_metadata(foreign)


def test_deviation_counts_a_class_that_is_less_likely() -> None:
    logits = torch.log(torch.tensor([[[0.7, 0.2, 0.1], [0.5, 0.5, 1e-9]]]))
    spec = recogniser().spec
    right = [np.array([[0, 0]]), np.array([[0.7, 0.5]], np.float32)]
    tie = [np.array([[0, 1]]), np.array([[0.7, 0.5]], np.float32)]
    wrong = [np.array([[1, 0]]), np.array([[0.7, 0.5]], np.float32)]
    assert deviation(spec, logits, right) == pytest.approx(0, abs=1e-6)
    assert deviation(spec, logits, tie) == pytest.approx(0, abs=1e-6)
    assert deviation(spec, logits, wrong) == pytest.approx(0.5)


def test_agreement_of_maps_is_that_of_text_pixels() -> None:
    a, b = np.zeros((10, 10), np.float32), np.zeros((10, 10), np.float32)
    a[:, :4], b[:, 1:4] = 0.9, 0.9
    assert agreement(detector().spec, [a], [b]) == pytest.approx(2 * 30 / 70)
    assert agreement(detector().spec, [a * 0], [b * 0]) == 1.0


@pytest.mark.parametrize(
    ("weights", "change", "message"),
    [
        ("float32", {"deviation": 2e-4}, "differ from the checkpoint's by up to 0.0002"),
        ("int8", {"agreement": 0.97}, "int8 weights leave only 97.0% of the direction model's decisions"),
        ("float16", {"agreement": 0.97}, "float16 weights leave only 97.0% of the direction model's"),
    ],
)
def test_export_that_differs_is_refused(weights, change, message, monkeypatch: pytest.MonkeyPatch) -> None:
    good = Checked(1, 1.0, 0.0, 1.0, 1.0)
    seen: list[str] = []

    def checked(_trained: Trained, model: onnx.ModelProto, *_: object) -> Checked:
        seen.append(stored_as(model))
        return replace(good, **change) if seen[-1] == weights else good

    monkeypatch.setattr("training.export.check", checked)
    with pytest.raises(UsageError, match=message):
        accepted(export(direction(), []), weights)
    assert seen == ["float32", "float16", "int8"]


@pytest.mark.parametrize("make", TRAINED)
def test_float16_weights_are_half_the_size_and_say_nearly_the_same(make, tmp_path: Path) -> None:
    trained = make()
    plain = to_onnx(trained)
    packed = store_float16(plain)
    assert (stored_as(plain), stored_as(packed)) == ("float32", "float16")
    assert packed.ByteSize() < 0.75 * plain.ByteSize()
    checked = check(trained, packed, specimens(trained.spec)[:6])
    assert checked.deviation < 5e-3
    held, known = constants(plain.graph), constants(packed.graph)
    assert held.keys() <= known.keys()
    for name, value in held.items():
        np.testing.assert_allclose(known[name].astype(np.float64), value, rtol=1e-3, atol=1e-6)


def test_weights_that_float16_cannot_hold_stay_as_they_are() -> None:
    model = to_onnx(detector())
    axes = channel_axes(model.graph)
    large = next(tensor for tensor in model.graph.initializer if tensor.name in axes)
    large.CopyFrom(numpy_helper.from_array(np.full(tuple(large.dims), 1e6, np.float32), large.name))
    kept = {tensor.name: tensor for tensor in store_float16(model).graph.initializer}
    assert kept[large.name].data_type == onnx.TensorProto.FLOAT


def save(trained: Trained, task: str, path: Path, **state: object) -> None:
    """A checkpoint as training writes it, of a small direction classifier or recogniser."""
    networks = {
        "direction": ("direction", {"backbone": "line_net", "channels": 1}),
        "recognition": ("line_net", {"classes": len(CHARSET) + 1, "widths": [4, 4, 8, 8], "neck": 8}),
    }
    name, options = networks[task]
    network = build_network(name, options)
    data = {"height": 32, "color": "gray"} if task == "direction" else {"charset": "=" + "".join(CHARSET)}
    config = {"task": task, "network": {"name": name, "options": options}, "data": data}
    facts = {
        "step": 3,
        "scores": {},
        "config": config,
        "network": {"name": name, "options": options},
        **state,
    }
    save_checkpoint(path, {f"net.{key}": value for key, value in network.state_dict().items()}, facts)


def test_command_writes_what_the_bundle_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(direction(), "direction", tmp_path / "direction.safetensors")
    output = tmp_path / "new" / "direction.onnx"
    assert main(["export", str(tmp_path / "direction.safetensors"), "--output", str(output)]) == 0
    spec, facts = read_metadata(output)
    assert isinstance(spec, DirectionSpec)
    assert (spec.height, spec.color, facts["step"]) == (32, "gray", 3)
    assert [path.name for path in output.parent.iterdir()] == ["direction.onnx"]
    assert "float32" in capsys.readouterr().out


def test_charset_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recognition.safetensors"
    save(recogniser(), "recognition", path, charset="".join(CHARSET[:-1]))
    with pytest.raises(UsageError, match="20 classes, but its charset of 18 characters"):
        load_trained(path)


def test_tampered_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "direction.safetensors"
    save(direction(), "direction", path)
    load_checkpoint(path)
    data = bytearray(path.read_bytes())
    data[-5] ^= 0x40
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        load_trained(path)
    assert main(["export", str(path), "--output", str(tmp_path / "out.onnx")]) == 2
    assert "direction.safetensors is damaged" in capsys.readouterr().err
    assert not (tmp_path / "out.onnx").exists()
