"""Tries mutated files of every kind on all that reads them, and keeps those that end as they may not.

    make fuzz MINUTES=10
    python -m benchmarks.fuzz --minutes 10 --only archive
    python -m benchmarks.fuzz --replay .bench/fuzz/archive-slow-17-3.bin

A case may end well, or with an InputError or UsageError, within 5 s of a processor and 1.5 GB. Each is tried
in a process that other cases went through well, at most. It ends with 1 where any case failed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from benchmarks.fuzz.child import Child, Outcome
from benchmarks.fuzz.mutation import mutated
from benchmarks.fuzz.seeds import Seed, seeds
from benchmarks.fuzz.targets import TARGETS

FOLDER = Path(".bench/fuzz")
_CASES_A_CHILD = 2000
_KEPT = 5
"""Files that are kept of each way to fail."""
_LINE_S = 30.0


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status."""
    args = _parser().parse_args(argv)
    if args.replay:
        return _replay(args.replay)
    seed = args.seed if args.seed is not None else Random().randrange(1 << 32)
    found = [one for one in seeds() if one.target.startswith(args.only)]
    print(f"{len(found)} seeds, --seed {seed}", flush=True)
    ran, failed = _fuzz(found, seed, 60 * args.minutes)
    told = ", ".join(f"{number:,} {target}" for target, number in sorted(ran.items()))
    print(f"{ran.total():,} cases ran: {told}")
    for (target, wrong), number in failed.items():
        print(f"{number:,} of {target}: {wrong}")
    print("No case failed." if not failed else f"Failing cases are in {FOLDER}.")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="TARGET", help=f"one of: {', '.join(TARGETS)}")
    parser.add_argument("--seed", type=int, help="of the random numbers, to have the same cases again")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="try one case that was kept")
    return parser


def _fuzz(found: Sequence[Seed], seed: int, seconds: float) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Tries cases for so long; returns how many by target, and those that failed by target and way."""
    ran: Counter[str] = Counter()
    failed: Counter[tuple[str, str]] = Counter()
    child, told = Child(), time.monotonic()
    end = told + seconds
    for number, (target, data) in enumerate(_cases(found, seed)):
        if time.monotonic() > end:
            break
        outcome = child.outcome(target, data)
        ran[target] += 1
        if outcome.wrong:
            failed[target, outcome.wrong] += 1
            if failed[target, outcome.wrong] <= _KEPT:
                _keep(target, data, outcome, f"{seed}-{number}")
        if outcome.wrong or not ran.total() % _CASES_A_CHILD:
            child.end()
            child = Child()
        if time.monotonic() > told + _LINE_S:
            told = time.monotonic()
            print(f"{ran.total():,} cases, {failed.total():,} failed", flush=True)
    child.end()
    return ran, failed


def _cases(found: Sequence[Seed], seed: int) -> Iterator[tuple[str, bytes]]:
    """Cases without end: targets in turn, and the seeds of each."""
    random = Random(seed)
    by_target = {target: [one for one in found if one.target == target] for target in TARGETS}
    others = [one.data for one in found]
    turns = [target for target, of_it in by_target.items() for _ in range(min(8, len(of_it)))]
    while True:
        for target in turns:
            yield target, mutated(random.choice(by_target[target]).data, random, others)


def _keep(target: str, data: bytes, outcome: Outcome, name: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{target.replace(' ', '_')}-{outcome.wrong}-{name}.bin"
    path.write_bytes(data)
    print(
        f"{target}: {outcome.wrong}: {outcome.detail}\n  python -m benchmarks.fuzz --replay {path}",
        flush=True,
    )


def _replay(path: Path) -> int:
    child = Child()
    outcome = child.outcome(path.name.partition("-")[0].replace("_", " "), path.read_bytes())
    child.end()
    print(f"{path}: {outcome.wrong or 'ends as it may'}{f': {outcome.detail}' if outcome.wrong else ''}")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
