"""What comes out of a tuning run: the report, and the bundle where it reads better than before."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.bundle import MODELS, WHICH_FILE, About, Bundle, load_bundle
from models.language import language_in
from models.records import UsageError
from training.bundle import Limits, make_bundle, size
from training.checkpoint import load_checkpoint
from training.evaluation.comparison import Measured, measure, score_model, write_report
from training.export import AGREEMENT, accepted, export, write_model
from training.finetuning.blend import SHARES, Blend, advice, blended, curve, lost, walk_back
from training.finetuning.sets import Sets
from training.finetuning.wish import Wish
from training.graph import load_trained
from training.tasks.loop import LAST

log = logging.getLogger(__name__)

REPORT = "report"
DECISIVE = {"recognition": "lines, 1-NED", "detection": "detection H-mean", "direction": "direction"}
"""Of `measure`'s scores the one that says whether a tuned model is better."""
KEPT = {**DECISIVE, "recognition": "lines, exact"}
"""The one that must not fall on made pages."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The bundle with other files in the place of some of its models, in the work folder.

    Attributes:
        wish: what is tuned to what.
        bundle: the one to start from.
        about: of the new one.
    """

    wish: Wish
    bundle: Bundle
    about: About

    @property
    def limits(self) -> Limits:
        """Of the new bundle: the report says how well it reads."""
        return Limits(max_bytes=8 * size(self.bundle), least_words=0.0)

    def put_together(self, tuned: Mapping[str, Path]) -> Path:
        """Its folder, with the exported models given by name, and the bundle's own for the others."""
        manifest, folder = self.bundle.manifest, self.wish.work / "candidate"
        shutil.rmtree(folder, ignore_errors=True)
        models = {name: self.bundle.model_path(getattr(manifest, name)) for name in MODELS}
        kept = {name: getattr(manifest, name) for name in MODELS if name not in tuned}
        settings = {
            f"{model}.{key}": value
            for model in tuned
            for key, value in dataclasses.asdict(getattr(manifest, model)).items()
            if key not in (*WHICH_FILE, "charset", "output")
        }
        make_bundle(
            {**models, **tuned},
            self.about,
            folder,
            specs=kept,
            overrides=settings,
            language=language_in(models["recognition"]) if "recognition" in tuned else None,
            limits=self.limits,
        )
        return folder


def report_folder(wish: Wish) -> Path:
    """Where the report is: each output of a work folder has its own."""
    return wish.work / REPORT / wish.output.name


def conclude(
    wish: Wish, bundle: Bundle, sets: Sets, tuned: Mapping[str, Path], added: Counter[str]
) -> Bundle:
    """Exports, compares before and after, writes the report and the bundle.

    Raises:
        UsageError: a tuned model is no better on the held-out part.
    """
    candidate = Candidate(wish, bundle, about_tuned(wish, bundle, len(sets.yours)))
    tried = {name: choose_share(candidate, sets, name, best) for name, best in tuned.items()}
    chosen = {name: exported(best, tried[name][-1].share) for name, best in tuned.items()}
    for name, file in chosen.items():
        if file.weights != "int8":
            log.warning(
                "int8 weights would change what the %s model decides: stored as %s", name, file.weights
            )
    folder = candidate.put_together({name: file.path for name, file in chosen.items()})
    parts = {"yours, held out": sets.held_out, "made, held out": sets.made_held_out}
    measured = {
        name: (measure(wish.bundle, images, wish.workers), measure(folder, images, wish.workers))
        for name, images in parts.items()
        if images
    }
    facts = _facts(wish, sets, tuned, tried, added)
    report = report_folder(wish)
    advised = [advice(name, own, wish.allowed_loss, wish.work) for name, own in tried.items()]
    write_report(report, bundle.manifest.name, candidate.about.name, measured, facts, advised)
    for model in tuned:
        share = tried[model][-1].share
        require_better(model, *measured["yours, held out"], share, report=report)
    figures = {name: pair[1].pages for name, pair in measured.items() if pair[1].pages}
    files = {name: folder / f"{name}.onnx" for name in MODELS}
    specs = {name: getattr(load_bundle(folder).manifest, name) for name in MODELS}
    made = make_bundle(
        files, candidate.about, wish.output, specs=specs, figures=figures, limits=candidate.limits
    )
    shutil.rmtree(folder)
    return made


def choose_share(candidate: Candidate, sets: Sets, model: str, checkpoint: Path) -> tuple[Blend, ...]:
    """How far one model goes to its tuned weights, by what the job would read with it.

    Args:
        candidate: to try it in; the other models are the bundle's own.
        sets: what it is scored on. Without made images nothing but all the way is tried.
        model: its name.
        checkpoint: the best one of its run, with `start.safetensors` beside it.

    Returns:
        See `walk_back`. The old network is the bundle's, also where the way begins at a `--start` checkpoint.
    """
    wish, asked = candidate.wish, list[float]()
    images = len(sets.held_out) + len(sets.made_held_out)
    log.info(
        "%s: how far to go is chosen by reading %d images up to %d times", model, images, len(SHARES) + 1
    )

    def ask(share: float) -> Blend:
        start = time.monotonic()
        folder = candidate.put_together({model: exported(checkpoint, share).path}) if share else wish.bundle
        yours, made = (
            score_model(folder, model, images) if images else {}
            for images in (sets.held_out, sets.made_held_out)
        )
        tried = Blend(share, yours[DECISIVE[model]], made.get(KEPT[model], 0.0))
        asked.append(time.monotonic() - start)
        log.info(
            "%s, %g of the way: yours %.4f, made %.4f (%d of at most %d, %.0f s each)",
            model, share, tried.yours, tried.made, len(asked), len(SHARES) + 1, sum(asked) / len(asked),
        )  # fmt: skip
        return tried

    tried = walk_back(ask, wish.allowed_loss)
    if lost(tried) > wish.allowed_loss:
        log.warning(
            "even %g of the way the %s model loses %.4f on made text, more than --max_loss %g allows",
            tried[-1].share, model, lost(tried), wish.allowed_loss,
        )  # fmt: skip
    return tried


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model's file, and how its weights are stored: `int8`, `float16` or `float32`."""

    path: Path
    weights: str


def exported(checkpoint: Path, share: float = 1.0) -> ModelFile:
    """Exports a checkpoint beside it: with int8 weights, or wider ones where those would change too much.

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
    made = export(trained)
    weights = next(
        (name for name in ("int8", "float16") if made.checked[name].agreement >= AGREEMENT), "float32"
    )
    path = checkpoint.with_name(f"{made.model}.onnx")
    write_model(accepted(made, weights), path)
    return ModelFile(path, weights)


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
