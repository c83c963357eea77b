"""Engines that read image after image as they are asked to, ours and others', and what they read before.

Others run in their own environments (`benchmarks/peer.py`), ours in this process. What an engine read is kept
by its version and the image's digest, so that making a table again does not read everything again.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from benchmarks.engines import ENVIRONMENTS, Peer, install
from models.bundle import Bundle, file_sha256, load_bundle
from models.bundle_command import megabytes
from models.reader import Reader
from models.records import InputError
from training.evaluation.scoring import Text

KEPT = ENVIRONMENTS / "readings"
"""A folder for each version of an engine, a file for each image."""
OURS = "ppocr-beam"


class Answer(NamedTuple):
    """What an engine read on an image, and the processor seconds that took; an error means a blank page."""

    texts: Sequence[Text]
    seconds: float
    error: str = ""


Read = Callable[[Path], Answer]


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that can be started.

    Attributes:
        title: what tables call it.
        megabytes: of its models.
        version: a name for a folder; another one where it may read otherwise.
        start: starts it, lends what reads, and ends it.
    """

    title: str
    megabytes: float
    version: str
    start: Callable[[], AbstractContextManager[Read]]


def ours(name_or_folder: str) -> Engine:
    """This project with a bundle, without Beam around it.

    Raises:
        UsageError: the bundle cannot be used.
    """
    bundle = load_bundle(name_or_folder)

    @contextmanager
    def start() -> Iterator[Read]:
        yield _reading(bundle)

    title = f"{OURS}, {Path(name_or_folder).name}"
    return Engine(title, megabytes(bundle), f"{OURS}-{bundle.id[:12]}-{_code_version()}", start)


def _reading(bundle: Bundle) -> Read:
    reader = Reader(bundle)

    def read(path: Path) -> Answer:
        start, lines, error = time.process_time(), [], ""
        try:
            lines = list(next(reader.read_bytes(path.read_bytes())).lines)
        except (InputError, OSError) as wrong:
            error = str(wrong)
        seconds = time.process_time() - start
        return Answer([Text(line.polygon.tolist(), line.text) for line in lines], seconds, error)

    return read


def theirs(peer: Peer) -> Engine | None:
    """Another engine; None where it cannot be had on this machine."""
    python = install(peer)
    if python is None:
        return None

    @contextmanager
    def start() -> Iterator[Read]:
        script = str(Path(__file__).with_name("peer.py"))
        with subprocess.Popen(
            [str(python), script, peer.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            yield lambda path: _asked(process, path)

    name = "-".join((peer.name, *peer.requirements))
    return Engine(peer.title, peer.megabytes, name, start)


def _asked(process: subprocess.Popen[str], path: Path) -> Answer:
    """Asks another engine's process for an image.

    Raises:
        RuntimeError: the process has ended.
    """
    assert process.stdin and process.stdout  # for the type checker: both are pipes
    try:
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
    except (OSError, ValueError):
        raise RuntimeError(f"{process.args!r} ended at {path}") from None
    return Answer([Text(*line) for line in answer["lines"]], answer["seconds"], answer["error"])


def _code_version() -> str:
    """A digest of what decides how a bundle reads besides itself."""
    files = sorted(Path(sys.modules["models"].__path__[0]).rglob("*.py"))
    parts = [version("onnxruntime"), *map(file_sha256, files)]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:12]


def read_all(engine: Engine, paths: Sequence[Path], again: bool = False) -> dict[str, list[Text]]:
    """What an engine reads on images, by file name; it reads those only that it has not read before.

    Args:
        engine: it is started where an image is left to be read.
        paths: of the images.
        again: read all of them, whatever was kept.
    """
    folder = KEPT / engine.version
    folder.mkdir(parents=True, exist_ok=True)
    kept = {path: folder / f"{file_sha256(path)}.json" for path in paths}
    missing = [path for path, file in kept.items() if again or not file.is_file()]
    if missing:
        with engine.start() as read:
            for path in missing:
                _keep(read(path), path, kept[path])
    return {path.name: _load(file) for path, file in kept.items()}


def _keep(answer: Answer, image: Path, file: Path) -> None:
    if answer.error:  # it is asked again the next time
        print(f"{image} counts as blank: {answer.error}", file=sys.stderr)
        file.unlink(missing_ok=True)
        return
    aside = file.with_suffix(".part")
    aside.write_text(json.dumps(answer.texts, ensure_ascii=False), "utf-8")
    aside.replace(file)


def _load(file: Path) -> list[Text]:
    return [Text(*text) for text in json.loads(file.read_text("utf-8"))] if file.is_file() else []


def processor_seconds(engines: Sequence[Engine], paths: Sequence[Path]) -> list[float]:
    """Mean processor seconds of each engine for an image, start-up and a first image left out.

    The engines take turns at each image: a machine's speed drifts.
    """
    seconds = [0.0] * len(engines)
    with ExitStack() as stack:
        reads = [stack.enter_context(engine.start()) for engine in engines]
        for read in reads:
            read(paths[0])
        for path in paths:
            for number, read in enumerate(reads):
                seconds[number] += read(path).seconds
    return [each / len(paths) for each in seconds]
