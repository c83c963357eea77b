from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from models.records import UsageError
from tests.fake_cloud import FakeCloud
from tests.transforms.inputs import touch, uris
from transforms import sources, storage
from transforms.sources import _glob_regex, is_image_name, list_sources


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


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

    def test_what_is_left_out_is_counted(self, here: Path) -> None:
        touch("s/a.jpg", "s/b.docx", "s/c.docx", "s/d.txt", "t/e.jpg", "t/f.TXT")
        left_out: Counter[str] = Counter()
        assert len(list(list_sources(["s", "t", "s/*.docx"], left_out))) == 4
        assert left_out == {".docx": 2, ".txt": 2}

    def test_outputs_of_the_job_are_no_inputs(self, here: Path) -> None:
        touch("a.jpg", "out/_waves/0.json", "out/pages/0.parquet", "out/overlay.png", "other/pages/1.parquet")
        assert uris(".") == ["a.jpg", "other/pages/1.parquet"]

    def test_an_input_that_is_also_the_output_is_read_again_without_the_rows(self, here: Path) -> None:
        touch(
            "s/_waves/lock.json", "s/pages/wave-00000-of-1.parquet", "s/a.jpg", "s/b.jpg", "s/q/pages/c.jpg"
        )
        assert uris("s") == ["s/a.jpg", "s/b.jpg", "s/q/pages/c.jpg"]

    def test_images_in_outputs_are_counted(self, here: Path) -> None:
        touch("s/_manifest/0.parquet", "s/pages/1.jpg", "s/pages/wave-0.parquet", "s/a.jpg", "s/overlay.png")
        touch("s/out/_waves/lock-0-of-2.json", "s/out/b.jpg", "s/out/overlay.png", "s/out/pages/p.parquet")
        left_out: Counter[str] = Counter()
        assert [source.uri for source in list_sources(["s"], left_out)] == ["s/a.jpg", "s/overlay.png"]
        assert left_out == {sources.IN_OUTPUTS: 2}

    def test_a_stray_file_makes_no_output_of_its_folder(self, here: Path) -> None:
        touch("s/_waves/x.json", "s/a.jpg", "s/_waves/b.jpg", "s/_manifest/list.parquet")
        assert uris("s") == ["s/_manifest/list.parquet", "s/_waves/b.jpg", "s/a.jpg"]

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

    def test_many_large_inputs_are_listed_in_turns_and_always_in_the_same_order(
        self, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sources, "_TURN", 2)
        monkeypatch.setattr(sources, "_LISTINGS", 2)
        monkeypatch.setattr(sources, "_GROUP", 3)
        touch(*(f"{folder}/{number}.jpg" for folder in "abc" for number in range(3)), "a/x.txt", "c/y.txt")
        left_out: Counter[str] = Counter()
        listed = [source.uri for source in list_sources(["a", "b", "c", "b"], left_out)]
        names = [f"{name}.jpg" for name in ("a/0", "a/1", "b/0", "b/1", "a/2", "b/2", "c/0", "c/1", "c/2")]
        assert listed == names
        assert left_out == {".txt": 2}

    def test_a_url_that_is_signed_twice_is_one_file(self, here: Path) -> None:
        urls = [f"https://host/a.jpg?X-Amz-Signature={signature}" for signature in "ab"]
        Path("list.txt").write_text("\n".join([*urls, "https://host/a.jpg?id=2"]))
        assert uris("list.txt") == [urls[0], "https://host/a.jpg?id=2"]

    def test_an_error_of_one_input_ends_the_listing(self, here: Path) -> None:
        touch("s/a.jpg")
        Path("list.jsonl").write_text('{"uri": "s/a.jpg"}\nnonsense\n')
        with pytest.raises(UsageError, match="line 2"):
            uris("s", "list.jsonl")

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

    def test_names_that_are_not_utf8_are_matched(self, here: Path) -> None:
        touch(os.fsdecode(b"s/t/\xff.jpg"), "s/.h/b.jpg")
        assert uris("s/**/*.jpg") == uris("s/*/*.jpg") == [f"file://{here}/s/t/%FF.jpg"]

    def test_a_match_that_leads_nowhere_is_left_to_the_reader(self, here: Path) -> None:
        touch("s/a.jpg", "s/c.jpg")
        (here / "s" / "b.jpg").symlink_to("gone.jpg")
        assert [(source.uri, source.etag is None) for source in list_sources(["s/*.jpg"])] == [
            ("s/a.jpg", False),
            ("s/b.jpg", True),
            ("s/c.jpg", False),
        ]

    def test_of_folders_reads_the_folders(self, here: Path) -> None:
        touch("2023/a.jpg", "2024/b.jpg", "other/c.jpg")
        assert uris("20*") == ["2023/a.jpg", "2024/b.jpg"]

    def test_special_characters_of_regular_expressions_mean_nothing(self) -> None:
        assert re.fullmatch(_glob_regex("a+b(1).*"), "a+b(1).jpg")
        assert not re.fullmatch(_glob_regex("a.jpg"), "aXjpg")


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

    def test_a_range_of_a_glob_that_runs_backwards_is_told(self) -> None:
        message = "The input gs://bucket/x/[z-a].jpg is no glob (bad character range z-a): correct"
        with pytest.raises(UsageError, match=re.escape(message)):
            uris("gs://bucket/x/[z-a].jpg")

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

    def test_a_list_there_names_files_beside_it(self, bucket: FakeCloud) -> None:
        bucket.files["x/list.txt"] = b"a.jpg\ngs://other/b.jpg\n"
        assert uris("gs://bucket/x/list.txt") == ["gs://bucket/x/a.jpg", "gs://other/b.jpg"]

    def test_a_list_by_a_signed_url_is_read_and_its_signature_not_shown(self, bucket: FakeCloud) -> None:
        bucket.files["list.csv"] = b"uri\ngs://other/b.jpg\nc.jpg\n"
        listed = uris(f"{bucket.url}/web/list.csv?sig=a/b")
        assert listed == ["gs://other/b.jpg", f"{bucket.url}/web/c.jpg"]
        bucket.files["list.csv"] = b"uri\n/etc/passwd\nfile:///etc/passwd\n"
        own = [f"{bucket.url}/etc/passwd", f"{bucket.url}/web/file:///etc/passwd"]
        assert uris(f"{bucket.url}/web/list.csv?sig=abc") == own
        bucket.files["list.csv"] = b"name\nb.jpg\n"
        with pytest.raises(UsageError, match=r"web/list\.csv\?sig=…: a list of files needs"):
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
