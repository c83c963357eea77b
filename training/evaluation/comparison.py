"""Two bundles on the same labelled images, before and after: a report in Markdown, JSON and pictures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2

from models.bundle import Bundle, load_bundle
from models.options import DEFAULTS
from models.reader import ReadOptions, detector
from models.records import Line
from training.data.crops import read_image
from training.data.labels import LabelledImage
from training.evaluation.labelled import holds_pages, labelled_lines, labelled_page
from training.evaluation.lines import Pair, direction_scores, line_score, read_lines
from training.evaluation.readings import read_images, texts_of, truth_of
from training.evaluation.scoring import Tally, Text, normal, tallies
from training.evaluation.sheet import differences, marked

WORST_LINES, WORST_PAGES = 20, 4


@dataclass(frozen=True, slots=True)
class Measured:
    """How a bundle reads a set of labelled images.

    Attributes:
        images: the set.
        scores: by name, each 0 to 1; of whole pages only where the labels have places.
        lines: cut out as labelled, with their pixels.
        pairs: each line's label and what was read.
        pages: counts and scores of whole pages, as `ppocr-train evaluate` gives them; empty for lines.
        tallies: the same, page by page.
        read: the texts on each page.
    """

    images: tuple[LabelledImage, ...]
    scores: dict[str, float]
    lines: list[Line]
    pairs: list[Pair]
    pages: dict[str, Any]
    tallies: dict[str, Tally]
    read: dict[str, list[Text]]


Comparison = tuple[Measured, Measured]
"""Before and after."""


def measure(name_or_folder: str | Path, images: tuple[LabelledImage, ...], workers: int = 1) -> Measured:
    """Reads a set through the job's own stages: its lines as labelled, and where it holds pages, those.

    Args:
        name_or_folder: of the bundle.
        images: the set.
        workers: processes that read pages.
    """
    bundle = load_bundle(name_or_folder)
    lines = list(labelled_lines(images, bundle.manifest.recognition))
    pairs = read_lines(bundle, lines)
    scores = _scores_of_lines(pairs) | _scores_of_direction(bundle, images, lines)
    if not holds_pages(images):
        return Measured(images, scores, lines, pairs, {}, {}, {})
    truth = truth_of(images)
    paths = [image.path for image in images]
    read = texts_of(dict(read_images(name_or_folder, paths, ReadOptions(), workers)))
    counts = tallies(truth, read)
    total = sum(counts.values(), Tally()).score
    pages = {"images": len(images), **asdict(total)}
    scores |= {**_scores_of_detection(bundle, images), "word F1": total.words}
    return Measured(images, scores, lines, pairs, pages, counts, read)


def score_model(
    name_or_folder: str | Path, model: str, images: tuple[LabelledImage, ...]
) -> dict[str, float]:
    """Those of `measure`'s scores that say how good one of a bundle's models is, whatever the others are.

    Args:
        name_or_folder: of the bundle.
        model: one of `models.bundle.MODELS`; for detection the set must hold pages.
        images: the set.
    """
    bundle = load_bundle(name_or_folder)
    if model == "detection":
        return _scores_of_detection(bundle, images)
    lines = list(labelled_lines(images, bundle.manifest.recognition))
    if model == "direction":
        return _scores_of_direction(bundle, images, lines)
    return _scores_of_lines(read_lines(bundle, lines))


def _scores_of_lines(pairs: list[Pair]) -> dict[str, float]:
    score = line_score(pairs)
    return {"lines, exact": score.exact, "lines, 1-NED": score.similarity}


def _scores_of_direction(
    bundle: Bundle, images: tuple[LabelledImage, ...], lines: list[Line]
) -> dict[str, float]:
    turned = list(labelled_lines(images, bundle.manifest.recognition, turned=True))
    return {"direction": direction_scores(bundle, lines, turned)["accuracy"]}


def _scores_of_detection(bundle: Bundle, images: tuple[LabelledImage, ...]) -> dict[str, float]:
    # Of the regions as they are found: the recogniser drops some and cuts others at cells.
    find, found = detector(bundle, DEFAULTS), {}
    for image in images:
        (page,) = find([labelled_page(image)])
        found[image.path.name] = [Text(line.polygon.tolist(), "") for line in page.lines]
    total = sum(tallies(truth_of(images), found).values(), Tally()).score
    return {"detection H-mean": total.detection or 0.0}


def write_report(
    folder: Path,
    before: str,
    after: str,
    sets: Mapping[str, Comparison],
    facts: Mapping[str, Any],
    advice: Sequence[str] = (),
) -> None:
    """Writes `report.md`, `report.json` and the pictures of the worst cases of the first set, anew.

    Args:
        folder: to write to.
        before: name of the one bundle.
        after: name of the other.
        sets: names of the sets and how both read them; the first is the one that counts.
        facts: what else is to be said, by name.
        advice: what the user may want to do otherwise, a paragraph each.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    values = {
        "before": before,
        "after": after,
        **facts,
        "scores": {name: {"before": a.scores, "after": b.scores} for name, (a, b) in sets.items()},
    }
    (folder / "report.json").write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", "utf-8")
    parts = [
        f"# {after}, from {before}",
        table(sets),
        *(f"- {name}: {value}" for name, value in facts.items()),
        *(f"\n{paragraph}" for paragraph in advice),
    ]
    name, pair = next(iter(sets.items()))
    parts += [f"\n## Worst lines of: {name}", worst_lines(folder, *pair)]
    if pair[1].pages:
        parts += [f"\n## Worst pages of: {name}", worst_pages(folder, *pair)]
    (folder / "report.md").write_text("\n".join(parts) + "\n", "utf-8")


def table(sets: Mapping[str, Comparison]) -> str:
    """The scores, before and after, as a Markdown table."""
    rows = ["", "| set | | before | after |", "|---|---|---|---|"]
    for name, (before, after) in sets.items():
        count = f"{name}: {len(after.lines)} lines"
        for score, value in after.scores.items():
            rows.append(f"| {count} | {score} | {before.scores[score]:.4f} | {value:.4f} |")
            count = ""
    return "\n".join([*rows, ""])


def worst_lines(folder: Path, before: Measured, after: Measured) -> str:
    """The lines that are read worst after, with their pictures, labels and both readings."""
    wrong = [i for i, (label, read) in enumerate(after.pairs) if normal(label, False) != normal(read, False)]
    wrong.sort(key=lambda i: line_score([after.pairs[i]]).similarity)
    rows = ["", "| line | label | before | after |", "|---|---|---|---|"]
    for number, i in enumerate(wrong[:WORST_LINES]):
        crop = after.lines[i].crop
        assert crop is not None  # for the type checker: `labelled_lines` cuts them out
        cv2.imwrite(str(folder / f"line_{number:02d}.png"), crop)
        texts = (after.pairs[i][0], before.pairs[i][1], after.pairs[i][1])
        rows.append(f"| ![](line_{number:02d}.png) | {' | '.join(map(_cell, texts))} |")
    return "\n".join([*rows, ""]) if wrong else "All lines are read without a mistake."


def worst_pages(folder: Path, before: Measured, after: Measured) -> str:
    """The pages that are read worst after, with what is wrong on them marked in their pictures."""
    truth = truth_of(after.images)
    paths = {image.path.name: image.path for image in after.images}
    worst = sorted(after.tallies, key=lambda name: after.tallies[name].score.words)[:WORST_PAGES]
    parts = ["\nOrange: read wrongly. Red: not found. Violet: found where nothing is labelled.\n"]
    for number, name in enumerate(worst):
        wrong = differences(truth[name], after.read.get(name, []), fold=False)
        cv2.imwrite(str(folder / f"page_{number}.png"), marked(read_image(paths[name]), wrong))
        was, now = (each.tallies[name].score.words for each in (before, after))
        parts.append(f"{name}: word F1 {was:.3f} before, {now:.3f} after\n\n![](page_{number}.png)\n")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return f"`{text.replace('|', '¦').replace('`', '´')}`" if text else "-"
