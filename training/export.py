"""`ppocr-train export`: a checkpoint becomes one ONNX file, checked against it (see `training.graph`).

Weights are stored as int8 unless float16 or float32 is asked for; all are made, checked and reported side by
side.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import onnx

from models.records import UsageError
from training.float16 import store_float16
from training.graph import Trained, model_name, to_onnx
from training.int8 import store_int8
from training.parity import Checked, Samples, check, specimens

TOLERANCE = 1e-4
"""Largest difference of an output between torch and ONNX Runtime in float32 ..."""
TOLERANCES = {"detection": 1e-3}
"""... but for a map: with its fused kernels ONNX Runtime is up to 8e-4 from exact arithmetic on PP-OCRv6
tiny's detector, at borders of text, where torch in float32 is 2e-5 from it."""
AGREEMENT = 0.98
"""Smallest share of decisions (texts, directions, pixels of text) that int8 weights must leave alone."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The ways of storing a network (`model` says of which kind), by name, and how they fared."""

    model: str
    stored: dict[str, onnx.ModelProto]
    checked: dict[str, Checked]


def export(trained: Trained, samples: Samples | None = None, fold: bool = False) -> Exported:
    """Exports with float32, float16 and int8 weights and checks each; `accepted` says whether well enough.

    Args:
        trained: from `load_trained`.
        samples: what to check on; None: made ones.
        fold: whether texts are right without case.
    """
    samples = specimens(trained.spec) if samples is None else samples
    plain = to_onnx(trained)
    models = {"float32": plain, "float16": store_float16(plain), "int8": store_int8(plain)}
    checked = {name: check(trained, model, samples, fold) for name, model in models.items()}
    return Exported(model_name(trained.spec), models, checked)


def accepted(exported: Exported, weights: str = "int8", least: float = AGREEMENT) -> onnx.ModelProto:
    """The model with the weights asked for.

    Args:
        exported: all ways of storing them.
        weights: `int8`, `float16` or `float32`.
        least: share of decisions that int8 and float16 weights must leave alone.

    Raises:
        UsageError: float32 differs from the checkpoint by more than is tolerated, or int8 or float16 weights,
            where they are asked for, change more decisions than `least` allows.
    """
    checked = exported.checked
    deviation, agreement = checked["float32"].deviation, checked[weights].agreement
    allowed = TOLERANCES.get(exported.model, TOLERANCE)
    if deviation > allowed:
        raise UsageError(
            f"the ONNX model's outputs differ from the checkpoint's by up to {deviation:.2g}, more than "
            f"{allowed:g}: not written; does the network compute something that ONNX cannot say?"
        )
    if weights != "float32" and agreement < least:
        raise UsageError(
            f"{weights} weights leave only {agreement:.1%} of the {exported.model} model's decisions as "
            f"they were, {least:.0%} are asked for: not written; is it trained at all?"
        )
    return exported.stored[weights]


def report(exported: Exported) -> str:
    """The ways of storing the weights, side by side."""
    rows = [f"{'weights':<10}{'bytes':>12}{'ms':>9}{'deviation':>12}{'agreement':>12}{'accuracy':>11}"]
    for name, row in exported.checked.items():
        rows.append(
            f"{name:<10}{row.size:>12,}{row.milliseconds:>9.2f}{row.deviation:>12.1e}{row.agreement:>12.4f}"
            f"{row.accuracy:>11.4f}"
        )
    return "\n".join(rows)


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Writes aside and renames: nothing half-written stays under the final name.

    Raises:
        UsageError: it cannot be written.
    """
    aside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(model.SerializeToString())
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise UsageError(f"{path} could not be written: {error}") from None
