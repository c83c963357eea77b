"""A bundle tuned to somebody's own documents: `ppocr-train finetune`.

Part of their images is held out to stop early by and to report on. The rest is mixed with made text, which
keeps what the bundle knew (prior preservation). Each step leaves its result in the work folder and is not
done again, so the same command goes on where it was stopped.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.bundle import MODELS, About, Bundle, load_bundle
from models.records import UsageError
from training.bundle import Limits, make_bundle, size
from training.checkpoint import load_checkpoint, save_checkpoint
from training.config import Config, apply_override, build_config, merge, read_yaml, to_tree
from training.data.charset import Charset, normalize, read_charset
from training.data.crops import read_image
from training.data.labels import LabelledImage, LabelSet, read_labels, write_labels
from training.data.pack import pack_lines
from training.data.split import hold_out
from training.evaluation.comparison import Measured, measure, write_report
from training.evaluation.labelled import holds_pages
from training.export import AGREEMENT, accepted, export, write_model
from training.graph import load_trained
from training.recover import Start, grow_head, start_from_bundle, start_from_checkpoint
from training.synthesis.command import Plan, write_set
from training.synthesis.fonts import usable_faces
from training.synthesis.pages import MIX
from training.tasks.loop import BEST, LAST, resumed_config, train

log = logging.getLogger(__name__)

MADE, MADE_HELD_OUT = 100, 30
"""Made pages to learn from and to report on."""
SEED, SEED_HELD_OUT = 70_001, 90_501
"""Of the made pages."""
REPORT = "report"


@dataclass(frozen=True, slots=True)
class Wish:
    """What to tune, to what, and how.

    Attributes:
        bundle: name or folder of the bundle to start from.
        labels: label file or folder, see `training.data.labels`.
        output: the new bundle's folder.
        work: folder for sets, checkpoints and the report.
        models: which of `models.bundle.MODELS` to tune.
        name: of the new bundle.
        trained_on: what their data is called in the manifest.
        regularization: share of made text among the samples; 0: none.
        held_out: share of their images that is not learnt from.
        charset: `labels`: what the labels have and the bundle lacks is added; else a charset file or its
            name, whose characters are added.
        freeze: names of layers that stay as they are.
        starts: checkpoints to start from in the place of the bundle's models.
        overrides: `key=value` laid over the configurations.
        workers: processes that make pages and read.
        max_minutes: stop training resumably after so long; 0: never.
    """

    bundle: str
    labels: Path
    output: Path
    work: Path
    models: tuple[str, ...] = ("recognition",)
    name: str = ""
    trained_on: str = ""
    regularization: float = 0.5
    held_out: float = 0.2
    charset: str = "labels"
    freeze: tuple[str, ...] = ()
    starts: tuple[Path, ...] = ()
    overrides: tuple[str, ...] = ()
    workers: int = 1
    max_minutes: float = 0.0


@dataclass(frozen=True, slots=True)
class Sets:
    """The label sets of a run; made ones are empty where there is no font to make them with.

    Attributes:
        yours: to learn from, with the held-out part and its shards in folders of the same names.
        work: where they lie.
    """

    work: Path
    yours: tuple[LabelledImage, ...]
    held_out: tuple[LabelledImage, ...]
    made: bool
    made_held_out: tuple[LabelledImage, ...]

    def labels(self, name: str) -> str:
        """The label file of a set: yours, held_out, made or made_held_out."""
        made = {"made": "made/Label.txt", "made_held_out": "made_held_out/Label.txt"}
        return str(self.work / made.get(name, f"{name}.txt"))

    def shard(self, name: str) -> str:
        """The shard of a set's lines."""
        return str(self.work / f"{name}_lines")


def finetune(wish: Wish) -> Bundle | None:
    """Tunes, reports and writes the new bundle; None where time was up before.

    Raises:
        UsageError: something that was asked for cannot be done, or a tuned model is no better than before.
    """
    if wish.output.exists() and (not wish.output.is_dir() or any(wish.output.iterdir())):
        raise UsageError(f"{wish.output} exists already; name a new folder for the bundle")
    bundle = load_bundle(wish.bundle)
    images = usable_images(wish.labels)
    if "detection" in wish.models and not holds_pages(images):
        raise UsageError(
            f"{wish.labels} holds lines, not pages: a detector learns from Label.txt or ICDAR labels"
        )
    torch.manual_seed(0)
    starts = find_starts(wish, bundle)
    charset = (
        starts["recognition"].charset if "recognition" in starts else bundle.manifest.recognition.charset
    )
    added = new_characters(wish, charset, images) if "recognition" in wish.models else Counter[str]()
    if "recognition" in starts:
        starts["recognition"] = grow_head(starts["recognition"], tuple(added))
    claim(wish, bundle, images)
    sets = prepare(wish, images, bundle.manifest.recognition.charset, (*charset, *added))
    tuned = {}
    for model, start in starts.items():
        config = configure(wish, bundle, model, start, sets)
        best = tune(config, start, wish.work / model, wish.max_minutes)
        if best is None:
            log.info("time is up; the same command goes on")
            return None
        tuned[model] = best
    return conclude(wish, bundle, sets, tuned, added)


def usable_images(labels: Path) -> tuple[LabelledImage, ...]:
    """The images of a label file that can be decoded; what cannot be used is logged.

    Raises:
        UsageError: there are fewer than two.
    """
    found = read_labels(labels)
    for problem in found.problems:
        log.warning("%s: %s %s", problem.kind, problem.where, problem.detail)
    usable = []
    for image in found.images:
        try:
            read_image(image.path)
        except (OSError, ValueError) as error:
            log.warning("left out: %s", error)
        else:
            usable.append(image)
    if len(usable) < 2:
        raise UsageError(f"{labels} has {len(usable)} usable images: ppocr-train data check says why")
    return tuple(usable)


def find_starts(wish: Wish, bundle: Bundle) -> dict[str, Start]:
    """The networks to tune, by model: from `--start` checkpoints, else from the bundle's own files.

    Raises:
        UsageError: a checkpoint is of a model that is not to be tuned, or a network is not known.
    """
    given = dict(start_from_checkpoint(path) for path in wish.starts)
    if extra := sorted(set(given) - set(wish.models)):
        raise UsageError(
            f"--start holds a {extra[0]} checkpoint, but --model asks for {', '.join(wish.models)}"
        )
    return {
        model: given.get(model) or start_from_bundle(bundle, model)
        for model in MODELS
        if model in wish.models
    }


def new_characters(wish: Wish, charset: Sequence[str], images: Sequence[LabelledImage]) -> Counter[str]:
    """Characters to be added, with how many labelled lines have them."""
    known = Charset(tuple(charset))
    texts = [normalize(region.text) for image in images for region in image.regions if not region.ignored]
    seen = Counter(char for text in texts for char in known.missing(text))
    if wish.charset == "labels":
        return Counter(dict(sorted(seen.items())))
    wanted = known.missing("".join(read_charset(wish.charset).characters))
    left_out = sorted(set(seen) - set(wanted))
    if left_out:
        log.warning("lines with %s are left out: --charset lacks them", " ".join(left_out))
    return Counter({char: seen[char] for char in wanted})


def claim(wish: Wish, bundle: Bundle, images: Sequence[LabelledImage]) -> None:
    """Notes in the work folder what it is for, or compares with what stands there.

    Raises:
        UsageError: the folder was begun with other settings or data.
    """
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.path.resolve()} {image.path.stat().st_size} {image.regions}\n".encode())
    settings = {
        "bundle": bundle.id,
        "labels": digest.hexdigest(),
        "models": sorted(wish.models),
        "starts": [str(path) for path in wish.starts],
        "regularization": wish.regularization,
        "held_out": wish.held_out,
        "charset": wish.charset,
        "freeze": list(wish.freeze),
        "overrides": list(wish.overrides),
    }
    path = wish.work / "settings.json"
    if path.is_file():
        before = json.loads(path.read_text("utf-8"))
        other = [key for key in settings if before.get(key) != settings[key]]
        if other:
            raise UsageError(
                f"{wish.work} was begun with other {', '.join(other)}: remove it, or give another --work"
            )
        return
    wish.work.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings, ensure_ascii=False, indent=1) + "\n", "utf-8")


def prepare(
    wish: Wish, images: tuple[LabelledImage, ...], old: tuple[str, ...], new: tuple[str, ...]
) -> Sets:
    """Splits their images, makes pages, packs the lines of all; what is there already stays.

    Args:
        wish: for the shares and the folder.
        images: theirs.
        old: the bundle's characters, which made held-out pages keep to.
        new: the tuned recogniser's, with which made pages are written to learn from.

    Raises:
        UsageError: made text is asked for, and there is no font.
    """
    work = wish.work.resolve()
    yours, held_out = hold_out(images, wish.held_out)
    has_fonts = _has_fonts(old)
    if wish.regularization and not has_fonts:
        raise UsageError(
            "the made text that keeps what the bundle knows needs fonts, and this machine has none: install "
            "some (docs/fonts.txt names the packages), or give --regularization 0 and let it forget"
        )
    if wish.regularization:
        _make(work / "made", Plan("pages", new, SEED, mix=tuple(MIX.items())), MADE, wish.workers)
    if has_fonts:
        plan = Plan("pages", old, SEED_HELD_OUT, mix=tuple(MIX.items()), held_out=_has_fonts(old, True))
        _make(work / "made_held_out", plan, MADE_HELD_OUT, wish.workers)
    made_held_out = read_labels(work / "made_held_out").images if has_fonts else ()
    sets = Sets(work, yours, held_out, bool(wish.regularization), made_held_out)
    write_labels(yours, Path(sets.labels("yours")))
    write_labels(held_out, Path(sets.labels("held_out")))
    _pack(yours, Path(sets.shard("yours")))
    _pack(held_out, Path(sets.shard("held_out")))
    if sets.made:
        _pack(read_labels(work / "made").images, Path(sets.shard("made")))
    if made_held_out:
        _pack(made_held_out, Path(sets.shard("made_held_out")))
    return sets


def _has_fonts(charset: Sequence[str], held_out: bool = False) -> bool:
    try:
        return bool(usable_faces(charset, held_out))
    except UsageError:
        return False


def _make(folder: Path, plan: Plan, count: int, workers: int) -> None:
    if not folder.exists():
        write_set(plan, folder, count, workers)


def _pack(images: tuple[LabelledImage, ...], shard: Path) -> None:
    if shard.exists():
        return
    _, problems = pack_lines(LabelSet(images, ()), shard)
    for problem in problems:
        log.warning("%s: %s %s", problem.kind, problem.where, problem.detail)


def configure(wish: Wish, bundle: Bundle, model: str, start: Start, sets: Sets) -> Config:
    """The configuration of one model's run: `configs/finetune_<model>.yaml`, the bundle's values, the sets.

    Raises:
        UsageError: a setting or a layer to be frozen does not exist.
    """
    tree = merge(
        read_yaml(f"finetune_{model}"), {"data": _DATA[model](bundle, start, sets, wish.regularization)}
    )
    tree["network"] = {"name": start.network.name, "options": start.network.options}
    tree["pretrained"] = str(wish.work.resolve() / model / "start.safetensors")
    tree["freeze"] = frozen(wish.freeze, start)
    for override in wish.overrides:
        apply_override(tree, override)
    return build_config(tree)


def frozen(names: Sequence[str], start: Start) -> list[str]:
    """Patterns of the parameters of layers given by name.

    Raises:
        UsageError: there is no such layer.
    """
    for name in names:
        if not any(key == name or key.startswith(f"{name}.") for key in start.weights):
            layers = dict.fromkeys(".".join(key.split(".")[:2]) for key in start.weights)
            raise UsageError(
                f"--freeze {name}: no such layer; there are {', '.join(layers)} and those below them"
            )
    return [pattern for name in names for pattern in (name, f"{name}.*")]


def _recognition_data(bundle: Bundle, start: Start, sets: Sets, made: float) -> dict[str, Any]:
    spec = bundle.manifest.recognition
    lines = [{"shard": sets.shard("made"), "weight": made / 2}, {"weight": made / 2, "seed": SEED}]
    dev = [{"name": "yours", "shard": sets.shard("held_out")}]
    if sets.made_held_out:
        dev.append({"name": "made", "shard": sets.shard("made_held_out"), "every": 2})  # type: ignore[dict-item]
    return {
        "charset": "=" + "".join(start.charset),
        "shape": {"height": spec.height, "widths": list(spec.widths), "color": spec.color},
        "sources": [{"shard": sets.shard("yours"), "weight": 1 - made}, *(lines if made else [])],
        "dev": dev,
    }


def _direction_data(bundle: Bundle, start: Start, sets: Sets, made: float) -> dict[str, Any]:
    spec = bundle.manifest.direction
    data = _recognition_data(
        bundle, dataclasses.replace(start, charset=bundle.manifest.recognition.charset), sets, made
    )
    shape = {"height": spec.height, "width": spec.width, "color": spec.color, "threshold": spec.threshold}
    return {**shape, **{key: data[key] for key in ("charset", "sources", "dev")}}


def _detection_data(bundle: Bundle, start: Start, sets: Sets, made: float) -> dict[str, Any]:
    spec = bundle.manifest.detection
    if spec.limit_side != "longest":
        raise UsageError("a detector whose limit_side is not 'longest' cannot be tuned")
    dev = [{"name": "yours", "labels": sets.labels("held_out")}]
    if sets.made_held_out:
        dev.append({"name": "made", "labels": sets.labels("made_held_out"), "every": 4})  # type: ignore[dict-item]
    own = {"labels": sets.labels("yours"), "weight": 1 - made}
    return {
        "charset": "=",
        "sources": [own, *([{"labels": sets.labels("made"), "weight": made}] if made else [])],
        "dev": dev,
        "warp": {"limit": spec.limit},
        "pixels": {"mean": list(spec.mean), "std": list(spec.std)},
        "post": {key: getattr(spec, key) for key in ("limit", "threshold", "box_threshold", "unclip_ratio")},
    }


_DATA = {"recognition": _recognition_data, "direction": _direction_data, "detection": _detection_data}


def tune(config: Config, start: Start, folder: Path, max_minutes: float) -> Path | None:
    """Trains until the held-out score no longer rises; gives the best checkpoint, None where time was up."""
    pretrained = Path(config.pretrained)
    if not pretrained.exists():
        network = {"name": start.network.name, "options": start.network.options}
        state = {"step": 0, "config": to_tree(config), "network": network, "charset": "".join(start.charset)}
        save_checkpoint(pretrained, {f"net.{name}": value for name, value in start.weights.items()}, state)
    resume = (folder / LAST).exists()
    if not resume or not finished(folder):
        train(
            resumed_config(folder, []) if resume else config, folder, resume=resume, max_minutes=max_minutes
        )
    return folder / BEST if finished(folder) else None


def finished(folder: Path) -> bool:
    """Whether a run has taken all its steps, or stopped early."""
    state = load_checkpoint(folder / LAST).state
    patience = state["config"].get("patience", 0)
    return bool(state["step"] >= state["config"]["steps"] or 0 < patience <= state["stale"])


def conclude(
    wish: Wish, bundle: Bundle, sets: Sets, tuned: Mapping[str, Path], added: Counter[str]
) -> Bundle:
    """Exports, compares before and after, writes the report and the bundle.

    Raises:
        UsageError: a tuned model is no better on the held-out part.
    """
    models = {name: bundle.model_path(getattr(bundle.manifest, name)) for name in MODELS}
    models |= {name: exported(best) for name, best in tuned.items()}
    kept = {name: getattr(bundle.manifest, name) for name in MODELS if name not in tuned}
    settings = {
        f"{model}.{key}": value
        for model in tuned
        for key, value in dataclasses.asdict(getattr(bundle.manifest, model)).items()
        if key not in ("file", "sha256", "charset", "output")
    }
    limits = Limits(max_bytes=8 * size(bundle), least_words=0.0)  # the report says how well it reads
    about = about_tuned(wish, bundle, len(sets.yours) + len(sets.held_out))
    candidate = wish.work / "candidate"
    shutil.rmtree(candidate, ignore_errors=True)
    make_bundle(models, about, candidate, specs=kept, overrides=settings, limits=limits)
    parts = {"yours, held out": sets.held_out, "made, held out": sets.made_held_out}
    measured = {
        name: (measure(wish.bundle, images, wish.workers), measure(candidate, images, wish.workers))
        for name, images in parts.items()
        if images
    }
    write_report(
        wish.work / REPORT, bundle.manifest.name, about.name, measured, _facts(wish, sets, tuned, added)
    )
    for model in tuned:
        require_better(model, *measured["yours, held out"], report=wish.work / REPORT)
    figures = {name: pair[1].pages for name, pair in measured.items() if pair[1].pages}
    files = {name: candidate / f"{name}.onnx" for name in MODELS}
    specs = {name: getattr(load_bundle(candidate).manifest, name) for name in MODELS}
    made = make_bundle(files, about, wish.output, specs=specs, figures=figures, limits=limits)
    shutil.rmtree(candidate)
    return made


def exported(checkpoint: Path) -> Path:
    """Exports a checkpoint beside it: with int8 weights, or as float32 where those would change too much.

    Raises:
        UsageError: the export says something else than the checkpoint.
    """
    both = export(load_trained(checkpoint))
    weights = "int8" if both.checked["int8"].agreement >= AGREEMENT else "float32"
    if weights == "float32":
        log.warning("int8 weights would change what the %s model decides: stored as float32", both.model)
    path = checkpoint.with_name(f"{both.model}.onnx")
    write_model(accepted(both, weights), path)
    return path


DECISIVE = {"recognition": "lines, 1-NED", "detection": "detection H-mean", "direction": "direction"}
"""The score that says whether a tuned model is better."""


def require_better(model: str, before: Measured, after: Measured, report: Path) -> None:
    """Refuses a model that reads their held-out part no better.

    Raises:
        UsageError: see above.
    """
    score = DECISIVE[model]
    was, is_now = before.scores[score], after.scores[score]
    if is_now <= was:
        raise UsageError(
            f"the tuned {model} model is no better on your held-out images ({score} {was:.4f} before, "
            f"{is_now:.4f} after), so no bundle was written; {report / 'report.md'} says more. Leave it out "
            "of --model, or label more"
        )


def about_tuned(wish: Wish, bundle: Bundle, images: int) -> About:
    """What the new manifest says of the whole: the old one's, and what was added."""
    old = bundle.manifest
    own = f"{wish.trained_on or wish.labels.resolve().name} ({images} images)"
    made = ("made lines and pages",) if wish.regularization else ()
    return About(
        name=wish.name or wish.output.name,
        license=old.license,
        languages=old.languages,
        trained_on=tuple(dict.fromkeys((*old.trained_on, *made, own))),
        description=f"The bundle `{old.name}`, its {' and '.join(wish.models)} model tuned on {own}.",
        source=f"{old.name} {bundle.id[:12]}, tuned by ppocr-train finetune",
    )


def _facts(wish: Wish, sets: Sets, tuned: Mapping[str, Path], added: Counter[str]) -> dict[str, Any]:
    """What the report says besides scores."""
    steps = {model: load_checkpoint(path).state["step"] for model, path in tuned.items()}
    taken = {model: load_checkpoint(path.with_name(LAST)).state["step"] for model, path in tuned.items()}
    return {
        "images learnt from": len(sets.yours),
        "images held out": len(sets.held_out),
        "regularization": wish.regularization,
        "best step": ", ".join(f"{model} {step} of {taken[model]}" for model, step in steps.items()),
        "characters added": " ".join(f"{char} ({count} lines)" for char, count in added.items()) or "none",
    }
