from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from training.config import CONFIGS, ConfigError, build_config, load_config, merge, save_config, to_tree

RECOGNITION = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


@pytest.mark.parametrize("name", RECOGNITION)
def test_every_shipped_configuration_resolves_and_survives_saving(name: str, tmp_path: Path) -> None:
    config = load_config(name)
    save_config(config, tmp_path / "config.yaml")
    assert build_config(yaml.safe_load((tmp_path / "config.yaml").read_text("utf-8"))) == config
    assert build_config(to_tree(config)) == config


def test_a_file_states_only_differences(tmp_path: Path) -> None:
    base = load_config("recognition")
    (tmp_path / "mine.yaml").write_text(f"extends: {CONFIGS / 'recognition.yaml'}\noptimizer: {{lr: 0.5}}\n")
    mine = load_config(tmp_path / "mine.yaml")
    assert mine.optimizer.lr == 0.5
    assert mine.optimizer.betas == base.optimizer.betas
    assert mine.network == base.network


def test_another_choice_leaves_the_options_of_the_first_behind() -> None:
    old = {"network": {"name": "a", "options": {"x": 1}}}
    assert merge(old, {"network": {"name": "b"}}) == {"network": {"name": "b"}}
    assert merge(old, {"network": {"options": {"y": 2}}}) == {
        "network": {"name": "a", "options": {"x": 1, "y": 2}}
    }


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("steps=7", lambda c: c.steps == 7),
        ("optimizer.lr=1e-4", lambda c: c.optimizer.lr == 1e-4),
        ("optimizer.betas=[0.5, 0.6]", lambda c: c.optimizer.betas == (0.5, 0.6)),
        ("network.options.hidden=24", lambda c: c.network.options["hidden"] == 24),
        ("data.augment.0.options.probability=1", lambda c: c.data.augment[0].options["probability"] == 1),
        ("data.shape.height=48", lambda c: c.data.shape.height == 48),
        ("loggers=[]", lambda c: c.loggers == ()),
        ("channels_last=false", lambda c: c.channels_last is False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_value_can_be_overridden(override: str, read: object) -> None:
    assert read(load_config("recognition", [override]))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps", "not of the form"),
        ("stepz=1", "unknown key stepz"),
        ("optimizer.rate=1", "unknown key optimizer.rate"),
        ("data.shape.widht=1", "unknown key data.shape.widht"),
        ("steps=many", "steps must be int"),
        ("steps.more=1", "leads nowhere"),
        ("data.augment.9.name=bda", "leads nowhere"),
        ("task=poetry", "must be one of recognition"),
        ("optimizer=fast", "must be a mapping"),
        ("data.shape.widths=32", "must be a list"),
        ("data.augment=[bda", r"the value '\[bda' is not YAML: .*expected ',' or '\]'"),
        ("network.options=3", "network.options must be a mapping"),
        ("data.dev=[{name: a, shard: b, every: 0}]", r"data.dev.0: every must be at least 1, not 0"),
    ],
)
def test_a_wrong_override_says_what_is_wrong(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config("recognition", [override])


def test_an_unknown_file_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="recognition_latin"):
        load_config("nowhere")


@pytest.mark.parametrize("content", [b"steps: [1\n", b"task: \xff\xfe\n"], ids=["syntax", "encoding"])
def test_a_broken_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"mine\.yaml is not YAML: "):
        load_config(tmp_path / "mine.yaml")
