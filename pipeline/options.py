"""The job's options: one frozen record, and the command line made from it."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib.util
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

from models.engine import ENGINES, choose, precision
from models.options import ReadOptions
from models.records import UsageError
from models.version import add_version
from pipeline.commands import COMMANDS
from transforms import storage
from transforms.storage import local

WAVE_PER_WORKER = 1000
"""Files in a wave on this machine for each worker: minutes of work, beside which its end weighs little."""
_OPTION = re.compile("--?[a-zA-Z]")
_LANGUAGES = "a bundle reads its languages: --bundle NAME chooses one, `ppocr-bundle list` names them"
_TOLD = dict.fromkeys(("--lang", "--language", "--languages", "-l"), _LANGUAGES)
"""Options that others' readers have, and what does the same here."""
_COMMANDS = "; ".join(f"{name}: {what}" for name, what in COMMANDS.items())
_OF_CLUSTERS = ("--num_workers", "--max_num_workers")


def cores(root: Path = Path("/")) -> int:
    """Cores that this process may use: by its affinity and by the CPU quotas of its control groups."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min(allowed, _quota(root))))


def _quota(root: Path) -> float:
    """The smallest quota of the control groups, version 2 or 1, that this process is in, in cores."""
    quotas = [math.inf]
    for folder in groups(root, "cpu"):
        with contextlib.suppress(
            OSError, ValueError, ZeroDivisionError
        ):  # no such group, or one without quota
            if (folder / "cpu.max").exists():
                most, period = (folder / "cpu.max").read_text().split()
            else:
                most, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            if int(most) > 0:
                quotas.append(int(most) / int(period))
    return min(quotas)


def groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the process's control groups and of all above them, whether or not they are mounted.

    Args:
        root: of the file system.
        controller: `cpu` or `memory`.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if controllers else "")
        group = top / path.lstrip("/")
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(top))


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What the job was asked to do.

    Attributes:
        inputs: files, folders, globs, lists of files and archives, on any storage.
        output: folder or URI.
        bundle: a built-in bundle's name, or the path or URI of a folder.
        read: everything besides the bundle that changes the rows.
        workers: worker processes on this machine.
        wave_size: most files in a wave; 0 for all in one; None for `WAVE_PER_WORKER` a worker here, 2,000 at
            least, and all in one on a cluster.
        shard: which of how many runs this is that share the output at the same time; None: the only one.
        limit: read only the first files of the inputs, at most this many; None for all.
        max_error_rate: share of the rows that may be errors.
        carry: what rows take along of archives, see `transforms.carry`.
        retry_errors: read waves again whose errors may have passed, see `pipeline.waves.RETRYABLE`.
        allow_private_hosts: read https:// also from addresses that are not public.
        verbose: show what Beam and the job log.
        detection_batch: most pages that the detector gets at once.
        recognition_batch: most pages whose lines go through direction and recognition together.
        runner: Beam's name of a runner; None for this machine.
        beam: options passed through to Beam.
    """

    inputs: tuple[str, ...]
    output: str
    bundle: str = "latin"
    read: ReadOptions = ReadOptions()
    workers: int = cores()
    wave_size: int | None = None
    shard: tuple[int, int] | None = None
    limit: int | None = None
    max_error_rate: float = 1.0
    carry: tuple[str, ...] = ()
    retry_errors: bool = False
    allow_private_hosts: bool = False
    verbose: bool = False
    detection_batch: int = 1
    recognition_batch: int = 8
    runner: str | None = None
    beam: tuple[str, ...] = ()

    @property
    def local(self) -> bool:
        """Whether the job runs on this machine, in processes of its own."""
        return self.runner is None

    @property
    def wave_files(self) -> int | None:
        """Most files in a wave; None for no bound."""
        if self.wave_size is None:
            return WAVE_PER_WORKER * max(2, self.workers) if self.local else None
        return self.wave_size or None


def result_options(job: JobOptions) -> dict[str, Any]:
    """The options that change rows, flat, as markers and files' metadata record them."""
    values = {**asdict(job.read), "carry": " ".join(job.carry) or None}
    limits = values.pop("limits")
    del values["engine"]  # the same models: a run may go on where another engine is at hand
    return {**values, **limits}


def with_engine(job: JobOptions) -> JobOptions:
    """The job with an engine chosen: one for all its workers, so that a page reads the same on any of them.

    On a cluster, whose machines may differ, `auto` means ONNX Runtime.

    Raises:
        UsageError: the engine is asked for on this machine, and not installed here.
    """
    asked = job.read.engine
    if job.local:
        engine = choose(asked)
    else:
        engine = "onnxruntime" if asked == "auto" else asked
    return replace(job, read=replace(job.read, engine=engine))


def engine_title(job: JobOptions) -> str:
    """The engine chosen, and where it is known what it computes in, such as `openvino bf16`."""
    engine = job.read.engine
    return f"{engine} {precision(engine)}" if job.local or engine == "onnxruntime" else engine


def parse(argv: Sequence[str]) -> JobOptions:
    """Reads the command line.

    Raises:
        UsageError: an option is missing, misspelt or has a wrong value.
    """
    parser = _parser()
    own = parser._option_string_actions
    argv, theirs = _split(argv)
    _refuse_misspelt(argv, list(own))
    inputs, ours, beam = _sort(argv, own)
    known = parser.parse_args(ours)
    _refuse_of_clusters(beam, known.runner)
    inputs += known.input
    if not inputs:
        where = " in front of --carry, which takes all that follows it" if known.carry else ""
        raise UsageError(
            f"there is nothing to read: name files, folders or URIs{where} (--help lists the options)"
        )
    for what, name in (("--output", known.output), *(("a path to read", name) for name in inputs)):
        if not name.strip():
            raise UsageError(f"{what} is empty: is a variable not set?")
    if known.output != known.output.encode("utf-8", "replace").decode():
        raise UsageError(f"--output {known.output!a} is not UTF-8: choose another name")
    read = read_options(known)
    job = {**_values_of(known, _DEFAULT), "carry": tuple(known.carry)}
    if storage.is_local(known.output):
        job["output"] = local.path_of(known.output)  # Beam's files know no file://
        _refuse_file(job["output"])
    if known.runner is not None:  # workers elsewhere have working folders of their own
        inputs = [_absolute(name) for name in inputs]
        job["output"] = _absolute(job["output"])
        job["bundle"] = _found_elsewhere(known.bundle)
        read = replace(read, second=known.second and _found_elsewhere(known.second))
    storage.refuse_pattern(job["output"])
    return replace(_DEFAULT, inputs=tuple(inputs), read=read, beam=(*beam, *theirs), **job)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Adds the options that change what is read of a page, and `--bundle`."""
    _add_decoding(parser)
    _add_reading(parser)


def read_options(known: argparse.Namespace) -> ReadOptions:
    """What the options say that `add_reading` adds, but for the bundle."""
    limits = replace(_DEFAULT.read.limits, **_values_of(known, _DEFAULT.read.limits))
    return replace(_DEFAULT.read, limits=limits, **_values_of(known, _DEFAULT.read))


def _split(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Splits at `--`, behind which stands what only a runner knows, such as options of Flink's Java part."""
    end = list(argv).index("--") if "--" in argv else len(argv)
    return argv[:end], argv[end + 1 :]


def _refuse_of_clusters(beam: Sequence[str], runner: str | None) -> None:
    """Says which option is meant where Beam would take one and do nothing with it."""
    asked = [token.partition("=")[0] for token in beam if token.partition("=")[0] in _OF_CLUSTERS]
    if asked and runner is None:
        raise UsageError(
            f"{asked[0]} is for clusters: on this machine --workers N says how many processes work"
        )


def _refuse_file(output: str) -> None:
    """Says what a folder that cannot be made would only say as an error of the system's."""
    for path in (Path(output), *Path(output).parents):
        if os.path.exists(path) and not os.path.isdir(path):
            raise UsageError(f"--output {output}: {path} is not a folder")


def _absolute(name: str) -> str:
    return os.path.abspath(local.path_of(name)) if storage.is_local(name) else name


def _found_elsewhere(bundle: str) -> str:
    return _absolute(bundle) if os.path.isdir(bundle) else bundle


def _values_of(known: argparse.Namespace, record: Any) -> dict[str, Any]:
    """The parsed values that are fields of a record."""
    return {field.name: getattr(known, field.name) for field in fields(record) if hasattr(known, field.name)}


def _refuse_misspelt(argv: Sequence[str], own: Sequence[str]) -> None:
    names = [token.partition("=")[0] for token in argv if _OPTION.match(token)]
    unknown = [name for name in names if name not in own]
    if not unknown:
        return
    beam = _beam_options()
    for name in unknown:
        if name not in beam:
            if name in _TOLD:
                raise UsageError(f"there is no option {name}: {_TOLD[name]}")
            close = difflib.get_close_matches(name, [*own, *beam], n=1)
            hint = f"did you mean {close[0]}?" if close else "--help lists the options"
            raise UsageError(f"there is no option {name}: {hint}")


def _beam_options() -> set[str]:
    """Names of Beam's own options, read from its source: importing it takes seconds."""
    package = importlib.util.find_spec("apache_beam")
    if package is None or package.origin is None:
        raise UsageError("Apache Beam is not installed: pip install ppocr-beam")
    source = Path(package.origin).parent / "options" / "pipeline_options.py"
    return set(re.findall(r"['\"](--[a-zA-Z][\w-]+)['\"]", source.read_text(encoding="utf-8")))


def _sort(argv: Sequence[str], own: Mapping[str, argparse.Action]) -> tuple[list[str], list[str], list[str]]:
    """Inputs; our options with their values; Beam's with theirs, of which each is taken to have one."""
    inputs: list[str] = []
    ours: list[str] = []
    beam: list[str] = []
    option, values = ours, 0.0
    for token in argv:
        if _OPTION.match(token):
            name, given, value = token.partition("=")
            option = ours if name in own else beam
            nargs = own[name].nargs if name in own else None
            values = 0 if given or nargs == 0 else math.inf if nargs == "+" else 1
            if nargs == 0 and value in ("true", "false"):  # templates of Dataflow give all options values
                option += [name] if value == "true" else []
            else:
                option.append(token)
        elif values:
            option.append(token)
            values -= 1
        else:
            inputs.append(token)
    return inputs, ours, beam


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would leave the process: the command has one place that does."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (--help lists the options)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ppocr-beam",
        usage="%(prog)s PATH... --output FOLDER [OPTION...]\n       %(prog)s COMMAND ...",
        description="Reads the text of page images and documents into Parquet, one row a page.",
        epilog=f"Commands: {_COMMANDS}; `ppocr-beam {next(iter(COMMANDS))} --help` says more. "
        f"To read a folder of such a name, give it as ./{next(iter(COMMANDS))}. "
        "Any option of Apache Beam is passed through, such as --runner=DataflowRunner --project=NAME; "
        "what only a runner knows goes behind a lone --. "
        "The same command again resumes where a run stopped. Exit status: 0 done, 1 failed, 2 wrong usage, "
        "3 more errors than --max_error_rate, 130 interrupted.",
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=28, width=100),
    )
    add_version(parser)
    _add_files(parser)
    add_reading(parser)
    _add_running(parser)
    return parser


_DEFAULT = JobOptions((), "")
_DEFAULT_IS = "(default: %(default)s)"


def _add_files(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("files").add_argument
    add(
        "paths", nargs="*", metavar="PATH",
        help="files, folders, globs, lists of files (.txt .csv .jsonl .parquet with a column uri), "
        "archives (.tar .tar.gz); on this machine, gs://, s3://, az:// or https://. One archive is "
        "one worker's work: many small ones spread better than a big one",
    )  # fmt: skip
    add(
        "--input", nargs="+", action="extend", default=[], metavar="PATH",
        help="the same, also after options of Beam's that take no value",
    )  # fmt: skip
    add(
        "-o",
        "--output",
        required=True,
        metavar="FOLDER",
        help="folder or URI: pages/*.parquet, errors/*.parquet",
    )
    add(
        "--carry", nargs="+", default=_DEFAULT.carry, metavar="COLUMN",
        help="take columns of Parquet files with images along, into the column carried; json: of tar and zip "
        "archives the .json beside an image",
    )  # fmt: skip
    add(
        "--retry_errors", action="store_true",
        help="read again the waves in which pages failed for reasons that may have passed, such as timeouts",
    )  # fmt: skip
    add(
        "--allow_private_hosts", action="store_true",
        help="read https:// and http:// also from this machine, private networks and other addresses that "
        "are not public",
    )  # fmt: skip
    add("--limit", type=_whole(1), metavar="N", help="read only the first N files of the inputs")
    add(
        "--max_error_rate", type=_number(0, 1), default=_DEFAULT.max_error_rate, metavar="RATE",
        help=f"exit status 3 where a larger share of the rows are errors {_DEFAULT_IS}",
    )  # fmt: skip


def _add_decoding(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("decoding").add_argument
    limits = _DEFAULT.read.limits
    add(
        "--pdf_dpi", type=_whole(1), default=limits.pdf_dpi, metavar="N",
        help=f"resolution at which pages of PDFs are drawn {_DEFAULT_IS}",
    )  # fmt: skip
    add(
        "--pdf_text", choices=("ignore", "prefer"), default=limits.pdf_text,
        help="the text layer of PDFs: read every page from its image, or take the layer of a page where it "
        f"is whole, which is fast and exact {_DEFAULT_IS}",
    )  # fmt: skip
    add(
        "--max_pixels", type=_whole(1), default=limits.max_pixels, metavar="N",
        help=f"a page with more pixels becomes an error {_DEFAULT_IS}",
    )  # fmt: skip


def _add_reading(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("reading").add_argument
    read = _DEFAULT.read
    add(
        "--bundle",
        default=_DEFAULT.bundle,
        metavar="NAME",
        help=f"the models: a name, folder or URI {_DEFAULT_IS}",
    )
    add(
        "--second", metavar="NAME",
        help="a bundle whose recogniser reads the lines again of which the first is not sure "
        "(default: the bundle's second, where it has one)",
    )  # fmt: skip
    add(
        "--second_below", type=_number(0, 1), metavar="P",
        help="a line's confidence below which it is read again; 0: never (default: the bundle's)",
    )  # fmt: skip
    add(
        "--engine", choices=ENGINES, default=read.engine,
        help="what runs the models; readings differ a little. auto: openvino where it is installed and the "
        f"CPU multiplies bfloat16, but on a cluster onnxruntime {_DEFAULT_IS}",
    )  # fmt: skip
    add(
        "--direction", choices=("all", "sample", "off"), default=read.direction,
        help="which lines are asked whether they are upside down: all; a sample of each page's, and the rest "
        f"where that is not surely upright; none {_DEFAULT_IS}",
    )  # fmt: skip
    add(
        "--min_confidence", type=_number(0, 1), metavar="P",
        help="drop lines whose characters have a lower mean probability (default: the bundle's)",
    )  # fmt: skip
    add(
        "--cell_gap", type=_number(0, 100), metavar="HEIGHTS",
        help="cut a line between words that stand unusually far apart, so many of its heights at least; "
        "0: never (default: the bundle's)",
    )  # fmt: skip
    add(
        "--review_threshold", type=_number(0, 1), metavar="P",
        help="mark lines that are right with a smaller chance for review; 0: none (default: the bundle's)",
    )  # fmt: skip
    add("--chars", action="store_true", help="add each character's confidence and extent")
    add("--words", action="store_true", help="add each word's text, confidence and polygon")
    add(
        "--nfkc", action="store_true",
        help="write characters in their plain form (Unicode's NFKC): digits of full width as those of ASCII",
    )  # fmt: skip
    add(
        "--detection_limit", type=_whole(32), metavar="PIXELS",
        help="bound of the side that the bundle bounds in detection (default: the bundle's)",
    )  # fmt: skip
    add(
        "--box_threshold", type=_number(0, 1), metavar="P",
        help="least mean probability of a region of text (default: the bundle's)",
    )  # fmt: skip
    add(
        "--unclip_ratio", type=_number(0, 10), metavar="R",
        help="how far a region is grown into a line (default: the bundle's)",
    )  # fmt: skip


def _add_running(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("running (changes no row)").add_argument
    add(
        "--workers", type=_whole(1), default=_DEFAULT.workers, metavar="N",
        help=f"worker processes on this machine (default: its cores, {_DEFAULT.workers})",
    )  # fmt: skip
    add(
        "--wave_size", type=_whole(0), metavar="N",
        help="most files in a wave, the most that a kill can cost; 0: all in one "
        f"(default: {WAVE_PER_WORKER} a worker on this machine, 2000 at least, 0 on a cluster)",
    )  # fmt: skip
    add(
        "--shard", type=_shard, metavar="I/N",
        help="do the I-th (from 0) of N shares: N runs, each on its own machine, write one output together",
    )  # fmt: skip
    add(
        "--detection_batch", type=_whole(1), default=_DEFAULT.detection_batch, metavar="N",
        help=f"most pages that the detector gets at once {_DEFAULT_IS}",
    )  # fmt: skip
    add(
        "--recognition_batch", type=_whole(1), default=_DEFAULT.recognition_batch, metavar="N",
        help=f"most pages whose lines are read together {_DEFAULT_IS}",
    )  # fmt: skip
    add("--verbose", action="store_true", help="show what Beam and the job log")
    add(
        "--runner",
        metavar="NAME",
        help="Beam's name of a cluster's runner (default: processes on this machine)",
    )


def _shard(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N with I from 0 to N - 1")
    return int(number), int(count)


def _whole(least: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        if not text.strip().isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} up")
        return int(text)

    return whole


def _number(least: float, most: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return value

    return number
