from __future__ import annotations

import dataclasses

import pytest

from models.decoding import Limits
from models.reader import ReadOptions
from models.records import UsageError
from pipeline.options import LOCAL_WAVE, JobOptions, parse, result_options

NEEDED = ["--input", "a", "--output", "out"]


def changed(options: JobOptions) -> dict[str, object]:
    """The options that differ from those of a command with nothing but input and output, flat."""

    def flat(options: JobOptions) -> dict[str, object]:
        values = dataclasses.asdict(options)
        read = values.pop("read")
        return {**values, **read.pop("limits"), **read}

    plain = flat(parse(NEEDED))
    return {name: value for name, value in flat(options).items() if value != plain[name]}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", {}),
        ("--input b c", {"inputs": ("a", "b", "c")}),
        ("--output file:///tmp/a%20b", {"output": "/tmp/a b"}),
        ("--output gs://b/out", {"output": "gs://b/out"}),
        ("--bundle tiny", {"bundle": "tiny"}),
        ("--workers 7", {"workers": 7}),
        ("--wave_size 10", {"wave_size": 10}),
        ("--limit=3", {"limit": 3}),
        ("--max_error_rate 0.25", {"max_error_rate": 0.25}),
        ("--detection_batch 2", {"detection_batch": 2}),
        ("--recognition_batch 32", {"recognition_batch": 32}),
        ("--pdf_dpi 300", {"pdf_dpi": 300}),
        ("--max_pixels 1000", {"max_pixels": 1000}),
        ("--direction off", {"direction": "off"}),
        ("--min_confidence 0.625", {"min_confidence": 0.625}),
        ("--review_threshold 0.9", {"review_threshold": 0.9}),
        ("--chars", {"chars": True}),
        ("--detection_limit 640", {"detection_limit": 640}),
        ("--box_threshold 0.7", {"box_threshold": 0.7}),
        ("--unclip_ratio 2", {"unclip_ratio": 2.0}),
        ("--runner DataflowRunner --project p", {"runner": "DataflowRunner", "beam": ("--project", "p")}),
        ("--experiments=a --streaming", {"beam": ("--experiments=a", "--streaming")}),
    ],
)  # fmt: skip
def test_each_option_changes_its_field(arguments: str, expected: dict[str, object]) -> None:
    assert changed(parse([*NEEDED, *arguments.split()])) == expected


def test_defaults_are_those_of_the_records() -> None:
    assert parse(NEEDED) == JobOptions(("a",), "out", read=ReadOptions(limits=Limits()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "a"], "--output"),
        (["--output", "out"], "--input"),
        ([*NEEDED, "--wave_sise", "3"], "no option --wave_sise: did you mean --wave_size?"),
        ([*NEEDED, "--wave-size=3"], "no option --wave-size: did you mean --wave_size?"),
        ([*NEEDED, "--runer", "x"], "did you mean --runner?"),
        ([*NEEDED, "--porject", "x"], "did you mean --project?"),
        ([*NEEDED, "--qqqqqq"], "no option --qqqqqq: --help lists"),
        ([*NEEDED, "-o", "x"], "no option -o"),
        (["scans", *NEEDED], "what is 'scans'? Inputs follow --input"),
        ([*NEEDED, "--workers", "0"], "'0' is not a whole number from 1 up"),
        ([*NEEDED, "--workers", "two"], "'two' is not a whole number"),
        ([*NEEDED, "--min_confidence", "1.5"], "'1.5' is not a number from 0 to 1"),
        ([*NEEDED, "--min_confidence", "nan"], "'nan' is not a number"),
        ([*NEEDED, "--min_confidence", "x"], "'x' is not a number"),
        ([*NEEDED, "--direction", "up"], "invalid choice: 'up'"),
    ],
)
def test_wrong_usage_says_what_is_wrong(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_help_is_grouped_and_ends_with_beam(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parse(["--help"])
    shown = capsys.readouterr().out
    assert left.value.code == 0
    assert [shown.index(group) for group in ("\nfiles:", "\ndecoding:", "\nreading:", "\nrunning")]
    assert shown.index("--wave_size N") < shown.index("Any option of Apache Beam")
    assert all(len(line) <= 100 for line in shown.splitlines())


@pytest.mark.parametrize(
    ("runner", "wave_size", "expected"),
    [(None, None, LOCAL_WAVE), (None, 0, None), (None, 5, 5), ("X", None, None), ("X", 5, 5), ("X", 0, None)],
)
def test_waves_are_bounded_here_and_whole_on_a_cluster(
    runner: str | None, wave_size: int | None, expected: int | None
) -> None:
    options = JobOptions(("a",), "out", runner=runner, wave_size=wave_size)
    assert options.wave_files == expected
    assert options.local == (runner is None)


def test_options_that_change_rows_are_all_of_the_reader() -> None:
    found = result_options(ReadOptions())
    fields = {field.name for record in (ReadOptions, Limits) for field in dataclasses.fields(record)}
    assert set(found) == fields - {"limits"}
