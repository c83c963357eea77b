"""From a checkpoint to an ONNX graph that says itself how pixels enter it.

The file holds the network in evaluation, batch norms folded into the convolutions, batch and width (of a
detector height and width) left open. A recogniser decides in the graph: it gives the best class of each step
and its probability, a fiftieth of what it would have to hand out. How the file is to be used (colour,
normalisation, height, charset, thresholds) stands in its metadata as a bundle's manifest would say it.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from models.beam import CANDIDATES
from models.bundle import WHICH_FILE, DetectionSpec, DirectionSpec, ModelFile, RecognitionSpec
from models.records import UsageError
from training.checkpoint import load_checkpoint, load_network
from training.config import build_config
from training.networks.stock import StockNet
from training.quantization.pact import deployed
from training.streamline import streamline

METADATA = "ppocr-beam"
"""Key of the ONNX file's metadata: JSON of `model`, `spec` and `training`."""
OPSET = 17

Spec = DetectionSpec | DirectionSpec | RecognitionSpec


@dataclass(frozen=True, slots=True)
class Trained:
    """A checkpoint, ready to be exported.

    Attributes:
        network: in eval mode; logits of a recogniser, probabilities of the others.
        spec: how a bundle would use it; `file` and `sha256` are empty.
        facts: what is known of its training: step, scores, the network's name and options.
    """

    network: nn.Module
    spec: Spec
    facts: dict[str, Any] = field(default_factory=dict)


def load_trained(path: Path, activations: bool = False) -> Trained:
    """Loads a checkpoint with its averaged weights.

    Args:
        path: of the checkpoint.
        activations: of a quantised network, whether what enters its layers is rounded, or only its weights.

    Raises:
        CheckpointError: it cannot be read, or is damaged.
        UsageError: its charset is not that of its classes.
    """
    state = load_checkpoint(path).state
    config = build_config(state["config"])
    network = deployed(load_network(path), activations)
    spec = _SPECS[config.task](config.data, state)
    if isinstance(spec, RecognitionSpec):
        classes = network(torch.zeros(1, len(spec.mean), spec.height, 64)).shape[2]
        if classes != len(spec.charset) + 1:
            raise UsageError(
                f"{path} has {classes} classes, but its charset of {len(spec.charset)} characters and the "
                f"blank make {len(spec.charset) + 1}: the checkpoint was put together wrongly"
            )
    facts: dict[str, Any] = {key: state[key] for key in ("step", "scores", "network") if key in state}
    return Trained(network, spec, facts)


def recognition_spec(settings: Any, state: dict[str, Any]) -> RecognitionSpec:
    """What a recogniser's manifest says, from `training.tasks.recognition.Settings`."""
    shape, charset = settings.shape, tuple(state["charset"])
    return RecognitionSpec(
        *("", "", *_half(shape.color), shape.height, "candidates", shape.widths, charset),
        least_height=shape.height,  # as in training, where no part of a pixel's height is cut off
    )


def direction_spec(settings: Any, _: dict[str, Any]) -> DirectionSpec:
    """What a direction classifier's manifest says, from `training.tasks.direction.Settings`."""
    return DirectionSpec("", "", *_half(settings.color), settings.height, settings.width, settings.threshold)


def detection_spec(settings: Any, _: dict[str, Any]) -> DetectionSpec:
    """What a detector's manifest says, from `training.tasks.detection.Settings`."""
    from training.tasks.detection import dev_spec

    return dev_spec(settings)


_SPECS: dict[str, Callable[[Any, dict[str, Any]], Spec]] = {
    "recognition": recognition_spec,
    "direction": direction_spec,
    "detection": detection_spec,
}


def _half(color: str) -> tuple[Any, tuple[float, ...], tuple[float, ...]]:
    """Colour, mean and std of lines: training maps pixels to -1 ... 1."""
    half = (0.5,) * (1 if color == "gray" else 3)
    return color, half, half


class Decision(nn.Module):
    """A recogniser that says its best classes of each step, the best one first, and their probabilities.

    The best one's softmax is 1 / sum(exp(logit - best logit)): it is worked out for those classes alone.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """N x C x H x W -> N x T x K int64, N x T x K float32; K is `CANDIDATES`, if there are as many."""
        logits = self.network(image)
        values, classes = logits.topk(min(CANDIDATES, logits.shape[2]), dim=2)
        best = values[:, :, :1]
        return classes, torch.exp(values - best) / torch.exp(logits - best).sum(2, keepdim=True)


def with_decision(trained: Trained) -> nn.Module:
    """The network as it is exported, in eval mode."""
    decided = Decision(trained.network) if isinstance(trained.spec, RecognitionSpec) else trained.network
    return decided.eval()


_OUTPUTS: dict[type[Spec], dict[str, dict[int, str]]] = {
    RecognitionSpec: {
        "image": {0: "N", 3: "W"},
        "classes": {0: "N", 1: "T"},
        "probabilities": {0: "N", 1: "T"},
    },
    DirectionSpec: {"image": {0: "N"}, "probabilities": {0: "N"}},
    DetectionSpec: {"image": {0: "N", 2: "H", 3: "W"}, "map": {0: "N", 2: "H", 3: "W"}},
}


def to_onnx(trained: Trained) -> onnx.ModelProto:
    """The float32 model, with its spec in the metadata."""
    axes = _OUTPUTS[type(trained.spec)]
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The older exporter, which says so, needs no further package and folds batch norms by itself.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            with_decision(trained),
            (torch.from_numpy(example(trained.spec)),),
            buffer,  # type: ignore[arg-type]  # a file object, which torch takes but does not declare
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=list(axes)[1:],
            dynamic_axes=axes,
        )
    model = onnx.load_from_string(buffer.getvalue())
    if isinstance(trained.network, StockNet):  # the others are recovered by the layers that they export
        model = streamline(model)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA, json.dumps(describe(trained), ensure_ascii=False)
    return model


def describe(trained: Trained) -> dict[str, Any]:
    """What the file's metadata says."""
    spec = {key: value for key, value in asdict(trained.spec).items() if key not in WHICH_FILE}
    return {"model": model_name(trained.spec), "spec": spec, "training": trained.facts}


def model_name(spec: ModelFile) -> str:
    """detection, direction or recognition."""
    return _name(type(spec))


def _name(kind: type[ModelFile]) -> str:
    return kind.__name__.removesuffix("Spec").lower()


def read_metadata(path: Path) -> tuple[Spec, dict[str, Any]]:
    """The spec that an exported file states, and the facts of its training.

    Raises:
        UsageError: the file is no ONNX model, or was not exported by this package.
    """
    try:
        model = onnx.load(path)
    except Exception as error:  # a missing file, or protobuf's own error, which is no public class
        raise UsageError(f"{path} cannot be read as an ONNX model: {str(error).splitlines()[0]}") from None
    stated = {entry.key: entry.value for entry in model.metadata_props}.get(METADATA)
    if stated is None:
        raise UsageError(f"{path} does not say how to use it: export it with ppocr-train export")
    values = json.loads(stated)
    kind = next(kind for kind in _OUTPUTS if _name(kind) == values["model"])
    spec: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values["spec"].items()
    }
    return kind(file="", sha256="", **spec), values["training"]


def example(spec: Spec) -> npt.NDArray[np.float32]:
    """A typical input: a line of 320 columns, 16 lines to classify, a page of 960 x 480."""
    channels = len(spec.mean)
    if isinstance(spec, RecognitionSpec):
        shape = (1, channels, spec.height, 320)
    elif isinstance(spec, DirectionSpec):
        shape = (16, channels, spec.height, spec.width)
    else:
        shape = (1, channels, 960, 480)
    return np.random.default_rng(0).standard_normal(shape, np.float32)
