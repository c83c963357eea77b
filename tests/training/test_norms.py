from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from models.bundle import load_bundle
from training.__main__ import main
from training.checkpoint import load_checkpoint, load_network
from training.config import load_config
from training.networks import build_network
from training.norms import FILTER_RMS, measure_norms, unfold
from training.recover import start_from_bundle
from training.strategies.pretrained import load_fitting
from training.tasks.loop import build_task, with_pretrained_network


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(nn.Conv2d(3, 5, 3, bias=False), id="convolution"),
        pytest.param(nn.Conv2d(6, 6, 3, groups=6, bias=False), id="depthwise"),
        pytest.param(nn.ConvTranspose2d(3, 5, 2, 2, bias=False), id="transposed"),
    ],
)
@torch.no_grad()
def test_an_unfolded_layer_computes_what_the_folded_one_did(layer: nn.Conv2d) -> None:
    torch.manual_seed(3)
    axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    shape = [-1 if i == axis else 1 for i in range(4)]
    nn.init.normal_(layer.weight)
    count = layer.weight.shape[axis]
    layer.weight.mul_(10.0 ** -torch.arange(count).float().reshape(shape))  # filters of very different sizes
    layer.weight.select(axis, 0).zero_()
    bias = torch.randn(layer.out_channels)
    image = torch.randn(2, layer.in_channels, 9, 8)
    expected = layer(image) + bias[:, None, None]
    norm = nn.BatchNorm2d(layer.out_channels).eval()
    unfold(layer, norm, bias)
    torch.testing.assert_close(norm(layer(image)), expected, rtol=1e-5, atol=1e-6)
    sizes = layer.weight.square().mean([i for i in range(4) if i != axis]).sqrt()
    assert sizes[0] == 0
    assert ((sizes[1:] > FILTER_RMS / 1.42) & (sizes[1:] < FILTER_RMS * 1.42)).all()


@torch.no_grad()
def test_measured_norms_say_the_same_in_evaluation_and_nearly_so_in_training() -> None:
    torch.manual_seed(4)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2)
    ).eval()
    images = [torch.randn(8, 1, 20, 20) + 0.5 for _ in range(6)]
    before = [network(image) for image in images]
    measure_norms(network, lambda: [network(image) for image in images])
    for image, said in zip(images, before, strict=True):
        torch.testing.assert_close(network(image), said, rtol=1e-4, atol=1e-5)
    first = network[0](torch.cat(images))
    norm = network[1]
    assert isinstance(norm, nn.BatchNorm2d)
    torch.testing.assert_close(norm.running_mean, first.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, first.var((0, 2, 3), unbiased=False), rtol=1e-4, atol=1e-6)
    apart = (network.train()(torch.cat(images)) - torch.cat(before)).abs().max()
    assert apart < 1e-3


def begun_with(checkpoint: Path) -> list[str]:
    return ["network.name=pretrained", f"pretrained={checkpoint}"]


def test_a_bundle_s_recogniser_can_be_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its norms, alive again, read in training nearly what they read in evaluation."""
    out = tmp_path / "start.safetensors"
    command = ["recover", "recognition_stock", "--batches", "12", "--output", str(out)]
    assert main([*command, "data.sources=[{seed: 5}]"]) == 0
    assert "recognition network of latin" in capsys.readouterr().out
    network = load_network(out)
    said = start_from_bundle(load_bundle("latin"), "recognition")
    assert set(network.state_dict()) == set(said.weights)
    config = load_config(
        "recognition_stock",
        ["data.sources=[{seed: 6}]", "fixed_norms=false", "data.dev=[]", *begun_with(out)],
    )
    train = build_task(with_pretrained_network(config)).train
    agreed = []
    for lines in (train[number].images for number in range(4)):  # the norms of a batch of six lines are noise
        with torch.no_grad():
            evaluated, trained = network.eval()(lines), network.train()(lines)
        agreed.append(float(evaluated.argmax(2).eq(trained.argmax(2)).float().mean()))
    assert sum(agreed) / len(agreed) > 0.9
    assert main(["recover", "recognition_latin", "--output", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["recover", "recognition_latin", "--output", str(tmp_path / "x"), "--batches", "0"]) == 2
    assert "--batches is 0" in capsys.readouterr().err


def test_a_bundle_s_detector_can_be_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = np.full((400, 400), 255, np.uint8)
    cv2.putText(page, "total 12.50", (60, 200), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 0, 2)
    cv2.imwrite(str(tmp_path / "page.png"), page)
    quad = [[55, 165], [300, 165], [300, 212], [55, 212]]
    regions = json.dumps([{"transcription": "total 12.50", "points": quad}])
    (tmp_path / "Label.txt").write_text(f"page.png\t{regions}\n", "utf-8")
    source = f"data.sources=[{{labels: {tmp_path / 'Label.txt'}}}]"
    out = tmp_path / "start.safetensors"
    assert main(["recover", "detection_latin", "--batches", "2", "--output", str(out), source]) == 0
    assert "network.name=pretrained" in capsys.readouterr().out
    config = load_config("detection_latin", [source, "data.dev=[]", *begun_with(out)])
    network = build_task(with_pretrained_network(config)).system.net.eval()
    assert load_fitting(network, load_checkpoint(out).group("net")) == []
    said = start_from_bundle(load_bundle("latin"), "detection")
    before = build_network(said.network.name, said.network.options).eval()
    before.load_state_dict(said.weights)
    image = torch.from_numpy(page)[None, None].float() / 127.5 - 1
    image = nn.functional.pad(image, (0, 16, 0, 16))
    with torch.inference_mode():
        found = network(image)
        torch.testing.assert_close(found, before(image), rtol=1e-3, atol=1e-3)
    assert found.max() > 0.6
