"""Three models become a bundle, with manifest and model card, that the job's own Reader has read with.

Everything is put together beside the final folder and moved there when it has been verified.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from string import Template
from typing import Any

import onnx

from models.bundle import (
    MODELS,
    WHICH_FILE,
    About,
    Bundle,
    Manifest,
    file_sha256,
    load_bundle,
    new_part,
    write_bundle,
)
from models.language import METADATA, Language
from models.reader import Reader
from models.records import Image, UsageError
from training.config import CONFIGS
from training.evaluation.scoring import Tally, Text, tally
from training.export import accepted, export, write_model
from training.float16 import stored_as
from training.graph import Spec, load_trained, model_name, read_metadata
from training.specimen import specimen_page

CARD, NOTICE = "README.md", "NOTICE"
TERMS = {
    "ICDAR SROIE 2019": "scanned receipts of the robust reading competition; for research",
    "ICDAR 2015 incidental scene text": "words of scene photographs of the competition; for research",
    "IIIT5K": "words from images on the web; for research",
    "FUNSD": "scanned forms of the 1980s and 90s; non-commercial, for research and education",
    "digital PDFs": "manuals and papers of free software, drawn by `ppocr-train data pdf`; free licences",
    "made lines and pages": "drawn by `ppocr-train synthesize` with free fonts and public word lists",
}
"""Known data and what they are; their terms say nothing of redistribution, so only weights are given away."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a bundle must hold to.

    Attributes:
        max_bytes: of all files together; None: any.
        least_words: word F1 on specimen pages; what reads plain print worse was put together wrongly.
    """

    max_bytes: int | None = None
    least_words: float = 0.5


@dataclass(frozen=True, slots=True)
class Part:
    """A model of the bundle: how to use it, and what is known of its training."""

    spec: Spec
    facts: dict[str, Any] = field(default_factory=dict)


def make_bundle(
    models: Mapping[str, Path],
    about: About,
    output: Path,
    *,
    specs: Mapping[str, Spec] | None = None,
    overrides: Mapping[str, Any] | None = None,
    figures: Mapping[str, Mapping[str, Any]] | None = None,
    language: Language | None = None,
    limits: Limits = Limits(),
) -> Bundle:
    """Writes a bundle.

    Args:
        models: a checkpoint or an exported ONNX file for each of `MODELS`.
        about: of the whole.
        output: the bundle's folder; must not exist yet, or be empty.
        specs: of models that are ONNX files, how to use them, in the place of what the files say.
        overrides: manifest values that differ from what the models say, by dotted name: `detection.limit`.
        figures: names of sets and what `ppocr-train evaluate` said of them, for the card.
        language: goes into the recogniser's file; None: it has one already, or none.
        limits: see `Limits`.

    Raises:
        UsageError: a model is damaged or not what it is given as, an override names nothing, `output` is in
            use, or the bundle is too large or does not read.
        OSError: it could not be written.
    """
    aside = new_part(output)
    try:
        known = specs or {}
        parts = {name: take(models[name], name, aside, known.get(name)) for name in MODELS}
        if language:
            parts["recognition"] = speaking(parts["recognition"], language, aside)
        specs = override({name: part.spec for name, part in parts.items()}, overrides or {})
        bundle = write_bundle(Manifest(**asdict(about), **specs), aside)
        words = read_specimens(bundle)
        (aside / CARD).write_text(card(bundle, parts, figures or {}, words), "utf-8")
        if began := [name for name in MODELS if is_stock(parts[name])]:
            (aside / NOTICE).write_text(notice(bundle, began), "utf-8")
        require(bundle, words, limits)
        aside.replace(output)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return load_bundle(output)


def take(path: Path, name: str, folder: Path, known: Spec | None = None) -> Part:
    """Puts a model into the folder as `<name>.onnx`, exported with int8 weights where it is a checkpoint.

    Args:
        path: of the checkpoint or the ONNX file.
        name: one of `MODELS`.
        folder: the bundle's.
        known: how to use an ONNX file that need not say so itself.

    Raises:
        UsageError: it is damaged, or another kind of model.
        OSError: it could not be written.
    """
    target = folder / f"{name}.onnx"
    if path.suffix == ".onnx":
        spec, facts = (known, _facts(path)) if known else read_metadata(path)
        require_kind(path, spec, name)
        shutil.copyfile(path, target)
    else:
        trained = load_trained(path)
        require_kind(path, trained.spec, name)
        write_model(accepted(export(trained)), target)
        spec, facts = trained.spec, trained.facts
    digest = file_sha256(target)
    return Part(replace(spec, file=target.name, sha256=digest, bundle="", bundle_id=""), facts)


def speaking(part: Part, language: Language, folder: Path) -> Part:
    """Writes a language model into a recogniser's file, in the place of the one that it may have.

    Raises:
        UsageError: the recogniser tells nothing but its best class.
        OSError: it could not be written.
    """
    if getattr(part.spec, "output", "") == "decision":
        raise UsageError(
            "the recogniser tells its best class alone, so a language model has nothing to choose from"
        )
    path = folder / part.spec.file
    model = onnx.load(path)
    said = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**said, METADATA: language.to_json()})
    write_model(model, path)
    return replace(part, spec=replace(part.spec, sha256=file_sha256(path)))


def _facts(path: Path) -> dict[str, Any]:
    try:
        return read_metadata(path)[1]
    except UsageError:  # a file from elsewhere, of whose training nothing is known
        return {}


def require_kind(path: Path, spec: Spec, name: str) -> None:
    """Refuses a model in another one's place.

    Raises:
        UsageError: see above.
    """
    if model_name(spec) != name:
        raise UsageError(f"{path} is a {model_name(spec)} model, given as the {name} one")


def override(specs: Mapping[str, Spec], values: Mapping[str, Any]) -> dict[str, Any]:
    """The specs with other values for some of their fields.

    Raises:
        UsageError: a name means nothing.
    """
    changed: dict[str, Any] = dict(specs)
    for name, value in values.items():
        model, _, key = name.partition(".")
        known = [each.name for each in fields(specs[model])] if model in specs else []
        if key not in known or key in (*WHICH_FILE, "charset", "output"):
            raise UsageError(f"{name}: a bundle has no such value that could be set")
        changed[model] = replace(changed[model], **{key: value})
    return changed


def read_specimens(bundle: Bundle, pages: int = 3) -> float:
    """Word F1 of the job's own Reader on specimen pages.

    Raises:
        UsageError: it reads a page differently the second time.
    """
    reader, total = Reader(bundle), Tally()
    for seed in range(pages):
        page = specimen_page(seed)
        labels = [Text(line.polygon.tolist(), line.text) for line in page.lines]
        total += tally(labels, read(reader, page.image))
        if seed == 0 and read(reader, page.image) != read(reader, page.image):
            raise UsageError(f"bundle {bundle.manifest.name!r} reads the same page differently each time")
    return total.score.words


def read(reader: Reader, image: Image | None) -> list[Text]:
    """A page's lines as texts."""
    assert image is not None
    return [Text(line.polygon.tolist(), line.text) for line in reader.read(image).lines]


def size(bundle: Bundle) -> int:
    """Bytes of all of a bundle's files."""
    return sum(path.stat().st_size for path in bundle.folder.iterdir() if path.is_file())


def require(bundle: Bundle, words: float, limits: Limits) -> None:
    """Refuses a bundle that is too large or does not read.

    Raises:
        UsageError: see above.
    """
    if limits.max_bytes is not None and size(bundle) > limits.max_bytes:
        files = ", ".join(f"{p.name} {p.stat().st_size:,}" for p in sorted(bundle.folder.iterdir()))
        raise UsageError(
            f"the bundle has {size(bundle):,} bytes, more than {limits.max_bytes:,} ({files}): "
            "--max_bytes allows more; int8 weights and smaller networks need less"
        )
    if words < limits.least_words:
        raise UsageError(
            f"the bundle reads plain made print with a word F1 of {words:.2f}, under {limits.least_words:.2f}"
            ": is one of its models untrained, or was it trained on other pixels than its file states?"
        )


def card(
    bundle: Bundle, parts: Mapping[str, Part], figures: Mapping[str, Mapping[str, Any]], words: float
) -> str:
    """The model card, in Markdown."""
    manifest = bundle.manifest
    charset = manifest.recognition.charset
    values = {
        "name": manifest.name,
        "description": manifest.description or f"The OCR bundle `{manifest.name}`.",
        "date": datetime.date.today().isoformat(),
        "license": manifest.license,
        "models": "\n".join(_model_row(bundle, name, parts[name]) for name in MODELS),
        "total": f"{size(bundle):,}",
        "characters": len(charset),
        "charset": "`` " + "".join(charset).strip() + " `` and the space",
        "data": _data(manifest.trained_on),
        "figures": _figures(figures),
        "specimen": f"{words:.3f}",
    }
    return Template((CONFIGS / "model_card.md").read_text("utf-8")).substitute(values)


def is_stock(part: Part) -> bool:
    """Whether a model's weights began as PP-OCR's own."""
    network = part.facts.get("network") or {}
    return bool(network.get("name") == "stock")


def notice(bundle: Bundle, models: Sequence[str]) -> str:
    """What the licence of PP-OCR's weights asks to be said of models that began as these."""
    source = bundle.manifest.source
    return (
        f"{bundle.manifest.name}\n\n"
        f"The weights of these models began as PP-OCR's own: {', '.join(models)}"
        f"{f' ({source})' if source else ''}.\n"
        "Copyright (c) PaddlePaddle Authors. Licensed under the Apache License, Version 2.0:\n"
        "http://www.apache.org/licenses/LICENSE-2.0\n"
        "They were changed: fitted to other input and characters, and trained further with ppocr-train.\n"
    )


def _data(names: Sequence[str]) -> str:
    lines = [f"- {name}: {TERMS.get(name, 'see there')}." for name in names]
    return "\n".join(lines) or "It was not said when the bundle was made."


def _model_row(bundle: Bundle, name: str, part: Part) -> str:
    spec, path = part.spec, bundle.folder / f"{name}.onnx"
    height, width = getattr(spec, "height", "H"), getattr(spec, "width", "W")
    scores = ", ".join(f"{key} {value:.3f}" for key, value in (part.facts.get("scores") or {}).items())
    steps = f"{part.facts.get('step', '?')} steps"
    shape = f"{spec.color}, {height} x {width}"
    stored = stored_as(onnx.load(path))
    size = f"{path.stat().st_size:,}"
    return f"| {name} | {shape} | {path.name} | {size} | {stored} | {steps} | {scores or '-'} |"


def _figures(figures: Mapping[str, Mapping[str, Any]]) -> str:
    if not figures:
        return "None were given when the bundle was made."
    keys = ("images", "words", "end_to_end", "detection", "similarity")
    rows = ["| set | images | word F1 | end-to-end H | detection H | 1-NED |", "|---|---|---|---|---|---|"]
    for name, scores in figures.items():
        shown = [
            f"{v:.3f}" if isinstance(v, float) else str(v) for v in (scores.get(key, "-") for key in keys)
        ]
        rows.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(rows)
