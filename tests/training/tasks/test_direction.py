from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from training.config import Choice, Config, build_config, load_config
from training.data.lines import Sample
from training.data.shards import write_shard
from training.strategies import MIXES, resolve
from training.tasks.direction import build, prepare


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """Twelve upright lines with four pixels of margin."""
    records = []
    for number in range(12):
        image = np.full((40, 168, 1), 230, np.uint8)
        text = f"LATE {number}7 July"
        canvas = np.ascontiguousarray(image[..., 0])
        cv2.putText(canvas, text, (4, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.75, 20, 2)
        records.append((canvas, {"text": text, "border": 4}))
    write_shard(tmp_path / "lines", records)
    return tmp_path / "lines"


def small_config(shard: Path) -> Config:
    return build_config(
        {
            "task": "direction",
            "network": {"name": "direction", "options": {"backbone": "line_net", "dropout": 0.0}},
            "data": {
                "sources": [{"shard": str(shard)}],
                "dev": [{"name": "same", "shard": str(shard)}],
                "height": 32,
                "width": 128,
                "color": "gray",
                "batch": 16,
            },
            "ema": 0.0,
        }
    )


def test_a_tiny_set_is_learnt(shard: Path) -> None:
    torch.manual_seed(0)
    task = build(small_config(shard))
    optimizer = torch.optim.AdamW(task.system.parameters(), lr=3e-3)
    for step in range(60):
        loss = task.system.loss(task.train[step])["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.1
    task.system.eval()
    with torch.no_grad():
        scores = task.system.summarise([row for batch in task.dev for row in task.system.measure(batch)])
    assert scores == {"accuracy": 1.0}


def test_half_of_the_lines_are_turned_and_a_batch_is_decided_by_its_number(shard: Path) -> None:
    first, again = build(small_config(shard)).train, build(small_config(shard)).train
    turned = torch.cat([first[number].turned for number in range(12)])
    assert 0.35 < float(turned.float().mean()) < 0.65
    torch.testing.assert_close(first[5].images, again[5].images)
    assert torch.equal(first[5].turned, again[5].turned)


def test_a_turned_line_is_the_line_on_its_head(shard: Path) -> None:
    settings = small_config(shard).data
    image = np.random.default_rng(0).integers(0, 255, (32, 96), np.uint8)
    upright, turned = (
        prepare(Sample(image, "x", 0), turn, settings, np.random.default_rng(1)) for turn in (False, True)
    )
    np.testing.assert_array_equal(turned, upright[::-1, ::-1])


@pytest.mark.parametrize(
    ("shape", "width"), [((32, 64), 64), ((32, 640), 128), ((16, 32), 64)], ids=["short", "long", "low"]
)
def test_lines_keep_their_shape_up_to_the_width(shape: tuple[int, int], width: int, shard: Path) -> None:
    settings = small_config(shard).data
    line = prepare(Sample(np.zeros(shape, np.uint8), "x", 0), False, settings, np.random.default_rng(0))
    assert line.shape == (32, width)


def test_dev_lines_are_shown_both_ways_up(shard: Path) -> None:
    ((name, batch),) = build(small_config(shard)).dev
    assert name == "same"
    assert batch.turned.tolist() == [0, 1] * 12


def test_the_score_asks_the_jobs_threshold(shard: Path) -> None:
    system = build(small_config(shard)).system
    rows = [("same", True, True), ("same", True, False), ("same", False, False), ("other", False, True)]
    assert system.summarise(rows) == {"accuracy": 2 / 3}


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_mixed_lines_are_worth_their_shares_of_both_labels(mix: str, shard: Path) -> None:
    options = [f"data.sources=[{{shard: '{shard}'}}]", "data.batch=8", "data.dev=[]", f"data.mix=[{mix}]"]
    task = build(load_config("direction_latin", options))
    images, turned = batch = task.train[0]
    mixed, partners, share = resolve(MIXES, Choice(mix))(images, generator=torch.manual_seed(3))
    task.system.eval()
    task.system.mixes = [lambda _: (mixed, partners, share)]
    with torch.no_grad():
        probabilities = task.system.net(mixed)
        loss = task.system.loss(batch)["loss"]
    logs = probabilities.log_softmax(1)
    picked = share * logs[range(8), turned] + (1 - share) * logs[range(8), turned[partners]]
    torch.testing.assert_close(loss, -picked.mean())


@pytest.mark.parametrize("name", ["direction", "direction_latin"])
def test_every_configuration_takes_a_step(name: str, shard: Path) -> None:
    task = build(load_config(name, [f"data.sources=[{{shard: '{shard}'}}]", "data.batch=4", "data.dev=[]"]))
    assert torch.isfinite(task.system.loss(task.train[0])["loss"])
