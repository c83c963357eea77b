"""What workers lose by waiting for the last of a wave: files taken by turns, or handed out beforehand.

    python -m benchmarks.dealing --images samples

Reads each image once with the Reader, for its processor time, then reckons with files drawn from those at
random: no run of 64 workers is needed to see how unevenly they would end. Prints a line for each wave.
"""

from __future__ import annotations

import argparse
import heapq
import random
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from benchmarks.__main__ import find_images
from models.bundle import load_bundle
from models.reader import Reader
from pipeline.dealing import fair, shuffled
from transforms.read import AHEAD_FILES
from transforms.storage import Source

WAVES = ((16, 8), (120, 2), (500, 8), (2000, 16), (16_000, 16), (64_000, 64))
"""Files and workers."""
DRAWS = 20

Costs = list[tuple[Source, float]]
"""Files and the seconds that each takes."""


def main() -> None:
    """Measures and reckons."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=Path, nargs="+", default=[Path("samples")])
    parser.add_argument("--bundle", default="latin")
    args = parser.parse_args()
    costs = measured([path for folder in args.images for path in find_images(folder)], args.bundle)
    seconds = [cost for _, cost in costs]
    print(f"{len(costs)} images, {min(seconds) * 1000:.0f} to {max(seconds) * 1000:.0f} ms")
    print("  files  workers   lost by turns   handed out")
    for files, workers in WAVES:
        turns, handed = [], []
        for draw in range(DRAWS):
            chance = random.Random(draw)
            wave = chance.choices(costs, k=files)
            ideal = sum(cost for _, cost in wave) / workers
            turns.append(1 - ideal / by_turns(wave, workers, chance))
            handed.append(1 - ideal / handed_out(wave, workers))
        print(f"{files:7,}  {workers:7}   {mean(turns):13.1%}   {mean(handed):10.1%}", flush=True)


def measured(images: Sequence[Path], bundle: str) -> Costs:
    """What each image costs."""
    reader, costs = Reader(load_bundle(bundle)), []
    for path in images:
        data, start = path.read_bytes(), time.process_time()
        list(reader.read_bytes(data))
        costs.append((Source(str(path), None, len(data)), time.process_time() - start))
    return costs


def by_turns(wave: Costs, workers: int, chance: random.Random) -> float:
    """Seconds until the last worker is done when they take files as in `pipeline.dealing`."""
    cost_of = {source.uri: cost for source, cost in wave}
    rest = deque(cost_of[source.uri] for source in shuffled([source for source, _ in wave], chance))
    hands: list[deque[float]] = [deque() for _ in range(workers)]
    free = [(0.0, worker) for worker in range(workers)]
    end = 0.0
    while free:
        now, worker = heapq.heappop(free)
        end = max(end, now)
        hand = hands[worker]
        while rest and len(hand) <= min(AHEAD_FILES, fair(len(rest), workers)):
            hand.append(rest.popleft())
        if hand:
            heapq.heappush(free, (now + hand.popleft(), worker))
    return end


def handed_out(wave: Costs, workers: int) -> float:
    """The same when each worker gets every n-th file beforehand, sorted by size: as even as that can be."""
    costs = [cost for _, cost in sorted(wave, key=lambda file: file[0].byte_size or 0)]
    return max(sum(costs[worker::workers]) for worker in range(workers))


if __name__ == "__main__":
    main()
