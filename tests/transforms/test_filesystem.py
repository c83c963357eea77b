from __future__ import annotations

import subprocess
import sys

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.internal import pickler
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.parquetio import WriteToParquetBatched
from apache_beam.options.pipeline_options import PipelineOptions

from models.records import Failure, UsageError
from tests.fake_cloud import FakeCloud
from transforms import filesystem, storage
from transforms.filesystem import beam_path
from transforms.rows import ERRORS, PAGES, Rows, error_row
from transforms.storage import object_store
from transforms.write import WriteRows

ROOTS = ("gs://bucket", "s3://bucket", "az://bucket")
everywhere = pytest.mark.parametrize("root", ROOTS)


def path_of(uri: str) -> str:
    return str(beam_path(uri))


def write_errors(root: str, count: int) -> None:
    """Writes so many rows of errors, in one file each, as a wave would."""
    rows = [
        error_row(Failure(f"{number}.png", None, "read", "not_found", ""), "run") for number in range(count)
    ]
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        tables = [pa.Table.from_pylist([row], ERRORS) for row in rows]
        errors = pipeline | "errors" >> beam.Create(tables)
        pages = pipeline | "pages" >> beam.Create([pa.Table.from_pylist([], PAGES)])
        Rows(pages, errors) | WriteRows(f"{root}/out", "wave-00000")


class TestSink:
    @everywhere
    def test_writes_files_and_leaves_no_others(self, root: str, cloud: FakeCloud) -> None:
        write_errors(root, 3)
        assert {name.rpartition("-")[0] for name in cloud.files} == {
            "out/errors/wave-00000-00000-of",
            "out/pages/wave-00000-00000-of",
        }
        (uri,) = [source.uri for source in storage.list_files(f"{root}/out/errors/")]
        with storage.open_file(uri) as file:
            table = pa.parquet.read_table(file)
        assert table["uri"].to_pylist() == ["0.png", "1.png", "2.png"]

    def test_survives_faults_while_it_writes(self, cloud: FakeCloud) -> None:
        cloud.faults = [503, None, "reset", None, 429, None, 500] * 2
        write_errors("s3://bucket", 2)
        assert not cloud.faults
        assert len(cloud.files) == 2

    @pytest.mark.parametrize(
        ("uri", "path"), [("/folder/a", "/folder/a"), ("gs://b/a", "ppocr-beam://gs://b/a")]
    )
    def test_a_worker_that_is_given_a_path_can_write_there(self, uri: str, path: str) -> None:
        sink = WriteToParquetBatched(beam_path(uri))._sink
        worker = (
            "import sys; from apache_beam.internal import pickler;"
            "from apache_beam.io.filesystems import FileSystems;"
            "path = pickler.loads(sys.argv[1].encode()).file_path_prefix.get();"
            "print(path, *FileSystems.split(path))"
        )
        found = subprocess.run(
            [sys.executable, "-c", worker, pickler.dumps(sink).decode()], capture_output=True, text=True
        )
        assert found.stdout.split() == [path, path.rpartition("/")[0], "a"], found.stderr

    def test_patterns_are_refused(self) -> None:
        with pytest.raises(UsageError, match="may not hold"):
            beam_path("gs://b/a[1]")


class TestFileSystem:
    @everywhere
    def test_file_appears_when_it_is_closed(self, root: str, cloud: FakeCloud) -> None:
        path = path_of(f"{root}/a/b.parquet")
        file = FileSystems.create(path)
        file.write(b"12345")
        assert not FileSystems.exists(path)
        file.close()
        file.close()
        assert FileSystems.exists(path)
        assert FileSystems.open(path).read() == b"12345"
        assert FileSystems.match([path])[0].metadata_list[0].size_in_bytes == 5

    def test_file_that_is_given_up_is_not_put(self, cloud: FakeCloud) -> None:
        file = FileSystems.create(path_of("gs://bucket/a"))
        file.write(b"half")
        del file
        assert not cloud.files

    @everywhere
    def test_patterns_match_within_a_folder(self, root: str, cloud: FakeCloud) -> None:
        cloud.files |= {"out/x-1.parquet": b"", "out/x-2.parquet": b"", "out/y.parquet": b"", "out/x-/z": b""}
        (found,) = FileSystems.match([f"{filesystem.SCHEME}://{root}/out/x-*.parquet"])
        names = [metadata.path for metadata in found.metadata_list]
        assert names == [path_of(f"{root}/out/x-{number}.parquet") for number in (1, 2)]

    @pytest.mark.parametrize("root", ["gs://bucket", "s3://bucket"])  # Azure tells all from the beginning
    def test_other_waves_files_are_not_listed(
        self, root: str, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(object_store, "_LISTED", 2)  # as many as the server tells at once
        cloud.files |= {f"out/pages/wave-{number:05}-0.parquet": b"" for number in range(100)}
        (found,) = FileSystems.match([f"{filesystem.SCHEME}://{root}/out/pages/wave-00050-*"])
        names = [metadata.path for metadata in found.metadata_list]
        assert names == [path_of(f"{root}/out/pages/wave-00050-0.parquet")]
        assert cloud.listed * len(cloud.requests) <= 6

    @everywhere
    def test_rename_copies_and_deletes(self, root: str, cloud: FakeCloud) -> None:
        cloud.files |= {"a": b"1", "b": b"2"}
        paths = [path_of(f"{root}/{name}") for name in "abcd"]
        FileSystems.rename(paths[:2], paths[2:])
        assert cloud.files == {"c": b"1", "d": b"2"}
        assert FileSystems.checksum(paths[2]) != FileSystems.checksum(paths[3])

    @everywhere
    def test_one_file_that_fails_does_not_keep_the_others(self, root: str, cloud: FakeCloud) -> None:
        cloud.files |= {"b": b"2"}
        paths = [path_of(f"{root}/{name}") for name in "abcd"]
        with pytest.raises(BeamIOError, match="no such file") as caught:
            FileSystems.rename(paths[:2], paths[2:])
        assert list(caught.value.exception_details) == [(paths[0], paths[2])]
        assert cloud.files == {"d": b"2"}

    @everywhere
    def test_deletes_folders(self, root: str, cloud: FakeCloud) -> None:
        cloud.files |= {"temp/a": b"", "temp/b/c": b"", "temporary": b""}
        FileSystems.delete([path_of(f"{root}/temp")])
        assert list(cloud.files) == ["temporary"]
