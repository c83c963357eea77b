from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from training.__main__ import main
from training.checkpoint import CheckpointError, load_checkpoint, load_network, save_checkpoint
from training.config import Config, build_config, to_tree
from training.data.shards import write_shard
from training.tasks.loop import BEST, CONFIG, LAST, Keeper, resumed_config, train
from training.tasks.system import System

WORDS = ["Total", "12.50", "cafe", "RM 7", "a-b", "Xyz"]
CHARSET = "=" + "".join(sorted({*"".join(WORDS)}))


def tree(folder: Path, **changes: Any) -> dict[str, Any]:
    network = {
        "name": "line_net",
        "options": {"widths": [8, 16, 16, 32], "neck": 32, "mixers": 1, "dropout": 0.1},
    }
    return {
        "task": "recognition",
        "network": network,
        "data": {
            "charset": CHARSET,
            "sources": [{"shard": str(folder / "words")}],
            "dev": [{"name": "words", "shard": str(folder / "words")}],
            "shape": {"widths": [96, 128], "columns": 768},
            "augment": [{"name": "tia"}, {"name": "bda"}],
        },
        "schedule": {"name": "constant", "options": {}},
        "optimizer": {"lr": 3e-3, "clip": 5.0, "l2_decay": 1e-5},
        "steps": 4,
        "validate_every": 2,
        "accelerator": "cpu",
        "loggers": [],
        "threads": 1,
        **changes,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def draw(word: str) -> tuple[np.ndarray, dict[str, object]]:
        image = np.full((32, 24 * len(word), 3), 255, np.uint8)
        cv2.putText(image, word, (4, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (0, 0, 0), 2)
        return image, {"text": word, "border": 0}

    write_shard(tmp_path / "words", [draw(word) for word in WORDS])
    return tmp_path


def run(folder: Path, out: str, config: Config, resume: bool = False) -> dict[str, torch.Tensor]:
    train(config, folder / out, resume=resume)
    return load_checkpoint(folder / out / LAST).tensors


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(folder: Path, accumulate: int) -> None:
    whole = run(folder, "whole", build_config(tree(folder, steps=5, accumulate=accumulate)))
    run(folder, "parts", build_config(tree(folder, steps=2, accumulate=accumulate)))
    parts = run(folder, "parts", resumed_config(folder / "parts", ["steps=5"]), resume=True)
    assert whole.keys() == parts.keys()
    assert any(name.startswith("optim.") for name in whole)
    assert not torch.equal(whole["net.classifier.weight"], whole["ema.classifier.weight"])
    for name, tensor in whole.items():
        assert torch.equal(tensor, parts[name]), name


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_stopped_between_validations_goes_on_to_the_bit(folder: Path, accumulate: int) -> None:
    config = build_config(tree(folder, steps=5, accumulate=accumulate))
    whole = run(folder, "whole", config)
    train(config, folder / "parts", max_minutes=1e-6)
    parts = run(folder, "parts", config, resume=True)
    for name, tensor in whole.items():
        assert torch.equal(tensor, parts[name]), name


@pytest.mark.parametrize("accumulate", [1, 2])
def test_validations_are_at_the_same_steps_wherever_a_run_is_stopped(
    folder: Path, caplog: pytest.LogCaptureFixture, accumulate: int
) -> None:
    config = build_config(tree(folder, steps=5, accumulate=accumulate))
    run(folder, "whole", config)
    caplog.clear()
    with caplog.at_level("INFO"):
        train(config, folder / "parts", max_minutes=1e-6)
        run(folder, "parts", config, resume=True)
    steps = [r.getMessage().split(":")[0] for r in caplog.records if r.getMessage().startswith("step ")]
    assert steps == ["step 2", "step 4", "step 5"]
    whole, parts = (load_checkpoint(folder / name / LAST).state for name in ("whole", "parts"))
    assert whole == parts


def test_a_stop_by_the_clock_keeps_the_last_scores(folder: Path) -> None:
    config = build_config(tree(folder, steps=4))
    train(build_config(tree(folder, steps=2)), folder / "run")
    scores = load_checkpoint(folder / "run" / LAST).state["scores"]
    assert train(config, folder / "run", resume=True, max_minutes=1e-6) == scores != {}


@pytest.mark.parametrize("validate_every", [0, 100])
def test_a_run_shorter_than_its_validations_are_apart_is_scored_at_its_end(
    folder: Path, validate_every: int
) -> None:
    scores = train(build_config(tree(folder, steps=3, validate_every=validate_every)), folder / "run")
    assert load_checkpoint(folder / "run" / BEST).state["step"] == 3
    assert load_checkpoint(folder / "run" / LAST).state["scores"] == scores != {}


def test_a_checkpoint_by_the_clock_knows_the_validation_of_its_step(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = []

    def save(_keeper: Keeper, _trainer: object, system: System, name: str) -> None:
        saved.append((name, system.step, bool(system.scores)))

    monkeypatch.setattr(Keeper, "save", save)
    train(build_config(tree(folder, steps=3, checkpoint_minutes=0.0)), folder / "run")
    assert [each for each in saved if each[0] == LAST] == [
        (LAST, 0, False), (LAST, 1, False), (LAST, 2, True), (LAST, 3, True)
    ]  # fmt: skip


def test_a_tiny_set_is_learnt_by_heart(folder: Path) -> None:
    changes = {
        "data": {**tree(folder)["data"], "augment": [], "jitter": 0.0},
        "ema": 0.9,
        "validate_every": 200,
    }
    scores = train(build_config(tree(folder, steps=200, **changes)), folder / "run")
    assert scores["exact"] == 1.0 and scores["ned"] == 1.0
    network = load_network(folder / "run" / BEST)
    assert network(torch.zeros(1, 1, 32, 96)).shape == (1, 24, len(CHARSET))


def test_the_run_s_folder_tells_how_to_repeat_it(folder: Path) -> None:
    config = build_config(tree(folder))
    train(config, folder / "run")
    assert (folder / "run" / CONFIG).is_file()
    state = load_checkpoint(folder / "run" / LAST).state
    assert (state["step"], "=" + state["charset"]) == (4, CHARSET)
    assert build_config(state["config"]) == config == build_config(to_tree(config))


def test_frozen_weights_stay_and_pretrained_ones_are_the_start(folder: Path) -> None:
    first = run(folder, "first", build_config(tree(folder)))
    changes = {"pretrained": str(folder / "first" / LAST), "freeze": ["stages.*"], "ema": 0.0}
    second = run(folder, "second", build_config(tree(folder, **changes)))
    name = "net.stages.0.0.weight"
    assert torch.equal(second[name], first[name.replace("net.", "ema.")])
    assert not torch.equal(second["net.classifier.weight"], first["ema.classifier.weight"])


def test_a_run_stops_in_time_and_can_go_on(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        train(build_config(tree(folder, steps=10_000)), folder / "run", max_minutes=1e-6)
    assert f"1 of 10000 steps; ppocr-train train --resume --output {folder / 'run'} goes on" in caplog.text
    assert load_checkpoint(folder / "run" / LAST).state["step"] == 1


def test_fixed_norms_keep_their_averages_but_learn_their_scale(folder: Path) -> None:
    start = run(folder, "start", build_config(tree(folder)))
    changes = {"pretrained": str(folder / "start" / LAST), "fixed_norms": True, "ema": 0.0}
    tuned = run(folder, "tuned", build_config(tree(folder, **changes)))
    for name in ("running_mean", "running_var"):
        assert torch.equal(tuned[f"net.stages.0.1.{name}"], start[f"ema.stages.0.1.{name}"])
    assert not torch.equal(tuned["net.stages.0.1.weight"], start["ema.stages.0.1.weight"])


def test_a_run_ends_when_its_score_no_longer_rises(folder: Path) -> None:
    changes = {"steps": 50, "validate_every": 1, "patience": 3, "fixed_norms": True}
    run(folder, "run", build_config(tree(folder, optimizer={"lr": 0.0}, **changes)))
    state = load_checkpoint(folder / "run" / LAST).state
    assert (state["step"], state["stale"]) == (4, 3)  # the first validation is the best, three are not better


def test_a_run_is_never_overwritten_and_nothing_is_not_resumed(folder: Path) -> None:
    config = build_config(tree(folder))
    with pytest.raises(CheckpointError, match="cannot be read"):
        train(config, folder / "run", resume=True)
    train(config, folder / "run")
    with pytest.raises(CheckpointError, match="--resume"):
        train(config, folder / "run")


def test_a_checkpoint_of_another_network_is_refused(folder: Path) -> None:
    train(build_config(tree(folder)), folder / "run")
    config = resumed_config(folder / "run", ["network.options.neck=16"])
    with pytest.raises(CheckpointError, match="does not fit"):
        train(config, folder / "run", resume=True)


def test_the_command_says_in_one_line_what_is_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_checkpoint(folder / "run" / LAST, {"x": torch.zeros(1)}, {"config": tree(folder)})
    for arguments, message in [
        (["train", "--output", "x"], "say which configuration"),
        (["train", "nowhere", "--output", "x"], "no configuration nowhere"),
        (["train", "recognition", "--output", str(folder / "x"), "data.charset=none"], "no charset none"),
        (["train", "recognition", "--resume", "--output", str(folder / "run")], "leave the name out"),
        (["train", "--resume", "--output", str(folder / "gone")], "cannot be read"),
    ]:
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


def test_the_mean_of_two_runs_weights_is_a_checkpoint(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(folder, "a", build_config(tree(folder)))
    second = run(folder, "b", build_config(tree(folder, seed=1, pretrained=str(folder / "a" / LAST))))
    files = [str(folder / name / LAST) for name in "ab"]
    assert main(["blend", *files, "--share", "0.25", "--output", str(folder / "mean.safetensors")]) == 0
    mean = load_network(folder / "mean.safetensors").state_dict()
    for name, value in mean.items():
        if value.is_floating_point():
            expected = 0.75 * first[f"ema.{name}"] + 0.25 * second[f"ema.{name}"]
            torch.testing.assert_close(value, expected)
    scores = load_checkpoint(folder / "mean.safetensors").state["scores"]
    assert f"ned {scores['ned']:.4f}" in capsys.readouterr().out


def test_two_networks_have_no_mean(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "a", build_config(tree(folder, steps=1)))
    options = {"widths": [8, 16, 16, 32], "neck": 16, "mixers": 1}
    run(folder, "b", build_config(tree(folder, steps=1, network={"name": "line_net", "options": options})))
    files = [str(folder / name / LAST) for name in "ab"]
    assert main(["blend", *files, "--output", str(folder / "mean.safetensors")]) == 2
    assert "they differ in the network" in capsys.readouterr().err
    assert main(["blend", *files, "--share", "2", "--output", str(folder / "mean.safetensors")]) == 2
    assert not (folder / "mean.safetensors").exists()
