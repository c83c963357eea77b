"""Runs a table's recipes, a few seeds each, and goes on where an earlier call stopped.

Each row and seed is an ordinary training run in a folder of its own. What came out of it stands in
`results.json`, and what the table was begun with in `settings.json`, so that all rows have the same.
`steps.json` holds the steps where a time chose them.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from models.bundle import About
from models.reader import ReadOptions
from training.ablation.tables import TABLES, Row, Table
from training.bundle import Limits, make_bundle, size
from training.config import Config, ConfigError, apply_override, build_config, merge, read_yaml
from training.evaluation.labelled import labelled_images
from training.evaluation.readings import read_images, texts_of, truth_of
from training.evaluation.scoring import Tally, tallies
from training.export import write_model
from training.graph import example, load_trained, to_onnx
from training.int8 import store_int8
from training.parity import milliseconds
from training.pruning.run import Budget, prune
from training.pruning.sensitivity import score
from training.quantization.run import PACT, pact_training
from training.quantization.runtime import ModelSession
from training.tasks.loop import LAST, build_task, train

RESULTS, STEPS = "results.json", "steps.json"
PROBE = 3
PARTS = ("detection", "direction", "recognition")
SYSTEM = {name for table in TABLES.values() for row in table.rows for name in row.configs}
"""Configurations that a system's parts may have."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to: score 0 to 1, bytes of the model, milliseconds a call (of a system: a page)."""

    score: float
    bytes: int
    milliseconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How a table is run.

    Attributes:
        data: task -> settings that are laid over its configuration's `data`: `sources`, `dev`, ...
        overrides: `key=value` over everything else; with the name of a system's part before it,
            `recognition.pretrained=...`, over the training of that part alone. Slimming it goes on from the
            part's settings, but for its steps, rate and schedule (`training.continuation`).
        steps: of each run without `steps` of its own, and of each slimming.
        seeds: 0 to seeds - 1.
    """

    data: Mapping[str, Mapping[str, Any]]
    overrides: tuple[str, ...]
    steps: int
    seeds: int

    @property
    def shared(self) -> tuple[str, ...]:
        """The overrides of all runs, the slimming ones included."""
        return tuple(each for each in self.overrides if each.partition(".")[0] not in SYSTEM)

    def own(self, config: str) -> tuple[str, ...]:
        """The overrides of one part's training, without its name."""
        split = (each.partition(".") for each in self.overrides)
        return tuple(change for name, _, change in split if name == config)


def row_config(table: Table, row: Row, plan: Plan, seed: int, config: str = "") -> Config:
    """The configuration of one run; `config` names that of a system's part.

    Raises:
        ConfigError: the data says nothing of the task, or a change does not fit.
    """
    name = config or table.task
    task = name.removesuffix("_large")
    if task not in plan.data:
        raise ConfigError(f"the data file says nothing of {task}: give it {task}: {{sources: ..., dev: ...}}")
    tree = merge(read_yaml(name), {"data": dict(plan.data[task])})
    overrides = (*plan.shared, *plan.own(config))
    tree |= {"steps": plan.steps, "validate_every": 0, "loggers": [], "seed": seed}
    for change in overrides:
        if change.startswith("steps="):
            apply_override(tree, change)
    warm_up = str(max(1, build_config(tree).steps // 20))
    for change in (*table.changes, *row.changes):
        apply_override(tree, change.replace("WARM_UP", warm_up))
    for change in overrides:
        apply_override(tree, change)
    return build_config(tree)


def check_plan(table: Table, plan: Plan) -> None:
    """Builds all of a table's configurations before the first run.

    Raises:
        ConfigError: one cannot be built, or an override is of a part that the table does not have.
    """
    parts = {name for row in table.rows for name in row.configs}
    for change in plan.overrides:
        name = change.partition(".")[0]
        if name in SYSTEM and name not in parts:
            had = (
                f"its parts are {', '.join(sorted(parts))}"
                if parts
                else "it trains one model: leave the name out"
            )
            raise ConfigError(f"the table has no part {name} for {change}; {had}")
    for row in table.rows:
        for part in row.configs or ("",):
            row_config(table, row, plan, 0, part)


def steps_for(table: Table, plan: Plan, minutes: float) -> int:
    """How many steps a run may have so that all of the table's runs take about `minutes`.

    A few steps of each row are timed; a fifth of the time is left for scoring and slimming.

    Raises:
        ConfigError: an override gives steps.
    """
    if {"steps", *(f"{part}.steps" for part in SYSTEM)} & {each.partition("=")[0] for each in plan.overrides}:
        raise ConfigError("--minutes chooses the steps: leave them out of the settings, or give --steps")
    probe = replace(plan, steps=1000)
    each = 0.0
    for row in table.rows:
        if row.slim and not row.configs:
            each += seconds_a_step(row_config(table, row, probe, 0))  # tuning has as many steps
        else:
            parts = row.configs or (table.task,)
            each += sum(seconds_a_step(row_config(table, row, probe, 0, part)) for part in parts)
    return max(1, int(60 * minutes * 0.8 / (each * plan.seeds)))


def seconds_a_step(config: Config) -> float:
    """Mean time of a step of training, the first one left out."""
    task = build_task(config)
    optimizer = task.system.configure_optimizers()
    start = time.perf_counter()
    for number in range(PROBE + 1):
        if number == 1:
            start = time.perf_counter()
        optimizer.zero_grad()
        task.system.loss(task.train[number])["loss"].backward()
        optimizer.step()
    return (time.perf_counter() - start) / PROBE


def run_table(
    table: Table, plan: Plan, folder: Path, say: Callable[[str], None]
) -> dict[str, dict[str, Outcome]]:
    """Runs what is still missing; row -> seed -> outcome. The first seed of all rows comes first."""
    path = folder / RESULTS
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for seed in range(plan.seeds):
        for number, row in enumerate(table.rows):
            outcomes = known.setdefault(row.name, {})
            if str(seed) not in outcomes:
                outcome = run_row(table, number, plan, seed, folder)
                outcomes[str(seed)] = asdict(outcome)
                _write(path, known)
                say(f"{row.name}, seed {seed}: {table.score} {outcome.score:.4f} in {outcome.seconds:.0f} s")
    return {
        name: {seed: Outcome(**values) for seed, values in outcomes.items()}
        for name, outcomes in known.items()
    }


def run_row(table: Table, number: int, plan: Plan, seed: int, folder: Path) -> Outcome:
    """One row with one seed."""
    row, own = table.rows[number], folder / f"{number + 1}_{seed}"
    start = time.perf_counter()
    if row.configs:
        return _system(table, row, plan, seed, folder, own, start)
    if row.slim:
        return _slim(table, number, plan, seed, folder, own, start)
    config = row_config(table, row, plan, seed)
    scores = train(config, own, resume=(own / LAST).exists())
    trained = load_trained(own / LAST)
    if not scores:  # it was trained already, but stopped before that was written down
        scores = score(build_task(config), trained.network)
    return _outcome(scores[table.score], to_onnx(trained), own, start)


def _outcome(value: float, model: onnx.ModelProto, own: Path, start: float) -> Outcome:
    took = milliseconds(ModelSession(model, int8=False), example(load_trained(own / LAST).spec))
    return Outcome(value, len(model.SerializeToString()), took, time.perf_counter() - start)


def _slim(table: Table, number: int, plan: Plan, seed: int, folder: Path, own: Path, start: float) -> Outcome:
    """What the paper did to the network of the row before."""
    row, whole = table.rows[number], folder / f"{number}_{seed}" / LAST
    config = row_config(table, row, plan, seed)
    if row.slim == "quantize":
        ways = pact_training(whole, own, plan.shared, steps=plan.steps)
        pact = next(way for way in ways if way.name == PACT)
        return Outcome(pact.scores[table.score], pact.size, pact.milliseconds, time.perf_counter() - start)
    limit = int(len(to_onnx(load_trained(whole)).SerializeToString()) * 1.4 / 2.6)
    prune(whole, own, Budget(limit), plan.shared, steps=plan.steps, say=lambda _: None)
    trained = load_trained(own / LAST)
    return _outcome(score(build_task(config), trained.network)[table.score], to_onnx(trained), own, start)


def _system(table: Table, row: Row, plan: Plan, seed: int, folder: Path, own: Path, start: float) -> Outcome:
    """Three networks, a bundle, and how it reads the detector's first dev set."""
    models, settings = {}, None
    for name, config_name in zip(PARTS, row.configs, strict=True):
        config = row_config(table, row, plan, seed, config_name)
        settings = settings or config.data
        whole = folder / f"parts_{seed}" / config_name
        if not (whole / "done").exists():
            train(config, whole, resume=(whole / LAST).exists())
            (whole / "done").touch()
        model = to_onnx(load_trained(whole / LAST))
        if row.slim and name == "detection":
            limit = int(len(model.SerializeToString()) * 1.4 / 2.6)
            prune(whole / LAST, own / name, Budget(limit), plan.shared, steps=plan.steps)
            model = to_onnx(load_trained(own / name / LAST))
        elif row.slim:
            pact_training(whole / LAST, own / name, plan.shared, steps=plan.steps)
            model = store_int8(to_onnx(load_trained(own / name / LAST)))  # the job's kernels are float
        models[name] = own / f"{name}.onnx"
        write_model(model, models[name])
    shutil.rmtree(own / "bundle", ignore_errors=True)  # of a call that was stopped while it read
    bundle = make_bundle(
        models, About("ablation"), own / "bundle", limits=Limits(max_bytes=10**9, least_words=0.0)
    )
    assert settings is not None  # for the type checker
    dev = settings.dev[0]
    images = labelled_images(Path(dev.labels))[:: dev.every]
    truth, begun = truth_of(images), time.perf_counter()
    read = texts_of(dict(read_images(bundle.folder, [image.path for image in images], ReadOptions())))
    took = 1000 * (time.perf_counter() - begun) / max(1, len(images))
    total = sum(tallies(truth, read, True).values(), Tally())
    return Outcome(total.score.end_to_end or 0.0, size(bundle), took, time.perf_counter() - start)


def _write(path: Path, values: object) -> None:
    aside = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside.write_text(json.dumps(values, indent=1), "utf-8")
    os.replace(aside, path)


def fixed_steps(folder: Path, choose: Callable[[], int]) -> int:
    """The steps that fit into the time given, for all runs of the table in `folder`: chosen once."""
    path = folder / STEPS
    if path.exists():
        steps: int = json.loads(path.read_text("utf-8"))["steps"]
        return steps
    steps = choose()
    _write(path, {"steps": steps})
    return steps


def report(table: Table, outcomes: Mapping[str, Mapping[str, Outcome]]) -> str:
    """The paper's figures beside ours: mean over the seeds and standard deviation."""
    columns = f"{'':<26}{'paper':>8}{'ours':>9}{'+-':>8}{'seeds':>7}{'paper MB':>10}{'MB':>8}"
    lines = [f"{table.about}; {table.score}", f"{columns}{'paper ms':>10}{'ms':>9}"]
    for row in table.rows:
        own = list(outcomes.get(row.name, {}).values())
        if not own:
            continue
        scores = [each.score for each in own]
        spread = f"{statistics.stdev(scores):.4f}" if len(scores) > 1 else "-"
        lines.append(
            f"{row.name:<26}{row.score:>8.4f}{_mean(scores):>9.4f}{spread:>8}{len(own):>7}"
            f"{row.megabytes or '-':>10}{_mean([each.bytes for each in own]) / 1e6:>8.2f}"
            f"{row.milliseconds or '-':>10}{_mean([each.milliseconds for each in own]):>9.2f}"
        )
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
