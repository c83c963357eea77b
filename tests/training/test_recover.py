from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.bundle import DetectionSpec, DirectionSpec, RecognitionSpec, load_bundle
from models.session import Session
from training.checkpoint import save_checkpoint
from training.config import Choice
from training.data.charset import base_of
from training.graph import Trained, example, to_onnx, with_decision
from training.int8 import store_int8
from training.networks import build_network
from training.recover import (
    RecoverError,
    Start,
    candidates,
    grow_head,
    recover,
    start_from_bundle,
    start_from_checkpoint,
    weighted_nodes,
)

HALF = (0.5,)
CHARSET = tuple("0123456789 abcdefl")
SPECS = {
    "recognition": RecognitionSpec("", "", "gray", HALF, HALF, 32, "candidates", (64, 320), CHARSET),
    "direction": DirectionSpec("", "", "gray", HALF, HALF, 32, 192, 0.9),
    "detection": DetectionSpec("", "", "bgr", HALF * 3, HALF * 3, limit=320),
}
OPTIONS = {
    "recognition": ("line_net", {"classes": 19, "widths": [8, 8, 12, 16], "neck": 12, "mixers": 1}),
    "direction": ("direction", {"backbone": "line_net", "channels": 1}),
    "detection": (
        "db",
        {"backbone": "slim", "widths": [8, 8, 8, 8], "inner": 16, "head": "shuffle"},
    ),
    "transposed": ("db", {"backbone": "slim", "widths": [8, 8, 8, 8], "inner": 16}),
}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Random weights are the same whatever ran before: some say too little in different places."""
    torch.manual_seed(1)


def used(network: nn.Module) -> nn.Module:
    """The network with averages, scales and shifts as training leaves them, not those of a fresh one."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.3, 0.3)
            layer.running_mean.uniform_(-0.3, 0.3)
            layer.running_var.uniform_(0.5, 2.0)
        elif isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.uniform_(layer.weight, -0.6, 0.6)
    return network.eval()


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("packed", [False, True])
def test_recovered_network_says_what_the_file_says(kind: str, packed: bool, tmp_path: Path) -> None:
    spec = SPECS[kind.replace("transposed", "detection")]
    name, options = OPTIONS[kind]
    file = to_onnx(Trained(used(build_network(name, options)), spec))
    file = store_int8(file) if packed else file
    network = build_network(name, options)
    recover(file, network, spec)
    (tmp_path / "model.onnx").write_bytes(file.SerializeToString())
    image = 0.5 * example(spec)[..., :320]
    with torch.inference_mode():
        got = with_decision(Trained(network, spec))(torch.from_numpy(image))
    got = got if isinstance(got, tuple) else (got,)
    expected = Session(tmp_path / "model.onnx").run(image)
    assert np.ptp(expected[-1]) > 0.002  # it says different things in different places
    np.testing.assert_allclose(got[-1].numpy(), expected[-1], atol=1e-5)


def test_recovered_network_is_packed_to_the_same_integers() -> None:
    name, options = OPTIONS["recognition"]
    spec = SPECS["recognition"]
    file = store_int8(to_onnx(Trained(used(build_network(name, options)), spec)))
    network = build_network(name, options)
    recover(file, network, spec)
    again = store_int8(to_onnx(Trained(network, spec)))
    for before, after in zip(weighted_nodes(file.graph), weighted_nodes(again.graph), strict=True):
        np.testing.assert_allclose(after.weights[0], before.weights[0], rtol=2e-5, atol=1e-6)


def test_detector_s_missing_head_begins_flat() -> None:
    name, options = OPTIONS["detection"]
    file = to_onnx(Trained(used(build_network(name, options)), SPECS["detection"]))
    network = build_network(name, options)
    recover(file, network, SPECS["detection"])
    network.train()
    with torch.no_grad():
        maps = network(torch.randn(2, 3, 64, 64))
    torch.testing.assert_close(torch.sigmoid(maps.threshold), torch.full((2, 1, 64, 64), 0.3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixers": 2}, "shapes differ"),
        ({"widths": [8, 8, 12, 24]}, "shapes differ"),
        ({"blocks": [0, 1, 1, 0]}, "shapes differ"),
    ],
)
def test_another_network_is_refused(options: dict[str, object], message: str) -> None:
    name, own = OPTIONS["recognition"]
    file = to_onnx(Trained(used(build_network(name, own)), SPECS["recognition"]))
    with pytest.raises(RecoverError, match=message):
        recover(file, build_network(name, {**own, **options}), SPECS["recognition"])


def test_file_that_names_its_network_is_believed_first() -> None:
    name, options = OPTIONS["direction"]
    trained = Trained(used(build_network(name, options)), SPECS["direction"])
    facts = {"network": {"name": name, "options": options}}
    assert list(candidates(to_onnx(replace(trained, facts=facts)), trained.spec)) == [Choice(name, options)]
    assert len(list(candidates(to_onnx(trained), trained.spec))) > 1


@pytest.mark.parametrize("model", ["recognition", "direction", "detection"])
def test_shipped_models_can_be_recovered(model: str) -> None:
    bundle = load_bundle("latin")
    start = start_from_bundle(bundle, model)  # raises where outputs differ by more than 1e-4
    network = build_network(start.network.name, start.network.options)
    network.load_state_dict(start.weights)
    assert start.charset == (bundle.manifest.recognition.charset if model == "recognition" else ())


def test_checkpoint_is_a_start_too(tmp_path: Path) -> None:
    name, options = OPTIONS["recognition"]
    weights = build_network(name, options).state_dict()
    state = {"config": {"task": "recognition"}, "network": {"name": name, "options": options}}
    tensors = {f"net.{key}": value for key, value in weights.items()}
    save_checkpoint(tmp_path / "a.safetensors", tensors, {**state, "charset": "".join(CHARSET)})
    task, start = start_from_checkpoint(tmp_path / "a.safetensors")
    assert (task, start.network, start.charset) == ("recognition", Choice(name, options), CHARSET)
    assert all(torch.equal(start.weights[key], value) for key, value in weights.items())


def test_new_characters_leave_the_old_ones_alone() -> None:
    name, options = OPTIONS["recognition"]
    network = used(build_network(name, options))
    start = Start(Choice(name, options), network.state_dict(), CHARSET)
    grown = grow_head(start, "ł→č")
    assert grown.charset == (*CHARSET, "ł", "→", "č")
    assert grown.network.options["classes"] == 22
    larger = build_network(grown.network.name, grown.network.options).eval()
    larger.load_state_dict(grown.weights)
    image = torch.randn(3, 1, 32, 128)
    with torch.inference_mode():
        before, after = network(image), larger(image)
    assert torch.equal(after[..., :19], before)
    assert torch.equal(after.argmax(2), before.argmax(2))
    old = CHARSET.index("l") + 1
    torch.testing.assert_close(after[..., 19], before[..., old] - 1)
    torch.testing.assert_close(after[..., 20], before[..., 1:].mean(2) - 1)
    assert grow_head(start, "") == start


def test_pruned_head_grows_too() -> None:
    name, options = OPTIONS["recognition"]
    pruned = {**options, "pruned": {"classifier": [19, 12]}}
    start = Start(Choice(name, pruned), build_network(name, options).state_dict(), CHARSET)
    assert grow_head(start, "ł").network.options["pruned"] == {"classifier": [20, 12]}


@pytest.mark.parametrize(("char", "base"), zip("čłſÅøa→", "clsAoa→", strict=True))
def test_base_of(char: str, base: str) -> None:
    assert base_of(char) == base
