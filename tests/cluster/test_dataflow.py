"""The job as Dataflow's runner gets it, up to where it would be sent to Google, which nothing here does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import ENVIRONMENT, ROOT, tool
from transforms import storage

pytestmark = pytest.mark.cluster

DRY = [
    *("--runner=DataflowRunner", "--project=some-project", "--region=europe-west1", "--job_name=job-name"),
    *("--temp_location=gs://bucket/temp", "--staging_location=gs://bucket/staging"),
    *("--dry_run=true", "--no_auth"),
]
GRAPH = """
import json, sys
import apache_beam as beam
from pipeline import graph, runner
from pipeline.options import parse

options = parse(["gs://bucket/in", "--output", "gs://bucket/out", *sys.argv[1:]])
pipeline = beam.Pipeline(options=runner.beam_options(options, None))
manifest = "gs://bucket/out/_manifest/00000.parquet"
graph.build(pipeline, graph.WaveJob(manifest, "wave-00000", options, options.output, "id", "run"))
pipeline.run()
proto = pipeline.runner.proto_pipeline
(environment,) = proto.components.environments.values()
transforms = proto.components.transforms.values()
print(json.dumps({
    "bytes": proto.ByteSize(),
    "shuffles": [t.unique_name for t in transforms if t.spec.urn == "beam:transform:group_by_key:v1"],
    "image": environment.payload.decode("latin-1"),
    "artifacts": [dependency.role_payload.decode("latin-1") for dependency in environment.dependencies],
}))
"""


def run(*words: str, more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    python = tool("dataflow/bin/python")
    path = f"{Path(python).parent}:{ENVIRONMENT['PATH']}"
    environment = {**ENVIRONMENT, "PATH": path, **(more or {})}
    done = subprocess.run(
        [python, *words], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done


def graph(*options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("-c", GRAPH, *DRY, *options).stdout)
    return found


def test_runner_takes_the_graph() -> None:
    found = graph("--sdk_container_image=registry/ppocr-beam:1")
    assert found["bytes"] < 1_000_000  # whatever is in the manifest; Dataflow's limit is ten times that
    assert "registry/ppocr-beam:1" in found["image"]
    assert not [name for name in found["artifacts"] if "main_session" in name]
    before = [name for name in found["shuffles"] if not name.startswith("WriteRows/")]
    assert before == ["Deal/ReshufflePerKey/GroupByKey"]


def test_setup_file_is_built_into_what_workers_install() -> None:
    found = graph("--setup_file=./setup.py")
    assert [name for name in found["artifacts"] if "workflow.tar.gz" in name]


@pytest.mark.parametrize("place", ["gs"], indirect=True)
def test_command_hands_its_graph_over(buckets: Mapping[str, str], place: str) -> None:
    paths = ["--input", f"{place}/in", "--output", f"{place}/out", "--bundle", f"{place}/bundle"]
    shown = run("-m", "pipeline", *paths, *DRY, more=buckets)
    assert "wave-00000: the graph is made" in shown.stderr
    left = [source.uri for source in storage.list_files(f"{place}/out/")]
    assert left == [f"{place}/out/_manifest/00000.parquet"]
