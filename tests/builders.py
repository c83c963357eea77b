"""Things that tests need, made from nothing: a bundle whose models do arithmetic, pages with bars of ink.

The models read ink, not letters: a line is a dark bar on white, and its text tells how dark its columns are.
That is enough for everything around the models, takes milliseconds, and depends on every pixel's being in its
place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper

from models.bundle import (
    Bundle,
    DetectionSpec,
    DirectionSpec,
    Manifest,
    RecognitionSpec,
    file_sha256,
    write_bundle,
)
from models.records import Image

CHARSET = ("a", "b", "c", "d")
"""Quarters of darkness: a column of the lightest ink reads `a`, of the darkest `d`."""
CAPITALS = tuple(char.upper() for char in CHARSET)
"""What a second recogniser reads, so that its readings can be told."""
_INK: dict[str, Any] = {"color": "gray", "mean": (1.0,), "std": (1.0,)}
"""White enters as 0, black as -1: what is padded with zeros is paper."""


def tiny_bundle(folder: Path, name: str = "tiny", **recognition: Any) -> Bundle:
    """Writes a bundle of three models of a few hundred bytes into a folder, and loads it.

    Args:
        folder: is made.
        name: goes into the manifest, so that two names give two ids.
        recognition: values of the recogniser that differ from the usual.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digests = {}
    for file, model in _models().items():
        (folder / file).write_bytes(model)
        digests[file] = file_sha256(folder / file)
    manifest = Manifest(
        name=name,
        license="Apache-2.0",
        languages=("none",),
        trained_on=("nothing: its weights are arithmetic",),
        detection=DetectionSpec("detection.onnx", digests["detection.onnx"], **_INK, limit=320),
        direction=DirectionSpec("direction.onnx", digests["direction.onnx"], **_INK),
        recognition=RecognitionSpec(
            "recognition.onnx",
            digests["recognition.onnx"],
            **{**_INK, "widths": (80, 160, 320), "charset": CHARSET, **recognition},
        ),
    )
    return write_bundle(manifest, folder)


def page_image(lines: Sequence[str], width: int = 240) -> Image:
    """A white page with one bar of ink for each line; `aabd` is a bar of four pieces of growing darkness.

    Args:
        lines: made of `CHARSET`.
        width: of the page in pixels; a piece is 24 pixels wide.
    """
    image = np.full((40 * len(lines) + 24, width, 3), 255, np.uint8)
    for row, line in enumerate(lines):
        for column, char in enumerate(line):
            darkness = (CHARSET.index(char) + 1) / len(CHARSET)
            y, x = 24 + 40 * row, 24 + 24 * column
            image[y : y + 16, x : x + 24] = round(255 * (1 - darkness))
    return image


def write_pages(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Writes so many different pages, page-000.png and on, of one to four lines."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(seed)
    paths = []
    for number in range(count):
        lines = ["".join(chance.choice(CHARSET, chance.integers(2, 8))) for _ in range(chance.integers(1, 5))]
        path = folder / f"page-{number:03}.png"
        path.write_bytes(cv2.imencode(".png", page_image(lines))[1].tobytes())
        paths.append(path)
    return paths


@cache
def _models() -> dict[str, bytes]:
    return {
        "detection.onnx": _detection(),
        "direction.onnx": _direction(),
        "recognition.onnx": _recognition(),
    }


def _detection() -> bytes:
    """Text is where there is ink: sigmoid(40 x (ink - 0.1))."""
    nodes = [
        helper.make_node("Mul", ["x", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["y"]),
    ]
    return _model(
        nodes, {"slope": np.float32(-40), "shift": np.float32(-4)}, [1, 1, "h", "w"], [1, 1, "h", "w"]
    )


def _direction() -> bytes:
    """All is upright, whatever the ink."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["y"]),
    ]
    weights = {"weights": np.zeros((1, 2), np.float32), "bias": np.array([3, -3], np.float32)}
    return _model(nodes, weights, ["n", 1, 48, 192], ["n", 2])


def _recognition() -> bytes:
    """Each step of eight columns reads as the nearest of five levels of ink, none (CTC's blank) to full.

    For a level l and ink v, -(v - l)^2 is 2vl - l^2 up to a term that is the same for all levels: a 1 x 1
    convolution. Ink is -x; the middle third of the height is looked at, since crops have paper around their
    bar.
    """
    levels = np.linspace(0, 1, len(CHARSET) + 1, dtype=np.float32)
    sharpness = 200.0
    nodes = [
        helper.make_node("Slice", ["x", "top", "bottom", "axis"], ["middle"]),
        helper.make_node("AveragePool", ["middle"], ["steps"], kernel_shape=[16, 8], strides=[16, 8]),
        helper.make_node("Conv", ["steps", "weights", "bias"], ["logits"], kernel_shape=[1, 1]),
        helper.make_node("Softmax", ["logits"], ["likely"], axis=1),
        helper.make_node("Squeeze", ["likely", "axis"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["y"], perm=[0, 2, 1]),
    ]
    weights = {
        "top": np.array([16], np.int64),
        "bottom": np.array([32], np.int64),
        "axis": np.array([2], np.int64),
        "weights": (-2 * sharpness * levels).reshape(-1, 1, 1, 1).astype(np.float32),
        "bias": (-sharpness * levels**2).astype(np.float32),
    }
    return _model(nodes, weights, ["n", 1, 48, "w"], ["n", "t", len(levels)])


def _model(
    nodes: list[onnx.NodeProto],
    weights: Mapping[str, Any],
    input_shape: list[int | str],
    output_shape: list[int | str],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output_shape)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
