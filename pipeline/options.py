"""The job's options: one frozen record, and the command line made from it."""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

from models.options import ReadOptions
from models.records import UsageError
from transforms import storage
from transforms.storage import local

LOCAL_WAVE = 2000


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What the job was asked to do.

    Attributes:
        inputs: files, folders, globs, manifests and archives, on any storage.
        output: folder or URI.
        bundle: a built-in bundle's name, or the path or URI of a folder.
        read: everything besides the bundle that changes the rows.
        workers: worker processes on this machine.
        wave_size: most files in a wave; 0 for all in one; None for `LOCAL_WAVE` here and all in one on a
            cluster.
        limit: read only the first files of the inputs, at most this many; None for all.
        max_error_rate: share of the rows that may be errors.
        detection_batch: pages that the detector gets at once.
        recognition_batch: pages whose lines go through direction and recognition together.
        runner: Beam's name of a runner; None for this machine.
        beam: options passed through to Beam.
    """

    inputs: tuple[str, ...]
    output: str
    bundle: str = "ppocrv6-small"
    read: ReadOptions = ReadOptions()
    workers: int = _cores()
    wave_size: int | None = None
    limit: int | None = None
    max_error_rate: float = 1.0
    detection_batch: int = 1
    recognition_batch: int = 1
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
            return LOCAL_WAVE if self.local else None
        return self.wave_size or None


def result_options(read: ReadOptions) -> dict[str, Any]:
    """The options that change rows, flat, as markers and files' metadata record them."""
    values = asdict(read)
    limits = values.pop("limits")
    return {**values, **limits}


def parse(argv: Sequence[str]) -> JobOptions:
    """Reads the command line.

    Raises:
        UsageError: an option is missing, misspelt or has a wrong value.
    """
    parser = _parser()
    _refuse_misspelt(argv, list(parser._option_string_actions))
    known, rest = parser.parse_known_args(argv)
    _refuse_stray(rest)
    limits = replace(_DEFAULT.read.limits, **_values_of(known, _DEFAULT.read.limits))
    read = replace(_DEFAULT.read, limits=limits, **_values_of(known, _DEFAULT.read))
    job = _values_of(known, _DEFAULT)
    if storage.is_local(known.output):
        job["output"] = local.path_of(known.output)  # Beam's files know no file://
    return replace(_DEFAULT, inputs=tuple(known.input), read=read, beam=tuple(rest), **job)


def _values_of(known: argparse.Namespace, record: Any) -> dict[str, Any]:
    """The parsed values that are fields of a record."""
    return {field.name: getattr(known, field.name) for field in fields(record) if hasattr(known, field.name)}


def _refuse_misspelt(argv: Sequence[str], own: Sequence[str]) -> None:
    names = [token.partition("=")[0] for token in argv if re.match("--?[a-zA-Z]", token)]
    unknown = [name for name in names if name not in own]
    if not unknown:
        return
    beam = _beam_options()
    for name in unknown:
        if name not in beam:
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


def _refuse_stray(rest: Sequence[str]) -> None:
    """Refuses what is neither an option nor the value of one of Beam's."""
    may_be_value = False
    for token in rest:
        if token.startswith("-"):
            may_be_value = "=" not in token
        elif may_be_value:
            may_be_value = False
        else:
            raise UsageError(f"what is {token!r}? Inputs follow --input")


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would leave the process: the command has one place that does."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (--help lists the options)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ppocr-beam",
        description="Reads the text of page images and documents into Parquet, one row a page.",
        epilog="Any option of Apache Beam is passed through, such as --runner=DataflowRunner --project=NAME. "
        "The same command again resumes where a run stopped. Exit status: 0 done, 1 failed, 2 wrong usage, "
        "3 more errors than --max_error_rate, 130 interrupted.",
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=28, width=100),
    )
    _add_files(parser)
    _add_decoding(parser)
    _add_reading(parser)
    _add_running(parser)
    return parser


_DEFAULT = JobOptions((), "")
_DEFAULT_IS = "(default: %(default)s)"


def _add_files(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("files").add_argument
    add(
        "--input", nargs="+", action="extend", required=True, metavar="PATH",
        help="files, folders, globs, manifests (.txt .csv .jsonl .parquet with a column uri), tar archives; "
        "on this machine, gs://, s3://, az:// or https://",
    )  # fmt: skip
    add("--output", required=True, metavar="FOLDER", help="folder or URI: pages/*.parquet, errors/*.parquet")
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
        "--direction", choices=("all", "sample", "off"), default=read.direction,
        help="which lines are asked whether they are upside down: all; a sample of each page's, and the rest "
        f"where one of those is; none {_DEFAULT_IS}",
    )  # fmt: skip
    add(
        "--min_confidence", type=_number(0, 1), default=read.min_confidence, metavar="P",
        help=f"drop lines read with less {_DEFAULT_IS}",
    )  # fmt: skip
    add(
        "--review_threshold", type=_number(0, 1), default=read.review_threshold, metavar="P",
        help=f"lines with less, or with a character with less, need review {_DEFAULT_IS}",
    )  # fmt: skip
    add("--chars", action="store_true", help="add each character's confidence and extent")
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
        f"(default: {LOCAL_WAVE} on this machine, 0 on a cluster)",
    )  # fmt: skip
    add(
        "--detection_batch", type=_whole(1), default=_DEFAULT.detection_batch, metavar="N",
        help=f"pages that the detector gets at once {_DEFAULT_IS}",
    )  # fmt: skip
    add(
        "--recognition_batch", type=_whole(1), default=_DEFAULT.recognition_batch, metavar="N",
        help=f"pages whose lines are read together {_DEFAULT_IS}",
    )  # fmt: skip
    add(
        "--runner",
        metavar="NAME",
        help="Beam's name of a cluster's runner (default: processes on this machine)",
    )


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
