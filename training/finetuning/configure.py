"""The configuration of one model's run, from the bundle and the sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from models.bundle import Bundle
from models.records import UsageError
from training.config import Config, apply_override, build_config, merge, read_yaml
from training.finetuning.sets import SEED, Sets
from training.finetuning.wish import Wish
from training.recover import Start


def configure(wish: Wish, bundle: Bundle, model: str, start: Start, sets: Sets) -> Config:
    """The configuration of one model's run: `configs/finetune_<model>.yaml`, the bundle's values, the sets.

    Raises:
        UsageError: a setting or a layer to be frozen does not exist.
    """
    tree = merge(
        read_yaml(f"finetune_{model}"), {"data": _DATA[model](bundle, start, sets, wish.regularization)}
    )
    tree["network"] = {"name": start.network.name, "options": start.network.options}
    folder = wish.work.resolve() / model
    tree["pretrained"] = str(folder / "start.safetensors")
    if model == "recognition" and wish.regularization:
        tree["data"]["before"] = str(folder / "before.safetensors")
    tree["freeze"] = frozen(wish.freeze, start)
    for override in wish.overrides:
        apply_override(tree, override)
    return build_config(tree)


def frozen(names: Sequence[str], start: Start) -> list[str]:
    """Patterns of the parameters of layers given by name.

    Raises:
        UsageError: there is no such layer.
    """
    for name in names:
        if not any(key == name or key.startswith(f"{name}.") for key in start.weights):
            layers = dict.fromkeys(".".join(key.split(".")[:2]) for key in start.weights)
            raise UsageError(
                f"--freeze {name}: no such layer; there are {', '.join(layers)} and those below them"
            )
    return [pattern for name in names for pattern in (name, f"{name}.*")]


def _recognition_data(bundle: Bundle, start: Start, sets: Sets, made: float) -> dict[str, Any]:
    data = _line_data(bundle, start, sets, made)
    if not made:
        return data
    own, *lines = data["sources"]
    return {**data, "sources": [own, *({**source, "keep": True} for source in lines)]}


def _line_data(bundle: Bundle, start: Start, sets: Sets, made: float) -> dict[str, Any]:
    spec = bundle.manifest.recognition
    lines = [{"shard": sets.shard("made"), "weight": made / 2}, {"weight": made / 2, "seed": SEED}]
    dev = [{"name": "yours", "shard": sets.shard("held_out")}]
    if sets.made_held_out:
        dev.append({"name": "made", "shard": sets.shard("made_held_out"), "every": 2})  # type: ignore[dict-item]
    return {
        "charset": "=" + "".join(start.charset),
        "shape": {"height": spec.height, "widths": list(spec.widths), "color": spec.color},
        "sources": [{"shard": sets.shard("yours"), "weight": 1 - made}, *(lines if made else [])],
        "dev": dev,
    }


def _direction_data(bundle: Bundle, start: Start, sets: Sets, made: float) -> dict[str, Any]:
    spec = bundle.manifest.direction
    data = _line_data(
        bundle, dataclasses.replace(start, charset=bundle.manifest.recognition.charset), sets, made
    )
    shape = {"height": spec.height, "width": spec.width, "color": spec.color, "threshold": spec.threshold}
    return {**shape, **{key: data[key] for key in ("charset", "sources", "dev")}}


def _detection_data(bundle: Bundle, start: Start, sets: Sets, made: float) -> dict[str, Any]:
    spec = bundle.manifest.detection
    if spec.limit_side != "longest":
        raise UsageError("a detector whose limit_side is not 'longest' cannot be tuned")
    dev = [{"name": "yours", "labels": sets.labels("held_out")}]
    if sets.made_held_out:
        dev.append({"name": "made", "labels": sets.labels("made_held_out"), "every": 4})  # type: ignore[dict-item]
    own = {"labels": sets.labels("yours"), "weight": 1 - made}
    return {
        "charset": "=",
        "sources": [own, *([{"labels": sets.labels("made"), "weight": made}] if made else [])],
        "dev": dev,
        "warp": {"limit": spec.limit},
        "pixels": {"color": spec.color, "mean": list(spec.mean), "std": list(spec.std)},
        "post": {key: getattr(spec, key) for key in ("limit", "threshold", "box_threshold", "unclip_ratio")},
    }


_DATA = {"recognition": _recognition_data, "direction": _direction_data, "detection": _detection_data}
