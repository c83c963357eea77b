from __future__ import annotations

from pathlib import Path

import apache_beam as beam
import pyarrow.parquet as pq
import pytest
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.pipeline_context import PipelineContext
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, translations

from models.records import UsageError
from pipeline import manifest
from pipeline.graph import WaveJob, build
from pipeline.options import JobOptions
from tests.builders import tiny_bundle, write_pages
from tests.fake_cloud import running
from transforms import bundles, handler
from transforms.elements import ElementCoder
from transforms.storage import Source, http

STAGES = ["ReadPages", "Detect", "Rectify", "ClassifyDirection", "Recognize", "Finish", "Count", "ToRows"]


def graph(takers: int, second: bool = False) -> beam_runner_api_pb2.Pipeline:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    options = JobOptions(("x",), "out", bundle="tiny")
    job = WaveJob("m.parquet", "wave-0", options, options.output, "b", "r", second=second, takers=takers)
    build(pipeline, job)
    return pipeline.to_runner_api()


@pytest.fixture(scope="module")
def proto() -> beam_runner_api_pb2.Pipeline:
    return graph(takers=0)


@pytest.fixture(scope="module")
def stages(proto: beam_runner_api_pb2.Pipeline) -> list[translations.Stage]:
    """The stages that the local runner makes of the graph when it has optimised it."""
    return FnApiRunner().create_stages(proto)[1]


def steps(stage: translations.Stage) -> set[str]:
    return {transform.unique_name.split("/")[0] for transform in stage.transforms}


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("takers", [0, 2])
def test_everything_from_the_reshuffle_to_the_sinks_is_one_stage(takers: int, second: bool) -> None:
    stages = FnApiRunner().create_stages(graph(takers, second))[1]
    (main,) = (stage for stage in stages if "ReadPages" in steps(stage))
    taking = {"TakeFiles"} if takers else set()
    rereading = {"Reread"} if second else set()
    assert steps(main) == {"Deal", *taking, *STAGES, *rereading, "WriteRows"}
    names = [transform.unique_name for transform in main.transforms]
    assert sum(name.endswith("WriteBundles") for name in names) == 2
    sources = [t.unique_name for t in main.transforms if t.spec.urn == "beam:runner:source:v1"]
    assert sources == ["Deal/ReshufflePerKey/GroupByKey/Read"]


def test_no_stage_is_in_two_places(stages: list[translations.Stage]) -> None:
    for step in STAGES:
        assert sum(step in steps(stage) for stage in stages) == 1


def test_pages_are_never_pickled_for_their_size(proto: beam_runner_api_pb2.Pipeline) -> None:
    context = PipelineContext(proto.components)
    seen = 0
    for transform in proto.components.transforms.values():
        if transform.unique_name.split("/")[0] not in STAGES[:-1] or transform.subtransforms:
            continue
        for collection in transform.outputs.values():
            coder = context.coders.get_by_id(proto.components.pcollections[collection].coder_id)
            assert isinstance(getattr(coder, "_elem_coder", coder), ElementCoder), transform.unique_name
            seen += 1
    assert seen == 10  # one each, and a collection of batches before each of the three models


def test_graph_knows_the_manifest_and_not_the_files(proto: beam_runner_api_pb2.Pipeline) -> None:
    assert proto.ByteSize() < 300_000


@pytest.mark.parametrize("allowed", [True, False])
def test_a_worker_knows_from_the_graph_alone_which_hosts_it_may_read(
    allowed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not even the driver has allowed anything here, as in a process on another machine.
    monkeypatch.setattr(http, "_private_hosts", False)
    monkeypatch.setattr(bundles.tempfile, "gettempdir", lambda: str(tmp_path))
    for cached in (http._session, bundles.open_bundle, handler._loaded):
        cached.cache_clear()
    (page,) = write_pages(tmp_path / "in", 1)
    tiny_bundle(tmp_path / "bundle")
    with running() as cloud:
        cloud.files["page.png"] = page.read_bytes()
        for path in (tmp_path / "bundle").iterdir():
            cloud.files[f"bundle/{path.name}"] = path.read_bytes()
        output = str(tmp_path / "out")
        manifest.extend(output, [Source(f"{cloud.url}/web/page.png")], None)
        options = JobOptions((), output, bundle=f"{cloud.url}/web/bundle", allow_private_hosts=allowed)
        pipeline = beam.Pipeline(runner=FnApiRunner())
        build(pipeline, WaveJob(manifest.wave_uri(output, 0), "wave-00000", options, output, "b", "r"))
        if not allowed:
            with pytest.raises(UsageError, match="--allow_private_hosts"):
                pipeline.run()
            assert not cloud.requests
            return
        pipeline.run().wait_until_finish()
    assert pq.read_table(f"{output}/pages")["uri"].to_pylist() == [f"{cloud.url}/web/page.png"]
