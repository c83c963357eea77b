"""What the documentation shows is run, and what it lists is compared with the code."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from pipeline.__main__ import main
from tests.builders import tiny_bundle, write_pages
from transforms.rows import ERRORS, PAGES, describe

ROOT = Path(__file__).parent.parent
SHOWN = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(kind: str) -> list[object]:
    """Fenced blocks whose language line is `kind`."""
    found = []
    for path in SHOWN:
        parts = re.findall(rf"^```{kind}\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        found += [pytest.param(part, id=f"{path.name}-{i}") for i, part in enumerate(parts)]
    return found


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run over a few pages, one of them broken and one a copy."""
    folder = tmp_path_factory.mktemp("docs")
    tiny_bundle(folder / "bundle")
    first, *_ = write_pages(folder / "in", 3)
    (folder / "in" / "copy.png").write_bytes(first.read_bytes())
    (folder / "in" / "broken.png").write_bytes(b"not an image")
    arguments = ["--input", "in", "--output", "out", "--bundle", "bundle", "--workers", "1", "--words"]
    assert (
        main([str(folder / value) if value in ("in", "out", "bundle") else value for value in arguments]) == 0
    )
    return folder / "out"


@pytest.mark.parametrize("query", blocks("sql duckdb"))
def test_queries_run_and_find_something(query: str, output: Path) -> None:
    found = duckdb.execute(query.replace("OUT/", f"{output}/").replace("'%total%'", "'%'"))
    assert found.fetchall()


@pytest.mark.parametrize("code", blocks("python run"))
def test_examples_run_and_print(
    code: str, output: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(code.replace('"OUT/', f'"{output}/'), "example", "exec"), {"__name__": "example"})
    assert capfd.readouterr().out.strip()


@pytest.mark.parametrize(
    ("schema", "folder"), [(PAGES, "pages"), (ERRORS, "errors")], ids=["pages", "errors"]
)
def test_the_columns_are_described_as_they_are(schema: object, folder: str) -> None:
    text = (ROOT / "docs" / "output.md").read_text("utf-8")
    table = text.partition(f"### `{folder}/*.parquet`")[2].partition("###")[0]
    listed = re.findall(r"^\| `(.+?)` \| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    assert listed[: len(describe(schema))] == describe(schema)  # type: ignore[arg-type]


def test_every_kind_of_error_is_explained() -> None:
    text = (ROOT / "docs" / "output.md").read_text("utf-8")
    sources = [
        path.read_text("utf-8") for room in ("models", "transforms") for path in (ROOT / room).rglob("*.py")
    ]
    kinds = {kind for source in sources for kind in re.findall(r'InputError\(\s*"([a-z_]+)"', source)}
    assert len(kinds) > 10
    assert not {kind for kind in kinds if f"`{kind}`" not in text}


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text("utf-8")):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"
