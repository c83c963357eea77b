"""What is to be tuned, to what and how; and that a work folder is for one wish alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.bundle import Bundle
from training.claim import claim
from training.data.labels import LabelledImage
from training.finetuning import ALLOWED_LOSS


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
        max_loss: what the tuned models may lose on made text: the weights go as far to the tuned ones as that
            allows. Not bound to a work folder. None: `ALLOWED_LOSS` where made text is learnt, else all.
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
    max_loss: float | None = None
    starts: tuple[Path, ...] = ()
    overrides: tuple[str, ...] = ()
    workers: int = 1
    max_minutes: float = 0.0

    @property
    def allowed_loss(self) -> float:
        """`max_loss` in force: who learns no made text lets the bundle forget it."""
        if self.max_loss is not None:
            return self.max_loss
        return ALLOWED_LOSS if self.regularization else 1.0


def claim_work(
    wish: Wish, bundle: Bundle, images: Sequence[LabelledImage], starts: Mapping[str, Path]
) -> None:
    """Notes in the work folder what it is for, or compares with what stands there.

    Which models are tuned is not bound to it: each has a folder of its own there, bound to its start, so that
    one that got no better can be left out, and the others are not trained again.

    Args:
        wish: what to tune.
        bundle: the one to start from.
        images: theirs.
        starts: the checkpoints of `wish.starts`, by model.

    Raises:
        UsageError: the folder was begun with other settings or data.
    """
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.path.resolve()} {image.path.stat().st_size} {image.regions}\n".encode())
    settings = {
        "bundle": bundle.id,
        "labels": digest.hexdigest(),
        "regularization": wish.regularization,
        "held_out": wish.held_out,
        "charset": wish.charset,
        "freeze": list(wish.freeze),
        "overrides": list(wish.overrides),
    }
    claim(wish.work, settings, "--work")
    for model in wish.models:
        claim(wish.work / model, {"start": str(starts.get(model, ""))}, "--work")
