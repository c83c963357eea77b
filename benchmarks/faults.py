"""Does the job harm, of each kind that happens to long runs, and counts what is lost or doubled by it.

    make test-faults                                # or: python -m benchmarks.faults --only worker --rounds 5

Each round starts the job into a fresh output, lets the fault happen, and runs the same command until it says
that all is done. The rows must be those of an undisturbed run, each once; nothing half written may be left,
and no process may outlive its driver. What goes wrong on a bucket is played by `tests.fake_cloud`, as
Google's. The table at the end has, for each fault, the rows lost, the rows doubled or changed, what was left,
and the median and longest time that a round took over an undisturbed run, all runs of the command together.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq

from benchmarks.process import children, family, resident
from pipeline.status import DONE, FAILED, INTERRUPTED, USAGE
from tests.builders import tiny_bundle, write_pages
from tests.fake_cloud import FakeCloud, running
from transforms import storage

RUN_S = 900.0
"""Seconds after which a run is given up and counted as a problem."""
RUNS = 5
"""Runs of the command after which it must be done."""
GRACE_S = 30.0
GIANT_SIDE = 13_000
"""Pixels: as much as --max_pixels allows takes some 500 MB to decode."""
MEMORY_BYTES = 450 << 20
"""What the round with a giant image allows a process; the models and Beam need half of it."""

ELSEWHERE = """
import socket, sys, time, types
from pipeline import __main__, lock
skew, host = float(sys.argv.pop(1)), sys.argv.pop(1)
socket.gethostname = lambda: host
lock.time = types.SimpleNamespace(**{**vars(time), "time": lambda: time.time() + skew})
sys.exit(__main__.main())
"""
"""The job on a machine of another name whose clock is wrong. The lock is all that compares times."""

SMALL_DISK = """
set -u
mount -t tmpfs -o size="$1" tmpfs "$2"
shift
(shift 2; "$@"); first=$?
mount -o remount,size=1g tmpfs "$1"
(shift 2; "$@"); second=$?
cp -a "$1/." "$2"
echo "$first $second"
"""
"""Size, folder and copy of a disk that is full at first, and then the job's command line."""


class Problem(Exception):  # noqa: N818 - told in the table
    """Something that must not happen, in a few words."""


@dataclass
class Round:
    """One round of one fault, as it goes on.

    Attributes:
        arena: where it happens.
        output: path or URI, new in each round.
        chance: makes the round's choices.
        story: what happened.
        problems: what must not have.
        seconds: that all runs of the command took.
    """

    arena: Arena
    output: str
    chance: random.Random
    story: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def remote(self) -> bool:
        """Whether the round is played on the bucket."""
        return "://" in self.output

    def start(self, *before: str) -> subprocess.Popen[bytes]:
        """Starts the job; `before` are the words before its own, for another machine or disk."""
        words = [*(before or ("-m", "pipeline")), *self.arena.arguments(self.output)]
        return subprocess.Popen(
            [sys.executable, *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def finish(self, *before: str) -> list[int]:
        """Runs the command until it is done; returns the statuses of the runs before that."""
        statuses: list[int] = []
        while (status := wait(self.start(*before))) != DONE:
            statuses.append(status)
            if len(statuses) == RUNS:
                raise Problem(f"not done after {RUNS} runs: {statuses}")
        return statuses

    def moment(self, share: float = 1.0) -> float:
        """A random moment in the first part of an undisturbed run; waits for it."""
        moment = self.chance.uniform(0, share * self.arena.undisturbed[self.remote])
        time.sleep(moment)
        return moment


@dataclass
class Arena:
    """Inputs, a bundle, the bucket, and what an undisturbed run makes of them here and there."""

    folder: Path
    cloud: FakeCloud
    wave_files: int
    waves: int = 0
    undisturbed: dict[bool, float] = field(default_factory=dict)
    expected: dict[bool, Counter[str]] = field(default_factory=dict)

    def prepare(self, files: int, places: set[str]) -> None:
        """Makes the inputs, and runs undisturbed at each place."""
        write_pages(self.folder / "in", files)
        (self.folder / "in" / "broken.png").write_bytes(b"not an image")
        self.waves = math.ceil((files + 1) / self.wave_files)
        tiny_bundle(self.folder / "bundle")
        for path in (self.folder / "in").iterdir():
            self.cloud.files[f"in/{path.name}"] = path.read_bytes()
        for where in sorted(places):
            remote = where == "bucket"
            quiet = Round(self, self.output("undisturbed", remote), random.Random())
            start = time.monotonic()
            if quiet.finish():
                raise SystemExit("the job fails undisturbed")
            self.undisturbed[remote] = time.monotonic() - start
            self.expected[remote] = rows(quiet.output)
            count, seconds = self.expected[remote].total(), self.undisturbed[remote]
            print(f"undisturbed, {where}: {count} rows in {seconds:.1f} s", flush=True)

    def output(self, name: str, remote: bool) -> str:
        """A new output's place."""
        return f"gs://bucket/out/{name}" if remote else str(self.folder / "out" / name)

    def arguments(self, output: str) -> list[str]:
        """The job's command line."""
        inputs = "gs://bucket/in" if "://" in output else str(self.folder / "in")
        return [
            *("--input", inputs, "--output", output, "--bundle", str(self.folder / "bundle")),
            *("--workers", "2", "--wave_size", str(self.wave_files)),
        ]


def worker_killed(now: Round) -> None:
    """A worker gets `kill -9`."""
    job = now.start()
    while not workers_of(job) and job.poll() is None:
        time.sleep(0.1)
    moment = now.moment(0.5)
    if not (workers := workers_of(job)):
        now.story.append("no worker was there any more")
    else:
        os.kill(now.chance.choice(workers), signal.SIGKILL)
        now.story.append(f"killed {moment:.1f} s after the workers came")
    if (status := wait(job)) != DONE:
        now.story.append(f"exit status {status}")
        now.finish()


def workers_of(job: subprocess.Popen[bytes]) -> list[int]:
    """The worker processes of a run: children of its children."""
    return [pid for pid in family(job.pid)[1:] if pid not in children(job.pid)]


def driver_killed(now: Round) -> None:
    """The driver gets `kill -9`, a moment after any number of its waves, none to all but the last."""
    job = now.start()
    waves = now.chance.randrange(now.arena.waves)
    while waves_done(now.output) < waves and job.poll() is None:
        time.sleep(0.1)
    if waves:
        time.sleep(now.chance.uniform(0, 1))
    else:
        now.moment(0.5)
    others = family(job.pid)[1:]
    job.kill()
    job.wait()
    now.story.append(f"killed with {waves_done(now.output)} waves done")
    now.problems += [f"process {pid} outlived its driver" for pid in survivors(others)]
    now.finish()


def waves_done(output: str) -> int:
    """How many waves have their markers."""
    names = [name.rpartition("/")[2] for name in listed(f"{output}/_waves/")]
    return sum(name.endswith(".json") and "lock" not in name for name in names)


def two_jobs(now: Round) -> None:
    """Two jobs are started into one output."""
    first = now.start()
    time.sleep(now.chance.uniform(0, 3))
    second = now.start()
    statuses = [wait(first), wait(second)]
    now.story.append(f"exit statuses {statuses[0]} and {statuses[1]}")
    if not set(statuses) <= {DONE, USAGE}:
        now.problems.append(f"exit statuses {statuses}")
    now.finish()


def clocks_differ(now: Round) -> None:
    """A machine a day ahead writes; one a day behind must not, until the first one dies."""
    ahead = ("-c", ELSEWHERE, "86400", "ahead")
    behind = ("-c", ELSEWHERE, "-86400", "behind")
    first = now.start(*ahead)
    while not listed(f"{now.output}/_waves/lock") and first.poll() is None:
        time.sleep(0.1)
    second = wait(now.start(*behind))
    alive = first.poll() is None
    now.story.append(
        f"the second machine ended with {second} while the first {'ran' if alive else 'had ended'}"
    )
    if alive and second != USAGE:
        now.problems.append("two machines wrote at once")
    first.kill()
    first.wait()
    now.finish(*behind)


def disk_full(now: Round) -> None:
    """The disk has room for half of the output at first."""
    size = sum(path.stat().st_size for path in (now.arena.folder / "out" / "undisturbed").rglob("*"))
    disk = now.arena.folder / "disk"
    disk.mkdir(exist_ok=True)
    Path(now.output).mkdir(parents=True)
    words = [str(size // 2), str(disk), now.output, sys.executable, "-m", "pipeline"]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", SMALL_DISK, "sh", *words, *now.arena.arguments(str(disk))],
        capture_output=True,
        text=True,
        timeout=2 * RUN_S,
    )
    statuses = done.stdout.split("\n")[-2:-1]
    if not statuses:
        raise Problem(f"not run: {done.stderr.strip()[-80:]}")
    now.story.append(f"exit statuses {statuses[0]}")
    if statuses != [f"{FAILED} {DONE}"]:
        now.problems.append(f"exit statuses {statuses[0]}, not {FAILED} {DONE}")


def out_of_memory(now: Round) -> None:
    """One image takes more memory than there is: whoever decodes it is killed, as the kernel would."""
    giant = now.arena.folder / "in" / "giant.png"
    pixels = np.zeros((GIANT_SIDE, GIANT_SIDE), np.uint8)
    giant.write_bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
    del pixels
    kills = 0
    try:
        job = now.start()
        while job.poll() is None:
            for pid in family(job.pid)[1:]:
                if resident(pid) > MEMORY_BYTES:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    kills += 1
            time.sleep(0.02)
        if job.returncode != DONE:
            now.problems.append(f"exit status {job.returncode}")
    finally:
        giant.unlink()
    found = [row for row in rows(now.output) if "giant.png" in row]
    if len(found) != 1 or "'crashed'" not in found[0]:
        now.problems.append(f"the giant has {len(found)} rows, not one that says crashed")
    now.story.append(
        f"{kills} times a process was killed over {MEMORY_BYTES >> 20} MB; the giant is an error"
    )


def misbehaving(share: float, *faults: int | str, only: str = "") -> Callable[[Round], None]:
    """The bucket answers a share of the requests badly, of those whose path has `only` in it."""

    def play(now: Round) -> None:
        def chance(method: str, path: str) -> int | str | None:
            return now.chance.choice(faults) if only in path and now.chance.random() < share else None

        with misbehaviour(now, chance):
            statuses = now.finish()
        if statuses:
            now.story.append(f"exit statuses {statuses} before it was done")

    return play


def finalisation_fails(now: Round) -> None:
    """The bucket refuses to copy data files to their names: for a while, or until the run has given up."""
    for_ever = now.chance.random() < 0.5
    left = [10]

    def chance(method: str, path: str) -> int | str | None:
        if "/rewriteTo/" not in path or (not for_ever and left[0] == 0):
            return None
        left[0] -= 1
        return 503

    with misbehaviour(now, chance):
        status = wait(now.start())
    now.story.append(f"{'all the time' if for_ever else 'ten times'}: exit status {status}")
    if status != (FAILED if for_ever else DONE):
        now.problems.append(f"exit status {status}")
    now.finish()


@contextmanager
def misbehaviour(now: Round, chance: Callable[[str, str], int | str | None]) -> Iterator[None]:
    """Lets the bucket answer badly, by chance, and tells how often it did."""
    cloud, before = now.arena.cloud, now.arena.cloud.injected
    cloud.chance = chance
    try:
        yield
    finally:
        cloud.chance = lambda method, path: None
        now.story.append(f"{cloud.injected - before} bad answers")


INPUTS = "/download/storage/v1/b/bucket/o/in%2F"
FAULTS: dict[str, tuple[tuple[str, ...], Callable[[Round], None]]] = {
    "worker killed": (("disk", "bucket"), worker_killed),
    "driver killed": (("disk", "bucket"), driver_killed),
    "two jobs, one output": (("disk", "bucket"), two_jobs),
    "clocks two days apart": (("disk", "bucket"), clocks_differ),
    "503 to 10 %": (("bucket",), misbehaving(0.1, 503)),
    "429, Retry-After, 10 %": (("bucket",), misbehaving(0.1, 429)),
    "resets, 10 %": (("bucket",), misbehaving(0.1, "reset", "cut")),
    "bodies cut short, 10 %": (("bucket",), misbehaving(0.1, "short")),
    "wrong byte in a file, 10 %": (("bucket",), misbehaving(0.1, "swapped", only=INPUTS)),
    "no answer, 1 %": (("bucket",), misbehaving(0.01, "hang")),
    "finalisation fails": (("bucket",), finalisation_fails),
    "disk full": (("disk",), disk_full),
    "out of memory": (("disk",), out_of_memory),
}
KILLS = ("worker killed", "driver killed")
NOT_IN_EXPECTED = "giant.png"


def play(arena: Arena, name: str, number: int, seed: int) -> Round:
    """Plays a round of a fault and looks at what it has left."""
    places, fault = FAULTS[name]
    remote = places[number % len(places)] == "bucket"
    output = arena.output(f"{name.replace(' ', '-').replace('%', '').replace(',', '')}-{number}", remote)
    now = Round(arena, output, random.Random(f"{seed} {name} {number}"))
    start = time.monotonic()
    try:
        fault(now)
    except (Problem, subprocess.TimeoutExpired) as problem:
        now.problems.append(str(problem))
    now.seconds = time.monotonic() - start
    return now


def play_all(arena: Arena, name: str, rounds: int, seed: int) -> tuple[str, bool]:
    """Plays the rounds of a fault; returns its line of the table, and whether all went well."""
    lost = doubled = left = 0
    extra, well = [], True
    for number in range(rounds):
        now = play(arena, name, number, seed)
        expected, found = arena.expected[now.remote], rows(now.output)
        found = Counter({row: count for row, count in found.items() if NOT_IN_EXPECTED not in row})
        remains = leftovers(now.output)
        lost += (expected - found).total()
        doubled += (found - expected).total()
        left += len(remains)
        extra.append(now.seconds - arena.undisturbed[now.remote])
        wrong = [*now.problems, *(f"left behind: {name}" for name in remains)]
        wrong += (
            []
            if found == expected
            else [f"{(expected - found).total()} rows lost, {(found - expected).total()} doubled"]
        )
        well = well and not wrong
        where = "bucket" if now.remote else "disk"
        print(
            f"{name} {number + 1}, {where}: {', '.join([*now.story, *wrong]) or 'well'} ({extra[-1]:+.1f} s)",
            flush=True,
        )
        remove(arena, now.output)
    times = f"{statistics.median(extra):+8.1f} {max(extra):+8.1f}"
    return f"{name:28}{rounds:>6}{lost:>7}{doubled:>9}{left:>7}   {times}   {'' if well else 'FAILED'}", well


def wait(job: subprocess.Popen[bytes]) -> int:
    """The status that a run of the job ends with.

    Raises:
        Problem: it does not end.
    """
    try:
        return job.wait(RUN_S)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
        raise Problem(f"a run did not end within {RUN_S:.0f} s") from None


def rows(output: str) -> Counter[str]:
    """All rows of both kinds without the run's name, and how often each is there."""
    found: Counter[str] = Counter()
    for kind in ("pages", "errors"):
        for name in listed(f"{output}/{kind}/"):
            if name.endswith(".parquet"):
                with storage.open_file(name) as file:
                    table = pq.read_table(file).drop_columns(["run_id"])
                found.update(repr((kind, row)) for row in table.to_pylist())
    return found


def leftovers(output: str) -> list[str]:
    """Files that only a run under way may have."""
    signs = ("/_staged/", ".tmp", ".part", "/lock")
    return [name for name in listed(f"{output}/") if any(sign in name[len(output) :] for sign in signs)]


def listed(prefix: str) -> list[str]:
    """Names of files whose names begin so."""
    folder = prefix.rpartition("/")[0]
    return [source.uri for source in storage.list_files(f"{folder}/") if source.uri.startswith(prefix)]


def remove(arena: Arena, output: str) -> None:
    """Makes room for the next round."""
    shutil.rmtree(output, ignore_errors=True)
    for name in [name for name in arena.cloud.files if f"gs://bucket/{name}".startswith(f"{output}/")]:
        del arena.cloud.files[name]


def survivors(pids: list[int]) -> list[int]:
    """Those that are still there after a while: one that is importing notices its driver's end only then."""
    deadline = time.monotonic() + GRACE_S
    while (left := [pid for pid in pids if resident(pid)]) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def end_family() -> None:
    """Ends all processes that come from this one: jobs, their workers, what gives them a small disk."""
    for pid in family(os.getpid())[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def main() -> int:
    """Plays what is asked for, leaving no process behind; returns 130 where it is interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return play_asked()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    finally:
        end_family()


def play_asked() -> int:
    """Plays the faults asked for; prints the table; returns 1 if something was lost, doubled or left."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="WORD", help="faults with one of these in their names"
    )
    parser.add_argument(
        "--rounds", type=int, help="of each fault (default: 20 of the kills, 2 of the others)"
    )
    parser.add_argument("--files", type=int, default=240)
    parser.add_argument("--wave_size", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    names = [name for name in FAULTS if any(word in name for word in args.only)]
    with tempfile.TemporaryDirectory(prefix="ppocr-beam-faults-") as folder, running() as cloud:
        os.environ.update(STORAGE_EMULATOR_HOST=cloud.url, PYTHONPATH=os.getcwd())
        cloud.listed, cloud.retry_after = 1000, "1"
        arena = Arena(Path(folder), cloud, args.wave_size)
        arena.prepare(args.files, {place for name in names for place in FAULTS[name][0]})
        found = [
            play_all(arena, name, args.rounds or (20 if name in KILLS else 2), args.seed) for name in names
        ]
    print(f"\n{'fault':28}{'rounds':>6}{'lost':>7}{'doubled':>9}{'left':>7}   extra seconds: median, most")
    print("\n".join(line for line, _ in found))
    return 0 if all(well for _, well in found) else 1


if __name__ == "__main__":
    sys.exit(main())
