from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.records import InputError
from tests.corpus import parquet, special, tar
from transforms import caps
from transforms.archives import Member, is_archive, members
from transforms.thrift import page_header

MAX = 1 << 20


def read(data: bytes, max_bytes: int = MAX) -> list[Member]:
    found = members("s.tar", io.BytesIO(data), len(data), max_bytes)
    return [member for member in found if member.data is not None]


class Counted(io.BytesIO):
    """A file that counts the bytes that were read of it."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


def told(found: list[Member]) -> list[tuple[str, str | int]]:
    """Names with the size of the data or the kind of the error."""
    return [(m.uri, m.data.kind if isinstance(m.data, InputError) else len(m.data)) for m in found]


class TestTar:
    @pytest.mark.parametrize("mode", ["w", "w:gz"])
    @pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_members_are_the_images(self, mode: str, form: int) -> None:
        buffer = io.BytesIO()
        long = "d/" * 60 + "ü.png"
        with tarfile.open(fileobj=buffer, mode=mode, format=form) as archive:
            for name in ("a.jpg", "a.json", "b.JPEG", "readme", "._a.jpg", long if form else "c.png"):
                header = tarfile.TarInfo(name)
                header.size = len(name)
                archive.addfile(header, io.BytesIO(name.encode()[: len(name)]))
        names = ["a.jpg", "b.JPEG", long if form else "c.png"]
        assert told(read(buffer.getvalue())) == [(f"s.tar#{name}", len(name)) for name in names]

    def test_members_of_other_kinds_are_told_without_their_data(self) -> None:
        data = tar([(name, b"x") for name in ("a.jpg", "b.json", "readme")] + [special("d", tarfile.DIRTYPE)])
        found = list(members("s.tar", io.BytesIO(data), len(data), MAX))
        assert [(member.uri, member.data) for member in found] == [
            ("s.tar#a.jpg", b"x"),
            ("s.tar#b.json", None),
            ("s.tar#readme", None),
        ]

    def test_nothing_is_written_or_followed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "in").mkdir()
        monkeypatch.chdir(tmp_path / "in")
        links = [
            special("l.jpg", tarfile.SYMTYPE),
            special("h.jpg", tarfile.LNKTYPE, "x.jpg"),
            special("d.jpg", tarfile.BLKTYPE),
        ]
        found = read(tar([("../x.jpg", b"abc"), ("/y.jpg", b"abcd"), *links]))
        kinds = ["not_a_file"] * 3
        assert [kind for _, kind in told(found)] == [3, 4, *kinds]
        assert found[0].uri == "s.tar#../x.jpg"
        assert [path.name for path in tmp_path.rglob("*")] == ["in"]

    def test_members_over_the_cap_are_errors_and_the_rest_is_read(self) -> None:
        found = read(tar([("a.jpg", b"x" * 100), ("b.jpg", b"x" * 101), ("c.jpg", b"x")]), max_bytes=100)
        assert told(found) == [("s.tar#a.jpg", 100), ("s.tar#b.jpg", "too_large"), ("s.tar#c.jpg", 1)]

    @pytest.mark.parametrize("mode", ["w", "w:gz"])
    @pytest.mark.parametrize("tenth", range(1, 10))
    def test_a_cut_is_told_and_what_came_before_is_read(self, mode: str, tenth: int) -> None:
        noise = [bytes([i]) * 40 + i.to_bytes(2, "big") * 3000 for i in range(8)]
        whole = tar([(f"{i}.jpg", data) for i, data in enumerate(noise)], mode)
        found = read(whole[: len(whole) * tenth // 10])
        good = [member for member in found if isinstance(member.data, bytes)]
        assert [member.data for member in good] == noise[: len(good)]
        assert len(good) >= (tenth * 8 // 10) - 3
        end = len(whole) * tenth // 10
        if mode == "w:gz" or end < 8 * 6656:  # Behind the last member only padding can be missing.
            assert isinstance(found[-1].data, InputError)
            assert found[-1].data.kind in ("truncated", "corrupt")

    @pytest.mark.parametrize("cut", [512 + 1024, 2 * (512 + 1024)])
    def test_a_cut_between_members_is_told(self, cut: int) -> None:
        found = read(tar([(f"{i}.jpg", b"x" * 1000) for i in range(3)])[:cut])
        assert told(found)[-1] == ("s.tar", "truncated")

    def test_names_that_are_not_utf8(self) -> None:
        data = tar([("xx.jpg", b"x")]).replace(b"xx.jpg", b"\xff\xfe.jpg")
        header = bytearray(data[:512])
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        assert told(read(bytes(header) + data[512:])) == [("s.tar#\\xff\\xfe.jpg", 1)]

    def test_bombs_stop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(caps, "FREE_BYTES", 1 << 16)
        bomb = tar([("a.jpg", b"x"), ("big.txt", bytes(1 << 22)), ("b.jpg", b"x")], "w:gz")
        assert told(read(bomb)) == [("s.tar#a.jpg", 1), ("s.tar", "too_large")]

    def test_links_without_end_stop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(caps, "FREE_BYTES", 1 << 16)
        link = tarfile.TarInfo("a")
        link.type, link.linkname = tarfile.SYMTYPE, "b"
        endless = gzip.compress(link.tobuf() * 10_000)
        assert told(read(endless)) == [("s.tar", "too_large")]

    def test_sparse_members_are_not_read(self) -> None:
        entry = b"%011o\0%011o\0" % (0, 1)  # one byte is stored, at the start; the rest is a hole
        header = bytearray(tarfile.TarInfo("a.jpg").tobuf(tarfile.GNU_FORMAT))
        header[156:157] = tarfile.GNUTYPE_SPARSE
        header[124:136] = b"%011o\0" % 1
        header[386:410] = entry
        header[483:495] = b"%011o\0" % (1 << 30)  # its real size
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        data = bytes(header) + b"x" + bytes(511) + tar([("b.jpg", b"y")])
        for whole in (data, gzip.compress(data)):
            found = told(read(whole, 1 << 31))
            assert found == [("s.tar#a.jpg", "unsupported"), ("s.tar#b.jpg", 1)]

    def test_giant_headers_are_not_read(self) -> None:
        header = tarfile.TarInfo("././@LongLink")
        header.type, header.size = tarfile.GNUTYPE_LONGNAME, 4 << 30
        for data in (header.tobuf() + bytes(2048), gzip.compress(header.tobuf() + bytes(2048))):
            assert told(read(data)) == [("s.tar", "corrupt")]

    def test_members_of_one_name_are_told_apart(self) -> None:
        data = tar([("a.jpg", b"1"), ("b.txt", b"-"), ("a.jpg", b"22"), ("a.jpg#2", b"-"), ("a.jpg", b"333")])
        assert told(read(data)) == [("s.tar#a.jpg", 1), ("s.tar#a.jpg#2", 2), ("s.tar#a.jpg#4", 3)]

    def test_headers_are_not_kept(self) -> None:
        few, many = (tar([(f"{i}.txt", b"") for i in range(n)]) for n in (100, 3_000))
        assert traced(many) < traced(few) + 200_000

    @pytest.mark.parametrize("name", ["s.png", "s.txt"])
    @pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_a_member_that_claims_more_than_there_is_ends_the_archive(self, name: str, form: int) -> None:
        header = tarfile.TarInfo(name)
        header.size = 1 << 62
        if form == tarfile.PAX_FORMAT:
            header.size, header.pax_headers = 0, {"size": str(1 << 62)}
        data = tar([("a.jpg", b"x")])[:1024] + header.tobuf(form) + bytes(1024)
        assert told(read(data)) == [("s.tar#a.jpg", 1), ("s.tar", "truncated")]
        assert told(read(gzip.compress(data))) == [("s.tar#a.jpg", 1), ("s.tar", "too_large")]

    def test_a_member_that_is_passed_over_is_not_read(self) -> None:
        data = tar([("a.txt", bytes(4 << 20)), ("b.jpg", b"x")])
        file = Counted(data)
        found = [m.uri for m in members("s.tar", file, len(data), MAX) if m.data is not None]
        assert found == ["s.tar#b.jpg"] and file.taken < 1 << 20

    @pytest.mark.parametrize("digits", [1000, 1 << 20])
    def test_a_header_of_digits_is_told(self, digits: int) -> None:
        # tarfile takes time as the square of them, hours here
        found = read(gzip.compress(extended(tarfile.XHDTYPE, b"1" * digits)))
        assert told(found) == [("s.tar", "corrupt")]

    def test_fields_of_pax_do_not_add_up(self) -> None:
        def archive(count: int) -> bytes:
            fields = (b"".join(b"16 k%09d=1\n" % (n << 12 | i) for i in range(1 << 12)) for n in range(count))
            return gzip.compress(b"".join(extended(tarfile.XGLTYPE, body) for body in fields) + bytes(1024))

        assert traced(archive(8)) < traced(archive(1)) + 200_000

    def test_pax_names_and_sizes_are_of_the_next_member_or_of_all(self) -> None:
        body = tar([("z.jpg", b"x" * 5)])[:1024]
        data = extended(tarfile.XHDTYPE, b"14 path=a.jpg\n16 comment=none\n") + body
        data += extended(tarfile.XGLTYPE, b"14 path=b.jpg\n") + body + body + bytes(1024)
        assert told(read(data)) == [("s.tar#a.jpg", 5), ("s.tar#b.jpg", 5), ("s.tar#b.jpg#2", 5)]

    @pytest.mark.parametrize(
        "body", [b"x", b"0 path=a\n", b"99999999999 path=a\n", b"11 size=-5\n", b"12 size=1e9\n"]
    )
    def test_pax_fields_that_are_nonsense(self, body: bytes) -> None:
        data = extended(tarfile.XHDTYPE, body) + tar([("a.jpg", b"x")])
        assert told(read(data)) == [("s.tar", "corrupt")]

    @pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
    def test_thousands_of_headers_in_a_row(self, kind: bytes) -> None:
        body = b"b.jpg" if kind == tarfile.GNUTYPE_LONGNAME else b"14 path=b.jpg\n"
        data = extended(kind, body) * 5000 + tar([("a.txt", b"x")])
        assert told(read(gzip.compress(data))) == [("s.tar#b.jpg", 1)]

    def test_a_name_that_no_system_can_give(self) -> None:
        data = extended(tarfile.GNUTYPE_LONGNAME, b"n" * 500_000) + tar([("a.jpg", b"x")])
        assert told(read(data)) == [("s.tar", "corrupt")]

    def test_numbers_may_be_wide_or_padded_with_spaces(self) -> None:
        header = bytearray(tarfile.TarInfo("a.jpg").tobuf(tarfile.USTAR_FORMAT))
        for field in (b"\x80" + (5).to_bytes(11, "big"), b"          5 ", b"00000000005\0"):
            header[124:136] = field
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
            assert told(read(bytes(header) + b"abcde" + bytes(507 + 1024))) == [("s.tar#a.jpg", 5)]

    def test_an_old_sparse_member_with_a_long_map_is_passed_over(self) -> None:
        header = bytearray(tarfile.TarInfo("a.jpg").tobuf(tarfile.GNU_FORMAT))
        header[156:157], header[482] = tarfile.GNUTYPE_SPARSE, 1
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        more, last = bytes(504) + b"\1" + bytes(7), bytes(512)
        data = bytes(header) + more + last + tar([("b.jpg", b"y")])
        assert told(read(data)) == [("s.tar#a.jpg", "unsupported"), ("s.tar#b.jpg", 1)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The processor's time as archives see it: `now` goes on by `step` whenever it is looked at."""
    clock = SimpleNamespace(now=0.0, step=0.0)

    def thread_time() -> float:
        clock.now += clock.step
        return float(clock.now)

    monkeypatch.setattr(caps, "time", SimpleNamespace(thread_time=thread_time))
    return clock


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["txt", "jpg"])
def test_an_archive_has_so_much_time_and_no_more(packed: bool, name: str, clock: SimpleNamespace) -> None:
    clock.step = caps.FREE_S / 20
    data = tar([(f"{i}.{name}", b"x") for i in range(100)])
    found = told(read(gzip.compress(data, 1) if packed else data))
    assert found[-1] == ("s.tar", "too_large") and len(found) < 20


def test_what_is_done_with_a_member_is_not_the_archive_s_time(clock: SimpleNamespace) -> None:
    data = tar([(f"{i}.jpg", b"x") for i in range(3)])
    found = []
    for member in members("s.tar", io.BytesIO(data), len(data), MAX):
        clock.now += 10 * caps.FREE_S
        found.append(member.data)
    assert found == [b"x"] * 3


def extended(kind: bytes, body: bytes) -> bytes:
    """An extended header of a tar."""
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, len(body)
    return header.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % 512)


def traced(data: bytes) -> int:
    """Bytes of Python's memory that reading an archive takes at most."""
    tracemalloc.start()
    try:
        for _ in members("s.tar", io.BytesIO(data), len(data), MAX):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def zipped(
    members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"", force: bool = False
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = comment
        for name, data in members.items():
            member = zipfile.ZipInfo(name)
            member.compress_type = method
            with archive.open(member, "w", force_zip64=force) as file:
                file.write(data)
    return buffer.getvalue()


class TestZip:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"method": zipfile.ZIP_STORED},
            {"method": zipfile.ZIP_BZIP2},
            {"method": zipfile.ZIP_LZMA},
            {"comment": b"told " * 99},
            {"force": True},
        ],
    )
    def test_members_are_the_images(self, options: dict[str, Any]) -> None:
        names = ["a.jpg", "d/ü.PNG", "../x.jpg", "/y.tif", "#.jpg"]
        others = ["a.json", "readme", "__MACOSX/._a.jpg", "inner.zip", "inner.tar"]
        data = zipped({name: name.encode() for name in names + others}, **options)
        found = list(members("s.zip", io.BytesIO(data), len(data), MAX))
        assert {m.uri: m.data for m in found if m.data is not None} == {
            f"s.zip#{name}": name.encode() for name in names
        }
        assert [m.uri for m in found if m.data is None] == [f"s.zip#{name}" for name in others]
        assert [m.end for m in found] == sorted(m.end for m in found) and found[-1].end == 1

    def test_folders_are_no_members(self) -> None:
        assert told(read(zipped({"d.jpg/": b"", "d.jpg/a.jpg": b"x"}))) == [("s.tar#d.jpg/a.jpg", 1)]

    def test_members_over_the_cap_are_errors_and_the_rest_is_read(self) -> None:
        data = zipped({"a.jpg": b"x" * 100, "b.jpg": b"x" * 101, "c.jpg": b"x"})
        assert told(read(data, max_bytes=100)) == [
            ("s.tar#a.jpg", 100),
            ("s.tar#b.jpg", "too_large"),
            ("s.tar#c.jpg", 1),
        ]

    def test_a_broken_member_is_an_error_alone(self) -> None:
        data = bytearray(zipped({"a.jpg": b"abcd" * 9, "b.jpg": b"efgh" * 9}, zipfile.ZIP_STORED))
        data[data.index(b"abcd")] ^= 1
        assert told(read(bytes(data))) == [("s.tar#a.jpg", "corrupt"), ("s.tar#b.jpg", 36)]

    def test_a_member_with_a_password_is_an_error_alone(self) -> None:
        data = bytearray(zipped({"a.jpg": b"x", "b.jpg": b"y"}))
        directory = data.index(b"PK\1\2")
        data[directory + 8] |= 1
        assert told(read(bytes(data))) == [("s.tar#a.jpg", "encrypted"), ("s.tar#b.jpg", 1)]

    def test_a_size_that_is_a_lie_takes_no_more_memory(self) -> None:
        data = bytearray(zipped({"a.jpg": bytes(1 << 24)}))
        directory = data.index(b"PK\1\2")
        data[directory + 24 : directory + 28] = (1000).to_bytes(4, "little")
        ((_, kind),) = told(read(bytes(data)))
        assert kind == "corrupt"

    def test_bombs_stop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(caps, "FREE_BYTES", 1 << 16)
        bomb = zipped({f"{i}.jpg": bytes(1 << 20) for i in range(9)})
        found = told(read(bomb))
        assert found[-1] == ("s.tar", "too_large") and len(found) < 9

    def test_a_giant_directory_is_not_read(self) -> None:
        data = bytearray(zipped({"a.jpg": b"x"}))
        end = data.rindex(b"PK\5\6")
        data[end + 12 : end + 16] = (1 << 30).to_bytes(4, "little")
        assert told(read(bytes(data))) == [("s.tar", "too_large")]
        data[end + 12 : end + 16] = b"\xff" * 4
        wide = b"PK\6\6" + bytes(36) + (1 << 40).to_bytes(8, "little") + bytes(8)
        assert told(read(bytes(data[:end]) + wide + bytes(data[end:]))) == [("s.tar", "too_large")]

    @pytest.mark.parametrize("tenth", range(1, 10))
    def test_a_cut_is_told(self, tenth: int) -> None:
        whole = zipped({f"{i}.jpg": bytes([i]) * 4000 for i in range(8)}, zipfile.ZIP_STORED)
        ((uri, kind),) = told(read(whole[: len(whole) * tenth // 10]))
        assert (uri, kind) == ("s.tar", "truncated")

    def test_without_images(self) -> None:
        assert told(read(zipped({}))) == [("s.tar", "no_images")]
        assert told(read(zipped({"a.txt": b"x"}))) == [("s.tar", "no_images")]


class TestParquet:
    @pytest.mark.parametrize(
        ("columns", "expected"),
        [
            ({"bytes": [b"a", b"bc", b"d"]}, [("s.tar#0", 1), ("s.tar#1", 2), ("s.tar#2", 1)]),
            ({"bytes": [b"a", b"bc"], "uri": ["u.jpg", None]}, [("s.tar#u.jpg", 1), ("s.tar#1", 2)]),
            ({"bytes": [b"a"], "path": ["p.jpg"], "uri": ["u.jpg"]}, [("s.tar#u.jpg", 1)]),
            ({"bytes": [b"a"], "path": ["p.jpg"]}, [("s.tar#p.jpg", 1)]),
            ({"bytes": [b"a"], "path": [7]}, [("s.tar#0", 1)]),
            ({"bytes": pa.array([b"a"], pa.large_binary())}, [("s.tar#0", 1)]),
            ({"bytes": [b"a"], "uri": pa.array(["u.jpg"], pa.large_string())}, [("s.tar#u.jpg", 1)]),
            ({"image": [{"bytes": b"a", "path": "p"}, {"bytes": None, "path": "p"}, None]},
             [("s.tar#0", 1), ("s.tar#1", "no_images"), ("s.tar#2", "no_images")]),
            ({"bytes": [b"a", None]}, [("s.tar#0", 1), ("s.tar#1", "no_images")]),
            ({"bytes": [b"a" * 11]}, [("s.tar#0", "too_large")]),
            ({"bytes": ["text"]}, [("s.tar", "no_images")]),
            ({"image": [b"not nested"]}, [("s.tar", "no_images")]),
            ({"bytes": pa.array([], pa.binary())}, [("s.tar", "no_images")]),
        ],
    )  # fmt: skip
    def test_rows(self, columns: dict[str, object], expected: list[tuple[str, str | int]]) -> None:
        assert told(read(parquet(columns), max_bytes=10)) == expected

    def test_bombs_stop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(caps, "FREE_BYTES", 10 << 16)
        monkeypatch.setattr(caps, "MAX_RATIO", 1)
        found = told(read(parquet({"bytes": [bytes(1 << 16)] * 100})))
        assert [size for _, size in found] == [1 << 16] * 9 + ["too_large"]
        found = told(read(parquet({"bytes": [bytes(1 << 16)] * 100}), max_bytes=100))
        assert [size for _, size in found] == ["too_large"] * 10

    @pytest.mark.parametrize("named", [False, True])
    def test_of_a_row_group_no_more_is_read_than_the_row_needs(self, named: bool) -> None:
        rows = [np.random.default_rng(row).bytes(50_000) for row in range(160)]
        columns = {"bytes": rows, **({"uri": [f"{row}.jpg" for row in range(160)]} if named else {})}
        buffer = io.BytesIO()
        pq.write_table(pa.table(columns), buffer, use_dictionary=False, write_batch_size=4)
        file, seen = Counted(buffer.getvalue()), []
        for member in members("s.tar", file, len(buffer.getvalue()), MAX):
            assert member.data == rows[len(seen)]
            seen.append(file.taken)
        assert len(seen) == len(rows)
        assert all(taken < (row + 1) * 50_000 + 4 * MAX for row, taken in enumerate(seen))

    @pytest.mark.parametrize(
        ("columns", "options"),
        [
            (lambda: {"bytes": [bytes(80 << 20)]}, {"use_dictionary": False}),
            (
                lambda: {"bytes": [bytes(100_000)] * 800},
                {"use_dictionary": False, "write_batch_size": 1 << 20},
            ),
            (
                lambda: {"bytes": [bytes(100_000) + bytes([i & 255, i >> 8]) for i in range(800)]},
                {"use_dictionary": True},
            ),
            (lambda: {"bytes": [b"x"], "uri": ["n" * (80 << 20)]}, {"use_dictionary": False}),
            (lambda: {"image": [{"bytes": bytes(80 << 20)}]}, {"use_dictionary": False}),
        ],
    )
    def test_a_page_that_claims_too_much_is_not_unpacked(
        self, columns: Callable[[], dict[str, object]], options: dict[str, Any]
    ) -> None:
        buffer = io.BytesIO()
        large = {"data_page_size": 1 << 30, "dictionary_pagesize_limit": 1 << 30, "write_statistics": False}
        pq.write_table(pa.table(columns()), buffer, compression="zstd", **large, **options)
        found = read(buffer.getvalue(), 1 << 30)
        assert told(found) == [("s.tar", "corrupt")]
        assert "claims to unpack to 8" in str(found[0].data)

    def test_a_page_may_unpack_as_far_as_images_do(self) -> None:
        page = np.random.default_rng(3).bytes(1 << 20) + bytes(69 << 20)
        buffer = io.BytesIO()
        pq.write_table(pa.table({"bytes": [page]}), buffer, compression="zstd", use_dictionary=False)
        assert told(read(buffer.getvalue(), 1 << 30)) == [("s.tar#0", 70 << 20)]

    def test_a_page_that_claims_more_than_the_file_has_is_not_read(self) -> None:
        whole = parquet({"bytes": [b"a" * 5000]})
        column = pq.read_metadata(io.BytesIO(whole)).row_group(0).column(0)
        start = column.dictionary_page_offset
        header = page_header(whole[start:])
        sizes = bytes([0x15, 4, 0x15]), bytes([0x15])
        assert whole[start:].startswith(sizes[0]) and header.length < 40
        at = start + 3 + len(varint(2 * header.unpacked)) + 1
        size = varint(2 * header.stored)
        assert whole[at : at + len(size)] == size
        lie = whole[:at] + varint(2 * (1 << 30)) + whole[at + len(size) :]
        (member,) = read(lie)
        assert isinstance(member.data, InputError) and "claims 1,073,741,824 bytes" in member.data.message

    @pytest.mark.parametrize("kind", [b"\x19", b"\x1c"])
    def test_a_page_header_that_is_nested_without_end(self, kind: bytes) -> None:
        with pytest.raises(ValueError, match="nested too deep"):
            page_header(kind * 5000)

    def test_names_of_columns_that_are_no_text(self) -> None:
        data = parquet({"bytes": [b"a"], "column": [1]}).replace(b"column", b"\xe8olumn")
        assert told(read(data)) == [("s.tar", "corrupt")]

    def test_nulls_count_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(caps, "FREE_BYTES", 512 * 50)
        monkeypatch.setattr(caps, "MAX_RATIO", 1)
        found = told(read(parquet({"bytes": pa.array([None] * 100, pa.binary())})))
        assert [kind for _, kind in found] == ["no_images"] * 50 + ["too_large"]

    def test_a_footer_that_is_too_large_to_take(self) -> None:
        data = b"PAR1" + bytes(17 << 20) + (17 << 20).to_bytes(4, "little") + b"PAR1"
        assert told(read(data)) == [("s.tar", "too_large")]

    def test_a_name_that_is_too_long_is_none(self) -> None:
        found = told(read(parquet({"bytes": [b"a", b"b"], "uri": ["n" * 5000, "n" * 4000]})))
        assert found == [("s.tar#0", 1), ("s.tar#" + "n" * 4000, 1)]

    def test_names_of_rows_are_names_of_no_other_file_and_of_no_other_row(self) -> None:
        names = ["/etc/shadow", "gs://b/a.jpg", "/etc/shadow", None, "3", "/etc/shadow#2"]
        found = told(read(parquet({"bytes": [b"a"] * 6, "uri": names})))
        expected = ["/etc/shadow", "gs://b/a.jpg", "/etc/shadow#2", "3", "3#4", "/etc/shadow#2#5"]
        assert found == [(f"s.tar#{name}", 1) for name in expected]

    def test_a_name_that_is_not_utf8_is_its_row_s_alone(self) -> None:
        names = pa.Array.from_buffers(
            pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"\xffb")]
        )
        assert told(read(parquet({"bytes": [b"a", b"b"], "uri": names}))) == [
            ("s.tar#\\xff", 1),
            ("s.tar#b", 1),
        ]

    def test_a_missing_column_names_those_there_are(self) -> None:
        (member,) = read(parquet({"label": [1], "text": ["a"]}))
        assert isinstance(member.data, InputError)
        assert "it has label, text" in member.data.message

    def test_a_broken_row_group_leaves_the_others(self) -> None:
        data = bytearray(parquet({"bytes": [bytes([i]) * 500 for i in range(6)]}))
        column = pq.read_metadata(io.BytesIO(data)).row_group(1).column(0)
        start, size = column.dictionary_page_offset, column.total_compressed_size
        data[start : start + size] = b"\xee" * size
        found = told(read(bytes(data)))
        assert [name for name, size in found if size == 500] == ["s.tar#0", "s.tar#1", "s.tar#4", "s.tar#5"]
        assert ("s.tar", "corrupt") in found

    def test_cut_off(self) -> None:
        data = parquet({"bytes": [b"a" * 500]})
        assert told(read(data[: len(data) // 2])) == [("s.tar", "corrupt")]


def varint(number: int) -> bytes:
    """A number as Thrift's compact protocol writes it."""
    digits = []
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"", "empty"), (b"text", "truncated"), (b"text" * 200, "corrupt"), (bytes(1024), "no_images")],
)
def test_what_is_no_archive(data: bytes, kind: str) -> None:
    assert told(read(data)) == [("s.tar", kind)]


@pytest.mark.parametrize(
    "name",
    ["a.tar", "b/A.TAR.GZ", "a.tgz", "a.zip", "a.parquet", "a?b.tar", "n\nl.tar", "https://h/a.tar?sig=1"],
)
def test_archives_are_known_by_their_names(name: str) -> None:
    assert is_archive(name)


@pytest.mark.parametrize("name", ["a.tar.jpg", "tar", "a.gz", "https://h/a.jpg?x=.tar"])
def test_other_files_are_none(name: str) -> None:
    assert not is_archive(name)
