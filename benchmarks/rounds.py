"""Runs the engines in turn, round after round, on the same images.

A machine's speed drifts over minutes, so engines are compared within a round, and rounds are repeated.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.engines import Peer
from benchmarks.process import run
from training.evaluation.scoring import Text

LONG_ENOUGH_S = 40.0
"""What a run of ours takes at least, start-up aside: its workers end a second or two apart."""
BARE_S = 12.0
"""Seconds that each process of the bare limit spends in the engine at least, before ours and after it."""


@dataclass(frozen=True, slots=True)
class Result:
    """One engine in one round.

    Attributes:
        rate: images a second, start-up counted out.
        start: seconds of start-up: loading, and whatever else does not grow with the images.
        rate_with_start: images a second, from the start of the process to its end.
        peak_bytes: most resident memory.
        texts: what was read, by image name.
    """

    rate: float
    start: float
    rate_with_start: float
    peak_bytes: int
    texts: dict[str, list[Text]]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a round runs on.

    Attributes:
        images: the images, in a folder of their own.
        scratch: a folder for outputs.
        cores: cores that an engine may use.
    """

    images: Sequence[Path]
    scratch: Path
    cores: int

    def listing(self, name: str, images: Sequence[Path]) -> Path:
        """A file that names images, one a line."""
        path = self.scratch / f"{name}.txt"
        path.write_text("\n".join(map(str, images)), encoding="utf-8")
        return path


def copies(images: Sequence[Path], times: int, folder: Path) -> list[Path]:
    """The images, and each of them under so many names in all, those besides its own in a folder."""
    folder.mkdir(exist_ok=True)
    found = list(images)
    for number in range(1, times):
        for image in images:
            copy = folder / f"copy{number}-{image.name}"
            if not copy.exists():
                os.link(image, copy)
            found.append(copy)
    return found


def run_peer(peer: Peer, python: Path, setting: Setting) -> Result:
    """Another engine, in a process of its own; the time to its first image read is its start-up."""
    out = setting.scratch / f"{peer.name}.jsonl"
    script = Path(__file__).with_name("peer.py")
    listing = setting.listing("all", setting.images)
    done = run([str(python), str(script), peer.name, str(listing), str(out)], setting.cores)
    seconds = json.loads(done.stdout.splitlines()[-1])["seconds"]
    rows = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    texts = {row["image"]: [Text(corners, text) for corners, text in row["lines"]] for row in rows}
    count = len(setting.images)
    return Result(count / seconds, done.seconds - seconds, count / done.seconds, done.peak_bytes, texts)


def run_ours(bundle: str, python: Path, setting: Setting) -> Result:
    """The whole job.

    A job over a few images, one a worker, costs start-up and those; what one over all costs more is the rate.
    The images are read as many times over as it takes for that to be `LONG_ENOUGH_S`.

    Raises:
        RuntimeError: the job failed.
    """
    few = list(setting.images[: setting.cores])
    short = run(_job(bundle, python, few, setting), setting.cores)
    times = 0
    more = 0.0
    while more < LONG_ENOUGH_S:
        times = max(times + 1, math.ceil(1.1 * times * LONG_ENOUGH_S / max(more, 1.0)))
        images = copies(setting.images, times, setting.scratch / "copies")
        done = run(_job(bundle, python, images, setting), setting.cores)
        more = done.seconds - short.seconds
    rate = (len(images) - len(few)) / (done.seconds - short.seconds)
    start = done.seconds - len(images) / rate
    count = len(setting.images)  # what the others read too: the longer run would hide the start
    texts = dict(read_rows(setting.scratch / "ours"))
    return Result(rate, start, count / (start + count / rate), done.peak_bytes, texts)


def _job(bundle: str, python: Path, images: list[Path], setting: Setting) -> list[str]:
    output = setting.scratch / "ours"
    shutil.rmtree(output, ignore_errors=True)
    listing = setting.listing("ours", images)
    options = ["--workers", str(setting.cores), "--bundle", bundle]
    return [str(python), "-m", "pipeline", "--input", str(listing), "--output", str(output), *options]


def read_rows(output: Path) -> Iterator[tuple[str, list[Text]]]:
    """The file names and lines in the job's Parquet.

    Raises:
        RuntimeError: the job left an image out.
    """
    errors = [
        row for path in (output / "errors").glob("*.parquet") for row in pq.read_table(path).to_pylist()
    ]
    if errors:
        raise RuntimeError(f"our job could not read {errors[0]['uri']}: {errors[0]['message']}")
    for path in sorted((output / "pages").glob("*.parquet")):
        for row in pq.read_table(path, columns=["uri", "lines"]).to_pylist():
            lines = [Text([(p["x"], p["y"]) for p in line["polygon"]], line["text"]) for line in row["lines"]]
            yield Path(row["uri"]).name, lines


def run_bare(bundle: str, python: Path, setting: Setting) -> float:
    """Images a second of the inference engine alone, as many processes as cores."""
    processes = []
    for i in range(setting.cores):
        listing = setting.listing(f"bare-{i}", setting.images[i :: setting.cores])
        command = [str(python), "-m", "benchmarks.bare", bundle, str(listing), str(BARE_S)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    outputs = [process.communicate() for process in processes]
    for process, (_, said) in zip(processes, outputs, strict=True):
        if process.returncode:
            last = said.strip().splitlines()[-1:] or [f"it ended with {process.returncode}"]
            raise RuntimeError(f"benchmarks.bare failed: {last[0]}")
    shares = [json.loads(output.splitlines()[-1]) for output, _ in outputs]
    return float(sum(share["images"] / share["seconds"] for share in shares))
