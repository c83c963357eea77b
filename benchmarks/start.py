"""How long does the job take to start? The help, and one page with each bundle, from the command to its end.

    python -m benchmarks.start --image samples/receipt.jpg

Prints the median and the seconds of each run; the commands take turns. Driver and workers import at the same
time, so that on a busy machine this measures the other work.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.process import run


def main() -> int:
    """Runs each command a few times in turn; prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--image", type=Path, default=Path("samples/receipt.jpg"))
    parser.add_argument("--bundles", nargs="+", default=["latin", "ppocrv6-small"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    args = parser.parse_args()
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="ppocr-beam-start-") as folder:
        for number in range(args.rounds):
            commands = {"--help": ["--help"]}
            for bundle in args.bundles:
                output = str(Path(folder, f"{bundle}-{number}"))
                commands[bundle] = [str(args.image), "--output", output, "--bundle", bundle]
            for name, words in commands.items():
                taken = run([sys.executable, "-m", "pipeline", *words], args.cores).seconds
                seconds.setdefault(name, []).append(taken)
    for name, times in seconds.items():
        print(f"{name:14} {statistics.median(times):.2f} s ({', '.join(f'{taken:.2f}' for taken in times)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
