from __future__ import annotations

import pytest
from apache_beam.options.pipeline_options import DebugOptions, SetupOptions

from pipeline.options import parse
from pipeline.runner import awaited, beam_options


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [("", (False, 1)), ("--save_main_session --number_of_worker_harness_threads=4", (True, 4))],
    ids=["ours", "the user's"],
)
def test_what_clusters_are_told_unless_the_user_says_otherwise(
    arguments: str, expected: tuple[bool, int]
) -> None:
    words = ["a", "--output", "out", "--runner", "PortableRunner", *arguments.split()]
    options = beam_options(parse(words), None)
    threads = options.view_as(DebugOptions).number_of_worker_harness_threads
    assert (options.view_as(SetupOptions).save_main_session, threads) == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("--project=p", True), ("--dry_run=true", False), ("--template_location=gs://b/t", False)],
)
def test_only_what_is_run_is_awaited(argument: str, expected: bool) -> None:
    words = ["a", "--output", "out", "--runner", "DataflowRunner", argument]
    assert awaited(beam_options(parse(words), None)) is expected
