from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from models.records import UsageError
from training.__main__ import main
from training.ablation.runs import Outcome, Plan, check_plan, report, row_config, steps_for
from training.ablation.tables import TABLES
from training.commands.ablate import NUMBERS
from training.data.shards import write_shard
from training.tasks.loop import build_task


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Six lines and a page of two, and the smallest batches."""
    folder = tmp_path_factory.mktemp("data")
    records, regions = [], []
    page = np.full((128, 160, 3), 230, np.uint8)
    for number in range(6):
        line = np.full((40, 104), 230, np.uint8)
        cv2.putText(line, f"Ab {number}7", (6, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.75, 20, 2)
        records.append((line, {"text": f"Ab {number}7", "border": 4}))
    for top in (10, 70):
        cv2.putText(page, "WORD 12", (10, top + 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (20, 20, 20), 2)
        box = [[8, top], [110, top], [110, top + 32], [8, top + 32]]
        regions.append({"transcription": "WORD 12", "points": box})
    write_shard(folder / "lines", records)
    cv2.imwrite(str(folder / "page.png"), page)
    (folder / "Label.txt").write_text(f"page.png\t{json.dumps(regions)}\n")
    lines = [{"shard": str(folder / "lines")}]
    dev = [{"name": "same", "shard": str(folder / "lines")}]
    pages = [{"labels": str(folder / "Label.txt")}]
    shape = {"widths": [64, 128], "columns": 256}
    return {
        "detection": {
            "sources": pages,
            "dev": [{"name": "same", **pages[0]}],
            "batch": 1,
            "warp": {"size": 64},
            "post": {"limit": 128},
        },
        "direction": {"sources": lines, "dev": dev, "batch": 2},
        "recognition": {"sources": lines, "dev": dev, "charset": "=Ab 01234567WORD", "shape": shape},
    }


def plan(data: dict, **changes: object) -> Plan:
    return Plan(**{"data": data, "overrides": ("ema=0.0", "threads=1"), "steps": 40, "seeds": 1, **changes})


def test_all_tables_of_experiments_are_there() -> None:
    assert tuple(TABLES) == NUMBERS == (3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    assert all(0.5 < row.score < 1 for table in TABLES.values() for row in table.rows)


@pytest.mark.parametrize("number", [number for number in NUMBERS if number < 14])
def test_every_recipe_takes_a_step(number: int, data: dict) -> None:
    table, seen = TABLES[number], []
    for row in table.rows:
        config = row_config(table, row, plan(data), 3)
        assert config.seed == 3 and config.steps == 40
        if not row.slim:
            assert config not in seen
            seen.append(config)
        task = build_task(config)
        loss = task.system.loss(task.train[0])["loss"]
        loss.backward()
        assert torch.isfinite(loss)


@pytest.mark.parametrize("number", [14, 15])
def test_every_part_of_a_system_takes_a_step(number: int, data: dict) -> None:
    for name in {name for row in TABLES[number].rows for name in row.configs}:
        task = build_task(row_config(TABLES[number], TABLES[number].rows[0], plan(data), 0, name))
        task.system.loss(task.train[0])["loss"].backward()


def test_recipes_say_what_the_paper_s_rows_say(data: dict) -> None:
    table = TABLES[12]
    first, *_, last = (row_config(table, row, plan(data), 0) for row in table.rows)
    assert (first.data.augment, first.schedule.name, first.optimizer.l2_decay) == ((), "constant", 0.0)
    assert [choice.name for choice in last.data.augment] == ["tia", "bda"]
    assert (last.schedule.options, last.optimizer.l2_decay) == ({"warm_up": 2}, 1e-5)
    assert first.network.options["second_stride"] == [2, 1] and "second_stride" not in last.network.options
    mixed = row_config(TABLES[9], TABLES[9].rows[3], plan(data), 0).data
    assert ([c.name for c in mixed.augment], [c.name for c in mixed.mix]) == (["bda"], ["mixup"])


def test_a_part_of_a_system_has_settings_of_its_own(data: dict) -> None:
    table, own = TABLES[15], ("seed=4", "detection.steps=90", "recognition_large.optimizer.lr=2e-4")
    configs = {
        name: row_config(table, row, plan(data, overrides=own), 0, name)
        for row in table.rows
        for name in row.configs
    }
    assert {name: config.steps for name, config in configs.items()} == {
        "detection": 90,
        "direction": 40,
        "recognition": 40,
        "detection_large": 40,
        "recognition_large": 40,
    }
    assert {name: config.schedule.options["warm_up"] for name, config in configs.items()} == {
        "detection": 4,  # a twentieth of its steps
        "direction": 2,
        "recognition": 2,
        "detection_large": 2,
        "recognition_large": 2,
    }
    assert configs["recognition_large"].optimizer.lr == 2e-4 != configs["recognition"].optimizer.lr
    assert {config.seed for config in configs.values()} == {4}
    assert plan(data, overrides=own).shared == ("seed=4",)  # and so of pruning and quantising


@pytest.mark.parametrize(
    ("number", "override", "message"),
    [
        (10, "recognition.steps=3", "no part recognition .* trains one model"),
        (14, "recognition_large.steps=3", "no part recognition_large .* detection, direction, recognition"),
        (15, "recognition_large.stepz=3", "stepz"),
        (10, "optimizer.rate=3", "rate"),
        (10, "steps=many", "steps"),
    ],
)
def test_what_no_run_would_take_is_refused_before_the_first(
    number: int, override: str, message: str, data: dict
) -> None:
    check_plan(TABLES[number], plan(data))
    with pytest.raises(UsageError, match=message):
        check_plan(TABLES[number], plan(data, overrides=(override,)))


@pytest.mark.parametrize("override", ["steps=3", "direction.steps=3"])
def test_time_and_steps_are_not_both_given(override: str, data: dict) -> None:
    with pytest.raises(UsageError, match="--minutes chooses the steps"):
        steps_for(TABLES[14], plan(data, overrides=(override,)), 1.0)


def test_steps_follow_the_time_and_the_seeds(data: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.ablation.runs.seconds_a_step", lambda config: 0.5)
    # 5 rows of half a second a step and 48 of 60 seconds for steps
    assert steps_for(TABLES[3], plan(data), 1.0) == 19
    assert steps_for(TABLES[3], plan(data, seeds=2), 1.0) == 9


def test_a_missing_data_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "ablation.yaml")
    assert main(["ablate", "9", "--data", missing, "--output", str(tmp_path / "out")]) == 2
    assert f"{missing} does not exist: it says what each task learns from" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_data_that_lacks_the_task_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing of detection"):
        row_config(TABLES[3], TABLES[3].rows[0], plan({}), 0)


def test_the_report_has_the_paper_beside_ours() -> None:
    outcomes = {"256": {"0": Outcome(0.5, 2_000_000, 7.0, 1.0), "1": Outcome(0.7, 2_000_000, 9.0, 1.0)}}
    row = next(line for line in report(TABLES[11], outcomes).splitlines() if line.startswith("256"))
    assert row.split() == ["256", "0.6556", "0.6000", "0.1414", "2", "23.0", "2.00", "17.27", "8.00"]


def test_a_table_goes_on_and_is_printed(
    data: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def run_row(table, number, plan, seed, folder):
        ran.append((number, seed, plan.steps))
        return Outcome(0.5 + seed / 10, 1_000_000, 3.0, 1.0)

    monkeypatch.setattr("training.ablation.runs.run_row", run_row)
    (tmp_path / "data.yaml").write_text(json.dumps(data))
    command = ["ablate", "8", "--data", str(tmp_path / "data.yaml"), "--output", str(tmp_path / "out")]
    assert main([*command, "--steps", "7"]) == 0
    assert ran == [(0, 0, 7), (1, 0, 7), (2, 0, 7)]
    printed = capsys.readouterr().out
    assert "3 x 48 x 192, PACT" in printed and "0.9456" in printed
    assert main([*command, "--steps", "9"]) == 2
    assert main([*command, "--minutes", "1"]) == 2
    assert "was begun with other minutes, steps" in capsys.readouterr().err
    assert main([*command, "--steps", "7", "--seeds", "2"]) == 0
    assert ran[3:] == [(0, 1, 7), (1, 1, 7), (2, 1, 7)]
    assert "0.5500  0.0707      2" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("number", [6, 8, 13, 14])
def test_networks_are_slimmed_as_the_paper_did(number: int, data: dict, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(json.dumps(data))
    command = [
        "ablate",
        str(number),
        "--data",
        str(tmp_path / "data.yaml"),
        "--output",
        str(tmp_path / "out"),
    ]
    assert main([*command, "--steps", "1", "ema=0.0", "threads=1"]) == 0
    results = json.loads((tmp_path / "out" / f"table{number}" / "results.json").read_text())
    whole, slim = [outcomes["0"]["bytes"] for outcomes in results.values()][-2:]
    assert slim < 0.6 * whole
