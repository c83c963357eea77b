from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.records import UsageError
from tests.fake_cloud import FakeCloud
from transforms import storage
from transforms.sources import Source, _glob_regex, is_image_name, list_sources


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def uris(*inputs: str) -> list[str]:
    return [source.uri for source in list_sources(inputs)]


class TestFilesAndFolders:
    def test_a_folder_gives_what_can_be_read_below_it(self, here: Path) -> None:
        touch("s/a.jpg", "s/deep/er/b.TIFF", "s/c.pdf", "s/shard.tar.gz", "s/table.parquet", "s/e.heic")
        touch(
            "s/notes.txt",
            "s/data.csv",
            "s/movie.mp4",
            "s/no suffix",
            "s/.hidden.jpg",
            "s/.git/x.jpg",
            "s/._a.jpg",
        )
        expected = ["a.jpg", "c.pdf", "deep/er/b.TIFF", "e.heic", "shard.tar.gz", "table.parquet"]
        assert uris("s") == [f"s/{name}" for name in expected]
        assert uris("s/") == uris("./s") == uris("s")
        assert uris(".") == uris("s")
        assert uris(str(here / "s")) == [str(here / uri) for uri in uris("s")]

    def test_what_is_left_out_is_counted(self, here: Path, caplog: pytest.LogCaptureFixture) -> None:
        touch("s/a.jpg", "s/b.docx", "s/c.docx", "s/d.txt")
        with caplog.at_level(logging.INFO):
            uris("s")
        assert "left out 3 files" in caplog.text
        assert "2 .docx" in caplog.text

    def test_outputs_of_the_job_are_no_inputs(self, here: Path) -> None:
        touch("a.jpg", "out/_waves/0.json", "out/pages/0.parquet", "out/overlay.png", "other/pages/1.parquet")
        assert uris(".") == ["a.jpg", "other/pages/1.parquet"]

    def test_an_input_that_is_also_the_output_is_read_again_without_the_rows(self, here: Path) -> None:
        touch(
            "s/_waves/lock.json", "s/pages/wave-00000-of-1.parquet", "s/a.jpg", "s/b.jpg", "s/q/pages/c.jpg"
        )
        assert uris("s") == ["s/a.jpg", "s/b.jpg", "s/q/pages/c.jpg"]

    def test_a_hidden_folder_that_is_named_is_read(self, here: Path) -> None:
        touch(".cache/a.jpg")
        assert uris(".cache") == [".cache/a.jpg"]

    def test_a_named_file_is_taken_whatever_its_suffix(self, here: Path) -> None:
        touch("scan.bin", "x")
        assert uris("scan.bin", "./x") == ["scan.bin", "x"]

    def test_knows_size_and_version(self, here: Path) -> None:
        touch("a.jpg")
        (before,) = list_sources(["a.jpg"])
        assert before == storage.stat("a.jpg")
        assert before.byte_size == 1
        Path("a.jpg").write_bytes(b"xy")
        (after,) = list_sources(["a.jpg"])
        assert after.etag != before.etag

    def test_each_file_once(self, here: Path) -> None:
        touch("s/a.jpg", "s/b.jpg")
        assert uris("s/b.jpg", "s", "./s/../s/a.jpg", "s/*.jpg") == ["s/b.jpg", "s/a.jpg"]

    @pytest.mark.parametrize(
        "name", ["a b.jpg", "a#b.jpg", "a%20b.jpg", "[1].jpg", "a*.jpg", "q?.jpg", "n\nl.jpg", "ü 日.jpg"]
    )
    def test_names_are_taken_as_they_are(self, name: str, here: Path) -> None:
        touch(f"s/{name}", "s/a.jpg", "s/1.jpg")
        assert uris(f"s/{name}") == [f"s/{name}"]
        assert f"s/{name}" in uris("s")

    def test_file_uris(self, here: Path) -> None:
        touch("s/a b.jpg")
        assert uris(f"file://{here}/s/a%20b.jpg") == [f"{here}/s/a b.jpg"]

    def test_names_that_are_not_utf8_become_uris(self, here: Path) -> None:
        touch(os.fsdecode(b"s/\xff.jpg"))
        assert uris("s") == [f"file://{here}/s/%FF.jpg"]
        assert uris(*uris("s")) == uris("s")


class TestGlobs:
    FILES = ("s/a.jpg", "s/b.png", "s/t/c.jpg", "s/t/u/d.jpg")

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("s/*.jpg", ["s/a.jpg"]),
            ("s/*", ["s/a.jpg", "s/b.png"]),
            ("s/?.*", ["s/a.jpg", "s/b.png"]),
            ("s/[!a].*", ["s/b.png"]),
            ("s/*/*.jpg", ["s/t/c.jpg"]),
            ("s/**/*.jpg", ["s/a.jpg", "s/t/c.jpg", "s/t/u/d.jpg"]),
            ("s/**", ["s/a.jpg", "s/b.png", "s/t/c.jpg", "s/t/u/d.jpg"]),
        ],
    )
    def test_match_alike_here_and_on_object_stores(
        self, pattern: str, expected: list[str], here: Path
    ) -> None:
        touch(*self.FILES)
        assert sorted(uris(pattern)) == expected
        regex = re.compile(_glob_regex(f"gs://b/{pattern}"), re.DOTALL)
        assert [name for name in self.FILES if regex.fullmatch(f"gs://b/{name}")] == expected

    def test_of_folders_reads_the_folders(self, here: Path) -> None:
        touch("2023/a.jpg", "2024/b.jpg", "other/c.jpg")
        assert uris("20*") == ["2023/a.jpg", "2024/b.jpg"]

    def test_special_characters_of_regular_expressions_mean_nothing(self) -> None:
        assert re.fullmatch(_glob_regex("a+b(1).*"), "a+b(1).jpg")
        assert not re.fullmatch(_glob_regex("a.jpg"), "aXjpg")


class TestManifests:
    @pytest.fixture(autouse=True)
    def files(self, here: Path) -> None:
        touch("s/a.jpg", "s/b c.jpg", "s/t.tar")

    def write(self, kind: str, names: list[str]) -> str:
        path = Path(f"list.{kind}")
        if kind == "txt":
            path.write_text("\ufeff" + "\r\n".join(names) + "\n\n", encoding="utf-8")
        elif kind == "csv":
            path.write_text("n,uri\n" + "".join(f'1,"{name}"\n' for name in names))
        elif kind == "jsonl":
            path.write_text("".join(json.dumps({"uri": name}) + "\n\n" for name in names))
        else:
            pq.write_table(pa.table({"uri": names, "n": [1] * len(names)}), path)
        return str(path)

    @pytest.mark.parametrize("kind", ["txt", "csv", "jsonl", "parquet"])
    def test_lines_are_files(self, kind: str) -> None:
        listed = list(
            list_sources(
                [self.write(kind, ["s/a.jpg", "s/b c.jpg", "s/t.tar", "gs://b/x.jpg", "s/none.jpg"])]
            )
        )
        assert listed[:3] == [storage.stat(uri) for uri in ("s/a.jpg", "s/b c.jpg", "s/t.tar")]
        assert listed[3:] == [Source("gs://b/x.jpg"), Source("s/none.jpg")]

    def test_names_are_looked_for_beside_it_first(self, here: Path) -> None:
        touch("lists/s/a.jpg", "lists/own.jpg")
        Path("lists/list.txt").write_text("s/a.jpg\nown.jpg\ns/b c.jpg\n")
        assert uris("lists/list.txt") == ["lists/s/a.jpg", "lists/own.jpg", "s/b c.jpg"]
        assert uris(str(here / "lists/list.txt"))[0] == str(here / "lists/s/a.jpg")

    def test_etag_and_size_are_taken_where_given(self) -> None:
        table = pa.table(
            {"uri": ["gs://b/x.jpg", "gs://b/y.jpg"], "etag": ["e", None], "byte_size": [7, None]}
        )
        pq.write_table(table, "list.parquet")
        assert list(list_sources(["list.parquet"])) == [
            Source("gs://b/x.jpg", "e", 7),
            Source("gs://b/y.jpg"),
        ]

    @pytest.mark.parametrize(
        ("given", "size"), [("7", 7), ("7.0", 7), ("", None), ("nan", None), ("7 kB", None)]
    )
    def test_a_size_that_is_no_number_is_as_none(self, given: str, size: int | None) -> None:
        Path("list.csv").write_text(f"uri,byte_size\ngs://b/x.jpg,{given}\n")
        assert list(list_sources(["list.csv"])) == [Source("gs://b/x.jpg", None, size)]

    @pytest.mark.parametrize("column", ["bytes", "image"])
    def test_parquet_with_images_is_a_source_itself(self, column: str) -> None:
        pq.write_table(pa.table({"uri": ["x"], column: [b"x"]}), "shard.parquet")
        assert uris("shard.parquet") == ["shard.parquet"]

    def test_parquet_that_cannot_be_opened_is_left_to_the_reader(self) -> None:
        Path("broken.parquet").write_bytes(b"PAR1 and no more")
        assert uris("broken.parquet") == ["broken.parquet"]

    def test_in_a_folder_they_are_not_looked_into(self) -> None:
        self.write("txt", ["s/b c.jpg"])
        assert uris(".") == ["s/a.jpg", "s/b c.jpg", "s/t.tar"]

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("list.csv", "name,path\n1,2\n", "needs a column called uri; found name, path"),
            ("list.csv", "", "needs a column called uri; found nothing"),
            pytest.param(
                "list.csv",
                f"uri\n{'x' * 200_000}\n",
                "list.csv, line 2: is not CSV (field larger",
                id="long field",
            ),
            ("list.txt", "\n\n", "holds no images"),
            ("list.jsonl", '{"uri": "s/a.jpg"}\n{"uri": \n', "line 2: is not JSON"),
            ("list.jsonl", '{"path": "s/a.jpg"}\n', 'line 1: must be an object with a string "uri"'),
            ("list.jsonl", "[1]\n", "line 1: must be an object"),
        ],
    )
    def test_that_cannot_be_understood(self, name: str, content: str, message: str) -> None:
        Path(name).write_text(content)
        with pytest.raises(UsageError, match=re.escape(message)):
            uris(name)

    @pytest.mark.parametrize(
        ("column", "found"),
        [
            (pa.array([0, 1]), "int 0"),
            (pa.array([None, 2.5]), "float 2.5"),
            (pa.array([b"s/a.jpg"]), "bytes b's/a.jpg'"),
            (pa.array([["s/a.jpg"]]), "list ['s/a.jpg']"),
        ],
    )
    def test_whose_uris_are_no_text(self, column: pa.Array, found: str) -> None:
        pq.write_table(pa.table({"uri": column}), "list.parquet")
        with pytest.raises(
            UsageError, match=re.escape(f"list.parquet: the column uri must hold text; found {found}")
        ):
            uris("list.parquet")

    def test_a_column_of_categories_is_text(self) -> None:
        pq.write_table(pa.table({"uri": pa.array(["s/a.jpg"]).dictionary_encode()}), "list.parquet")
        assert uris("list.parquet") == ["s/a.jpg"]

    def test_that_is_not_utf8(self) -> None:
        Path("list.txt").write_bytes(b"\xff\xfea.jpg\n")
        with pytest.raises(UsageError, match="must be UTF-8"):
            uris("list.txt")

    def test_is_read_as_a_stream(self) -> None:
        Path("list.txt").write_text("".join(f"gs://b/{i}.jpg\n" for i in range(100_000)))
        listed = list_sources(["list.txt"])
        assert next(listed) == Source("gs://b/0.jpg")


class TestRemote:
    """Object stores; `tests.fake_cloud` plays them."""

    NAMES = ("x/a.jpg", "x/b #1.png", "x/y/c.pdf", "x/y/d.txt", "x/.h/e.jpg", "x/list.txt", "xy.jpg")

    @pytest.fixture(autouse=True)
    def bucket(self, cloud: FakeCloud) -> FakeCloud:
        cloud.files.update(dict.fromkeys(self.NAMES, b"x"))
        return cloud

    @pytest.mark.parametrize("root", ["gs://bucket", "s3://bucket", "az://bucket"])
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("x/", ["x/a.jpg", "x/b #1.png", "x/y/c.pdf"]),
            ("x", ["x/a.jpg", "x/b #1.png", "x/y/c.pdf"]),
            ("x/a.jpg", ["x/a.jpg"]),
            ("x/*.*g", ["x/a.jpg", "x/b #1.png"]),
            ("**/*.pdf", ["x/y/c.pdf"]),
        ],
    )
    def test_files_folders_and_globs(self, root: str, name: str, expected: list[str]) -> None:
        assert uris(f"{root}/{name}") == [f"{root}/{name}" for name in expected]

    @pytest.mark.parametrize("root", ["gs://bucket", "s3://bucket", "az://bucket"])
    def test_outputs_of_the_job_are_no_inputs(self, root: str, bucket: FakeCloud) -> None:
        written = ["_manifest/00000.parquet", "_waves/00000.json", "errors/e.parquet", "pages/p.parquet"]
        others = ["x/pages/o.parquet", "x/_manifest/list.parquet", "x/outer.jpg"]
        bucket.files.update(dict.fromkeys([*others, *(f"x/out/{name}" for name in written)], b"x"))
        names = ["x/_manifest/list.parquet", "x/a.jpg", "x/b #1.png", "x/outer.jpg", "x/pages/o.parquet"]
        assert uris(f"{root}/x") == [f"{root}/{name}" for name in [*names, "x/y/c.pdf"]]
        assert uris(f"{root}/x/out/pages/p.parquet") == [f"{root}/x/out/pages/p.parquet"]

    def test_knows_size_and_version(self) -> None:
        assert list(list_sources(["gs://bucket/x"]))[0] == storage.stat("gs://bucket/x/a.jpg")

    def test_a_manifest_there_names_files_beside_it(self, bucket: FakeCloud) -> None:
        bucket.files["x/list.txt"] = b"a.jpg\ngs://other/b.jpg\n"
        assert uris("gs://bucket/x/list.txt") == ["gs://bucket/x/a.jpg", "gs://other/b.jpg"]

    def test_a_manifest_by_a_signed_url_is_read_and_its_signature_not_shown(self, bucket: FakeCloud) -> None:
        bucket.files["list.csv"] = b"uri\ngs://other/b.jpg\n"
        assert uris(f"{bucket.url}/web/list.csv?sig=abc") == ["gs://other/b.jpg"]
        bucket.files["list.csv"] = b"name\nb.jpg\n"
        with pytest.raises(UsageError, match=r"web/list\.csv\?sig=…: a manifest needs"):
            uris(f"{bucket.url}/web/list.csv?sig=abc")

    def test_web_files_are_taken_one_by_one(self, bucket: FakeCloud) -> None:
        assert uris(f"{bucket.url}/web/x/a.jpg?size=*") == [f"{bucket.url}/web/x/a.jpg?size=*"]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("gs://bucket/none/", "gs://bucket/none/ holds no images"),
            ("gs://bucket/none*", "gs://bucket/none* holds no images"),
            ("s3://other/x", "s3://other/x/: there is no such file"),
            ("{url}/web/none.jpg", "web/none.jpg: there is no such file"),
        ],
    )
    def test_nothing_there(self, name: str, message: str, bucket: FakeCloud) -> None:
        with pytest.raises(UsageError, match=re.escape(message)):
            list_sources([name.format(url=bucket.url)])


class TestWrongInputs:
    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            ([], "No input given"),
            (["s", "none"], "none: there is no such file"),
            (["none*.jpg"], "No file matches the input none*.jpg"),
            (["empty"], "The input empty holds no images"),
            (["hdfs://a/b.jpg"], "hdfs://"),
            (["pipe"], "neither a file nor a folder"),
        ],
    )
    def test_are_named_before_anything_is_listed(self, inputs: list[str], message: str, here: Path) -> None:
        touch("s/a.jpg", "empty/readme.txt")
        os.mkfifo("pipe")
        with pytest.raises(UsageError, match=re.escape(message)):
            list_sources(inputs)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("a.jpg", True),
        ("b/c.JPEG", True),
        ("d.tar", False),
        ("jpg", False),
        ("e.jpg.txt", False),
        ("n\nl.png", True),
    ],
)
def test_is_image_name(name: str, known: bool) -> None:
    assert is_image_name(name) is known
