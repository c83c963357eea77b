"""Trainable weights out of a bundle: an exported ONNX file goes back into the network that it came from.

The exporter writes layers in the order in which they run, so the n-th convolution of the graph belongs to the
n-th that the network runs. int8 weights are unpacked; batch norms, folded into their convolutions, are taken
out again (`training.norms`). What comes out is checked against the file: same input, same output.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from models.bundle import Bundle, DetectionSpec, DirectionSpec, RecognitionSpec
from models.geometry import gray
from models.records import UsageError
from models.session import Normalizer, Session
from training.checkpoint import load_checkpoint, load_network, save_checkpoint
from training.config import CONFIGS, Choice, Config, read_yaml, to_tree
from training.constants import attributes, constants
from training.data.charset import base_of
from training.export import TOLERANCE
from training.graph import METADATA, Spec, model_name
from training.networks import build_network
from training.networks.db import DBNet
from training.networks.stock import StockDetector
from training.norms import measure_norms, unfold
from training.parity import deviation
from training.specimen import specimen_crops, specimen_page
from training.stock import StockError, parse, with_norms
from training.tasks.loop import build_task

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm2d)
"""Layers with weights that can be recovered."""
OPERATORS = {
    "Conv": nn.Conv2d,
    "ConvTranspose": nn.ConvTranspose2d,
    "Gemm": nn.Linear,
    "MatMul": nn.Linear,
    "BatchNormalization": nn.BatchNorm2d,
}
"""The operators that they become."""


EARLIER: dict[str, tuple[Choice, ...]] = {
    "recognition": (Choice("line_net", {"blocks": [0, 1, 1, 2], "mixers": 4}),),
    "detection": (
        Choice(
            "db",
            {
                "backbone": "slim",
                "stem": 16,
                "widths": [24, 48, 80, 112],
                "depths": [1, 2, 2, 1],
                "inner": 48,
                "head": "shuffle",
            },
        ),
    ),
}
"""Networks of the second `latin`, whose files do not name theirs, as its configurations were then."""


class RecoverError(UsageError):
    """A model whose weights cannot go back into a network: says why."""


@dataclass(frozen=True, slots=True)
class Start:
    """A trained network to go on from.

    Attributes:
        network: the name and options that `build_network` takes.
        weights: its state.
        charset: of a recogniser.
    """

    network: Choice
    weights: dict[str, Tensor]
    charset: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A layer of a graph: what kind it is, and its weights in the order of the operator's inputs."""

    kind: type[nn.Module]
    weights: tuple[npt.NDArray[np.float32], ...]


def start_from_bundle(bundle: Bundle, model: str) -> Start:
    """The network and weights of a bundle's model.

    Args:
        bundle: whose files were exported by this package, or are PP-OCR's own.
        model: one of `models.bundle.MODELS`.

    Raises:
        RecoverError: the model is neither one of this package's networks nor one of PP-OCR's.
    """
    spec: Spec = getattr(bundle.manifest, model)
    path = bundle.model_path(spec)
    file = onnx.load(path)
    reasons = []
    for network in candidates(file, spec):
        try:
            weights = recover(file, build_network(network.name, network.options), spec)
        except RecoverError as error:
            reasons.append(str(error))
            continue
        return Start(network, weights, getattr(spec, "charset", ()))
    try:
        return start_from_stock(file, spec)
    except StockError as error:
        reasons.append(str(error))
    raise RecoverError(
        f"the {model} model of bundle {bundle.manifest.name!r} is neither a network that ppocr-train builds "
        f"({reasons[0]}) nor one of PP-OCR's that it reads ({reasons[-1]}), so it cannot be trained further: "
        "take another bundle, such as latin, or give a checkpoint of yours with --start"
    )


def start_from_stock(file: onnx.ModelProto, spec: Spec) -> Start:
    """The network and weights of one of PP-OCR's own files, with norms to train by.

    Raises:
        StockError: it holds something that is not known here, or says something else as a network.
    """
    parsed = with_norms(parse(file, constants(file.graph)))
    classifier = {"classifier": True} if isinstance(spec, DirectionSpec) else {}
    options = {**parsed.options, **classifier}
    network = build_network("stock", options)
    if isinstance(network, StockDetector):
        network.flatten_threshold()
    state = {name: torch.from_numpy(value) for name, value in parsed.weights.items()}
    network.load_state_dict({**network.state_dict(), **state})
    _require_alike(file, network.eval(), spec)
    weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
    return Start(Choice("stock", options), weights, getattr(spec, "charset", ()))


def start_from_checkpoint(path: Path) -> tuple[str, Start]:
    """The task of a checkpoint of `ppocr-train train`, and its network with the averaged weights.

    Raises:
        CheckpointError: it cannot be read.
    """
    state = load_checkpoint(path).state
    network = Choice(state["network"]["name"], state["network"]["options"])
    weights = load_network(path).state_dict()
    return state["config"]["task"], Start(network, weights, tuple(state.get("charset", "")))


def measured(start: Start, config: Config, batches: int) -> Start:
    """The same network, its batch norms' averages measured on batches of a configuration's training data.

    Args:
        start: of a bundle, where batch norms are right in evaluation only.
        config: for the task and its data.
        batches: how many.
    """
    data = replace(config.data, dev=())
    # All but the norms act as in training: else a detector tells no thresholds, and its loss asks for them.
    task = build_task(replace(config, network=start.network, data=data, fixed_norms=True))
    task.system.net.load_state_dict(start.weights)

    def run() -> None:
        for number in range(batches):
            task.system.loss(task.train[number])

    measure_norms(task.system.net, run)
    weights = {name: value.detach().clone() for name, value in task.system.net.state_dict().items()}
    return Start(start.network, weights, start.charset)


def save_start(start: Start, config: Config, path: Path) -> None:
    """Writes a network that a run begins with, once."""
    if not path.exists():
        network = {"name": start.network.name, "options": start.network.options}
        state = {"step": 0, "config": to_tree(config), "network": network, "charset": "".join(start.charset)}
        save_checkpoint(path, {f"net.{name}": value for name, value in start.weights.items()}, state)


def candidates(file: onnx.ModelProto, spec: Spec) -> Iterator[Choice]:
    """The network that a file says it holds, or else those of the configurations for its kind of model."""
    stated = {entry.key: entry.value for entry in file.metadata_props}.get(METADATA, "{}")
    network = json.loads(stated).get("training", {}).get("network")
    options: dict[str, Any] = {"channels": len(spec.mean)}
    if isinstance(spec, RecognitionSpec):
        options["classes"] = len(spec.charset) + 1  # fewer than the file says where its charset was cut
    if network:
        stated_options = {key: value for key, value in network["options"].items() if key != "quantized"}
        yield Choice(network["name"], {**stated_options, **options})  # a file holds plain layers
        return
    for earlier in EARLIER.get(model_name(spec), ()):
        yield Choice(earlier.name, {**earlier.options, **options})
    for path in sorted(CONFIGS.glob(f"{model_name(spec)}*.yaml")):
        tree = read_yaml(path)["network"]
        if tree["name"] == "pretrained":  # whatever it was begun with
            continue
        yield Choice(tree["name"], {**tree.get("options", {}), **options})


def recover(file: onnx.ModelProto, network: nn.Module, spec: Spec) -> dict[str, Tensor]:
    """Fills a network from an exported file and returns its state.

    A detector's threshold head is not in the file: it begins flat (`DBNet.flatten_threshold`).

    Args:
        file: the model.
        network: of the same structure; its weights are overwritten.
        spec: how the file is used.

    Raises:
        RecoverError: the network is another than the file's.
    """
    network.eval()
    if isinstance(network, DBNet):
        network.flatten_threshold()
    try:
        layers = layers_in_order(network, _small(spec))
    except (RuntimeError, ValueError) as error:  # torch's words for channels and shapes that do not fit
        raise RecoverError(f"its input does not fit: {error}") from None
    fill(layers, weighted_nodes(file.graph))
    _require_alike(file, network, spec)
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def layers_in_order(network: nn.Module, image: Tensor) -> list[nn.Module]:
    """The layers with weights that a network runs, in the order in which it runs them."""
    order: list[nn.Module] = []
    layers = [layer for layer in network.modules() if isinstance(layer, LAYERS)]
    hooks = [layer.register_forward_pre_hook(lambda own, _: order.append(own)) for layer in layers]
    with torch.inference_mode():
        network(image)
    for hook in hooks:
        hook.remove()
    return order


def weighted_nodes(graph: onnx.GraphProto) -> list[Node]:
    """The layers of a graph, in order, with float weights.

    Raises:
        RecoverError: one of a kind that is not known here.
    """
    values = constants(graph)
    nodes = []
    for node in graph.node:
        weights = tuple(values[name] for name in node.input[1:] if name in values)
        if node.op_type in ("LSTM", "GRU") and weights:
            raise RecoverError(f"it has weights in {node.op_type}, which are not recovered")
        if node.op_type not in OPERATORS or node.op_type == "MatMul" and not weights:
            continue
        if len(weights) != len(node.input) - 1:
            raise RecoverError(f"{node.op_type} {node.name} has weights that are computed")
        if node.op_type == "Gemm" and not attributes(node).get("transB"):
            weights = (weights[0].T, *weights[1:])
        if node.op_type == "MatMul":
            weights = (weights[0].T, *_added(graph, node.output[0], values))
        nodes.append(Node(OPERATORS[node.op_type], weights))
    return nodes


def _added(
    graph: onnx.GraphProto, name: str, values: Mapping[str, npt.NDArray[np.float32]]
) -> tuple[npt.NDArray[np.float32], ...]:
    """What is known and added to a value: the bias of a product."""
    adds = [node for node in graph.node if node.op_type == "Add" and name in node.input]
    return tuple(values[each] for node in adds[:1] for each in node.input if each in values)


@torch.no_grad()
def fill(layers: Sequence[nn.Module], nodes: Sequence[Node]) -> None:
    """Copies the nodes' weights into the layers, which come in the same order.

    Raises:
        RecoverError: kinds, numbers or shapes differ.
    """
    left = list(nodes)
    bias: npt.NDArray[np.float32] | None = None
    for i, layer in enumerate(layers):
        if isinstance(layer, nn.BatchNorm2d) and not (left and left[0].kind is nn.BatchNorm2d):
            if bias is None:
                raise RecoverError("a batch norm stands behind no layer with a bias")
            if len(bias) != layer.num_features:
                raise RecoverError(
                    f"shapes differ: {layer.num_features} filters here, {len(bias)} in the file"
                )
            unfold(layers[i - 1], layer, torch.from_numpy(np.array(bias, np.float32)))
            continue
        if not left or left[0].kind is not type(layer):
            found = left[0].kind.__name__ if left else "nothing"
            raise RecoverError(f"where the network has {type(layer).__name__}, the file has {found}")
        node = left.pop(0)
        if isinstance(layer, nn.BatchNorm2d):
            targets = [layer.weight, layer.bias, layer.running_mean, layer.running_var]
            _copy(targets, node.weights)
            continue
        bias = node.weights[1] if len(node.weights) > 1 else None
        folded = _followed_by_norm(layers, i) and not (left and left[0].kind is nn.BatchNorm2d)
        own = dict(layer.named_parameters(recurse=False))
        _copy([own["weight"]], node.weights[:1])
        if "bias" in own:
            none = np.zeros(tuple(own["bias"].shape), np.float32)
            _copy([own["bias"]], [none if folded or bias is None else bias])
        elif bias is not None and not folded:
            raise RecoverError(f"the file's {type(layer).__name__} has a bias, the network's has none")
    if left:
        raise RecoverError(f"the file has {len(left)} layers more than the network")


def _followed_by_norm(layers: Sequence[nn.Module], i: int) -> bool:
    return i + 1 < len(layers) and isinstance(layers[i + 1], nn.BatchNorm2d)


def _copy(targets: Sequence[Tensor | None], values: Sequence[npt.NDArray[np.float32]]) -> None:
    for target, value in zip(targets, values, strict=True):
        assert target is not None  # for the type checker
        if tuple(target.shape) != value.shape:
            raise RecoverError(f"shapes differ: {tuple(target.shape)} here, {value.shape} in the file")
        target.copy_(torch.from_numpy(np.array(value, np.float32)))


def _small(spec: Spec) -> Tensor:
    height = 64 if isinstance(spec, DetectionSpec) else spec.height
    width = 64 if not hasattr(spec, "width") else spec.width
    return torch.zeros(1, len(spec.mean), height, width)


def _require_alike(file: onnx.ModelProto, network: nn.Module, spec: Spec) -> None:
    image = specimen_input(spec)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        path = Path(folder, "model.onnx")
        path.write_bytes(file.SerializeToString())
        apart = deviation(spec, network(torch.from_numpy(image)), Session(path).run(image))
    if not apart <= TOLERANCE:
        raise RecoverError(f"with the file's weights the network says something else (by up to {apart:.2g})")


def specimen_input(spec: Spec) -> npt.NDArray[np.float32]:
    """Print as it enters a model: a page for a detector, four lines for the others."""
    normalize = Normalizer(spec)
    if isinstance(spec, DetectionSpec):
        page = specimen_page(0).image
        assert page is not None  # for the type checker
        images = [page[:640, :640]]
    else:
        width = spec.width if isinstance(spec, DirectionSpec) else 10 * spec.height
        images = [
            cv2.resize(line.crop, (width, spec.height)) for line in specimen_crops(4) if line.crop is not None
        ]
    tensor = np.empty((len(images), len(spec.mean), *images[0].shape[:2]), np.float32)  # type: ignore[union-attr]
    for image, row in zip(images, tensor, strict=True):
        normalize(gray(image) if spec.color == "gray" else image, row)  # type: ignore[arg-type]
    return tensor


def grow_head(start: Start, characters: Sequence[str]) -> Start:
    """A recogniser that knows more characters: its old classes keep their weights, and so their logits.

    A new character starts as the letter that it is a form of (ł as l, č as c), else as the average one, and a
    little less likely than that: at first it is never read, and then soon.

    Args:
        start: a recogniser whose head is called `classifier`.
        characters: that its charset lacks.
    """
    if not characters:
        return start
    old = {char: number for number, char in enumerate(start.charset, 1)}
    weights = dict(start.weights)
    for kind in ("weight", "bias"):
        head = weights[f"classifier.{kind}"]
        rows = [head[old[base]] if (base := base_of(c)) in old else head[1:].mean(0) for c in characters]
        weights[f"classifier.{kind}"] = torch.cat([head, torch.stack(rows) - float(kind == "bias")])
    classes = len(start.charset) + len(characters) + 1
    options = {**start.network.options, "classes": classes}
    if "classifier" in (pruned := options.get("pruned") or {}):
        options["pruned"] = {**pruned, "classifier": [classes, *pruned["classifier"][1:]]}
    return Start(Choice(start.network.name, options), weights, (*start.charset, *characters))
