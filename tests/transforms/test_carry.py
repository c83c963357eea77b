"""What rows take along of the files that their pages come from."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.decoding import Limits
from models.records import InputError, Page
from tests.builders import write_pages
from transforms import carry
from transforms.archives import Member, members
from transforms.read import archive_pages
from transforms.storage import Source

CAP = 1 << 20
SAMPLES = [
    ("a/1.jpg", b"one"), ("a/1.json", b'{"id": 1, "big": 12345678901234567890}'),
    ("a/2.json", b"\xef\xbb\xbf[2]\n"), ("a/2.png", b"two"), ("a/2.txt", b""),
    ("a/3.jpg", b"three"),
    ("b/3.json", b'"of another folder"'),
    ("b/4.jpg", b"four"), ("b/4.txt", b""), ("b/4.json", b"not JSON: NaN"),
    ("b/5.0.jpg", b"five"), ("b/5.1.jpg", b"again"), ("b/5.json", b"NaN"),
]  # fmt: skip
CARRIED = {
    "a/1.jpg": {"id": 1, "big": 12345678901234567890},
    "a/2.png": [2],
    "a/3.jpg": None,
    "b/4.jpg": "not JSON: NaN",
    "b/5.0.jpg": None,
    "b/5.1.jpg": "NaN",
}


def tar_of(samples: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in samples:
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return buffer.getvalue()


def zip_of(samples: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in samples:
            archive.writestr(name, data)
    return buffer.getvalue()


def found(data: bytes, *asked: str) -> Iterator[Member]:
    return members("x", io.BytesIO(data), len(data), CAP, asked)


@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_json_beside_an_image_is_taken_along(pack: object) -> None:
    data = pack(SAMPLES)  # type: ignore[operator]
    images = [member for member in found(data, "json") if member.data is not None]
    expected = {f"x#{name}": value for name, value in CARRIED.items()}
    assert {each.uri: each.carried and json.loads(each.carried)["json"] for each in images} == expected
    assert [each.data for each in images] == [data for name, data in SAMPLES if name.endswith(("jpg", "png"))]
    plain = list(found(data, "id"))
    assert [each.uri for each in plain if each.data is not None] == list(expected)
    assert all(each.carried is None for each in plain)


def test_an_image_that_waits_when_the_archive_breaks_is_not_lost() -> None:
    data = tar_of([("1.json", b"1"), ("1.jpg", b"one"), ("2.jpg", b"two")])[:3072] + b"broken" * 2000
    read = list(found(data, "json"))
    assert [(each.uri, each.carried) for each in read[:2]] == [("x#1.jpg", '{"json": 1}'), ("x#2.jpg", None)]
    assert isinstance(read[-1].data, InputError)


def parquet_of(**columns: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"bytes": [b"one", b"two"], **columns}), buffer, row_group_size=1)
    return buffer.getvalue()


def test_columns_of_a_parquet_file_are_taken_along() -> None:
    days, raw = [date(2024, 5, 1)] * 2, [b"r", b"\xff"]
    data = parquet_of(
        uri=["é", "b"], id=[1, None], part=[0.5, float("nan")], day=days, raw=raw, nested=[[1], [2]]
    )
    first, second = found(data, "uri", "id", "part", "day", "raw", "nested", "missing")
    lacking = {"nested": None, "missing": None, "day": "2024-05-01"}
    assert json.loads(first.carried or "") == lacking | {"uri": "é", "id": 1, "part": 0.5, "raw": "r"}
    assert json.loads(second.carried or "") == lacking | {
        "uri": "b",
        "id": None,
        "part": None,
        "raw": "\\xff",
    }
    assert [each.uri for each in (first, second)] == ["x#é", "x#b"]
    assert [each.carried for each in found(data)] == [None, None]


def test_values_that_python_cannot_have_lose_no_row() -> None:
    strings = [None, pa.py_buffer(bytes((0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0))), pa.py_buffer(b"ab\xff")]
    data = parquet_of(
        late=pa.array([0, 4_000_000], pa.int32()).cast(pa.date32()),
        zone=pa.array([0, 1], pa.timestamp("us", tz="Nowhere/At_all")),
        name=pa.Array.from_buffers(pa.string(), 2, strings),
    )
    first, second = found(data, "late", "zone", "name")
    assert (first.data, second.data) == (b"one", b"two")
    assert json.loads(first.carried or "") == {"late": "1970-01-01", "zone": None, "name": "a"}
    assert json.loads(second.carried or "") == {"late": "12921-08-18", "zone": None, "name": "b\\xff"}


def test_json_too_long_to_be_taken_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tar_of([("1.jpg", b"one"), ("1.json", b"[" + b" " * (4 << 20) + b"]")])
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("parsed"))
    (image,) = members("x", io.BytesIO(data), len(data), len(data), ["json"])
    assert (image.uri, image.carried) == ("x#1.jpg", None)


def test_what_is_very_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carry, "LONGEST", 20)
    short, long = found(parquet_of(id=["a", "a" * 20]), "id")
    assert (short.carried, long.carried) == ('{"id": "a"}', None)


def test_pages_have_what_was_carried(tmp_path: Path) -> None:
    (path,) = write_pages(tmp_path / "in", 1)
    (tmp_path / "x.tar").write_bytes(tar_of([("1.png", path.read_bytes()), ("1.json", b'{"id": 7}')]))
    source = Source(str(tmp_path / "x.tar"))
    (page,) = archive_pages(source, Limits(), False, carry=("json",))
    assert isinstance(page, Page) and page.carried == '{"json": {"id": 7}}'
    (page,) = archive_pages(source, Limits(), False)
    assert isinstance(page, Page) and page.carried is None
