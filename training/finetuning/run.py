"""A tuning run from wish to bundle.

Part of their images is held out to stop early by and to report on. The rest is mixed with made text, which
keeps what the bundle knew (prior preservation). Each step leaves its result in the work folder and is not
done again, so the same command goes on where it was stopped.
"""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import torch

from models.bundle import MODELS, Bundle, load_bundle
from models.records import UsageError
from training.checkpoint import load_checkpoint
from training.config import Config
from training.evaluation.labelled import holds_pages
from training.evaluation.readings import truth_of
from training.finetuning.configure import configure
from training.finetuning.result import conclude
from training.finetuning.sets import Sets, new_characters, prepare, usable_images
from training.finetuning.wish import Wish, claim_work
from training.recover import Start, grow_head, save_start, start_from_bundle, start_from_checkpoint
from training.tasks.loop import BEST, LAST, resumed_config, train
from training.tasks.system import check_choices

log = logging.getLogger(__name__)


def finetune(wish: Wish) -> Bundle | None:
    """Tunes, reports and writes the new bundle; None where time was up before.

    Raises:
        UsageError: something that was asked for cannot be done, or a tuned model is no better than before.
    """
    if wish.output.exists() and (not wish.output.is_dir() or any(wish.output.iterdir())):
        raise UsageError(f"{wish.output} exists already; name a new folder for the bundle")
    bundle = load_bundle(wish.bundle)
    if bundle.manifest.second is not None:
        raise UsageError(f"{wish.bundle} has two recognisers: tune a bundle with one, and compose it anew")
    images = usable_images(wish.labels)
    if "detection" in wish.models and not holds_pages(images):
        raise UsageError(
            f"{wish.labels} holds lines, not pages: a detector learns from Label.txt or ICDAR labels"
        )
    if holds_pages(images):
        truth_of(images)  # names that occur twice would stop the report, when all is trained
    torch.manual_seed(0)
    starts, paths = find_starts(wish, bundle)
    charset = (
        starts["recognition"].charset if "recognition" in starts else bundle.manifest.recognition.charset
    )
    added = new_characters(wish, charset, images) if "recognition" in wish.models else Counter[str]()
    if "recognition" in starts:
        before = starts["recognition"]
        starts["recognition"] = grow_head(before, tuple(added))
    planned = Sets(wish.work.resolve(), images, images, bool(wish.regularization), images)
    for model, start in starts.items():  # a misspelt setting or layer is told before pages are made
        check_choices(configure(wish, bundle, model, start, planned))
    claim_work(wish, bundle, images, paths)
    sets = prepare(wish, images, bundle.manifest.recognition.charset, (*charset, *added))
    tuned = {}
    for model, start in starts.items():
        config = configure(wish, bundle, model, start, sets)
        save_start(start, config, Path(config.pretrained))
        if model == "recognition" and config.data.before:
            save_start(before, config, Path(config.data.before))
        best = tune(config, wish.work / model, wish.max_minutes)
        if best is None:
            log.info("time is up; the same command goes on")
            return None
        tuned[model] = best
    return conclude(wish, bundle, sets, tuned, added)


def find_starts(wish: Wish, bundle: Bundle) -> tuple[dict[str, Start], dict[str, Path]]:
    """The networks to tune, by model: from `--start` checkpoints, else from the bundle's own files.

    Returns:
        The networks, and the checkpoints of those that come from one.

    Raises:
        UsageError: a checkpoint is of a model that is not to be tuned, or a network is not known.
    """
    given, paths = dict[str, Start](), dict[str, Path]()
    for path in wish.starts:
        model, start = start_from_checkpoint(path)
        given[model], paths[model] = start, path
    if extra := sorted(set(given) - set(wish.models)):
        raise UsageError(
            f"--start holds a {extra[0]} checkpoint, but --model asks for {', '.join(wish.models)}"
        )
    starts = {
        model: given.get(model) or start_from_bundle(bundle, model)
        for model in MODELS
        if model in wish.models
    }
    return starts, paths


def tune(config: Config, folder: Path, max_minutes: float) -> Path | None:
    """Trains until the held-out score no longer rises; gives the best checkpoint, None where time was up."""
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
