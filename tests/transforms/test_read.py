from __future__ import annotations

import gzip
import hashlib
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from models.decoding import Limits
from models.records import Failure, InputError, Page
from tests.corpus import encoded, page, parquet, pdf, tar
from tests.fake_cloud import FakeCloud
from transforms import read, storage
from transforms.elements import PageOrFailure
from transforms.read import ReadPages
from transforms.sources import Source, list_sources

JPEG = encoded("JPEG", page((64, 40)))


def run(sources: list[Source], limits: Limits | None = None, **options: Any) -> list[PageOrFailure]:
    """What the stage makes of one bundle."""
    work = ReadPages(limits, **options)._work
    work.setup()
    work.start_bundle()
    found = [element for source in sources for element in work.process(source)]
    found += [element.value for element in work.finish_bundle()]
    work.teardown()
    return found


def told(found: list[PageOrFailure]) -> list[tuple[str, int | None, str]]:
    return [
        (e.uri, e.index, "page") if isinstance(e, Page) else (e.uri, e.page, f"{e.stage} {e.kind}")
        for e in found
    ]


def put(folder: Path, name: str, data: bytes = JPEG) -> Source:
    (folder / name).write_bytes(data)
    return storage.stat(str(folder / name))


def test_a_page_knows_where_it_comes_from(tmp_path: Path) -> None:
    source = put(tmp_path, "a.jpg")
    (found,) = run([source])
    assert isinstance(found, Page)
    assert (found.uri, found.index, found.etag, found.byte_size) == (source.uri, 0, source.etag, len(JPEG))
    assert found.sha256 == hashlib.sha256(JPEG).hexdigest()
    assert (found.width, found.height) == (64, 40)
    assert found.image is not None and found.image.shape == (40, 64, 3)


@pytest.mark.parametrize("root", ["gs://bucket", "s3://bucket", "az://bucket", "{url}/web"])
def test_an_archive_is_asked_for_its_size_once(root: str, cloud: FakeCloud) -> None:
    cloud.files["t.tar"] = tar([("a.jpg", JPEG)])
    uri = f"{root.format(url=cloud.url)}/t.tar"
    assert told(run([Source(uri)], private_hosts=True)) == [(f"{uri}#a.jpg", 0, "page")]
    assert len(cloud.requests) == 2  # and for its bytes


def test_a_file_that_is_too_large_is_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = put(tmp_path, "a.jpg")
    monkeypatch.setattr(storage, "read", lambda *_: pytest.fail("it was downloaded"))
    assert told(run([source], max_bytes=len(JPEG) - 1)) == [(source.uri, None, "read too_large")]


def test_a_list_may_be_wrong_about_a_file_s_size(tmp_path: Path) -> None:
    source = replace(put(tmp_path, "a.jpg"), byte_size=10**13)
    assert told(run([source])) == [(source.uri, 0, "page")]


@pytest.mark.parametrize("told_size", [None, 1], ids=["unknown", "wrong"])
def test_a_file_larger_than_was_told_is_read_at_its_turn(
    told_size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "_UNKNOWN_SIZE", 100)
    caps: list[int] = []
    whole = storage.read
    monkeypatch.setattr(storage, "read", lambda uri, cap: caps.append(cap) or whole(uri, cap))
    source = replace(put(tmp_path, "a.jpg"), byte_size=told_size)
    assert told(run([source, put(tmp_path, "b.jpg")])) == [
        (str(tmp_path / "a.jpg"), 0, "page"),
        (str(tmp_path / "b.jpg"), 0, "page"),
    ]
    assert sorted(caps) == sorted([told_size or 100, len(JPEG), read.MAX_BYTES])


def test_pages_for_models_that_take_grey_have_no_colour(tmp_path: Path) -> None:
    files = [put(tmp_path, "a.jpg"), put(tmp_path, "s.tar", tar([("a.jpg", JPEG)]))]
    found = run(files, one_channel=True)
    assert [e.image.shape for e in found if isinstance(e, Page) and e.image is not None] == [(40, 64)] * 2


def test_members_of_archives_know_it_too(tmp_path: Path) -> None:
    source = put(tmp_path, "s.tar", tar([("a.jpg", JPEG)]))
    (found,) = run([source])
    assert isinstance(found, Page)
    assert (found.uri, found.etag, found.byte_size) == (f"{source.uri}#a.jpg", source.etag, len(JPEG))
    assert found.sha256 == hashlib.sha256(JPEG).hexdigest()


def test_files_that_changed_since_the_listing_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []
    monkeypatch.setattr(read.metrics, "count", counted.append)
    same, other = put(tmp_path, "a.jpg"), replace(put(tmp_path, "b.jpg"), etag="of yesterday")
    shard = replace(put(tmp_path, "s.tar", tar([("a.jpg", JPEG)])), etag="of yesterday")
    found = run([same, other, Source(str(tmp_path / "a.jpg")), shard])
    assert [page.etag for page in found if isinstance(page, Page)] == [
        storage.stat(str(tmp_path / name)).etag for name in ("a.jpg", "b.jpg", "a.jpg", "s.tar")
    ]
    assert counted == ["changed", "changed"]


def test_every_source_gives_something_in_its_order(tmp_path: Path) -> None:
    sources = [
        put(tmp_path, "a.jpg"),
        Source(str(tmp_path / "none.jpg")),
        put(tmp_path, "b.jpg", b"text"),
        put(tmp_path, "c.pdf", pdf(["one", "two"])),
        put(tmp_path, "d.tar", tar([("x.jpg", JPEG), ("y.jpg", b"text"), ("z.jpg", JPEG)])),
        put(tmp_path, "e.parquet", parquet({"bytes": [JPEG, None]})),
        Source(str(tmp_path)),
        put(tmp_path, "f.jpg", b""),
    ]
    expected = [
        ("a.jpg", 0, "page"), ("none.jpg", None, "read not_found"), ("b.jpg", None, "decode not_an_image"),
        ("c.pdf", 0, "page"), ("c.pdf", 1, "page"),
        ("d.tar#x.jpg", 0, "page"), ("d.tar#y.jpg", None, "decode not_an_image"), ("d.tar#z.jpg", 0, "page"),
        ("e.parquet#0", 0, "page"), ("e.parquet#1", None, "read no_images"), ("", None, "read not_a_file"),
        ("f.jpg", None, "decode empty"),
    ]  # fmt: skip
    assert told(run(sources)) == [
        (f"{tmp_path}/{name}".rstrip("/"), index, what) for name, index, what in expected
    ]


def test_a_broken_page_of_a_document_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [Page(width=1), InputError("corrupt", "no"), Page(width=3)]
    monkeypatch.setattr(read, "decode_each", lambda *_: iter(outcomes))
    assert [what for *_, what in told(run([put(tmp_path, "a.tif")]))] == ["page", "decode corrupt", "page"]


def test_limits_are_used(tmp_path: Path) -> None:
    source = put(tmp_path, "a.jpg")
    assert told(run([source], Limits(max_pixels=100))) == [(source.uri, None, "decode too_large")]
    assert told(run([source], max_bytes=100)) == [(source.uri, None, "read too_large")]
    shard = put(tmp_path, "s.tar", tar([("a.jpg", JPEG)]))
    assert told(run([shard], max_bytes=100)) == [(f"{shard.uri}#a.jpg", None, "read too_large")]


@pytest.mark.parametrize("place", ["storage.read", "decode_each", "archives.members"])
def test_what_nobody_foresaw_is_a_failure_too(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprise(*args: object) -> None:
        raise RuntimeError("surprise")

    owner, _, name = place.rpartition(".")
    monkeypatch.setattr(getattr(read, owner) if owner else read, name, surprise)
    found = run([put(tmp_path, "a.jpg"), put(tmp_path, "s.tar", tar([("a.jpg", JPEG)]))])
    failures = [outcome for outcome in found if isinstance(outcome, Failure)]
    assert failures
    for failure in failures:
        assert failure.kind == "unreadable"
        assert "RuntimeError: surprise" in failure.message


def test_secrets_of_a_uri_stay_out_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(uri: str, max_bytes: int) -> storage.Blob:
        assert "hunter2" in uri
        if "gone" in uri:
            raise InputError("not_found", f"{uri}: there is no such file")
        return storage.Blob(JPEG)

    monkeypatch.setattr(storage, "read", fetch)
    found = run([Source(f"https://me:hunter2@host/{name}.jpg?sig=hunter2&v=1") for name in ("a", "gone")])
    assert [outcome.uri for outcome in found] == [
        f"https://host/{name}.jpg?sig=…&v=1" for name in ("a", "gone")
    ]
    assert "hunter2" not in str(found)


def test_reads_ahead_while_pages_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way = threading.Semaphore(0)
    go_on = threading.Event()

    def fetch(uri: str, max_bytes: int) -> storage.Blob:
        under_way.release()
        assert go_on.wait(10)
        return storage.Blob(JPEG)

    monkeypatch.setattr(storage, "read", fetch)
    work = ReadPages(threads=3)._work
    work.setup()
    work.start_bundle()
    assert [list(work.process(Source(f"{i}.jpg", byte_size=1))) for i in range(3)] == [[], [], []]
    assert all(under_way.acquire(timeout=10) for _ in range(3))  # All three began before one was asked for.
    go_on.set()
    assert [element.value.uri for element in work.finish_bundle()] == ["0.jpg", "1.jpg", "2.jpg"]
    work.teardown()


@pytest.mark.parametrize(
    ("spare", "expected"),
    [(None, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]), (99, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]), (0, [1] * 10)],
)
def test_files_ahead_are_bounded_by_what_others_leave(
    spare: int | None, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "read", lambda uri, max_bytes: storage.Blob(JPEG))
    work = ReadPages(ahead=None if spare is None else lambda: spare)._work
    work.setup()
    work.start_bundle()
    sources = [Source(f"{i}.jpg", byte_size=1) for i in range(10)]
    assert [len(list(work.process(source))) for source in sources] == expected
    assert len(list(work.finish_bundle())) == 10 - sum(expected)
    work.teardown()


def test_an_archive_is_read_before_another_file_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = put(tmp_path, "a.tar", tar([("b.jpg", JPEG)]))
    monkeypatch.setattr(storage, "read", lambda uri, max_bytes: storage.Blob(JPEG))
    work = ReadPages()._work
    work.setup()
    work.start_bundle()
    assert list(work.process(Source("c.jpg", byte_size=1))) == []
    found = [element.uri for element in work.process(archive)]
    assert [name.rpartition("/")[2] for name in found] == ["c.jpg", "a.tar#b.jpg"]
    assert list(work.finish_bundle()) == []
    work.teardown()


MEMBERS = [(f"{i}.jpg", os.urandom(12_000)) for i in range(20)]
PARQUET = parquet({"bytes": [JPEG] * 20})


@pytest.mark.parametrize(
    ("name", "data", "steps"),
    [
        ("a.jpg", JPEG, 1),
        ("a.pdf", pdf(["one", "two"]), 1),
        ("none.jpg", b"", 1),
        ("a.tar", tar(MEMBERS), 20),
        ("a.tar.gz", gzip.compress(tar(MEMBERS * 10), 1), 10),
        ("a.tar", tar(MEMBERS)[:-99_000], 10),
        ("a.tar", b"no tar", 1),
        ("a.parquet", PARQUET, 20),
        ("a.parquet", b"PAR1" + b"\xaa" * 600 + PARQUET[604:], 10),  # its first row groups are broken
        ("a.parquet", PARQUET.replace(b"\x16\x28\x19", b"\x16\x00\x19"), 20),  # the footer says: no rows
        ("a.parquet", PARQUET.replace(b"\x16\x28\x19", b"\x16\x02\x19"), 20),  # or: one
    ],
)
def test_each_file_advances_by_one_and_an_archive_with_its_members(
    name: str, data: bytes, steps: int, tmp_path: Path
) -> None:
    parts: list[float] = []
    work = ReadPages(advance=parts.append)._work
    work.setup()
    work.start_bundle()
    for _ in work.process(put(tmp_path, name, data)):
        pass
    for _ in work.finish_bundle():
        pass
    work.teardown()
    assert sum(parts) == pytest.approx(1.0)
    assert min(parts) >= 0.0
    assert len([part for part in parts if part]) >= steps


def test_encoded_files_ahead_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "read", lambda uri, max_bytes: storage.Blob(JPEG))
    work = ReadPages()._work
    work.setup()
    work.start_bundle()
    half = read.AHEAD_BYTES // 2 + 1
    assert [len(list(work.process(Source(f"{i}.jpg", byte_size=half)))) for i in range(4)] == [0, 1, 1, 1]
    assert len(list(work.finish_bundle())) == 1
    work.teardown()


def test_in_a_pipeline(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        put(tmp_path, name)
    put(tmp_path, "c.jpg", b"text")
    sources = list(list_sources([str(tmp_path)]))
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        pages = pipeline | beam.Create(sources) | ReadPages()
        names = pages | beam.Map(lambda outcome: (type(outcome).__name__, outcome.uri))
        expected = [("Page", "a.jpg"), ("Page", "b.jpg"), ("Failure", "c.jpg")]
        assert_that(names, equal_to([(kind, str(tmp_path / name)) for kind, name in expected]))
