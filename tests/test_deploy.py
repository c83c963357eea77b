"""What is deployed fits what the job is: options of templates, versions of images, manifests that parse."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.options import _parser, parse

ROOT = Path(__file__).parent.parent
DATAFLOW = ROOT / "deploy" / "dataflow"
METADATA = json.loads((DATAFLOW / "metadata.json").read_text("utf-8"))
PARAMETERS = {parameter["name"]: parameter for parameter in METADATA["parameters"]}
NOT_IN_TEMPLATES = {
    "help",
    "version",
    "paths",
    "workers",
    "runner",
    "wave_size",
    "shard",
    "max_error_rate",
    "retry_errors",
}
"""Options of runs on one machine, and of drivers that wait for their job: a template's launcher does not."""
EXAMPLES = {
    "second_below": ".5",
    "input": "gs://bucket/scans/",
    "output": "gs://bucket/out",
    "min_confidence": "0.5",
    "cell_gap": "0.8",
    "review_threshold": "0.5",
    "carry": "id",
    "box_threshold": "0.6",
    "unclip_ratio": "1.5",
}


def options() -> dict[str, argparse.Action]:
    actions = _parser()._actions
    return {action.dest: action for action in actions if action.dest not in NOT_IN_TEMPLATES}


def test_template_has_the_options_that_make_sense_in_one() -> None:
    assert list(PARAMETERS) == list(options())


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_template_says_of_an_option_what_the_command_says(name: str) -> None:
    parameter = PARAMETERS[name]
    paths = next(action for action in _parser()._actions if action.dest == "paths")
    action = paths if name == "input" else options()[name]
    expanded = argparse.HelpFormatter("ppocr-beam")._expand_help(action)
    assert parameter["helpText"] == (f"{expanded}: true or false" if action.nargs == 0 else expanded)
    assert parameter["isOptional"] is (name not in ("input", "output"))


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_template_s_values_are_understood(name: str) -> None:
    action = options()[name]
    value = EXAMPLES.get(name, "true" if action.nargs == 0 else str(action.default or 64))
    given = {"input": EXAMPLES["input"], "output": EXAMPLES["output"], name: value}
    for key, text in given.items():
        for pattern in PARAMETERS[key].get("regexes", []):
            assert re.fullmatch(pattern, text)
    job = parse([f"--{key}={text}" for key, text in given.items()])
    assert job.inputs == (EXAMPLES["input"],)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("input", "/home/me/scans"),
        ("output", "out"),
        ("direction", "some"),
        ("chars", "1"),
        ("pdf_dpi", "0"),
        ("min_confidence", "1.5"),
    ],
)
def test_template_refuses_what_the_job_would(name: str, value: str) -> None:
    patterns = PARAMETERS[name]["regexes"]
    assert not any(re.fullmatch(pattern, value) for pattern in patterns)


def test_image_has_the_tested_version_of_beam() -> None:
    tested = importlib.metadata.version("apache-beam")
    for path in (ROOT / "deploy").rglob("*"):
        if path.is_file():
            found = re.findall(r"BEAM=(\S+)|apache/beam_\w+:(\S+)|job-server:(\S+)", path.read_text("utf-8"))
            versions = {version for match in found for version in match if version and "$" not in version}
            assert versions <= {tested}, path


def test_image_is_made_of_the_packages_alone() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    packages = {"models", "pipeline", "training", "transforms"}
    assert kept == {
        *packages, "pyproject.toml", "setup.py", "constraints.txt", "README.md", "LICENSE",
        "deploy/dataflow/launch.py",
    }  # fmt: skip
    assert all((ROOT / name).exists() for name in kept)


def test_image_is_not_root_s() -> None:
    lines = (ROOT / "deploy" / "Dockerfile").read_text().splitlines()
    users = [line for line in lines if line.startswith("USER ")]
    assert users == ["USER 10001"]  # a number: Kubernetes cannot tell a name from root's
    assert lines.index("USER 10001") > max(i for i, line in enumerate(lines) if line.startswith("RUN "))


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((ROOT / "deploy" / "flink" / name).read_text("utf-8")))


def test_flink_on_kubernetes_has_one_worker_a_slot() -> None:
    (cluster,), (job,) = documents("cluster.yaml"), documents("job.yaml")
    slots = cluster["spec"]["flinkConfiguration"]["taskmanager.numberOfTaskSlots"]
    workers = cluster["spec"]["taskManager"]["podTemplate"]["spec"]["containers"][1]
    (driver,) = job["spec"]["template"]["spec"]["containers"]
    options = parse(driver["args"])
    assert f"--sdk_worker_parallelism={slots}" in options.beam
    assert workers["resources"]["requests"]["cpu"] == slots
    assert workers["args"] == ["--worker_pool"]
    assert driver["image"] == workers["image"]
    assert (options.inputs, options.runner) == (("s3://BUCKET/scans/",), "FlinkRunner")


def test_flink_in_containers_puts_workers_beside_the_task_manager() -> None:
    (compose,) = documents("docker-compose.yaml")
    services = compose["services"]
    assert services["workers"]["network_mode"] == "service:taskmanager"
    options = parse(
        [*services["driver"]["entrypoint"][1:], "s3://bucket/scans/", "--output", "s3://bucket/out"]
    )
    assert "--environment_config=localhost:50000" in options.beam  # where Beam's boot listens
    assert options.inputs == ("s3://bucket/scans/",)
