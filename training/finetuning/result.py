"""What comes out of a tuning run: the report, and the bundle where it reads better than before."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.bundle import MODELS, About, Bundle, load_bundle
from models.records import UsageError
from training.bundle import Limits, make_bundle, size
from training.checkpoint import load_checkpoint
from training.evaluation.comparison import Measured, measure, write_report
from training.export import AGREEMENT, accepted, export, write_model
from training.finetuning.blend import Blend, blended, curve, try_blends
from training.finetuning.sets import Sets
from training.finetuning.wish import Wish
from training.graph import load_trained
from training.tasks.loop import LAST

log = logging.getLogger(__name__)

REPORT = "report"


def conclude(
    wish: Wish, bundle: Bundle, sets: Sets, tuned: Mapping[str, Path], added: Counter[str]
) -> Bundle:
    """Exports, compares before and after, writes the report and the bundle.

    Raises:
        UsageError: a tuned model is no better on the held-out part.
    """
    models = {name: bundle.model_path(getattr(bundle.manifest, name)) for name in MODELS}
    tried = {name: try_blends(best, wish.allowed_loss) for name, best in tuned.items()}
    models |= {name: exported(best, tried[name][-1].share) for name, best in tuned.items()}
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
    facts = _facts(wish, sets, tuned, tried, added)
    write_report(wish.work / REPORT, bundle.manifest.name, about.name, measured, facts)
    for model in tuned:
        share = tried[model][-1].share
        require_better(model, *measured["yours, held out"], share, report=wish.work / REPORT)
    figures = {name: pair[1].pages for name, pair in measured.items() if pair[1].pages}
    files = {name: candidate / f"{name}.onnx" for name in MODELS}
    specs = {name: getattr(load_bundle(candidate).manifest, name) for name in MODELS}
    made = make_bundle(files, about, wish.output, specs=specs, figures=figures, limits=limits)
    shutil.rmtree(candidate)
    return made


def exported(checkpoint: Path, share: float = 1.0) -> Path:
    """Exports a checkpoint beside it: with int8 weights, or as float32 where those would change too much.

    Args:
        checkpoint: of the tuned network, with `start.safetensors` beside it.
        share: how far to go from the old weights to the tuned ones, see `training.finetuning.blend`.

    Raises:
        UsageError: the export says something else than the checkpoint.
    """
    trained = load_trained(checkpoint)
    if share < 1:
        start = load_checkpoint(checkpoint.with_name("start.safetensors")).group("net")
        trained.network.load_state_dict(blended(start, trained.network.state_dict(), share))
    both = export(trained)
    weights = "int8" if both.checked["int8"].agreement >= AGREEMENT else "float32"
    if weights == "float32":
        log.warning("int8 weights would change what the %s model decides: stored as float32", both.model)
    path = checkpoint.with_name(f"{both.model}.onnx")
    write_model(accepted(both, weights), path)
    return path


DECISIVE = {"recognition": "lines, 1-NED", "detection": "detection H-mean", "direction": "direction"}
"""The score that says whether a tuned model is better."""


def require_better(model: str, before: Measured, after: Measured, share: float, report: Path) -> None:
    """Refuses a model that reads their held-out part no better.

    Args:
        model: its name.
        before: how the old bundle reads their held-out part.
        after: how the new one does.
        share: how far it went to the tuned weights.
        report: that says more.

    Raises:
        UsageError: see above.
    """
    score = DECISIVE[model]
    was, is_now = before.scores[score], after.scores[score]
    if is_now <= was:
        short = f"Only {share:g} of the way was gone: give a larger --max_loss. " if share < 1 else ""
        raise UsageError(
            f"the tuned {model} model is no better on your held-out images ({score} {was:.4f} before, "
            f"{is_now:.4f} after), so no bundle was written; {report / 'report.md'} says more. "
            f"{short}Leave it out of --model (no other is trained again), or label more"
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


def _facts(
    wish: Wish,
    sets: Sets,
    tuned: Mapping[str, Path],
    tried: Mapping[str, tuple[Blend, ...]],
    added: Counter[str],
) -> dict[str, Any]:
    """What the report says besides scores."""
    steps = {model: load_checkpoint(path).state["step"] for model, path in tuned.items()}
    taken = {model: load_checkpoint(path.with_name(LAST)).state["step"] for model, path in tuned.items()}
    return {
        "images learnt from": len(sets.yours),
        "images held out": len(sets.held_out),
        "regularization": wish.regularization,
        "loss allowed on made text": wish.allowed_loss,
        **{f"{model}, share of the way: scores on yours, made": curve(own) for model, own in tried.items()},
        "best step": ", ".join(f"{model} {step} of {taken[model]}" for model, step in steps.items()),
        "characters added": " ".join(f"{char} ({count} lines)" for char, count in added.items()) or "none",
    }
