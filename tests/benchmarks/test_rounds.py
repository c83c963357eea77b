from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import benchmarks
from benchmarks import rounds
from benchmarks.bare import Call, _batches, stages
from benchmarks.process import Run
from models.bundle import with_second
from models.records import Line, Page
from tests.builders import CAPITALS, page_image, tiny_bundle


@pytest.mark.parametrize(
    "name", [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "peer"]
)
def test_every_benchmark_can_be_imported(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")


def page_of(length: int) -> Page:
    """A page with a line of so many heights."""
    return Page(lines=(Line(np.zeros((4, 2), np.float32), 1.0, crop=np.zeros((10, 10 * length), np.uint8)),))


def test_the_limit_has_the_jobs_batches() -> None:
    pages = [page_of(1)] * 9 + [page_of(2000)] + [page_of(600)] * 2
    assert [len(batch) for batch in _batches(pages)] == [8, 1, 1, 1, 1]


def test_the_limit_counts_the_second_recogniser(tmp_path: Path) -> None:
    first = tiny_bundle(tmp_path / "one", "one")
    two = with_second(first, tiny_bundle(tmp_path / "two", "two", charset=CAPITALS))
    never, always = (replace(two, manifest=replace(two.manifest, second_below=below)) for below in (0.0, 2.0))
    image = page_image(["ab", "cd"])
    asked = []
    for bundle in (first, never, always):
        calls: list[Call] = []
        find, read = stages(bundle, calls)
        read(find([Page(width=image.shape[1], height=image.shape[0], image=image)]))
        asked.append(len({id(model) for model, _ in calls}))
    assert asked == [3, 3, 4]


def test_ours_is_repeated_until_it_takes_long_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start-up takes 5 seconds, an image one."""
    (tmp_path / "in").mkdir()
    images = [tmp_path / "in" / f"{i}.png" for i in range(10)]
    for image in images:
        image.touch()
    read: list[list[str]] = []

    def run(command: list[str], cores: int) -> Run:
        names = Path(command[command.index("--input") + 1]).read_text().splitlines()
        assert all(Path(name).exists() for name in names)
        read.append(names)
        return Run(5.0 + len(names), 1, "")

    monkeypatch.setattr(rounds, "run", run)
    monkeypatch.setattr(rounds, "read_rows", lambda output: [])
    result = rounds.run_ours("any", Path("python"), rounds.Setting(images, tmp_path, 2))
    assert [len(names) for names in read] == [2, 10, 60]
    assert len(set(read[-1])) == 60
    assert (result.rate, result.start) == (pytest.approx(1.0), pytest.approx(5.0))
    assert result.rate_with_start == pytest.approx(10 / 15)
