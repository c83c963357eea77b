"""A recogniser's head knows new characters by how they look, before anything is trained.

Its last layer has a row of weights a character. What the layers before give where a character stands, and the
row that training gave it, go together: a linear map from the one to the other, fitted on characters that it
knows, makes rows for those that it doesn't (imprinted weights: Qi et al. 2018, here with a map learnt from
the network's own head). Glyphs are drawn in fonts; no text is needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from random import Random

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as PillowImage
from PIL import ImageDraw
from torch import Tensor, nn

from models.records import Image, UsageError
from training.networks import build_network
from training.networks.stock import HEAD
from training.recover import Start
from training.synthesis.fonts import Face, load_font

ROUNDS = 5
"""Glyphs that are drawn of each character, in as many faces where there are."""
SAMPLE = 2_600
"""Known characters that the map is fitted on."""
LEAST = 60
"""Known characters without which it isn't tried."""
ROW = 8
"""Characters of a drawn line, each in a cell of its own."""
BATCH = 32
REACH = 0.3
"""How far from a cell's middle the network may notice its character, in cells."""
RIDGE = 1e-3

Vector = npt.NDArray[np.float64]


def imprint(start: Start, known: Sequence[str], faces: Sequence[Face], height: int, seed: int = 1) -> Start:
    """Gives each character that is not `known` the row that its drawn glyphs ask for.

    Args:
        start: a stock recogniser, fitted to its charset and input.
        known: the characters whose rows are trained.
        faces: to draw in; a character that none draws keeps its row.
        height: of the network's lines.
        seed: of the faces drawn.

    Raises:
        UsageError: the faces draw too few of the known characters.
    """
    rows = {char: number for number, char in enumerate(start.charset, 1)}
    new = sorted(set(start.charset) - set(known))
    old = Random(seed).sample(sorted(set(start.charset) & set(known)), k=min(SAMPLE, len(rows) - len(new)))
    seen = _seen(start, _lines([*old, *new], faces, height, Random(seed)))
    old = [char for char in old if char in seen]
    weight, bias = (start.weights[f"{HEAD}.{kind}"].clone() for kind in ("weight", "bias"))
    if len(old) < LEAST:
        raise UsageError(f"the fonts draw {len(old)} of the known characters, too few to learn from")
    trained = torch.cat([weight, bias[:, None]], 1).double().numpy()
    to_row = _ridge(np.stack([seen[c] for c in old]), trained[[rows[c] for c in old]])
    for char in filter(seen.__contains__, new):
        row = torch.from_numpy(seen[char] @ to_row)
        weight[rows[char]], bias[rows[char]] = row[:-1].float(), row[-1].float()
    return replace(start, weights={**start.weights, f"{HEAD}.weight": weight, f"{HEAD}.bias": bias})


def _ridge(x: Vector, y: Vector) -> Vector:
    """The linear map from x (n, a) to y (n, b), (a, b), with small weights preferred."""
    gram = x.T @ x
    gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    solution: Vector = np.linalg.solve(gram, x.T @ y)
    return solution


def _lines(
    chars: Sequence[str], faces: Sequence[Face], height: int, rng: Random
) -> Iterator[tuple[Image, int, str]]:
    """Drawn lines (height, `ROW` cells), the width of a cell, and what they say."""
    for _ in range(ROUNDS):
        members = defaultdict[int, list[str]](list)
        for char in chars:
            able = [number for number, face in enumerate(faces) if char in face.glyph_set]
            if able and char.strip():
                members[rng.choice(able)].append(char)
        for number, drawn in members.items():
            rng.shuffle(drawn)
            for first in range(0, len(drawn), ROW):
                text = "".join(drawn[first : first + ROW])
                yield *_draw(faces[number], text, height, rng), text


def _draw(face: Face, text: str, height: int, rng: Random) -> tuple[Image, int]:
    size = round(height * rng.uniform(0.75, 0.9))
    cell = size + rng.randint(0, 4)
    picture = PillowImage.new("L", (ROW * height, height), rng.randint(200, 255))
    pen, font, ink = ImageDraw.Draw(picture), load_font(face.path, size, shaped=False), rng.randint(0, 80)
    for number, char in enumerate(text):
        pen.text(((number + 0.5) * cell, height / 2), char, fill=ink, font=font, anchor="mm")
    return np.asarray(picture, np.uint8), cell


def _seen(start: Start, lines: Iterator[tuple[Image, int, str]]) -> dict[str, Vector]:
    """What enters the head where each character stands, and a 1: means over its glyphs."""
    network = build_network(start.network.name, start.network.options)
    network.load_state_dict(start.weights)
    network.eval()
    sums: dict[str, Vector] = {}
    while batch := list(islice(lines, BATCH)):
        images = torch.from_numpy(np.stack([image for image, _, _ in batch])).float()[:, None] / 127.5 - 1
        inputs, blank = _head_inputs(network, images)
        columns = blank.shape[1] / images.shape[3]
        for (_, cell, text), values, unsure in zip(batch, inputs, blank, strict=True):
            for number, char in enumerate(text):
                low, high = ((number + 0.5 + side) * cell * columns for side in (-REACH, REACH))
                steps = slice(round(low), max(round(low) + 1, round(high)))
                step = steps.start + int(unsure[steps].argmin())
                sums[char] = sums.get(char, np.zeros(1)) + np.append(values[step], 1.0)
    return {char: total / total[-1] for char, total in sums.items()}


def _head_inputs(
    network: nn.Module, images: Tensor
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What enters the head (N, T, inputs), and the probability of the blank (N, T)."""
    taken: list[Tensor] = []
    head = network.get_submodule(HEAD)
    hook = head.register_forward_pre_hook(lambda _, values: taken.append(values[0]))
    with torch.inference_mode():
        logits = network(images)
    hook.remove()
    return taken[0].numpy(), logits.softmax(2)[:, :, 0].numpy()
