"""What a training run is told.

Dataclasses hold the defaults, YAML files only the differences, `key=value` of the command line comes last. A
YAML file may name another one to start from with `extends: name.yaml`. The resolved configuration is saved
beside the checkpoints, so a run can always be repeated from its folder alone.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from models.records import UsageError

CONFIGS = Path(__file__).parent / "configs"
TASKS = ("recognition", "detection", "direction")

T = TypeVar("T")


class ConfigError(UsageError):
    """A configuration that cannot be used: says which key and what it may be."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Something chosen by name, with options of its own: a network, an augmentation, a schedule."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OptimizerConfig:
    """AdamW.

    Attributes:
        weight_decay: decoupled decay of matrices and kernels; vectors (biases, norms) are left alone.
        l2_decay: the paper's L2 regularisation, added to the gradient instead.
        clip: largest norm of the gradient, 0 = unlimited.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    l2_decay: float = 0.0
    clip: float = 0.0


@dataclass(frozen=True, slots=True)
class Config:
    """One training run.

    Attributes:
        task: recognition, detection or direction; `data` is the `Settings` of `training.tasks.<task>`.
        network: a name of `training.networks.NETWORKS` and the builder's options.
        schedule: a name of `training.strategies.SCHEDULES` and its options, in optimizer steps.
        steps: optimizer steps of the whole run.
        accumulate: batches a step.
        ema: decay of the averaged weights that are validated and exported; 0 = none.
        pretrained: checkpoint whose fitting weights a new run starts from.
        freeze: patterns (fnmatch) of parameter names that are not trained.
        fixed_norms: batch norms act as in evaluation and keep their averages: those of a few images say
            little, and those of a network out of a bundle are folded away.
        precision: Lightning's word: `32-true`, `bf16-mixed`, `16-mixed`.
        devices: accelerators or processes to train on.
        threads: intra-op threads of torch; 0 = its own choice.
        workers: processes that make batches; 0 = the training process itself.
        validate_every: steps between validations on the dev set, and one at the end; 0 = only that one.
        patience: validations in a row without a better score after which a run ends; 0 = it never ends early.
        checkpoint_minutes: minutes between checkpoints.
        loggers: any of `tensorboard`, `csv`.
    """

    task: str
    network: Choice
    data: Any
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: Choice = Choice("cosine_decay")
    steps: int = 1000
    accumulate: int = 1
    ema: float = 0.998
    pretrained: str = ""
    freeze: tuple[str, ...] = ()
    fixed_norms: bool = False
    precision: str = "32-true"
    channels_last: bool = True
    accelerator: str = "auto"
    devices: int = 1
    threads: int = 0
    workers: int = 0
    seed: int = 0
    validate_every: int = 500
    patience: int = 0
    checkpoint_minutes: float = 5.0
    loggers: tuple[str, ...] = ("tensorboard",)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a YAML file (or the name of one in `training/configs`) and applies `key.sub=value` overrides.

    Raises:
        ConfigError: unknown file, key or task, no YAML, or a value of the wrong type.
    """
    tree = read_yaml(path)
    for override in overrides:
        apply_override(tree, override)
    return build_config(tree)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The tree of a YAML file, laid over the one it extends."""
    found = next((p for p in (Path(path), CONFIGS / path, CONFIGS / f"{path}.yaml") if p.is_file()), None)
    if found is None:
        raise ConfigError(
            f"no configuration {path}; there are {sorted(p.stem for p in CONFIGS.glob('*.yaml'))}"
        )
    tree = _parse_yaml(found.read_bytes(), str(found)) or {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{found} must hold a mapping")
    base = tree.pop("extends", None)
    return merge(read_yaml(found.parent / base), tree) if base else tree


def merge(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lays `changes` over `base`: mappings are merged key by key, anything else is replaced.

    A choice of another name is replaced too: options belong to the name they were given for.
    """
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, Mapping) and _same_name(old, value):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def _same_name(old: Any, new: Mapping[str, Any]) -> bool:
    return bool(new.get("name", old.get("name")) == old.get("name"))


def apply_override(tree: dict[str, Any], override: str) -> None:
    """Sets one `key.sub=value` in the tree; list items are numbered, values are YAML.

    Raises:
        ConfigError: no `=`, no YAML, or the path leads through something that is no mapping or list.
    """
    path, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"override {override!r} is not of the form key=value")
    *parents, last = path.split(".")
    node: Any = tree
    try:
        for key in parents:
            node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
        node[int(last) if isinstance(node, list) else last] = _yaml_value(text)
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise ConfigError(f"override {override!r} leads nowhere: {error}") from error


def _yaml_value(text: str) -> Any:
    try:
        if "e" in text.lower():  # YAML reads 1e-3 as a string
            return float(text)
    except ValueError:
        pass
    return _parse_yaml(text, f"the value {text!r}")


def _parse_yaml(text: str | bytes, name: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is not YAML: {' '.join(str(error).split())}") from error


def build_config(tree: Mapping[str, Any]) -> Config:
    """Checks a tree against the dataclasses and builds the configuration.

    Raises:
        ConfigError: see `load_config`.
    """
    task = tree.get("task")
    if task not in TASKS:
        raise ConfigError(f"task is {task!r}, must be one of {', '.join(TASKS)}")
    settings = importlib.import_module(f"training.tasks.{task}").Settings
    data = from_tree(settings, tree.get("data") or {}, "data.")
    config = from_tree(Config, {**tree, "data": None}, "")
    return dataclasses.replace(config, data=data)


def from_tree(cls: type[T], tree: Any, path: str = "") -> T:
    """Builds the dataclass `cls` from a mapping, refusing unknown keys and values of the wrong kind.

    Raises:
        ConfigError: names the key.
    """
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{path.rstrip('.') or 'the configuration'} must be a mapping, got {tree!r}")
    types = get_type_hints(cls)
    unknown = set(tree) - set(types)
    if unknown:
        raise ConfigError(f"unknown key {path}{sorted(unknown)[0]}; known: {', '.join(types)}")
    values = {key: convert(types[key], value, path + key) for key, value in tree.items()}
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path.rstrip('.') or 'the configuration'}: {error}") from error


def convert(kind: Any, value: Any, path: str) -> Any:
    """A value of YAML as the type that is asked for.

    Raises:
        ConfigError: it is of another; names the key, `path`.
    """
    if get_origin(kind) is UnionType:  # only ever `X | None`
        return None if value is None else convert(get_args(kind)[0], value, path)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return from_tree(
            kind, {"name": value} if kind is Choice and isinstance(value, str) else value, path + "."
        )
    if get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{path} must be a list, got {value!r}")
        return tuple(
            convert(get_args(kind)[0], item, f"{path}.{number}") for number, item in enumerate(value)
        )
    if get_origin(kind) is dict and not isinstance(value, Mapping):
        raise ConfigError(f"{path} must be a mapping, got {value!r}")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind in (int, float, str, bool) and (
        not isinstance(value, kind) or kind is int and isinstance(value, bool)
    ):
        raise ConfigError(f"{path} must be {kind.__name__}, got {value!r}")
    return value


def to_tree(config: Any) -> dict[str, Any]:
    """The resolved configuration as plain mappings and lists, which `build_config` reads back."""
    return {key: _plain(value) for key, value in dataclasses.asdict(config).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def save_config(config: Config, path: Path) -> None:
    """Writes the resolved configuration as YAML."""
    path.write_text(yaml.safe_dump(to_tree(config), sort_keys=False, allow_unicode=True), "utf-8")
