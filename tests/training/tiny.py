"""Small untrained networks of each kind, exported: they read nonsense, enough to put bundles together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from training.checkpoint import save_checkpoint
from training.export import write_model
from training.graph import load_trained, to_onnx
from training.int8 import store_int8
from training.networks import build_network

CHARSET = "=0123456789 abcdefgh"
NETWORKS = {
    "detection": ("db", {"backbone": "slim", "widths": [8, 8, 8, 8], "inner": 16, "head": "shuffle"}, {}),
    "direction": ("direction", {"backbone": "line_net", "channels": 1}, {"height": 32, "color": "gray"}),
    "recognition": ("line_net", {"classes": 20, "widths": [4, 4, 8, 8], "neck": 8}, {"charset": CHARSET}),
}  # fmt: skip


def tiny_models(folder: Path, scores: Mapping[str, float]) -> dict[str, Path]:
    """Writes a checkpoint and an ONNX file of each kind; returns the latter by the models' names."""
    torch.manual_seed(0)
    paths = {}
    for task, (name, options, data) in NETWORKS.items():
        config = {"task": task, "network": {"name": name, "options": options}, "data": data}
        state = {"step": 5, "scores": dict(scores), "config": config, "charset": CHARSET[1:]}
        state["network"] = {"name": name, "options": options}
        weights = build_network(name, options).state_dict()
        checkpoint = folder / f"{task}.safetensors"
        save_checkpoint(checkpoint, {f"net.{key}": value for key, value in weights.items()}, state)
        paths[task] = folder / f"{task}.onnx"
        write_model(store_int8(to_onnx(load_trained(checkpoint))), paths[task])
    return paths
