from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import pytest

from models.decoding import Limits
from models.engine import Engine
from models.reader import ReadOptions
from models.records import UsageError
from pipeline import options
from pipeline.options import (
    JobOptions,
    cores,
    engine_title,
    parse,
    result_options,
    with_engine,
)

NEEDED = ["--input", "a", "--output", "out"]


def changed(asked: JobOptions) -> dict[str, object]:
    """The options that differ from those of a command with nothing but input and output, flat."""

    def flat(options: JobOptions) -> dict[str, object]:
        values = dataclasses.asdict(options)
        read = values.pop("read")
        return {**values, **read.pop("limits"), **read}

    plain = flat(parse(NEEDED))
    return {name: value for name, value in flat(asked).items() if value != plain[name]}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", {}),
        ("--input b c", {"inputs": ("a", "b", "c")}),
        ("--chars b", {"inputs": ("b", "a"), "chars": True}),
        ("--limit 3 b --pdf_dpi=9 c", {"inputs": ("b", "c", "a"), "limit": 3, "pdf_dpi": 9}),
        ("-o other b", {"inputs": ("b", "a"), "output": "other"}),
        ("--project p b", {"inputs": ("b", "a"), "beam": ("--project", "p")}),
        ("--project=p b", {"inputs": ("b", "a"), "beam": ("--project=p",)}),
        ("--carry id batch --chars", {"carry": ("id", "batch"), "chars": True}),
        ("--verbose", {"verbose": True}),
        ("--retry_errors", {"retry_errors": True}),
        ("--verbose=true b --chars=false", {"inputs": ("b", "a"), "verbose": True}),
        ("--output file:///tmp/a%20b", {"output": "/tmp/a b"}),
        ("--output gs://b/out", {"output": "gs://b/out"}),
        ("--bundle tiny", {"bundle": "tiny"}),
        ("--workers 7", {"workers": 7}),
        ("--wave_size 10", {"wave_size": 10}),
        ("--limit=3", {"limit": 3}),
        ("--shard 2/3", {"shard": (2, 3)}),
        ("--max_error_rate 0.25", {"max_error_rate": 0.25}),
        ("--detection_batch 2", {"detection_batch": 2}),
        ("--recognition_batch 32", {"recognition_batch": 32}),
        ("--pdf_dpi 300", {"pdf_dpi": 300}),
        ("--pdf_text prefer", {"pdf_text": "prefer"}),
        ("--max_pixels 1000", {"max_pixels": 1000}),
        ("--engine openvino", {"engine": "openvino"}),
        ("--direction off", {"direction": "off"}),
        ("--min_confidence 0.625", {"min_confidence": 0.625}),
        ("--cell_gap 0.5", {"cell_gap": 0.5}),
        ("--review_threshold 0.9", {"review_threshold": 0.9}),
        ("--chars", {"chars": True}),
        ("--words", {"words": True}),
        ("--nfkc", {"nfkc": True}),
        ("--detection_limit 640", {"detection_limit": 640}),
        ("--box_threshold 0.7", {"box_threshold": 0.7}),
        ("--second other", {"second": "other"}),
        ("--second_below 0.7", {"second_below": 0.7}),
        ("--unclip_ratio 2", {"unclip_ratio": 2.0}),
        ("--project p -- --max_bundle_size=9", {"beam": ("--project", "p", "--max_bundle_size=9")}),
        ("--experiments=a --streaming", {"beam": ("--experiments=a", "--streaming")}),
    ],
)  # fmt: skip
def test_each_option_changes_its_field(arguments: str, expected: dict[str, object]) -> None:
    assert changed(parse([*NEEDED, *arguments.split()])) == expected


def test_workers_elsewhere_get_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    names = ["--input", "a/*.png", "gs://b/a", "--output", "out"]
    here, there = parse([*names, "--bundle", "mine"]), parse([*names, "--bundle", "mine", "--runner", "X"])
    assert (here.inputs, here.output, here.bundle) == (("a/*.png", "gs://b/a"), "out", "mine")
    assert there.inputs == (f"{tmp_path}/a/*.png", "gs://b/a")
    assert (there.output, there.bundle) == (f"{tmp_path}/out", f"{tmp_path}/mine")
    named = parse([*names, "--bundle", "latin", "--runner", "X", "--project", "p"])
    assert (named.bundle, named.runner, named.beam) == ("latin", "X", ("--project", "p"))


def test_a_cluster_has_its_own_number_of_workers() -> None:
    assert parse([*NEEDED, "--num_workers", "8", "--runner", "X"]).beam == ("--num_workers", "8")


def test_defaults_are_those_of_the_records() -> None:
    assert parse(NEEDED) == JobOptions(("a",), "out", read=ReadOptions(limits=Limits()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "a"], "--output"),
        (["--output", "out"], "nothing to read: name files, folders or URIs"),
        (["--carry", "id", "scans/", "--output", "out"], "in front of --carry, which takes all that follows"),
        ([*NEEDED, "--wave_sise", "3"], "no option --wave_sise: did you mean --wave_size?"),
        ([*NEEDED, "--wave-size=3"], "no option --wave-size: did you mean --wave_size?"),
        ([*NEEDED, "--runer", "x"], "did you mean --runner?"),
        ([*NEEDED, "--porject", "x"], "did you mean --project?"),
        ([*NEEDED, "--qqqqqq"], "no option --qqqqqq: --help lists"),
        ([*NEEDED, "-q", "x"], "no option -q"),
        ([*NEEDED, "--num_workers", "8"], "on this machine --workers N says"),
        ([*NEEDED, "--max_num_workers=8"], "--max_num_workers is for clusters"),
        (
            [*NEEDED, "--lang", "de"],
            "no option --lang: a bundle reads its languages: --bundle NAME chooses one",
        ),
        ([*NEEDED, "--languages=de"], "`ppocr-bundle list` names them"),
        ([*NEEDED, "b", "--wave_sise", "3"], "did you mean --wave_size?"),
        ([*NEEDED, "--workers", "0"], "'0' is not a whole number from 1 up"),
        ([*NEEDED, "--workers", "two"], "'two' is not a whole number"),
        ([*NEEDED, "--min_confidence", "1.5"], "'1.5' is not a number from 0 to 1"),
        (["--input", "a", "--output", "o\udcff"], "--output 'o\\udcff' is not UTF-8"),
        (["--input", "a", "--output", ""], "--output is empty: is a variable not set?"),
        (["--input", "a", " ", "--output", "b"], "a path to read is empty"),
        (["", "--output", "b"], "a path to read is empty"),
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


@pytest.mark.parametrize("below", ["", "/a/b"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_an_output_that_is_a_file_is_named(below: str, scheme: str, tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").touch()
    with pytest.raises(UsageError, match=r"--output .*: .*rows\.parquet is not a folder$"):
        parse(["--input", "a", "--output", f"{scheme}{tmp_path}/rows.parquet{below}"])


@pytest.mark.parametrize("output", ["out[1]", "file:///a/out[1]", "gs://b/o?t", "a*/out"])
def test_an_output_that_is_a_pattern_is_refused(output: str) -> None:
    """Beam's sinks would delete the files of other outputs that fit it."""
    with pytest.raises(UsageError, match="an output's name may not hold [*?[]; choose another folder"):
        parse(["--input", "a[1]/*", "--output", output])


def test_help_is_grouped_and_ends_with_beam(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parse(["--help"])
    shown = capsys.readouterr().out
    assert left.value.code == 0
    assert [shown.index(group) for group in ("\nfiles:", "\ndecoding:", "\nreading:", "\nrunning")]
    words = " ".join(shown.split())  # wherever lines end
    assert words.index("--wave_size N") < words.index("Any option of Apache Beam")
    assert all(len(line) <= 100 for line in shown.splitlines())


@pytest.mark.parametrize(
    ("runner", "wave_size", "expected"),
    [(None, None, 2000), (None, 0, None), (None, 5, 5), ("X", None, None), ("X", 5, 5), ("X", 0, None)],
)
def test_waves_are_bounded_here_and_whole_on_a_cluster(
    runner: str | None, wave_size: int | None, expected: int | None
) -> None:
    asked = JobOptions(("a",), "out", runner=runner, wave_size=wave_size, workers=2)
    assert asked.wave_files == expected
    assert asked.local == (runner is None)


@pytest.mark.parametrize(("workers", "expected"), [(1, 2000), (2, 2000), (3, 3000), (64, 64_000)])
def test_more_workers_have_larger_waves(workers: int, expected: int) -> None:
    assert JobOptions(("a",), "out", workers=workers).wave_files == expected


def test_options_that_change_rows_are_all_of_the_reader() -> None:
    found = result_options(JobOptions(("a",), "out"))
    fields = {field.name for record in (ReadOptions, Limits) for field in dataclasses.fields(record)}
    assert set(found) == fields - {"limits", "engine"} | {
        "carry"
    }  # the engine is recorded beside them, and may change


@pytest.mark.parametrize(
    ("asked", "runner", "here", "title"),
    [
        ("auto", None, "openvino", "openvino bf16"),
        ("auto", None, "onnxruntime", "onnxruntime f32"),
        ("auto", "FlinkRunner", "openvino", "onnxruntime f32"),
        ("openvino", "FlinkRunner", "onnxruntime", "openvino"),
    ],
)
def test_one_engine_is_chosen_for_all_workers(
    asked: Engine, runner: str | None, here: Engine, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "choose", lambda engine: here)
    monkeypatch.setattr(options, "precision", lambda engine: "bf16" if engine == "openvino" else "f32")
    job = with_engine(JobOptions(("a",), "out", read=ReadOptions(engine=asked), runner=runner))
    assert job.read.engine == title.split()[0]
    assert engine_title(job) == title


def test_openvino_that_is_not_here_is_wrong_usage_unless_a_cluster_shall_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("models.engine.importlib.util.find_spec", lambda name: None)
    job = JobOptions(("a",), "out", read=ReadOptions(engine="openvino"))
    with pytest.raises(UsageError, match=r"--engine openvino needs an extra"):
        with_engine(job)
    assert with_engine(dataclasses.replace(job, runner="FlinkRunner")).read.engine == "openvino"


@pytest.mark.parametrize(
    "arguments",
    ["a b --output out", "--output out a b", "a --output out --input b", "--input=a b --output out"],
)
def test_inputs_need_no_option(arguments: str) -> None:
    assert set(parse(arguments.split()).inputs) == {"a", "b"}


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        pytest.param({}, math.inf, id="no control groups"),
        pytest.param({"proc/self/cgroup": "0::/a\n"}, math.inf, id="not mounted"),
        pytest.param({"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "max 100000\n"}, math.inf,
                     id="version 2, none"),
        pytest.param({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
                      "sys/fs/cgroup/a/cpu.max": "150000 100000\n"}, 1.5, id="version 2, of a parent"),
        pytest.param({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5,
                     id="version 2, a container's root"),
        pytest.param({"proc/self/cgroup": "4:cpu,cpuacct:/x\n1:name=systemd:/\n",
                      "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "300000\n",
                      "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n"}, 3, id="version 1"),
        pytest.param({"proc/self/cgroup": "4:cpu:/outside\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                      "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, math.inf, id="version 1, none"),
    ],
)  # fmt: skip
def test_workers_are_as_many_as_quotas_allow(tmp_path: Path, files: dict[str, str], quota: float) -> None:
    allowed = cores(tmp_path / "nothing")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cores(tmp_path) == (allowed if math.isinf(quota) else max(1, min(allowed, int(quota))))
    assert options._quota(tmp_path) == quota


def test_verbose_shows_what_beam_logs() -> None:
    code = (
        "import logging; from pipeline import logs; beam = logging.getLogger('apache_beam.x');"
        "print(beam.isEnabledFor(40)); logs.show(); print(beam.isEnabledFor(20))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["False", "True"]


def test_help_imports_no_engine() -> None:
    code = "import sys, pipeline.options; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"cv2", "PIL", "pyarrow", "onnxruntime", "openvino", "apache_beam"} & set(modules.split())
