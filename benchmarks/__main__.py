"""`python -m benchmarks`: ours beside other engines, on the same images, in one run."""

from __future__ import annotations

import argparse
import functools
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.engines import ENVIRONMENTS, PEERS, install, install_job
from benchmarks.report import OURS, compared, draw_chart, summarize, table, write_json
from benchmarks.rounds import Result, Setting, copies, run_bare, run_ours, run_peer
from models.bundle import load_bundle
from models.bundle_command import megabytes
from models.decoding import decode
from models.records import InputError, UsageError
from training.data.labels import images_of
from training.evaluation.readings import truth_of
from training.evaluation.scoring import Score, Texts, has_case, read_expected, score

SUFFIXES = {".jpg", ".jpeg", ".png"}
FEWEST = 24
"""Images are repeated until there are this many: fewer would measure start-up and chance."""

Engines = dict[str, tuple[float, Callable[[Setting], Result]]]
"""Titles, megabytes of models, and how to run a round; ours first."""


def main() -> None:
    """Installs the peers, runs the rounds, and prints and writes what came of them."""
    args = _parser().parse_args()
    job = install_job()
    if job is None:
        sys.exit("benchmarks: this project cannot be installed")
    engines = _engines(job, args.bundles, args.peers)
    originals = find_images(args.images)[: args.limit]
    if not originals:
        sys.exit(f"benchmarks: no JPEG or PNG file that can be read in {args.images}")
    labels = _labels(args.labels, args.images, [path.name for path in originals])
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        setting = Setting(_copies(originals, Path(scratch)), Path(scratch), args.cores)
        limit = functools.partial(run_bare, args.bundles[0], job)
        results, bare = _measure(engines, limit, setting, args.rounds)
    ours = next(iter(results.values()))
    rows = [
        summarize(title, results[title], ours, size, _score(labels, results[title][0]))
        for title, (size, _) in engines.items()
    ]
    rows.sort(key=lambda row: -row.rate)
    about = f"{len(setting.images)} images (ours over and over), {args.cores} cores, {args.rounds} rounds"
    print(f"\n{about}\n\n{table(rows)}\n\n{compared(ours, bare)}\n")
    args.output.mkdir(parents=True, exist_ok=True)
    write_json(rows, bare, about, args.output / "benchmark.json")
    draw_chart(rows, about, args.output / "benchmark.png")
    print(f"{args.output / 'benchmark.json'}\n{args.output / 'benchmark.png'}")


def _measure(
    engines: Engines, limit: Callable[[Setting], float], setting: Setting, rounds: int
) -> tuple[dict[str, list[Result]], list[float]]:
    """Each engine's results, and the rates of the inference alone, round by round.

    The first engine is compared with that limit, which is taken right before and right after it.
    """
    results: dict[str, list[Result]] = {title: [] for title in engines}
    bare: list[float] = []
    for number in range(1, rounds + 1):
        before = limit(setting)
        for title, (_, run) in engines.items():
            results[title].append(run(setting))
            _progress(number, rounds, title, results[title][-1].rate)
            if len(bare) < number:
                bare.append((before + limit(setting)) / 2)
                _progress(number, rounds, "the inference engine alone", bare[-1])
    return results, bare


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--images", type=Path, default=Path("samples"), help="folder of JPEG and PNG files (%(default)s)"
    )
    parser.add_argument("--labels", type=Path, help="PPOCRLabel's file (default: Label.txt beside or above)")
    parser.add_argument(
        "--bundles",
        nargs="+",
        default=["latin", "ppocrv6-small"],
        metavar="BUNDLE",
        help="ours; ratios and the limit are those of the first (latin ppocrv6-small)",
    )
    names = [peer.name for peer in PEERS]
    parser.add_argument(
        "--peers", nargs="*", default=names, choices=names, metavar="PEER", help=", ".join(names)
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each runs (%(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="use the first N images only")
    parser.add_argument("--cores", type=int, default=2, help="for each engine; our workers (%(default)s)")
    parser.add_argument(
        "--output", type=Path, default=ENVIRONMENTS / "results", help="of JSON and chart (%(default)s)"
    )
    return parser


def _engines(job: Path, bundles: list[str], peers: list[str]) -> Engines:
    engines: Engines = {}
    for bundle in bundles:
        size = megabytes(load_bundle(bundle))
        engines[f"{OURS}, {Path(bundle).name}"] = (size, functools.partial(run_ours, bundle, job))
    for peer in PEERS:
        if peer.name in peers and (python := install(peer)):
            engines[peer.title] = (peer.megabytes, functools.partial(run_peer, peer, python))
    return engines


def find_images(folder: Path) -> list[Path]:
    """The JPEG and PNG files under a folder that are whole, sorted: formats that every engine reads."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and _is_whole(path))


def _is_whole(path: Path) -> bool:
    try:
        pages = list(decode(path.read_bytes()))
    except InputError:
        return False
    return len(pages) == 1 and pages[0].damage is None


def _copies(originals: list[Path], scratch: Path) -> list[Path]:
    """Copies in one folder, as often as it takes to have `FEWEST`; the first copy of each keeps its name.

    Raises:
        UsageError: two images have the same file name, by which readings and labels are compared.
    """
    for name, count in Counter(path.name for path in originals).items():
        if count > 1:
            raise UsageError(f"{count} images are called {name}: rename them, or name one folder by --images")
    folder = scratch / "images"
    folder.mkdir()
    firsts = [Path(shutil.copyfile(path, folder / path.name)) for path in originals]
    return copies(firsts, -(-FEWEST // len(firsts)), folder)


def _labels(given: Path | None, images: Path, names: list[str]) -> Texts:
    """The labels of the images, where there are any; a label file names them by any folder.

    Raises:
        UsageError: two of them have the same file name.
    """
    candidates = (
        [given] if given else [images / "Label.txt", images.parent / "Label.txt", images / "expected.json"]
    )
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        return {}
    if found.suffix == ".json":
        labels = read_expected(found)
        return {name: labels[name] for name in names if name in labels}
    return truth_of(image for image in images_of(found, images=False) if image.path.name in names)


def _score(labels: Texts, result: Result) -> Score | None:
    return score(labels, result.texts, fold=not has_case(labels)) if labels else None


def _progress(number: int, rounds: int, title: str, rate: float) -> None:
    print(f"round {number} of {rounds}: {title}: {rate:.2f} images/s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except UsageError as error:
        sys.exit(f"benchmarks: {error}")
