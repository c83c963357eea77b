"""What is another worker worth? The same images with one worker and with several.

    python -m benchmarks.workers --images scans --workers 2

Runs take turns; prints pages/s from the first wave to the end, start of the workers included, what a page
took in the stages, and how many times as fast several workers were as one in the same round. Nothing watches
the job meanwhile: on as many cores as there are workers, that alone would cost it some percent.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.latency import run


def main() -> int:
    """Runs with both numbers of workers in turn; prints a line for each run, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", default="samples", help="files, folders or globs (%(default)s)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--bundle", default="latin")
    args = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory(prefix="ppocr-beam-workers-") as folder:
        for number in range(args.rounds):
            rates = []
            for workers in (1, args.workers):
                words = ["--workers", str(workers), "--bundle", args.bundle]
                summary = run(args.images, Path(folder, f"out-{number}-{workers}"), words)
                rates.append(summary["images_per_second"])
                pages, busy = summary["pages"], 1000 * sum(summary["seconds_by_stage"].values())
                told = f"{pages} pages, {rates[-1]:.2f} pages/s, {busy / pages:.0f} ms in stages a page"
                print(f"workers {workers}: {told}", flush=True)
            ratios.append(rates[1] / rates[0])
    told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"{args.workers} workers are {statistics.mean(ratios):.2f} times as fast as one ({told})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
