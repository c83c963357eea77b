"""A trained network to a smaller one: measure, choose, cut, fine-tune. Every part goes on where it stopped.

In the run's folder: `sensitivity.json` and `.png`, `pruned.safetensors` as it was cut, and then what the
training loop writes, so that `ppocr-train train --resume` goes on with the fine-tuning too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from models.bundle import DetectionSpec, RecognitionSpec
from models.records import UsageError
from training.checkpoint import Checkpoint, load_checkpoint, load_network, save_checkpoint
from training.config import Choice, Config, to_tree
from training.continuation import begin
from training.graph import Spec, Trained, example, load_trained, to_onnx
from training.int8 import store_int8
from training.networks import build_network
from training.networks.resize import changed_sizes
from training.parity import TorchSession, milliseconds
from training.pruning.fpgm import cut
from training.pruning.plot import plot_sensitivity
from training.pruning.sensitivity import Sensitivity, mean_score, measure, score, shares_at, shares_for
from training.tasks.loop import LAST, train
from training.tasks.system import Task

STATE, PLOT, PRUNED = "sensitivity.json", "sensitivity.png", "pruned.safetensors"


@dataclass(frozen=True, slots=True)
class Budget:
    """How much to prune.

    Attributes:
        max_bytes: of the exported file with float32 weights; 0 = chosen by `max_loss`.
        max_loss: what each layer alone may cost of the score.
        multiple: channels that are left are a multiple of this.
    """

    max_bytes: int = 0
    max_loss: float = 0.01
    multiple: int = 4


@dataclass(frozen=True, slots=True)
class Row:
    """A network of the report: bytes of its exported files, milliseconds a call in torch, scores."""

    name: str
    float32: int
    int8: int
    milliseconds: float
    scores: dict[str, float]


def prune(
    source: Path,
    folder: Path,
    budget: Budget,
    overrides: Sequence[str] = (),
    *,
    steps: int = 1000,
    max_minutes: float = 0.0,
    say: Callable[[str], None] = print,
) -> list[Row]:
    """Prunes and fine-tunes; called again with the same folder it goes on.

    Args:
        source: the trained checkpoint, which stays as it is.
        folder: of the run.
        budget: how much to prune.
        overrides: `key=value` laid over the checkpoint's configuration, for scoring and fine-tuning.
        steps: of fine-tuning; 0 = none.
        max_minutes: of fine-tuning, resumably; 0 = till its steps are done.
        say: is told what happens.

    Returns:
        The network before, as cut, and after fine-tuning.

    Raises:
        UsageError: no dev set, a budget that cannot be met, a checkpoint that cannot be used, or a folder
            that was begun for another one or cut by another budget.
    """
    checkpoint, config, task = begin(source, folder, steps, overrides)
    if (folder / PRUNED).exists():
        require_budget(folder, budget)
    else:
        trained = load_trained(source)
        image = small_input(trained.spec)

        def ask(network: nn.Module) -> float:
            return mean_score(task, network)

        sensitivity = measure(trained.network, image, ask, folder / STATE, say)
        shares = choose(sensitivity, trained, image, budget)
        plot_sensitivity(sensitivity, shares, folder / PLOT)
        smaller = cut(trained.network, image, shares, budget.multiple)
        save_pruned(checkpoint, smaller, config, budget, folder / PRUNED)
    pruned = load_checkpoint(folder / PRUNED)
    rows = [report_row("before", source, task), report_row("as cut", folder / PRUNED, task)]
    if steps:
        options = pruned.state["network"]["options"]
        network = dataclasses.replace(
            config.network, options={**config.network.options, "pruned": options["pruned"]}
        )
        tuned = dataclasses.replace(config, network=network, pretrained=str(folder / PRUNED))
        train(tuned, folder, resume=(folder / LAST).exists(), max_minutes=max_minutes)
        rows.append(report_row("fine-tuned", folder / LAST, task))
    return rows


def choose(sensitivity: Sensitivity, trained: Trained, image: Tensor, budget: Budget) -> dict[str, float]:
    """The share of each layer's channels that goes."""
    if not budget.max_bytes:
        return shares_at(sensitivity, budget.max_loss)

    def size(shares: dict[str, float]) -> int:
        network = cut(trained.network, image, shares, budget.multiple).eval()
        return len(to_onnx(dataclasses.replace(trained, network=network)).SerializeToString())

    return shares_for(sensitivity, size, budget.max_bytes)


def require_budget(folder: Path, budget: Budget) -> None:
    """Refuses to go on with a network that was cut by another budget.

    Raises:
        UsageError: see above.
    """
    cut_by = load_checkpoint(folder / PRUNED).state.get("budget", {})
    if cut_by != dataclasses.asdict(budget):
        said = ", ".join(f"--{name} {value}" for name, value in cut_by.items()) or "an older version"
        raise UsageError(
            f"{folder / PRUNED} was cut by another budget ({said}): remove it and {LAST} to cut anew by what "
            "was measured, or give another --output"
        )


def save_pruned(
    checkpoint: Checkpoint, network: nn.Module, config: Config, budget: Budget, path: Path
) -> None:
    """Writes the cut network as a checkpoint that says which channels it has left, and by what budget."""
    named = checkpoint.state["network"]
    full = {key: value for key, value in named["options"].items() if key != "pruned"}
    pruned = changed_sizes(network, build_network(named["name"], full))
    if not pruned:
        raise UsageError(
            "nothing may be pruned within this budget: allow a larger loss, or ask for fewer bytes"
        )
    options = {**config.network.options, "pruned": pruned}
    tree = to_tree(dataclasses.replace(config, network=Choice(config.network.name, options)))
    state = {
        **checkpoint.state,
        "step": 0,
        "scores": {},
        "config": tree,
        "budget": dataclasses.asdict(budget),
        "network": {"name": named["name"], "options": {**named["options"], "pruned": pruned}},
    }
    save_checkpoint(path, {f"net.{name}": value for name, value in network.state_dict().items()}, state)


def report_row(name: str, path: Path, task: Task) -> Row:
    """Exports a checkpoint and scores it."""
    trained = load_trained(path)
    model = to_onnx(trained)
    packed = store_int8(model)
    return Row(
        name,
        len(model.SerializeToString()),
        len(packed.SerializeToString()),
        milliseconds(TorchSession(trained.network), example(trained.spec)),
        score(task, load_network(path)),
    )


def report(rows: Sequence[Row]) -> str:
    """The rows as a table; the scores' names stand over it."""
    names = list(rows[0].scores)
    lines = [
        f"{'network':<12}{'float32':>11}{'int8':>11}{'ms':>9}" + "".join(f"{name:>20}" for name in names)
    ]
    for row in rows:
        values = "".join(f"{row.scores[name]:>20.4f}" for name in names)
        lines.append(f"{row.name:<12}{row.float32:>11,}{row.int8:>11,}{row.milliseconds:>9.1f}{values}")
    return "\n".join(lines)


def small_input(spec: Spec) -> Tensor:
    """The smallest usual input of a network, to find out how its layers hang together."""
    if isinstance(spec, DetectionSpec):
        shape = (1, len(spec.mean), 64, 64)
    elif isinstance(spec, RecognitionSpec):
        shape = (1, len(spec.mean), spec.height, 64)
    else:
        shape = (1, len(spec.mean), spec.height, spec.width)
    return torch.zeros(shape)
