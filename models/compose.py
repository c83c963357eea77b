"""Puts a bundle together of other bundles' models, with a second recogniser for lines that are hard to read.

A built-in bundle's model is named, with its values and its files left where they are; any other's is copied.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from models.bundle import (
    FORMAT,
    SECOND_BELOW,
    WHICH_FILE,
    About,
    Bundle,
    counterpart,
    list_bundles,
    load_bundle,
    new_part,
    write_manifest,
)
from models.records import UsageError


@dataclass(frozen=True, slots=True)
class Composition:
    """What to put together.

    Attributes:
        sources: the bundle of each model, by name or folder; `second` may be missing.
        second_below: see `models.bundle.Manifest`.
        overrides: values that differ from the sources', by dotted name: `second.review_threshold`.
    """

    sources: Mapping[str, str]
    second_below: float = SECOND_BELOW
    overrides: Mapping[str, Any] = field(default_factory=dict)


def compose(composition: Composition, about: About, output: Path) -> Bundle:
    """Writes the bundle; where `about` names no languages and data sets, those of the sources are meant.

    Args:
        composition: of which models.
        about: of the whole.
        output: the bundle's folder; must not exist yet, or be empty.

    Raises:
        UsageError: a source is no bundle, an override names nothing or has a value that cannot be, or
            `output` is in use.
        OSError: a file cannot be read, or `output` cannot be written.
    """
    sources = {role: load_bundle(name) for role, name in composition.sources.items()}
    _refuse_unknown(composition)
    aside = new_part(output)
    try:
        models = {role: _model(role, composition, bundle, aside) for role, bundle in sources.items()}
        values = {**asdict(_completed(about, list(sources.values()))), "format": FORMAT, **models}
        write_manifest({**values, "second_below": composition.second_below}, aside)
        aside.replace(output)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return load_bundle(output)


def _refuse_unknown(composition: Composition) -> None:
    for name in composition.overrides:
        role = name.partition(".")[0]
        if role not in composition.sources:
            raise UsageError(f"{name}: there is no model {role!r}, only {', '.join(composition.sources)}")
        if name.partition(".")[2] in WHICH_FILE:
            raise UsageError(f"{name}: which file it is tells the bundle that it is taken from")


def _model(role: str, composition: Composition, bundle: Bundle, folder: Path) -> dict[str, Any]:
    """What the manifest says of a model; copies its file into the folder unless a built-in bundle has it."""
    spec = getattr(bundle.manifest, counterpart(role))
    begin = f"{role}."
    asked = {
        name.removeprefix(begin): value
        for name, value in composition.overrides.items()
        if name.startswith(begin)
    }
    source = composition.sources[role]
    name = spec.bundle or (source if source in list_bundles() else "")
    if not name:
        shutil.copyfile(bundle.model_path(spec), folder / f"{role}.onnx")
        return {**asdict(replace(spec, file=f"{role}.onnx")), **asked}
    of_name = load_bundle(name, check=False)
    theirs = asdict(getattr(of_name.manifest, counterpart(role)))
    own = {key: value for key, value in asdict(spec).items() if value != theirs[key]}
    return {**own, **asked, "bundle": name, "bundle_id": of_name.id}


def _completed(about: About, sources: list[Bundle]) -> About:
    manifests = [bundle.manifest for bundle in sources]
    languages = about.languages or tuple(dict.fromkeys(code for each in manifests for code in each.languages))
    trained_on = about.trained_on or tuple(
        dict.fromkeys(name for each in manifests for name in each.trained_on)
    )
    return replace(about, languages=languages, trained_on=trained_on)
