"""The sets that a tuning run learns from and is scored on: theirs, and made ones."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.records import UsageError
from training.data.charset import Charset, normalize, read_charset
from training.data.crops import read_image
from training.data.labels import LabelledImage, LabelSet, read_labels, write_labels
from training.data.pack import pack_lines
from training.data.split import hold_out
from training.finetuning.wish import Wish
from training.synthesis.command import Plan, write_set
from training.synthesis.fonts import usable_faces
from training.synthesis.pages import MIX

log = logging.getLogger(__name__)

MADE, MADE_HELD_OUT = 300, 30
"""Made pages to learn from and to report on."""
SEED, SEED_HELD_OUT = 70_001, 90_501
"""Of the made pages."""


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
