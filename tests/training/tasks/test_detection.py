from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from models.records import UsageError
from training.config import Config, build_config, load_config
from training.data.detection import LabelledPage
from training.graph import load_trained
from training.tasks.detection import Counts, DetectionSystem, build, count
from training.tasks.loop import train

SMALL = {
    "backbone": "slim",
    "stem": 8,
    "widths": [16, 24, 32, 32],
    "depths": [0, 1, 1, 0],
    "inner": 32,
    "head": "shuffle",
}


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Two pages of two lines each, in PPOCRLabel's format."""
    rng = np.random.default_rng(0)
    lines = []
    for page in range(2):
        image = np.full((96, 128, 3), 220, np.uint8)
        records = []
        for top in (12, 56):
            left = int(rng.integers(4, 34))
            cv2.putText(image, "WORD 12", (left, top + 20), cv2.FONT_HERSHEY_SIMPLEX, 0.65, (20, 20, 20), 2)
            records.append(
                {"transcription": "WORD 12", "points": box(left, top, left + 88, top + 26).tolist()}
            )
        cv2.imwrite(str(tmp_path / f"{page}.png"), image)
        lines.append(f"{page}.png\t{json.dumps(records)}")
    path = tmp_path / "Label.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def small_config(labels: Path) -> Config:
    return build_config(
        {
            "task": "detection",
            "network": {"name": "db", "options": SMALL},
            "data": {
                "sources": [{"labels": str(labels)}],
                "dev": [{"name": "same", "labels": str(labels)}],
                "batch": 2,
                "warp": {"size": 128, "limit": 960, "scales": [1.0, 1.0], "degrees": 0.0, "flip": 0.0},
                "shrink_ratios": [0.4, 0.6],
                "post": {"box_threshold": 0.4},
            },
            "optimizer": {"lr": 5e-3, "clip": 5.0},
            "steps": 100,
            "ema": 0.0,
            "threads": 1,
        }
    )


def test_a_tiny_set_is_learnt_and_its_lines_are_found(labels: Path) -> None:
    torch.manual_seed(0)
    task = build(small_config(labels))
    system = task.system
    batch = task.train[99]
    optimizer = torch.optim.AdamW(system.parameters(), lr=1e-2)
    losses = []
    for _ in range(100):
        loss = system.loss(batch)
        optimizer.zero_grad()
        loss["loss"].backward()
        optimizer.step()
        losses.append(float(loss["shrink"]))
    assert losses[0] > 0.5 and losses[-1] < 0.1
    system.eval()
    with torch.no_grad():
        scores = system.summarise([row for batch in task.dev for row in system.measure(batch)])
    assert scores["h_mean"] == 1.0


def test_the_loop_scores_whole_pages(labels: Path, tmp_path: Path) -> None:
    config = replace(small_config(labels), steps=2, validate_every=1, loggers=())
    assert set(train(config, tmp_path / "run")) == {"h_mean", "precision", "recall"}


def test_batches_depend_on_seed_and_number_alone(labels: Path) -> None:
    first, again = build(small_config(labels)).train, build(small_config(labels)).train
    for number in (0, 3):
        torch.testing.assert_close(first[number].images, again[number].images)
        torch.testing.assert_close(first[number].targets.shrink, again[number].targets.shrink)
    assert not torch.equal(first[0].images, first[1].images)


def test_the_shrink_ratio_moves_from_first_to_last(labels: Path) -> None:
    batches = build(small_config(labels)).train
    # The lines are 88 x 26 throughout: the share of text in the map grows with the ratio
    shares = [float(batches[number].targets.shrink.mean()) for number in (0, 50, 99)]
    assert shares[0] < shares[1] < shares[2]


def test_dont_care_lines_and_what_is_found_there_do_not_count() -> None:
    quads = np.stack([box(0, 0, 100, 20), box(0, 50, 100, 70)])
    page = LabelledPage(np.zeros((1, 1, 3), np.uint8), quads, np.array([False, True]))
    found = [box(0, 0, 60, 20), box(0, 50, 100, 70), box(0, 90, 100, 110)]
    assert count("dev", page, found) == Counts("dev", hits=1, found=2, there=1)
    assert count("dev", page, []) == Counts("dev", hits=0, found=0, there=1)


def test_scores_by_hand(labels: Path) -> None:
    system = DetectionSystem(small_config(labels))
    rows = [Counts("same", 3, 4, 5), Counts("same", 1, 2, 5), Counts("other", 9, 9, 9)]
    assert system.summarise(rows) == {"h_mean": 8 / 16, "precision": 4 / 6, "recall": 4 / 10}


@pytest.mark.parametrize("name", ["detection", "detection_large", "detection_latin"])
def test_every_configuration_takes_a_step(name: str, labels: Path) -> None:
    config = load_config(
        name, [f"data.sources=[{{labels: '{labels}'}}]", "data.batch=2", "data.warp.size=64", "data.dev=[]"]
    )
    task = build(config)
    assert torch.isfinite(task.system.loss(task.train[0])["loss"])


def test_a_set_without_polygons_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "rec_gt.txt").write_text("a.png\tword\n")
    with pytest.raises(UsageError, match="no image with polygons"):
        build(small_config(tmp_path / "rec_gt.txt"))


def test_pages_without_text_are_learnt_from_and_scored(
    labels: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cv2.imwrite(str(labels.parent / "blank.png"), np.full((96, 128, 3), 220, np.uint8))
    labels.write_text(labels.read_text("utf-8") + "blank.png\t[]\ngone.png\t[]\n", "utf-8")
    task = build(small_config(labels))
    assert [len(image.regions) for _, image in task.dev] == [2, 2, 0]
    assert "1 x missing file" in caplog.messages[0]
    drawn = [task.train[number] for number in range(12)]
    blank = [batch for batch in drawn if not batch.targets.shrink.any()]
    assert blank and all(torch.isfinite(task.system.loss(batch)["loss"]) for batch in blank)
    task.system.find = lambda _: [box(0, 0, 100, 20)]  # type: ignore[attr-defined]
    assert list(task.system.measure(list(task.dev)[2])) == [Counts("same", hits=0, found=1, there=0)]


def test_a_detector_for_grey_trains_is_scored_and_says_so(labels: Path, tmp_path: Path) -> None:
    config = small_config(labels)
    pixels = replace(config.data.pixels, color="gray", mean=(0.5,), std=(0.5,))
    config = replace(config, steps=2, data=replace(config.data, pixels=pixels))
    train(config, tmp_path / "run")
    trained = load_trained(tmp_path / "run" / "last.safetensors")
    assert (trained.spec.color, trained.spec.mean) == ("gray", (0.5,))
    assert trained.network(torch.zeros(1, 1, 64, 64)).shape == (1, 1, 64, 64)
