"""What the job costs around its models: so many pages through the driver, the stages and the sinks.

    python -m benchmarks.frame --pages 1000 10000 100000

The models are real ONNX files of a few hundred bytes that do next to nothing, the pages small; so what is
left is the frame: listing, manifest, waves, Beam, reading, the handlers' bookkeeping, rows, Parquet. Prints a
line for each number of pages: seconds from the first wave to the end, processor time a page (which a busy
machine changes little), and the most memory that the driver and any other process had, in the first half of
the run and in all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.process import family, resident
from tests.builders import tiny_bundle, write_pages

DIFFERENT = 200
"""Pages that differ; the others are further names of these files."""
FOLDER_FILES = 1000
LOOK_S = 0.5
HEAD = "  pages   seconds   pages/s   CPU ms/page   driver MB: half, all   others MB: half, all"


def main() -> int:
    """Runs the job over each number of pages; prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pages", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ppocr-beam-frame-") as name:
        folder = Path(name)
        tiny_bundle(folder / "bundle")
        print(HEAD, flush=True)
        for pages in args.pages:
            names = prepare(folder / f"in-{pages}", pages)
            print(measure(folder, names, folder / f"out-{pages}", args.workers, pages), flush=True)
    return 0


def prepare(folder: Path, pages: int) -> Path:
    """Makes a folder of so many pages."""
    originals = write_pages(folder / "00000", min(DIFFERENT, pages))
    for number in range(len(originals), pages):
        target = folder / f"{number // FOLDER_FILES:05}" / f"page-{number:07}.png"
        target.parent.mkdir(exist_ok=True)
        os.link(originals[number % len(originals)], target)
    return folder


def measure(folder: Path, names: Path, output: Path, workers: int, pages: int) -> str:
    """Runs the job; returns a line of the table."""
    words = ["--input", str(names), "--output", str(output), "--bundle", str(folder / "bundle")]
    job = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *words, "--workers", str(workers)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    seen: list[tuple[float, int, int]] = []  # when, bytes of the driver, most bytes of another process
    spent: dict[int, float] = {}
    while job.poll() is None:
        members = family(job.pid)
        driver, *others = [resident(pid) for pid in members]
        seen.append((time.monotonic(), driver, max(others, default=0)))
        spent.update({pid: seconds for pid in members if (seconds := processor_seconds(pid))})
        time.sleep(LOOK_S)
    if job.returncode:
        raise SystemExit(f"the job failed with status {job.returncode}")
    (record,) = (output / "_runs").glob("*.json")
    summary = json.loads(record.read_text())
    if summary["pages"] != pages:
        raise SystemExit(f"{summary['pages']} rows of {pages} pages")
    middle = (seen[0][0] + seen[-1][0]) / 2
    driver_half, other_half = (max(half) >> 20 for half in zip(*until(middle, seen), strict=True))
    driver_all, other_all = (max(whole) >> 20 for whole in zip(*until(seen[-1][0], seen), strict=True))
    seconds = summary["seconds"]
    return (
        f"{pages:>7,} {seconds:>9.1f} {pages / seconds:>9.1f} {1000 * sum(spent.values()) / pages:>13.2f}"
        f"{driver_half:>13,} {driver_all:>5,} {other_half:>16,} {other_all:>5,}"
    )


def until(end: float, seen: list[tuple[float, int, int]]) -> list[tuple[int, int]]:
    """Bytes of the driver and of the largest other process, as often as they were looked at."""
    return [(driver, other) for moment, driver, other in seen if moment <= end]


def processor_seconds(pid: int) -> float:
    """Processor time that a process has used; 0 where it is gone or /proc cannot tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
