from __future__ import annotations

import io

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from models.bundle import DirectionSpec
from training.graph import Trained, example, to_onnx
from training.int8 import store_int8
from training.networks import build_network
from training.quantization.pact import (
    RANGE_DECAY,
    Activation,
    QuantizedLayer,
    calibrate,
    decay_ranges,
    deployed,
    fold_norms,
    pact,
    quantize,
    quantized_layers,
    rounded,
    rounded_weight,
    signed_pact,
    step_size,
)
from training.quantization.runtime import ModelSession

X = [-7.0, -2.0, -0.5, 0.5, 2.0, 7.0]


@pytest.mark.parametrize(
    ("clip", "values", "to_x", "to_alpha"),
    [
        pytest.param(pact, [0, 0, 0, 0.5, 2, 3], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1], id="equation 1"),
        pytest.param(
            signed_pact, [-3, -2, -0.5, 0.5, 2, 3], [0, 1, 1, 1, 1, 0], [-1, 0, 0, 0, 0, 1], id="equation 2"
        ),
    ],
)
def test_equations_by_hand(clip, values: list[float], to_x: list[float], to_alpha: list[float]) -> None:
    for i, each in enumerate(X):
        x, alpha = torch.tensor(each, requires_grad=True), torch.tensor(3.0, requires_grad=True)
        y = clip(x, alpha)
        y.backward()
        assert float(y.detach()) == pytest.approx(values[i])
        assert (float(x.grad), float(alpha.grad)) == (to_x[i], to_alpha[i])


def test_levels_by_hand() -> None:
    alpha = torch.tensor(51.0)
    assert float(step_size(alpha, signed=False)) == pytest.approx(0.2)
    assert float(step_size(torch.tensor(64.0), signed=True)) == 0.5
    x = torch.tensor([-64.0, -0.3, 0.2, 0.26, 64.0], requires_grad=True)
    y = rounded(x, torch.tensor(0.5), -128, 127)
    assert y.tolist() == [-64.0, -0.5, 0.0, 0.5, 63.5]
    y.sum().backward()
    assert x.grad.tolist() == [1.0] * 5


def test_weights_are_rounded_channel_by_channel_as_they_are_stored() -> None:
    weight = torch.tensor([[127.0, 1.4], [0.0254, -0.0127]])
    expected = torch.tensor([[127.0, 1.0], [0.0254, -0.0128]])  # a step is 1 and .0002
    torch.testing.assert_close(rounded_weight(weight, 0), expected, atol=1e-6, rtol=0)
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(5, 3, 2)
    again = rounded_weight(rounded_weight(layer.weight, 1), 1)
    torch.testing.assert_close(again, rounded_weight(layer.weight, 1), atol=1e-7, rtol=0)


def test_the_range_is_pulled_towards_zero_by_its_own_decay() -> None:
    layer = QuantizedLayer(nn.Linear(2, 1))
    layer.activation.alpha.data.fill_(5.0)
    layer(torch.tensor([[1.0, -2.0]])).sum().backward()
    assert float(layer.activation.alpha.grad) == 0.0  # nothing was clipped
    decay_ranges(layer)
    assert float(layer.activation.alpha.grad) == pytest.approx(5.0 * RANGE_DECAY)


def test_calibration_sees_magnitudes_and_signs() -> None:
    net = quantize(nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1)))
    net[0].layer.weight.data = torch.eye(2)
    calibrate(net, [torch.tensor([[-4.0, 1.0]]), torch.tensor([[-6.0, 3.0]])])
    first, second = (layer.activation for layer in quantized_layers(net))
    assert (float(first.alpha), bool(first.signed)) == (5.0, True)
    assert (float(second.alpha), bool(second.signed)) == (2.0, False)


def with_norms(network: nn.Module) -> nn.Module:
    """Norms that do something."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("line_net", {"classes": 9}, (1, 1, 32, 64)),
        ("db", {"scale": 0.35, "inner": 16}, (1, 3, 64, 64)),
        ("crnn", {"classes": 9}, (1, 3, 32, 64)),
    ],
)
def test_folding_norms_changes_nothing_and_lstms_stay(name: str, options: dict, shape: tuple) -> None:
    torch.manual_seed(0)
    network, image = with_norms(build_network(name, options)), torch.randn(shape)
    folded = fold_norms(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    with torch.no_grad():
        torch.testing.assert_close(folded(image), network(image), atol=1e-4, rtol=1e-4)
    built = build_network(name, {**options, "quantized": True})
    assert built.state_dict().keys() == quantize(network).state_dict().keys()
    lstms = [module for module in built.modules() if isinstance(module, nn.LSTM)]
    assert len(lstms) == (name == "crnn")


def direction() -> tuple[Trained, torch.Tensor]:
    torch.manual_seed(0)
    spec = DirectionSpec("", "", "gray", (0.5,), (0.5,), 32, 192, 0.9)
    network = with_norms(build_network("direction", {"backbone": "line_net", "channels": 1}))
    nn.init.normal_(network.classify.weight, std=2.0)
    image = torch.from_numpy(example(spec))
    quantized = quantize(network).eval()
    calibrate(quantized, [image])
    return Trained(quantized, spec), image


def test_the_exported_file_computes_what_the_fake_quantised_network_says() -> None:
    trained, image = direction()
    with torch.no_grad():
        expected = trained.network(image).numpy()
    ready = Trained(deployed(trained.network, activations=True), trained.spec)
    model = store_int8(to_onnx(ready), kernels=True)
    in_float = ModelSession(model, int8=False).run(image.numpy())[0]
    in_int8 = ModelSession(model, int8=True).run(image.numpy())[0]
    np.testing.assert_allclose(in_float, expected, atol=1e-5)
    # int8 kernels round their biases too, and may tip a value over to its next level.
    assert np.abs(in_int8 - expected).mean() < 0.1 * expected.std()
    assert expected.std() > 0.05  # and it says something


def test_the_exported_file_by_its_own_numbers() -> None:
    """One layer worked out in integers from what the file holds, with no torch and no ONNX Runtime."""
    torch.manual_seed(0)
    layer = quantize(nn.Sequential(nn.Linear(6, 3)))
    x = torch.randn(4, 6) * 2
    calibrate(layer, [x / 2])  # so that something is out of range
    spec = DirectionSpec("", "", "gray", (0.5,), (0.5,), 32, 192, 0.9)
    file = io_model(deployed(layer, activations=True), spec, x)
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in file.graph.initializer}
    weight = next(value for name, value in held.items() if name.endswith(".int8"))
    steps = next(value for name, value in held.items() if name.endswith(".scale"))
    step = float(step_size(layer[0].activation.alpha.detach(), True))
    levels = np.clip(np.rint(x.numpy() / np.float32(step)), -128, 127).astype(np.int32)
    assert levels.min() == -128 or levels.max() == 127
    by_hand = (levels @ weight.astype(np.int32).T) * (step * steps) + layer[0].layer.bias.detach().numpy()
    with torch.no_grad():
        np.testing.assert_allclose(layer(x).numpy(), by_hand, atol=1e-4)


def io_model(network: nn.Module, spec: DirectionSpec, x: torch.Tensor) -> onnx.ModelProto:
    buffer = io.BytesIO()
    torch.onnx.export(network, (x,), buffer, dynamo=False, opset_version=17)  # type: ignore[arg-type]
    return store_int8(onnx.load_from_string(buffer.getvalue()), kernels=True)


def test_weights_alone_leave_what_enters_the_layers_unrounded() -> None:
    trained, _ = direction()
    alone = to_onnx(Trained(deployed(trained.network, activations=False), trained.spec))
    both = to_onnx(Trained(deployed(trained.network, activations=True), trained.spec))
    kinds = [{node.op_type for node in model.graph.node} for model in (alone, both)]
    assert "QuantizeLinear" not in kinds[0] and "QuantizeLinear" in kinds[1]
    assert deployed(nn.Linear(1, 1), True).weight is not None  # nothing to do


def test_an_untouched_range_clips_and_rounds() -> None:
    activation = Activation()
    activation.signed.fill_(False)
    assert activation(torch.tensor([-1.0, 0.41, 9.0])).tolist() == pytest.approx([0.0, 105 / 255, 1.0])
    activation.rounding = False
    assert activation(torch.tensor([-1.0, 0.5, 9.0])).tolist() == [0.0, 0.5, 1.0]
