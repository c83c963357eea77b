from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.metrics.execution import MetricKey, MetricResult
from apache_beam.metrics.metricbase import MetricName

from pipeline import manifest
from pipeline.dealing import ordered
from pipeline.rescue import Counts, rescue
from pipeline.waves import JobError
from pipeline.workers import WorkerDiedError, WorkersStuckError
from transforms.metrics import FILES, LEFT_OUT, MICROSECONDS, NAMESPACE
from transforms.storage import Source

FACTS = {"run_id": "run", "bundle_id": "b"}


class Fake:
    """Stands for a pipeline: writes the URIs of its files, and dies of those in `poison`, or stays at them.

    Args:
        output: where.
        poison: the files, and how often each of them kills.
        error: what happens at them.
        window: how many files before the one at fault are suspected too, unless each is alone.
    """

    def __init__(
        self,
        output: Path,
        poison: dict[str, int],
        error: type[WorkerDiedError] = WorkerDiedError,
        window: int = 3,
    ) -> None:
        self.output = output
        self.poison = dict(poison)
        self.error = error
        self.window = window
        self.deaths = 0
        self.read = 0

    def __call__(self, uri: str, name: str, alone: bool) -> Counts:
        names = [source.uri for source in ordered(uri)]
        path = self.output / "pages" / f"{name}-00000-of-00001.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"uri": names}), path)
        for number, file in enumerate(names):
            if self.poison.get(file, 0):
                self.poison[file] -= 1
                self.deaths += 1
                self.read += number
                first = number if alone else max(0, number - self.window)
                raise self.error(range(first, number + 1), number + 1)
        count = len(names)
        self.read += count
        spent = Counter(detect=10)
        return Counts(files=count, pages=count, lines=2 * count, microseconds=spent, left_out=count)


def rescued(fake: Fake, names: Iterable[str]) -> Counts:
    """What a wave's run ends with that begins as `driver` begins it."""
    output = str(fake.output)
    manifest.extend(output, [Source(name) for name in names], None)
    listed = manifest.wave_uri(output, 0)
    try:
        return fake(listed, "wave-00000", False)
    except WorkerDiedError as died:
        return rescue(fake, output, "wave-00000", listed, died, FACTS)


def uris(output: Path, kind: str) -> list[str]:
    return sorted(
        uri for path in (output / kind).glob("*.parquet") for uri in pq.read_table(path)["uri"].to_pylist()
    )


@pytest.mark.parametrize("error", [WorkerDiedError, WorkersStuckError], ids=["die", "stay"])
@pytest.mark.parametrize(
    ("files", "poison"),
    [
        pytest.param("abcdefgh", "c", id="one"),
        pytest.param("abcdefg", "ag", id="both ends"),
        pytest.param("abcdefgh", "cd", id="neighbours"),
        pytest.param("abc", "abc", id="all"),
        pytest.param("a", "a", id="alone"),
    ],
)
def test_all_but_the_deadly_files_are_read_once(
    tmp_path: Path, files: str, poison: str, error: type[WorkerDiedError]
) -> None:
    counts = rescued(Fake(tmp_path, dict.fromkeys(poison, 99), error), files)
    healthy = sorted(set(files) - set(poison))
    assert uris(tmp_path, "pages") == healthy
    assert uris(tmp_path, "errors") == sorted(poison)
    assert (counts.files, counts.pages, counts.lines) == (len(files), len(healthy), 2 * len(healthy))
    assert counts.left_out == len(healthy)
    assert sum(counts.errors.values()) == len(poison)
    assert [path.name for path in (tmp_path / "_manifest").iterdir()] == ["00000.parquet"]


def test_file_that_killed_by_chance_gets_another_try(tmp_path: Path) -> None:
    counts = rescued(Fake(tmp_path, {"b": 2}), "abcd")  # once among others, once alone
    assert uris(tmp_path, "pages") == ["a", "b", "c", "d"]
    assert counts.errors == {}


@pytest.mark.parametrize("files", [1, 20])
def test_a_file_that_stays_costs_two_waits_and_no_other_file_a_third_reading(
    tmp_path: Path, files: int
) -> None:
    fake = Fake(tmp_path, {str(number * 99): 99 for number in range(files)}, WorkersStuckError, window=64)
    counts = rescued(fake, map(str, range(2000)))
    assert counts.errors == {"crashed": files}
    assert fake.deaths <= 2 * files
    assert fake.read <= 2 * 2000 + 64 * files


def test_workers_that_die_at_no_file_end_the_wave(tmp_path: Path) -> None:
    def die(uri: str, name: str, alone: bool) -> Counts:
        raise WorkerDiedError

    manifest.extend(str(tmp_path), [Source("a")], None)
    listed = manifest.wave_uri(str(tmp_path), 0)
    with pytest.raises(RuntimeError, match="at no file"):
        rescue(die, str(tmp_path), "wave-00000", listed, WorkerDiedError(), FACTS)


@pytest.mark.parametrize("failed", [OSError("disk full"), JobError("nobody begins")], ids=["error", "job"])
def test_other_errors_go_up(tmp_path: Path, failed: Exception) -> None:
    def fail(uri: str, name: str, alone: bool) -> Counts:
        raise failed

    manifest.extend(str(tmp_path), [Source("a"), Source("b")], None)
    listed = manifest.wave_uri(str(tmp_path), 0)
    with pytest.raises(type(failed), match=str(failed)):
        rescue(fail, str(tmp_path), "wave-00000", listed, WorkerDiedError([0], 1), FACTS)


def test_error_row_says_what_happened(tmp_path: Path) -> None:
    rescued(Fake(tmp_path, {"a": 99}), "a")
    (path,) = (tmp_path / "errors").glob("wave-00000-*.parquet")
    (row,) = pq.read_table(path).to_pylist()
    assert (row["kind"], row["stage"], row["page"], row["run_id"]) == ("crashed", "read", None, "run")
    assert "brings down the process" in row["message"]
    assert pq.read_schema(path).metadata[b"bundle_id"] == b"b"


def test_an_error_that_passes_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fake, fails = Fake(tmp_path, {"c": 99}), ["disk full", "no answer"]

    def run(uri: str, name: str, alone: bool) -> Counts:
        counts = fake(uri, name, alone)
        if fails:
            raise OSError(fails.pop())
        return counts

    manifest.extend(str(tmp_path), [Source(name) for name in "abcd"], None)
    listed = manifest.wave_uri(str(tmp_path), 0)
    counts = rescue(run, str(tmp_path), "wave-00000", listed, WorkerDiedError([0], 1), FACTS)
    assert (uris(tmp_path, "pages"), uris(tmp_path, "errors")) == (["a", "b", "d"], ["c"])
    assert counts.pages == 3
    assert "failed (no answer); trying it again" in caplog.text


def test_counts_that_a_runner_does_not_tell_are_none() -> None:
    keys = [MetricKey("step", MetricName(NAMESPACE, name)) for name in (FILES, LEFT_OUT, MICROSECONDS)]
    told = {
        "counters": [MetricResult(keys[0], 3, None), MetricResult(keys[1], 0, None)],
        "distributions": [MetricResult(keys[2], None, None)],
    }
    counts = Counts.of(SimpleNamespace(query=lambda: told))  # type: ignore[arg-type]
    assert (counts + Counts()) == Counts(files=3)
