"""A stock network fitted to another input or charset before it is trained on.

PP-OCR's recognisers take colour at height 48 and know thousands of characters; each step here keeps what the
weights know, and leaves to training what it changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from models.bundle import RecognitionSpec
from models.records import UsageError
from training.config import Choice, Config
from training.data.charset import base_of
from training.graph import Spec
from training.networks.stock import HEAD, INPUT, Node, from_tree, to_tree
from training.recover import Start
from training.tasks.recognition import load_charset

HALF = 0.5
"""Mean and standard deviation of the pixels that this package trains on."""


def fit(start: Start, spec: Spec, config: Config, gelu: str = "gelu") -> Start:
    """Fits a network to the input and the charset that a configuration asks for.

    Args:
        start: a bundle's network.
        spec: how the bundle uses it.
        config: of the training that goes on from it.
        gelu: what takes the place of GELU: a key of `GELU_SLOPES`, or `gelu`, which leaves it.

    Raises:
        UsageError: the network cannot be fitted so.
    """
    if isinstance(spec, RecognitionSpec):
        start = fit_charset(start, load_charset(config.data.charset).characters)
    if start.network.name != "stock":
        if gelu != "gelu":
            raise UsageError("only PP-OCR's own networks have a GELU to replace")
        return start
    shape = {"recognition": lambda d: d.shape, "detection": lambda d: d.pixels, "direction": lambda d: d}
    wanted = shape[config.task](config.data)
    if (spec.color, wanted.color) == ("bgr", "gray"):
        start = fit_gray(start, spec.mean, spec.std)
    if isinstance(spec, RecognitionSpec) and wanted.height != spec.height:
        start = fit_height(start)
    return start if gelu == "gelu" else without_gelu(start, gelu)


def fit_gray(start: Start, mean: Sequence[float], std: Sequence[float]) -> Start:
    """Takes grey pixels, `(v / 255 - .5) / .5`, in the place of three channels.

    For a grey picture what the first convolution gives stays the same, but for its zero padding at the
    picture's edges.

    Args:
        start: a stock network of three channels.
        mean: of its channels, in the order in which they enter.
        std: likewise.
    """
    first = next(node for node in _nodes(start) if node.inputs == (INPUT,) and node.op == "conv")
    weight = start.weights[f"{first.name}.weight"]
    scale = torch.tensor([HALF / each for each in std]).reshape(1, -1, 1, 1)
    shift = torch.tensor([(HALF - m) / s for m, s in zip(mean, std, strict=True)]).reshape(1, -1, 1, 1)
    weights = {**start.weights, f"{first.name}.weight": (weight * scale).sum(1, keepdim=True)}
    added = (weight * shift).sum((1, 2, 3))
    behind = next(node for node in _nodes(start) if node.inputs == (first.name,))
    if behind.op == "norm":
        mean_name = f"{behind.name}.running_mean"
        weights[mean_name] = start.weights[mean_name] - added
    else:
        weights[f"{first.name}.bias"] = start.weights[f"{first.name}.bias"] + added
    attributes = {**first.attributes, "inputs": 1}
    nodes = [
        replace(node, attributes=attributes) if node.name == first.name else node for node in _nodes(start)
    ]
    return _with_nodes(replace(start, weights=weights), nodes)


def fit_height(start: Start) -> Start:
    """Takes lines of any height that its strides leave a row of, by the mean of the last rows.

    Args:
        start: a stock recogniser whose last pooling takes all rows that height 48 leaves.

    Raises:
        UsageError: its last pooling is another.
    """
    nodes = _nodes(start)
    if any(node.op == "mean" and node.attributes["axes"] == [2] for node in nodes):
        return start  # fitted before
    pool = next((node for node in reversed(nodes) if node.op == "average_pool"), None)
    if pool is None or pool.attributes["kernel"] != pool.attributes["stride"]:
        raise UsageError("the recogniser has no pooling of all rows before its columns: keep its height")
    across = pool.attributes["kernel"][1]
    rows = Node("mean", f"rows_{pool.name}", pool.inputs, {"axes": [2], "keepdim": True})
    along = Node("average_pool", pool.name, (rows.name,), {"kernel": [1, across], "stride": [1, across]})
    made: list[Node] = []
    for node in nodes:
        if node.name != pool.name:
            made.append(node)
        else:
            made += [replace(rows, name=pool.name)] if across == 1 else [rows, along]
    return _with_nodes(start, made)


def fit_charset(start: Start, charset: Sequence[str]) -> Start:
    """Knows just the characters of `charset`, in its order.

    A character that it knew keeps its weights. A new one starts as the letter that it is a form of, else as
    the average one, and a little less likely than that: at first it is never read, and then soon.
    """
    if tuple(charset) == start.charset:
        return start
    rows = {char: number for number, char in reversed(list(enumerate(start.charset, 1)))}
    weights = dict(start.weights)
    for kind in ("weight", "bias"):
        head = weights[f"{HEAD}.{kind}"]
        weights[f"{HEAD}.{kind}"] = torch.stack([head[0], *(_row(head, rows, c, kind) for c in charset)])
    options = {**start.network.options, "classes": len(charset) + 1}
    return replace(
        start, network=Choice(start.network.name, options), weights=weights, charset=tuple(charset)
    )


def _row(head: Tensor, rows: dict[str, int], char: str, kind: str) -> Tensor:
    if char in rows:
        return head[rows[char]]
    start = head[rows[base_of(char)]] if base_of(char) in rows else head[1:].mean(0)
    return start - float(kind == "bias")


def _nodes(start: Start) -> tuple[Node, ...]:
    return from_tree(start.network.options["nodes"])


def _with_nodes(start: Start, nodes: Sequence[Node]) -> Start:
    options: dict[str, Any] = {**start.network.options, "nodes": to_tree(nodes)}
    return replace(start, network=Choice(start.network.name, options))


GELU_SLOPES = {"hard_swish": 1.7, "silu": 1.702}
"""f(slope x) / slope is about GELU(x): SiLU within .021 of it, hard swish within .04."""


def without_gelu(start: Start, op: str) -> Start:
    """Puts a cheaper function in the place of GELU; the slope goes into the weights around it.

    Args:
        start: a stock network.
        op: a key of `GELU_SLOPES`. SiLU takes half of GELU's time, and a recogniser reads the same. Hard
            swish takes next to none, as a part of the convolution, but a recogniser reads worse.

    Raises:
        UsageError: a GELU does not stand between a layer and a convolution.
    """
    slope = GELU_SLOPES[op]
    weights, nodes = dict(start.weights), _nodes(start)
    for gelu in (node for node in nodes if node.op == "gelu"):
        before = next(node for node in nodes if node.name == gelu.inputs[0])
        behind = [node for node in nodes if gelu.name in node.inputs]
        if before.op not in ("norm", "conv") or any(node.op != "conv" for node in behind):
            raise UsageError(f"{gelu.name} stands between {before.op} and {', '.join(n.op for n in behind)}")
        for kind in ("weight", "bias"):
            weights[f"{before.name}.{kind}"] = weights[f"{before.name}.{kind}"] * slope
        for node in behind:
            weights[f"{node.name}.weight"] = weights[f"{node.name}.weight"] / slope
    swapped = [replace(node, op=op) if node.op == "gelu" else node for node in nodes]
    return _with_nodes(replace(start, weights=weights), swapped)
