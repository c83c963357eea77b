"""Medians of the rounds as a table, as JSON and as a bar chart."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from statistics import median

from PIL import Image, ImageDraw, ImageFont

from benchmarks.rounds import Result
from training.evaluation.scoring import Score

OURS = "ppocr-beam"
"""What the titles of this project's rows begin with."""


@dataclass(frozen=True, slots=True)
class Row:
    """One engine over all rounds.

    Attributes:
        title: what the reader calls it.
        ours: whether it is this project.
        rate: images a second, start-up counted out; median.
        slowest: the slowest round's.
        fastest: the fastest round's.
        ratio: how many times as fast ours is: median over the rounds of the ratio within a round.
        start: seconds of start-up; median.
        rate_with_start: images a second, start-up counted in; median.
        megabytes: of its models.
        peak_megabytes: most resident memory.
        score: what it read, against labels; None without labels.
    """

    title: str
    ours: bool
    rate: float
    slowest: float
    fastest: float
    ratio: float
    start: float
    rate_with_start: float
    megabytes: float
    peak_megabytes: float
    score: Score | None


def summarize(
    title: str, results: Sequence[Result], ours: Sequence[Result], megabytes: float, score: Score | None
) -> Row:
    """One engine's rounds as a row; `ours` are this project's results in the same rounds."""
    rates = [result.rate for result in results]
    return Row(
        title=title,
        ours=title.startswith(OURS),
        rate=median(rates),
        slowest=min(rates),
        fastest=max(rates),
        ratio=median(our.rate / result.rate for our, result in zip(ours, results, strict=True)),
        start=median(result.start for result in results),
        rate_with_start=median(result.rate_with_start for result in results),
        megabytes=megabytes,
        peak_megabytes=max(result.peak_bytes for result in results) / 1e6,
        score=score,
    )


HEADER = (
    "engine", "images/s (spread)", "ours is", "start-up s", "images/s with it", "word F1", "H-mean",
    "models MB", "peak MB",
)  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """Markdown, a line for each of `rows` in their order."""
    lines = [line(HEADER), line(["---"] * len(HEADER))]
    for row in rows:
        lines.append(
            line(
                [
                    row.title,
                    f"{row.rate:.2f} ({row.slowest:.2f} to {row.fastest:.2f})",
                    f"{row.ratio:.2f} x",
                    f"{row.start:.1f}",
                    f"{row.rate_with_start:.2f}",
                    share(row.score.words if row.score else None),
                    share(row.score.end_to_end if row.score else None),
                    f"{row.megabytes:.1f}",
                    f"{row.peak_megabytes:.0f}",
                ]
            )
        )
    return "\n".join(lines)


def compared(ours: Sequence[Result], bare: Sequence[float]) -> str:
    """A sentence on what of the bare limit the job reaches, round by round.

    Args:
        ours: the rounds of the job.
        bare: images a second of the inference alone, in the same rounds.
    """
    shares = sorted(result.rate / limit for result, limit in zip(ours, bare, strict=True))
    return (
        f"Inference alone, on the same tensors: {median(bare):.2f} images/s; "
        f"ours is {median(shares):.0%} of it ({shares[0]:.0%} to {shares[-1]:.0%})."
    )


def share(value: float | None) -> str:
    """A ratio of 0 to 1, or a dash."""
    return "-" if value is None else f"{value:.3f}"


def line(cells: Sequence[str]) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def write_json(rows: Sequence[Row], bare: Sequence[float], about: str, path: Path) -> None:
    """Everything in the table, the inference alone in each round, and what it was measured on."""
    content = {
        "about": about,
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {"cpu": _cpu(), "system": platform.platform(), "python": platform.python_version()},
        "onnxruntime": version("onnxruntime"),
        "inference_alone_images_per_second": list(bare),
        "engines": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def draw_chart(rows: Sequence[Row], about: str, path: Path) -> None:
    """A bar an engine, as long as its images a second; ours in colour."""
    width, left, bar, gap, top = 1200, 480, 34, 22, 70
    image = Image.new("RGB", (width, top + len(rows) * (bar + gap) + 20), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(20)
    draw.text((20, 20), f"Images per second, {about}", "#222222", font)
    scale = (width - left - 260) / max(row.rate for row in rows)
    for i, row in enumerate(rows):
        y = top + i * (bar + gap)
        right = left + max(2, round(row.rate * scale))
        draw.text((left - 12, y + bar / 2), row.title, "#222222", font, anchor="rm")
        draw.rectangle((left, y, right, y + bar), "#2266cc" if row.ours else "#b8bec8")
        words = f"   word F1 {row.score.words:.3f}" if row.score else ""
        draw.text((right + 10, y + bar / 2), f"{row.rate:.2f}{words}", "#222222", font, anchor="lm")
    image.save(path)
