"""Does a slow storage slow the job? The same pages from this disk and from a bucket that takes its time.

    python -m benchmarks.latency --images samples --times 10 --delay 0.1

Reads each image so many times over, in turn from the disk and from a bucket on this machine, which
`tests.fake_cloud` plays, and prints pages/s from the first wave to the end, and the most memory of a worker.
What the bucket itself takes of the processor counts against it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.fake_cloud import running
from transforms.sources import is_image_name


def main() -> int:
    """Runs both in turn; prints a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=Path, default=Path("samples"))
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--delay", type=float, default=0.1, help="seconds before each answer of the bucket")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--bundle", default="latin")
    args = parser.parse_args()
    images = [path for path in sorted(args.images.iterdir()) if is_image_name(path.name)]
    with tempfile.TemporaryDirectory(prefix="ppocr-beam-latency-") as name, running() as cloud:
        os.environ.update(STORAGE_EMULATOR_HOST=cloud.url, PYTHONPATH=os.getcwd())
        folder = Path(name)
        (folder / "in").mkdir()
        for number in range(args.times):
            for path in images:
                os.symlink(path.resolve(), folder / "in" / f"{number:03}-{path.name}")
                cloud.files[f"in/{number:03}-{path.name}"] = path.read_bytes()
        cloud.listed, cloud.delay_s = 1000, args.delay
        words = ["--workers", str(args.workers), "--bundle", args.bundle]
        for number in range(args.rounds):
            for place, inputs in (("disk", str(folder / "in")), ("bucket", "gs://bucket/in")):
                summary = run(inputs, folder / f"out-{place}-{number}", words)
                rate, peak = summary["images_per_second"], max(summary["peak_megabytes"])
                reading = summary["seconds_by_stage"]["read"] / args.workers
                told = f"{summary['pages']} pages, {rate:.2f} pages/s, {reading:.2f} s waited for files"
                print(f"{place:6}: {told}, at most {peak} MB a worker", flush=True)
    return 0


def run(inputs: str, output: Path, words: list[str]) -> dict[str, Any]:
    """Runs the job; returns its record."""
    subprocess.run(
        [sys.executable, "-m", "pipeline", "--input", inputs, "--output", str(output), *words],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    (record,) = (output / "_runs").glob("*.json")
    found: dict[str, Any] = json.loads(record.read_text())
    return found


if __name__ == "__main__":
    sys.exit(main())
