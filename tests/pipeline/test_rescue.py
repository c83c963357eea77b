from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import manifest
from pipeline.rescue import Counts, rescue
from pipeline.workers import WorkerDiedError
from transforms.storage import Source

FACTS = {"run_id": "run", "bundle_id": "b"}


class Fake:
    """Stands for a pipeline: writes the URIs of its files, and dies of those in `poison`.

    Args:
        output: where.
        poison: the files, and how often each of them kills.
    """

    def __init__(self, output: Path, poison: dict[str, int]) -> None:
        self.output = output
        self.poison = dict(poison)
        self.runs = 0

    def __call__(self, uri: str, name: str) -> Counts:
        self.runs += 1
        names = [source.uri for group in manifest.read_groups(uri) for source in group]
        path = self.output / "pages" / f"{name}-00000-of-00001.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"uri": names}), path)
        deadly = [name for name in names if self.poison.get(name, 0)]
        for name in deadly:
            self.poison[name] -= 1
        if deadly:
            raise WorkerDiedError
        count = len(names)
        spent = Counter(detect=10)
        return Counts(files=count, pages=count, lines=2 * count, microseconds=spent, left_out=count)


def uris(output: Path, kind: str) -> list[str]:
    return sorted(
        uri for path in (output / kind).glob("*.parquet") for uri in pq.read_table(path)["uri"].to_pylist()
    )


@pytest.mark.parametrize(
    ("files", "poison"),
    [
        pytest.param("abcdefgh", "", id="a kill from outside"),
        pytest.param("abcdefgh", "c", id="one"),
        pytest.param("abcdefg", "ag", id="both ends"),
        pytest.param("abcdefgh", "cd", id="neighbours"),
        pytest.param("abc", "abc", id="all"),
        pytest.param("a", "a", id="alone"),
    ],
)
def test_all_but_the_deadly_files_are_read_once(tmp_path: Path, files: str, poison: str) -> None:
    fake = Fake(tmp_path, dict.fromkeys(poison, 99))
    counts = rescue(fake, str(tmp_path), "wave-00003", [Source(name) for name in files], FACTS)
    healthy = sorted(set(files) - set(poison))
    assert uris(tmp_path, "pages") == healthy
    assert uris(tmp_path, "errors") == sorted(poison)
    assert (counts.files, counts.pages, counts.lines) == (len(files), len(healthy), 2 * len(healthy))
    assert counts.left_out == len(healthy)
    assert sum(counts.errors.values()) == len(poison)
    assert not list((tmp_path / "_manifest").iterdir())


def test_file_that_killed_by_chance_gets_another_try(tmp_path: Path) -> None:
    fake = Fake(tmp_path, {"b": 2})  # once in a half, once alone
    counts = rescue(fake, str(tmp_path), "wave-00003", [Source(name) for name in "abcd"], FACTS)
    assert uris(tmp_path, "pages") == ["a", "b", "c", "d"]
    assert counts.errors == {}


def test_one_file_among_many_is_found_in_few_runs(tmp_path: Path) -> None:
    fake = Fake(tmp_path, {"77": 99})
    rescue(fake, str(tmp_path), "wave-00003", [Source(str(i)) for i in range(128)], FACTS)
    assert fake.runs <= 2 * 7 + 1


def test_error_row_says_what_happened(tmp_path: Path) -> None:
    rescue(Fake(tmp_path, {"a": 99}), str(tmp_path), "wave-00003", [Source("a")], FACTS)
    (path,) = (tmp_path / "errors").glob("wave-00003-*.parquet")
    (row,) = pq.read_table(path).to_pylist()
    assert (row["kind"], row["stage"], row["page"], row["run_id"]) == ("crashed", "read", None, "run")
    assert "brings down the process" in row["message"]
    assert pq.read_schema(path).metadata[b"bundle_id"] == b"b"


def test_an_error_that_passes_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fake, fails = Fake(tmp_path, {"c": 99}), ["disk full", "no answer"]

    def run(uri: str, name: str) -> Counts:
        counts = fake(uri, name)
        if fails:
            raise OSError(fails.pop())
        return counts

    counts = rescue(run, str(tmp_path), "wave-00003", [Source(name) for name in "abcd"], FACTS)
    assert (uris(tmp_path, "pages"), uris(tmp_path, "errors")) == (["a", "b", "d"], ["c"])
    assert counts.pages == 3
    assert "wave-00003-a failed (no answer); trying it again" in caplog.text


def test_other_errors_go_up(tmp_path: Path) -> None:
    def fail(uri: str, name: str) -> Counts:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        rescue(fail, str(tmp_path), "wave-00003", [Source("a"), Source("b")], FACTS)
