from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.__main__ import main
from training.checkpoint import load_checkpoint, load_network
from training.config import build_config
from training.data.shards import write_shard
from training.graph import load_trained, to_onnx
from training.tasks.loop import train

SMALL = {"widths": [8, 16], "blocks": [0, 1]}


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A direction classifier after one step on six lines."""
    records = []
    for number in range(6):
        canvas = np.full((40, 168), 230, np.uint8)
        cv2.putText(canvas, f"LATE {number}7", (4, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.75, 20, 2)
        records.append((canvas, {"text": f"LATE {number}7", "border": 4}))
    write_shard(tmp_path / "lines", records)
    shard = str(tmp_path / "lines")
    config = build_config(
        {
            "task": "direction",
            "network": {
                "name": "direction",
                "options": {"backbone": "line_net", "widths": [8, 16], "blocks": [0, 1]},
            },
            "data": {
                "sources": [{"shard": shard}],
                "dev": [{"name": "same", "shard": shard}],
                "height": 32,
                "width": 48,
                "color": "gray",
                "batch": 4,
            },
            "steps": 1,
            "threads": 1,
            "loggers": [],
        }
    )
    train(config, tmp_path / "run")
    return tmp_path / "run" / "last.safetensors"


def test_a_network_is_pruned_tuned_resumed_and_exported(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(to_onnx(load_trained(trained)).SerializeToString())
    out = tmp_path / "pruned"
    command = ["prune", str(trained), "--output", str(out), "--max_bytes", str(before // 2)]
    assert main([*command, "--steps", "2"]) == 0
    printed = capsys.readouterr().out
    assert "before" in printed and "fine-tuned" in printed
    state = load_checkpoint(out / "last.safetensors").state
    assert state["step"] == 2 and state["network"]["options"]["pruned"]
    assert len(to_onnx(load_trained(out / "last.safetensors")).SerializeToString()) <= before // 2
    assert cv2.imread(str(out / "sensitivity.png")) is not None

    # The run is one like any other: training goes on with it, and it is exported.
    assert main(["train", "--resume", "--output", str(out), "--steps", "3"]) == 0
    assert load_checkpoint(out / "last.safetensors").state["step"] == 3
    assert (
        main(
            [
                "export",
                str(out / "last.safetensors"),
                "--output",
                str(tmp_path / "m.onnx"),
                "--weights",
                "float32",
            ]
        )
        == 0
    )


def test_what_was_measured_is_not_measured_again(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pruned"
    command = [
        "prune",
        str(trained),
        "--output",
        str(out),
        "--max_loss",
        "2",
        "--steps",
        "0",
        "--multiple",
        "1",
    ]
    assert main(command) == 0
    known = json.loads((out / "sensitivity.json").read_text())
    known["losses"] = {name: [9.0] * 3 for name in known["losses"]} | {"rows.0": [0.0, 9.0, 9.0]}
    (out / "sensitivity.json").write_text(json.dumps(known))
    assert main(command) == 0
    other = [*command[:5], "0.1", *command[6:]]
    assert main(other) == 2
    said = capsys.readouterr().err
    assert "was cut by another budget (--max_bytes 0, --max_loss 2.0, --multiple 1): remove it" in said
    (out / "pruned.safetensors").unlink()
    assert main(other) == 0
    pruned = load_checkpoint(out / "pruned.safetensors").state["network"]["options"]["pruned"]
    assert pruned["rows.0"][0] == 12  # a quarter of 16 may go, and hardly anything of the others
    assert load_network(out / "pruned.safetensors").rows[0].out_channels == 12


def test_a_folder_is_for_one_checkpoint(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--output", str(tmp_path / "x"), "--steps", "0"]
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "settings.json").write_text('{"checkpoint": "another"}')
    assert main(["prune", str(trained), *command]) == 2
    assert "begun with other checkpoint, overrides" in capsys.readouterr().err


def test_a_budget_that_prunes_nothing_is_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prune", str(trained), "--output", str(tmp_path / "x"), "--max_loss", "-1"]) == 2
    assert "nothing may be pruned" in capsys.readouterr().err
