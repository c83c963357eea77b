"""The hostile corpus, read: every file ends as the pages or errors that `tests.corpus` says."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from models.records import Failure, Page
from tests import corpus
from tests.builders import tiny_bundle
from tests.fake_cloud import running
from transforms.read import ReadPages
from transforms.sources import list_sources
from transforms.storage import gcs, local, records

CASES = corpus.items()
MEGABYTE = 1 << 20 if sys.platform == "darwin" else 1 << 10
"""In the unit of `ru_maxrss`."""

Outcomes = dict[str, list[Page | Failure]]


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // MEGABYTE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    corpus.write(folder)
    os.mkfifo(folder / "impostors" / "pipe.jpg")
    (folder / "impostors" / "dangling.jpg").symlink_to("nowhere.jpg")
    (folder / "impostors" / "circle").symlink_to("..")
    return folder


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> Outcomes:
    """What became of each file, by its name; pages without their pixels."""
    before = peak_memory()
    found = read_folder(folder)
    found["peak"] = [Page(width=peak_memory() - before)]
    return found


def read_folder(folder: Path | str) -> Outcomes:
    work = ReadPages()._work
    work.setup()
    work.start_bundle()
    found: Outcomes = defaultdict(list)
    names = {item.name for item in CASES}

    def keep(outcome: Page | Failure) -> None:
        if isinstance(outcome, Page):
            assert outcome.image is not None and outcome.image.shape[2] == 3
            outcome = Page(outcome.uri, outcome.index, width=outcome.width, height=outcome.height)
        name = local.path_of(outcome.uri).removeprefix(f"{folder}/")
        found[name if name in names else name.rpartition("#")[0] or name].append(outcome)

    for source in list_sources([os.fspath(folder)]):
        for outcome in work.process(source):
            keep(outcome)
    for element in work.finish_bundle():
        keep(element.value)
    work.teardown()
    return found


@pytest.mark.parametrize("item", CASES, ids=[repr(item.name)[1:60] for item in CASES])
def test_every_file_ends_as_it_must(item: corpus.Item, outcomes: Outcomes) -> None:
    found = outcomes.get(item.name, [])
    failures = [outcome for outcome in found if isinstance(outcome, Failure)]
    assert found
    if item.pages is not None:
        assert len(found) - len(failures) == item.pages, failures
    if item.kinds is not None:
        assert tuple(sorted(failure.kind for failure in failures)) == item.kinds
    for failure in failures:
        assert failure.kind != "unreadable", failure  # the kind of what nobody foresaw
        assert failure.stage in {"read", "decode"}
        assert len(failure.message.split()) > 3


@pytest.mark.parametrize(
    ("name", "kind"), [("impostors/pipe.jpg", "not_a_file"), ("impostors/dangling.jpg", "not_found")]
)
def test_what_is_no_file_is_an_error(name: str, kind: str, outcomes: Outcomes) -> None:
    (failure,) = outcomes[name]
    assert isinstance(failure, Failure)
    assert failure.kind == kind


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_turns_the_size(value: int, suffix: str, outcomes: Outcomes) -> None:
    (page,) = outcomes[f"exif/orientation {value}.{suffix}"]
    assert isinstance(page, Page)
    assert (page.width, page.height) == ((320, 200) if value < 5 else (200, 320))


def test_memory_stays_bounded(outcomes: Outcomes) -> None:
    # The largest honest page has 10 million pixels; believing a claim of 60,000 x 60,000 would take 10 GB.
    (grown,) = outcomes["peak"]
    assert isinstance(grown, Page)
    assert grown.width < 600


@pytest.mark.slow
def test_a_bucket_that_fails_now_and_then_gives_what_the_disk_gives(
    folder: Path, outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_FIRST_WAIT_S", 0.01)
    dice = random.Random(0)

    def chance(method: str, path: str) -> int | str | None:
        whole = ".jpg?" in path  # no archive, which is read in parts, and parts have no checksums
        faults = [503, 429, "reset", "cut", "short", *(["swapped"] if whole else [])]
        return dice.choice(faults) if dice.random() < 0.1 else None

    with running() as cloud:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
        gcs._client.cache_clear()
        for item in CASES:
            if item.name.encode("utf-8", "ignore").decode() == item.name:  # as names in buckets are
                cloud.files[f"in/{item.name}"] = item.data
        cloud.listed, cloud.chance = 1000, chance
        found = read_folder("gs://bucket/in")
        assert cloud.injected > 20
    gcs._client.cache_clear()
    assert len(found) > 100
    for name, there in found.items():
        here = outcomes[name]
        assert [told(outcome) for outcome in there] == [told(outcome) for outcome in here], name


def told(outcome: Page | Failure) -> tuple[object, ...]:
    if isinstance(outcome, Page):
        return outcome.index, outcome.width, outcome.height
    return outcome.page, outcome.stage, outcome.kind


def test_the_job_has_a_row_for_every_page_and_error(folder: Path, outcomes: Outcomes, tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "bundle")
    options = [
        "--input",
        folder,
        "--output",
        tmp_path / "out",
        "--bundle",
        tmp_path / "bundle",
        "--workers",
        "1",
    ]
    subprocess.run([sys.executable, "-m", "pipeline", *options], check=True, timeout=600)
    rows = Counter(
        (row["uri"], row["page"], row.get("kind"))
        for table in ("pages", "errors")
        for row in pq.read_table(tmp_path / "out" / table).to_pylist()
    )
    found = [outcome for name, outcomes in outcomes.items() if name != "peak" for outcome in outcomes]
    assert rows == Counter(
        (o.uri, o.index, None) if isinstance(o, Page) else (o.uri, o.page, o.kind) for o in found
    )
