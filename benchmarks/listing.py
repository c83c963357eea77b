"""What the driver takes to list files and write the list, without any images: made-up names, as a bucket's.

    python -m benchmarks.listing --files 10000000

Prints processor seconds and the most memory of the first run, which writes the list, and of one that finds
nothing new: what a resumed run does before it reads its first page.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator

from pipeline import manifest
from pipeline.options import WAVE_PER_WORKER
from pipeline.progress import peak_kilobytes
from transforms import storage
from transforms.sources import list_sources
from transforms.storage import Source

FOLDER_FILES = 10_000


def main() -> int:
    """Lists twice; prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--wave_size", type=int, default=2 * WAVE_PER_WORKER)
    args = parser.parse_args()

    def listed(uri: str, begin: str = "") -> Iterator[Source]:
        for number in range(args.files):
            folder, etag = number // FOLDER_FILES, f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}"
            yield Source(f"{uri}2025/{folder:05}/scan-{number:09}.jpg", etag, 100_000 + number % 65_537)

    ours = storage.list_files
    with tempfile.TemporaryDirectory(prefix="ppocr-beam-listing-") as output:
        for name in ("first run", "nothing new"):
            storage.list_files, start = listed, time.process_time()
            sources = list_sources(["gs://bucket/scans/"])
            storage.list_files = ours
            waves = manifest.extend(output, sources, args.wave_size or None, done={})
            seconds, megabytes = time.process_time() - start, peak_kilobytes() >> 10
            size = f"{sum(waves.values()):,} files in {len(waves):,} waves"
            print(f"{name}: {size}, {seconds:.1f} processor seconds, at most {megabytes:,} MB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
