"""The stages in somebody's own pipeline, against the reader that knows no Beam."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

import transforms
from models.bundle import load_bundle
from models.reader import Reader, ReadOptions
from models.records import Failure, Line, Page
from tests.builders import tiny_bundle, write_pages
from transforms import (
    ClassifyDirection,
    Detect,
    Finish,
    ReadPages,
    Recognize,
    Rectify,
    ToRows,
    WriteRows,
)
from transforms.storage import Source

Rows = list[dict[str, object]]


FOUND: list[Page | Failure] = []
UNFINISHED: list[object] = []


def keep(element: Page | Failure) -> None:
    FOUND.append(element)


def keep_unfinished(element: Page | Failure) -> None:
    if isinstance(element, Page):
        UNFINISHED.append(lines_of(element))


def lines_of(page: Page) -> list[object]:
    """What a reader sees of a page's lines, in their order."""
    return [(line.text, line.needs_review, line.polygon.tolist()) for line in page.lines]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pages, a file that is none, and a bundle."""
    folder = tmp_path_factory.mktemp("stages")
    write_pages(folder / "in", 5)
    (folder / "in" / "page-005.png").write_text("not an image")
    tiny_bundle(folder / "bundle")
    return folder


@pytest.fixture(scope="module")
def sources(folder: Path) -> list[Source]:
    return [Source(str(path), "v1", path.stat().st_size) for path in sorted((folder / "in").iterdir())]


@pytest.fixture(scope="module")
def written(folder: Path, sources: list[Source]) -> Path:
    """What the pipeline of the documentation writes."""
    bundle, output = str(folder / "bundle"), str(folder / "out")
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        (
            pipeline
            | beam.Create(sources)
            | ReadPages()
            | Detect(bundle)
            | Rectify(bundle)
            | ClassifyDirection(bundle)
            | Recognize(bundle, batch_size=2)
            | Finish()
            | ToRows("the bundle", "the run")
            | WriteRows(output, facts={"bundle_id": "the bundle"})
        )
    return Path(output)


def read(folder: Path) -> Rows:
    paths = sorted(folder.glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def expected_pages(folder: Path, sources: list[Source]) -> Iterator[tuple[str, str, int]]:
    reader = Reader(load_bundle(folder / "bundle"))
    for source in sources[:5]:
        (page,) = reader.read_bytes(Path(source.uri).read_bytes())
        yield source.uri, page.text, len(page.lines)


def test_pipeline_reads_as_the_reader_does(written: Path, folder: Path, sources: list[Source]) -> None:
    found = {(row["uri"], row["text"], len(row["lines"])) for row in read(written / "pages")}  # type: ignore[arg-type]
    expected = set(expected_pages(folder, sources))
    assert found == expected
    assert len(expected) == 5
    assert all(text for _, text, _ in expected)


def test_finished_pages_are_those_of_the_reader(folder: Path, sources: list[Source]) -> None:
    bundle, options = str(folder / "bundle"), ReadOptions(review_threshold=0.99)
    reader = Reader(load_bundle(bundle), options)
    FOUND.clear()
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        read = pipeline | beam.Create(sources) | ReadPages() | Detect(bundle) | Rectify(bundle)
        read = read | ClassifyDirection(bundle) | Recognize(bundle, options)
        _ = read | Finish() | beam.Map(keep)
        _ = read | "Unfinished" >> beam.Map(keep_unfinished)
    found = {element.uri: element for element in FOUND}
    assert isinstance(found.pop(sources[5].uri), Failure)  # it went by untouched
    expected = {}
    for source in sources[:5]:
        (expected[source.uri],) = reader.read_bytes(Path(source.uri).read_bytes())
    assert {uri: lines_of(page) for uri, page in found.items()} == {
        uri: lines_of(page) for uri, page in expected.items()
    }
    assert any(lines_of(page) not in UNFINISHED for page in expected.values())  # or there was nothing to do
    marks = {line.needs_review for page in expected.values() for line in page.lines}
    assert marks == {True, False}


def test_page_that_cannot_be_finished_becomes_a_failure() -> None:
    broken = Page("a.png", 3, lines=(Line(None, 1.0), Line(None, 1.0)))  # type: ignore[arg-type]
    (failure,) = transforms.finish._finished(broken)
    assert isinstance(failure, Failure)
    assert (failure.uri, failure.page, failure.stage) == ("a.png", 3, "finish")


def test_file_that_is_no_image_is_an_error_row(written: Path, sources: list[Source]) -> None:
    (row,) = read(written / "errors")
    assert (row["uri"], row["stage"], row["run_id"]) == (sources[5].uri, "decode", "the run")
    assert row["message"]


def test_files_are_zstd_with_statistics_and_facts(written: Path) -> None:
    (path,) = (written / "pages").glob("*.parquet")
    metadata = pq.ParquetFile(path).metadata
    column = metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert column.statistics.has_min_max
    assert metadata.metadata[b"bundle_id"] == b"the bundle"
    assert metadata.metadata[b"schema_version"] == b"1"
    assert metadata.num_row_groups == 1


def test_files_have_the_schema(written: Path) -> None:
    for kind, schema in (("pages", transforms.rows.PAGES), ("errors", transforms.rows.ERRORS)):
        (path,) = (written / kind).glob("*.parquet")
        found = pq.read_schema(path)
        assert found.names == schema.names
        assert [field.type for field in found] == [field.type for field in schema]


class Broken:
    """A reader's stage that a page can break."""

    def __call__(self, pages: list[Page]) -> list[Page]:
        if any(page.uri.endswith("page-001.png") for page in pages):
            raise RuntimeError("out of luck")
        return list(pages)


def load_broken(bundle: object, options: ReadOptions) -> Broken:
    return Broken()


def test_model_failure_fails_one_page_of_a_batch(folder: Path, sources: list[Source]) -> None:
    FOUND.clear()
    handler = transforms.handler.PageModelHandler(
        "detect", load_broken, str(folder / "bundle"), ReadOptions(), batch_size=5  # type: ignore[arg-type]
    )  # fmt: skip
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = pipeline | beam.Create(sources[:5]) | ReadPages() | handler.infer() | beam.Map(keep)
    failures = [element for element in FOUND if isinstance(element, Failure)]
    assert len(FOUND) == 5
    assert [(f.uri, f.page, f.stage, f.kind) for f in failures] == [
        (sources[1].uri, 0, "detect", "model_failure")
    ]


def test_misspelt_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Dtect"):
        transforms.Dtect  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_imports_no_beam() -> None:
    code = "import sys, transforms.sources; sys.exit('apache_beam' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", transforms.__all__)
def test_package_has_the_names_that_it_promises(name: str) -> None:
    assert getattr(transforms, name) is getattr(sys.modules[transforms._HOMES[name]], name)
