from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.records import Failure, UsageError
from tests.fake_cloud import FakeCloud
from tests.transforms.inputs import touch, uris
from transforms import storage
from transforms.read import fetch
from transforms.sources import Source, list_sources


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    touch("s/a.jpg", "s/b c.jpg", "s/t.tar")
    return tmp_path


def write(kind: str, names: list[str]) -> str:
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
def test_lines_are_files(kind: str) -> None:
    listed = list(
        list_sources([write(kind, ["s/a.jpg", "s/b c.jpg", "s/t.tar", "gs://b/x.jpg", "s/none.jpg"])])
    )
    assert listed[:3] == [storage.stat(uri) for uri in ("s/a.jpg", "s/b c.jpg", "s/t.tar")]
    assert listed[3:] == [Source("gs://b/x.jpg"), Source("s/none.jpg")]


def test_lines_of_text_that_begin_with_a_hash_are_comments() -> None:
    touch("#1.jpg")
    Path("list.txt").write_text("# scans of May\ns/a.jpg\n#s/none.jpg\n./#1.jpg\n#\n")
    assert uris("list.txt") == ["s/a.jpg", "#1.jpg"]


def test_a_name_that_no_file_can_have_is_one_that_cannot_be_read() -> None:
    Path("list.txt").write_text("s/\0x/a.jpg\ns/a.jpg\n")
    first, second = list_sources(["list.txt"])
    assert (first.uri, second.uri) == ("s/\0x/a.jpg", "s/a.jpg")
    failed = fetch(first)
    assert isinstance(failed, Failure) and failed.uri == first.uri


def test_names_are_looked_for_beside_it_first(here: Path) -> None:
    touch("lists/s/a.jpg", "lists/own.jpg")
    Path("lists/list.txt").write_text("s/a.jpg\nown.jpg\ns/b c.jpg\n")
    assert uris("lists/list.txt") == ["lists/s/a.jpg", "lists/own.jpg", "s/b c.jpg"]
    assert uris(str(here / "lists/list.txt"))[0] == str(here / "lists/s/a.jpg")


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        ("gs://bucket/x/lists", "./a.jpg", "gs://bucket/x/lists/a.jpg"),
        ("s3://bucket/x/lists", "../a.jpg", "s3://bucket/x/a.jpg"),
        ("az://bucket/x/lists", "b/.././../../a.jpg", "az://bucket/a.jpg"),
        ("gs://bucket/x//lists", "../b//c/./a.jpg", "gs://bucket/x//b//c/a.jpg"),
        ("gs://bucket/lists", "b//a..jpg/", "gs://bucket/lists/b//a..jpg/"),
        ("gs://bucket", "./a.jpg", "gs://bucket/a.jpg"),
        ("gs://bucket/lists", "/data/../a.jpg", "/data/../a.jpg"),
        ("gs://bucket/lists", "s3://b/./c//../a/", "s3://b/./c//../a/"),
        ("{web}/x/lists", "./a.jpg?to=/../b", "{web}/x/lists/a.jpg?to=/../b"),
        ("{web}/x/lists", "../../../a.jpg", "{host}/a.jpg"),
        ("{web}/x/lists", "file:///etc/./passwd", "{web}/x/lists/file:/etc/passwd"),
        ("{web}/x/lists", "a//b.jpg", "{web}/x/lists/a//b.jpg"),
    ],
)
def test_dots_lead_through_the_folders_of_a_bucket_or_a_web_server(
    folder: str, name: str, expected: str, cloud: FakeCloud
) -> None:
    places = {"web": f"{cloud.url}/web", "host": cloud.url}
    origin = folder.format(**places) + "/list.txt"
    key = origin.partition("/bucket/" if "://bucket" in origin else "/web/")[2]
    cloud.files[key] = f"{name}\n".encode()
    assert uris(origin) == [expected.format(**places)]


@pytest.mark.parametrize("name", ["../../a.jpg", "b/../../../bucket/lists/a.jpg"])
def test_dots_lead_out_of_no_bucket(name: str, cloud: FakeCloud) -> None:
    cloud.files["lists/list.txt"] = f"{name}\n".encode()
    message = f"gs://bucket/lists/list.txt: {name!r} leads out of the bucket; name it by its full URI."
    with pytest.raises(UsageError, match=re.escape(message)):
        uris("gs://bucket/lists/list.txt")


def test_etag_and_size_are_taken_where_given() -> None:
    table = pa.table({"uri": ["gs://b/x.jpg", "gs://b/y.jpg"], "etag": ["e", None], "byte_size": [7, None]})
    pq.write_table(table, "list.parquet")
    assert list(list_sources(["list.parquet"])) == [
        Source("gs://b/x.jpg", "e", 7),
        Source("gs://b/y.jpg"),
    ]


@pytest.mark.parametrize(
    ("given", "size"),
    [("7", 7), ("7.0", 7), ("", None), ("nan", None), ("7 kB", None), ("-5", None), ("1e30", None)],
)
def test_a_size_that_is_no_number_is_as_none(given: str, size: int | None) -> None:
    Path("list.csv").write_text(f"uri,byte_size\ngs://b/x.jpg,{given}\n")
    assert list(list_sources(["list.csv"])) == [Source("gs://b/x.jpg", None, size)]


@pytest.mark.parametrize("column", ["bytes", "image"])
def test_parquet_with_images_is_a_source_itself(column: str) -> None:
    pq.write_table(pa.table({"uri": ["x"], column: [b"x"]}), "shard.parquet")
    assert uris("shard.parquet") == ["shard.parquet"]


def test_parquet_that_cannot_be_opened_is_left_to_the_reader() -> None:
    Path("broken.parquet").write_bytes(b"PAR1 and no more")
    assert uris("broken.parquet") == ["broken.parquet"]


def test_in_a_folder_they_are_not_looked_into() -> None:
    write("txt", ["s/b c.jpg"])
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
        pytest.param(
            "list.jsonl",
            '{"uri": "s/a.jpg"}\n' + "[" * 100_000,
            "list.jsonl, line 2: is not JSON (maximum recursion",
            id="nested",
        ),
        ("list.jsonl", '{"path": "s/a.jpg"}\n', 'line 1: must be an object with a string "uri"'),
        ("list.jsonl", "[1]\n", "line 1: must be an object"),
        ("list.jsonl", '{"uri": "https://h/\\ud800.jpg"}\n', "holds half a character"),
    ],
)
def test_that_cannot_be_understood(name: str, content: str, message: str) -> None:
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
def test_whose_uris_are_no_text(column: pa.Array, found: str) -> None:
    pq.write_table(pa.table({"uri": column}), "list.parquet")
    with pytest.raises(
        UsageError, match=re.escape(f"list.parquet: the column uri must hold text; found {found}")
    ):
        uris("list.parquet")


def test_a_column_of_categories_is_text() -> None:
    pq.write_table(pa.table({"uri": pa.array(["s/a.jpg"]).dictionary_encode()}), "list.parquet")
    assert uris("list.parquet") == ["s/a.jpg"]


def test_that_breaks_off_is_told_in_one_line() -> None:
    rows = pa.table({"uri": [f"gs://b/{i}.jpg" for i in range(20_000)]})
    pq.write_table(rows, "list.parquet", row_group_size=10_000, compression="none", use_dictionary=False)
    data = bytearray(Path("list.parquet").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 9000] = b"\xff" * 9000
    Path("list.parquet").write_bytes(data)
    with pytest.raises(UsageError, match=r"list\.parquet: the list cannot be read on"):
        uris("list.parquet")


@pytest.mark.parametrize("pattern", ["s/*", "s/**", "gs://bucket/s/*"])
@pytest.mark.parametrize("suffix", ["txt", "csv", "jsonl", "parquet"])
def test_what_a_glob_matches_is_no_list(pattern: str, suffix: str, cloud: FakeCloud) -> None:
    write(suffix, ["/etc/passwd"])
    Path(f"list.{suffix}").rename(f"s/list.{suffix}")
    for path in Path("s").iterdir():
        cloud.files[f"s/{path.name}"] = path.read_bytes()
    left_out: Counter[str] = Counter()
    found = [source.uri.removeprefix("gs://bucket/") for source in list_sources([pattern], left_out)]
    lists = ["s/list.parquet"] if suffix == "parquet" else []  # which it may be, or hold images
    assert found == ["s/a.jpg", "s/b c.jpg", *lists, "s/t.tar"]
    assert left_out == ({} if lists else {f".{suffix}": 1})


def test_a_glob_that_matches_lists_alone_says_how_they_are_read() -> None:
    write("txt", ["s/a.jpg"])
    with pytest.raises(UsageError, match="Lists of files are to be named one by one"):
        uris("*.txt")


def test_half_a_character_in_an_etag_is_no_etag() -> None:
    Path("list.jsonl").write_text('{"uri": "gs://b/a.jpg", "etag": "\\ud800"}\n')
    assert list(list_sources(["list.jsonl"])) == [Source("gs://b/a.jpg")]


def test_that_is_not_utf8() -> None:
    Path("list.txt").write_bytes(b"\xff\xfea.jpg\n")
    with pytest.raises(UsageError, match="must be UTF-8"):
        uris("list.txt")


def test_is_read_as_a_stream() -> None:
    Path("list.txt").write_text("".join(f"gs://b/{i}.jpg\n" for i in range(100_000)))
    listed = list_sources(["list.txt"])
    assert next(listed) == Source("gs://b/0.jpg")
