"""A trained network learns to live with 8 bits, and is measured beside what else could be shipped."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from torch import Tensor, nn

from models.bundle import RecognitionSpec
from models.engine import openvino_installed, precision
from models.records import UsageError
from models.session import Session
from training.checkpoint import Checkpoint, load_network, save_checkpoint
from training.config import Choice, to_tree
from training.continuation import begin
from training.graph import Trained, example, load_trained, to_onnx
from training.int8 import store_int8
from training.parity import milliseconds
from training.pruning.sensitivity import score
from training.quantization.pact import calibrate, quantize, ranges
from training.quantization.runtime import ModelSession, SessionNetwork, openvino_session
from training.tasks.loop import LAST, train
from training.tasks.system import Task

CALIBRATED, QDQ = "calibrated.safetensors", "qdq.onnx"
PACT = "QDQ by PACT"
"""Name of the row of what a run is for."""
CALIBRATION_BATCHES = 8


@dataclass(frozen=True, slots=True)
class Row:
    """A way to ship a network: bytes of its file, milliseconds a call on one thread, scores on dev sets."""

    name: str
    size: int
    milliseconds: float
    scores: dict[str, float]


def pact_training(
    source: Path,
    folder: Path,
    overrides: Sequence[str] = (),
    *,
    steps: int = 300,
    max_minutes: float = 0.0,
    say: Callable[[str], None] = print,
) -> list[Row]:
    """Quantises, trains, exports `qdq.onnx` and compares; called again with the same folder it goes on.

    Args:
        source: the float checkpoint, which stays as it is.
        folder: of the run; the training loop's own files lie there too.
        overrides: `key=value` laid over the checkpoint's configuration.
        steps: of training.
        max_minutes: of training, resumably; 0 = till its steps are done.
        say: is told what happens.

    Raises:
        UsageError: no dev set, a checkpoint that cannot be used, or a folder that was begun for another one.
    """
    checkpoint, config, task = begin(source, folder, steps, overrides)
    if not (folder / CALIBRATED).exists():
        network = quantize(load_network(source))
        calibrate(network, [inputs(task.train[i]) for i in range(CALIBRATION_BATCHES)])
        save_quantized(checkpoint, network, config, folder / CALIBRATED)
        say(f"ranges of {len(ranges(network))} layers set from {CALIBRATION_BATCHES} batches")
    options = {**config.network.options, "quantized": True}
    tuned = dataclasses.replace(
        config,
        network=dataclasses.replace(config.network, options=options),
        pretrained=str(folder / CALIBRATED),
    )
    train(tuned, folder, resume=(folder / LAST).exists(), max_minutes=max_minutes)
    return compare(source, folder, task, say)


def inputs(batch: Any) -> Tensor:
    """The images of any task's training batch."""
    images: Tensor = batch.images
    return images


def save_quantized(checkpoint: Checkpoint, network: nn.Module, config: Any, path: Path) -> None:
    """Writes a quantised network as a checkpoint that says so."""
    options = {**checkpoint.state["network"]["options"], "quantized": True}
    configured = Choice(config.network.name, {**config.network.options, "quantized": True})
    state = {
        **checkpoint.state,
        "step": 0,
        "scores": {},
        "config": to_tree(dataclasses.replace(config, network=configured)),
        "network": {"name": checkpoint.state["network"]["name"], "options": options},
    }
    save_checkpoint(path, {f"net.{name}": value for name, value in network.state_dict().items()}, state)


def to_qdq(trained: Trained) -> onnx.ModelProto:
    """The model of a network loaded with its `activations`: int8 weights, and Q and DQ around each layer."""
    return store_int8(to_onnx(trained), kernels=True)


def compare(source: Path, folder: Path, task: Task, say: Callable[[str], None] = print) -> list[Row]:
    """The float network, its int8 weights and the quantised one, in each engine that is here and takes it."""
    plain = load_trained(source)
    model = to_onnx(plain)
    qdq = to_qdq(load_trained(folder / LAST, activations=True))
    (folder / QDQ).write_bytes(qdq.SerializeToString())
    unpacked = functools.partial(ModelSession, int8=False)
    kernels = functools.partial(ModelSession, int8=True)
    ways: list[tuple[str, onnx.ModelProto, Callable[[onnx.ModelProto], Session]]] = [
        ("float32", model, unpacked),
        ("int8 weights", store_int8(model), unpacked),
        ("int8 weights of PACT", store_int8(to_onnx(load_trained(folder / LAST))), unpacked),
        ("QDQ, calibrated only", to_qdq(load_trained(folder / CALIBRATED, activations=True)), kernels),
        (PACT, qdq, kernels),
    ]
    if openvino_installed():
        computed = precision("openvino")
        ways += [
            (f"OpenVINO {computed}", model, openvino_session),
            (f"OpenVINO {computed}, {PACT}", qdq, openvino_session),
        ]
    rows = []
    for name, each, load in ways:
        try:
            session = load(each)
        except UsageError as error:
            say(f"{name}: left out, since {error}")
        else:
            rows.append(measure(name, each, session, plain, task))
    return rows


def measure(name: str, model: onnx.ModelProto, session: Session, trained: Trained, task: Task) -> Row:
    """Size, speed and scores of one model, loaded into a session."""
    spec = trained.spec
    classes = len(spec.charset) + 1 if isinstance(spec, RecognitionSpec) else 0
    scores = score(task, SessionNetwork(session, classes))
    return Row(name, len(model.SerializeToString()), milliseconds(session, example(spec)), scores)


def report(rows: Sequence[Row]) -> str:
    """The rows as a table."""
    names = list(rows[0].scores)
    lines = [f"{'way':<26}{'bytes':>11}{'ms':>9}" + "".join(f"{name:>20}" for name in names)]
    for row in rows:
        values = "".join(f"{row.scores[name]:>20.4f}" for name in names)
        lines.append(f"{row.name:<26}{row.size:>11,}{row.milliseconds:>9.2f}{values}")
    return "\n".join(lines)
