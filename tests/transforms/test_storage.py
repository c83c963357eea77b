from __future__ import annotations

import base64
import os
import re
import socketserver
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.records import InputError, UsageError
from pipeline.__main__ import main
from tests.builders import tiny_bundle
from tests.fake_cloud import FakeCloud
from transforms import storage
from transforms.storage import Source, http, object_store, records
from transforms.storage.records import retry

ROOTS = ("local", "gs", "s3", "az", "http")
WRITABLE = ("local", "gs", "s3", "az")


@pytest.fixture
def root(request: pytest.FixtureRequest, cloud: FakeCloud, tmp_path: Path) -> str:
    roots = {"local": str(tmp_path), "http": f"{cloud.url}/web"}
    return roots.get(request.param, f"{request.param}://bucket")


def put(root: str, name: str, data: bytes, cloud: FakeCloud) -> str:
    """Puts a file in place without asking the module under test."""
    if "://" in root:
        cloud.files[name] = data
    else:
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return f"{root}/{name}"


everywhere = pytest.mark.parametrize("root", ROOTS, indirect=True)
wherever_written = pytest.mark.parametrize("root", WRITABLE, indirect=True)
remote = pytest.mark.parametrize("root", ("gs", "s3", "az", "http"), indirect=True)


class Scripted(socketserver.ThreadingTCPServer):
    """A web server that says what it is told to: one script a request, a lone byte after a moment.

    Attributes:
        requests: the head of each request.
    """

    daemon_threads = True

    def __init__(self, scripts: Iterable[Iterable[bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Scripted)
        self.scripts = iter(scripts)
        self.requests: list[str] = []

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of those who have heard enough."""


class _Scripted(socketserver.StreamRequestHandler):
    server: Scripted

    def handle(self) -> None:
        while head := list(iter(lambda: self.rfile.readline().strip(), b"")):
            self.server.requests.append(b"\n".join(head).decode())
            for piece in next(self.server.scripts):
                if len(piece) == 1:
                    time.sleep(0.02)
                self.wfile.write(piece)


@contextmanager
def saying(*scripts: Iterable[bytes]) -> Iterator[Scripted]:
    with Scripted(scripts) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


PIXELS = [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npixels"]
SLOW = [b"x"] * 150  # who waits for 3 s gets what comes behind
SLOW_PIXELS = [b"HTTP/1.1 200 OK\r\nA: ", *SLOW, b"\r\nContent-Length: 6\r\n\r\npixels"]


class TestReading:
    @everywhere
    def test_gives_bytes_and_the_etag_of_the_listing(self, root: str, cloud: FakeCloud) -> None:
        uri = put(root, "a.jpg", b"pixels", cloud)
        blob = storage.read(uri)
        assert blob.data == b"pixels"
        assert storage.stat(uri) == Source(uri, blob.etag, 6)
        assert blob.etag and '"' not in blob.etag

    @everywhere
    def test_missing_file(self, root: str) -> None:
        with pytest.raises(InputError, match="no such file") as caught:
            storage.read(f"{root}/none.jpg")
        assert caught.value.kind == "not_found"
        assert not storage.exists(f"{root}/none.jpg")

    @everywhere
    @pytest.mark.parametrize(("cap", "kind"), [(6, None), (5, "too_large")])
    def test_cap(self, root: str, cap: int, kind: str | None, cloud: FakeCloud) -> None:
        uri = put(root, "a.jpg", b"pixels", cloud)
        if kind is None:
            assert storage.read(uri, max_bytes=cap).data == b"pixels"
            return
        with pytest.raises(InputError, match="cap is 5") as caught:
            storage.read(uri, max_bytes=cap)
        assert caught.value.kind == kind

    @everywhere
    def test_opened_file_can_be_sought(self, root: str, cloud: FakeCloud) -> None:
        data = bytes(range(256)) * 50
        with storage.open_file(put(root, "b.tar", data, cloud)) as file:
            file.seek(-3, os.SEEK_END)
            assert file.read() == data[-3:]
            file.seek(1000)
            assert file.read(20) == data[1000:1020]
            assert file.tell() == 1020
            assert file.read() == data[1020:]

    @pytest.mark.parametrize("root", ["local"], indirect=True)
    def test_what_is_no_file(self, root: str) -> None:
        os.mkfifo(f"{root}/pipe.jpg")
        for uri in (root, f"{root}/pipe.jpg"):
            with pytest.raises(InputError, match="folder") as caught:
                storage.read(uri)
            assert caught.value.kind == "not_a_file"

    def test_forbidden_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a.jpg"
        path.write_bytes(b"x")
        path.chmod(0)

        def refuse(*args: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", refuse)  # Root may read what nobody may.
        with pytest.raises(InputError, match="Permission denied") as caught:
            storage.read(str(path))
        assert caught.value.kind == "forbidden"

    @pytest.mark.parametrize("root", ["gs", "s3", "az"], indirect=True)
    def test_a_bucket_is_no_file(self, root: str) -> None:
        with pytest.raises(InputError, match="is a bucket"):
            storage.read(root)

    def test_unknown_scheme(self) -> None:
        with pytest.raises(InputError, match="hdfs://") as caught:
            storage.read("hdfs://name/a.jpg")
        assert caught.value.kind == "unsupported"


class TestTryingAgain:
    @remote
    @pytest.mark.parametrize("fault", [503, 500, 429, 408, "reset", "short", "cut"])
    def test_passing_faults_are_not_seen(self, root: str, fault: int | str, cloud: FakeCloud) -> None:
        uri = put(root, "a.jpg", b"pixels" * 100, cloud)
        cloud.faults = [fault, fault]
        assert storage.read(uri).data == b"pixels" * 100
        assert len(cloud.requests) == 3

    @remote
    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_final_answers_are_believed_at_once(self, root: str, status: int, cloud: FakeCloud) -> None:
        uri = put(root, "a.jpg", b"pixels", cloud)
        cloud.faults = [status]
        with pytest.raises(InputError) as caught:
            storage.read(uri)
        assert caught.value.kind == {401: "forbidden", 403: "forbidden", 404: "not_found"}[status]
        assert len(cloud.requests) == 1

    @remote
    def test_it_gives_up(self, root: str, cloud: FakeCloud) -> None:
        uri = put(root, "a.jpg", b"pixels", cloud)
        cloud.faults = [503] * 20
        with pytest.raises(InputError, match="tried 6 times") as caught:
            storage.read(uri)
        assert caught.value.kind == "unavailable"

    @pytest.mark.parametrize("root", ["gs"], indirect=True)  # the one that tells checksums
    def test_a_body_of_the_right_length_with_a_wrong_byte_is_not_believed(
        self, root: str, cloud: FakeCloud
    ) -> None:
        uri = put(root, "a.jpg", b"pixels", cloud)
        cloud.faults = ["swapped"]
        assert storage.read(uri).data == b"pixels"
        assert len(cloud.requests) == 2

    @pytest.mark.parametrize(
        ("root", "fault"),
        [
            *((root, "late") for root in ("gs", "s3", "az", "http")),
            *((root, "slow") for root in ("s3", "az", "http")),  # Google's library takes 8 KiB at a time
        ],
        indirect=["root"],
    )
    def test_no_read_takes_longer_than_its_deadline(self, root: str, fault: str, cloud: FakeCloud) -> None:
        uri = put(root, "a.jpg", bytes(1000), cloud)
        cloud.faults = [fault]
        with pytest.raises(InputError) as caught:  # who waits for 20 s gets the file
            storage.read(uri, deadline_s=0.3)
        assert caught.value.kind == "timeout"
        assert len(cloud.requests) == 1

    @pytest.mark.usefixtures("cloud")
    @pytest.mark.parametrize(
        "scripts",
        [
            [[b"HTTP/1.1 200 O", *SLOW, b"\r\nContent-Length: 6\r\n\r\npixels"]],
            [SLOW_PIXELS],
            [[b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"], SLOW_PIXELS],
            [[b"HTTP/1.1 302 Found\r\nA: ", *SLOW, b"\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"], PIXELS],
        ],
        ids=["status", "headers", "behind a redirect", "a redirect's headers"],
    )
    def test_nor_one_whose_head_trickles(self, scripts: list[list[bytes]]) -> None:
        with saying(PIXELS, *scripts) as server:
            assert storage.read(f"{server.url()}/a").data == b"pixels"  # so that the connection is an old one
            with pytest.raises(InputError) as caught:
                storage.read(f"{server.url()}/a", deadline_s=0.3)
        assert caught.value.kind == "timeout"

    @pytest.mark.usefixtures("cloud")
    def test_nor_one_through_a_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "_private_hosts", False)  # the proxy is the user's, and may be private
        with saying(PIXELS, SLOW_PIXELS) as proxy:
            for name in ("no_proxy", "NO_PROXY"):
                monkeypatch.delenv(name, raising=False)
            monkeypatch.setenv("http_proxy", proxy.url())
            assert storage.read("http://name.invalid/a").data == b"pixels"
            with pytest.raises(InputError) as caught:
                storage.read("http://name.invalid/a", deadline_s=0.3)
        assert caught.value.kind == "timeout"
        assert len(proxy.requests) == 2

    @pytest.mark.parametrize("root", ["gs", "http"], indirect=True)  # obstore does not tell the header
    def test_waits_as_long_as_the_storage_asks(
        self, root: str, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        uri = put(root, "a.jpg", b"pixels", cloud)
        cloud.faults = [429]
        monkeypatch.setattr(cloud, "retry_after", "1")
        start = time.monotonic()
        assert storage.read(uri).data == b"pixels"
        assert time.monotonic() - start >= 1

    def test_waits_grow_and_end_at_the_deadline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(records.random, "uniform", lambda low, high: high)
        monkeypatch.setattr(records, "_FIRST_WAIT_S", 0.2)
        clock, waits = [0.0], []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            clock[0] += seconds

        def call(left: float) -> None:
            raise InputError("unavailable", "no")

        with pytest.raises(InputError, match="tried 4 times"):
            retry(call, 4.0, wait, lambda: clock[0])
        assert waits == pytest.approx([0.4, 0.8, 1.6])


class TestListing:
    @pytest.mark.parametrize("root", ["local", "gs", "s3", "az"], indirect=True)
    def test_lists_at_any_depth(self, root: str, cloud: FakeCloud) -> None:
        names = ["x/a.jpg", "x/b/c.jpg", "x/d #%20é'1.jpg", "x/e/f/g.jpg"]
        for name in [*names, "y.jpg", "xy.jpg"]:
            put(root, name, name.encode(), cloud)
        listed = list(storage.list_files(f"{root}/x/"))
        assert [source.uri for source in listed] == [f"{root}/{name}" for name in names]
        for source in listed:
            assert storage.stat(source.uri) == source

    @pytest.mark.parametrize("root", ["local", "gs", "s3", "az"], indirect=True)
    def test_names_that_begin_so_and_no_others(
        self, root: str, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(object_store, "_LISTED", 2)  # as many as the server tells at once
        names = [f"x/w-{number:02}-{part}" for number in range(30) for part in ("a", "b/c")]
        for name in [*names, "x/w-07", "y/w-07-a", "x/y/w-07-a"]:
            put(root, name, b"x", cloud)
        cloud.requests.clear()
        listed = [source.uri for source in storage.list_files(f"{root}/x/", "w-07-")]
        assert listed == [f"{root}/x/w-07-a", f"{root}/x/w-07-b/c"]
        # Azure tells all from the beginning, and obstore leaves it out.
        assert len(cloud.requests) < (40 if root.startswith("az") else 6)
        assert list(storage.list_files(f"{root}/x/", "w-3")) == []

    @pytest.mark.parametrize("root", ["local", "gs", "s3", "az"], indirect=True)
    def test_no_such_folder_is_empty(self, root: str, cloud: FakeCloud) -> None:
        put(root, "x/a.jpg", b"x", cloud)
        assert list(storage.list_files(f"{root}/none/")) == []

    @pytest.mark.parametrize("root", ["gs", "s3", "az"], indirect=True)
    def test_faults_on_the_way_lose_and_double_nothing(
        self, root: str, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(object_store, "_LISTED", 2)  # as many as the server tells at once
        names = [f"x/{number}.jpg" for number in range(7)]
        cloud.files |= dict.fromkeys(names, b"")
        cloud.faults = [503, None, 429, "reset", None, "reset"]
        assert [source.uri for source in storage.list_files(f"{root}/x/")] == [f"{root}/{n}" for n in names]
        assert not cloud.faults

    @pytest.mark.parametrize("root", ["s3", "az"], indirect=True)
    @pytest.mark.parametrize("name", ["x//b.jpg", "x/./b.jpg", "x/c/../b.jpg", "x/b\n.jpg", "x/z\x1b/b.jpg"])
    def test_a_name_that_cannot_be_listed_is_told(self, root: str, name: str, cloud: FakeCloud) -> None:
        cloud.files |= dict.fromkeys(["x/0.jpg", "x/1.jpg", "x/2.jpg", "x/y.jpg", name], b"x")
        with pytest.raises(UsageError, match=re.escape(f"the name of {name!r}: s3:// and az:// cannot")):
            list(storage.list_files(f"{root}/x/"))

    @pytest.mark.parametrize("root", ["s3", "az"], indirect=True)
    @pytest.mark.parametrize("name", ["x//b.jpg", "x/z//b.jpg"], ids=["first page", "later"])
    def test_a_name_that_cannot_be_listed_ends_the_command(
        self, root: str, name: str, cloud: FakeCloud, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        tiny_bundle(tmp_path / "bundle")
        cloud.files |= dict.fromkeys([*(f"x/{number}.jpg" for number in range(5)), name], b"x")
        words = ["--input", f"{root}/x/", "--output", tmp_path / "out", "--bundle", tmp_path / "bundle"]
        assert main([*map(str, words), "--workers", "1", "--allow_private_hosts"]) == 2
        assert repr(name) in capfd.readouterr().err
        assert not list(tmp_path.rglob("*.parquet"))

    @pytest.mark.parametrize("root", ["gs", "s3", "az"], indirect=True)
    def test_no_such_bucket(self, root: str) -> None:
        with pytest.raises(InputError) as caught:
            list(storage.list_files(root.replace("bucket", "other-bucket") + "/x/"))
        assert caught.value.kind == "not_found"

    def test_web_servers_cannot_be_listed(self) -> None:
        with pytest.raises(InputError, match="cannot be listed"):
            storage.list_files("https://host/folder/")

    def test_links_that_go_in_circles_end(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "b.jpg").write_bytes(b"x")
        (tmp_path / "a" / "up").symlink_to("..")
        (tmp_path / "gone.jpg").symlink_to("nowhere")
        found = [os.path.relpath(source.uri, tmp_path) for source in storage.list_files(str(tmp_path))]
        assert found == ["a/b.jpg", "gone.jpg"]

    def test_links_among_folders_list_each_file_once_by_its_own_name(self, tmp_path: Path) -> None:
        numbers = range(8)  # all ways through them would be a hundred thousand
        for i in numbers:
            (tmp_path / "in" / str(i)).mkdir(parents=True)
            (tmp_path / "in" / str(i) / "a.jpg").write_bytes(b"x")
            for j in numbers:
                (tmp_path / "in" / str(i) / f"0to{j}").symlink_to(f"../{j}")
        found = [os.path.relpath(source.uri, tmp_path) for source in storage.list_files(str(tmp_path / "in"))]
        assert found == [f"in/{i}/a.jpg" for i in numbers]

    def test_links_lead_out_and_into_hidden_folders_and_the_log_says_so(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        for folder in ("in/.trees/b", "elsewhere/deep"):
            (tmp_path / folder).mkdir(parents=True)
            (tmp_path / folder / "a.jpg").write_bytes(b"x")
        (tmp_path / "in" / ".trees" / "again").symlink_to("../.trees")
        (tmp_path / "elsewhere" / "back").symlink_to("../in")
        for name, target in (("now", ".trees/b"), ("out", "../elsewhere"), ("out2", "../elsewhere")):
            (tmp_path / "in" / name).symlink_to(target)
        found = [os.path.relpath(source.uri, tmp_path) for source in storage.list_files(str(tmp_path / "in"))]
        assert found == ["in/.trees/b/a.jpg", "in/now/a.jpg", "in/out/deep/a.jpg"]
        (told,) = caplog.messages
        assert (
            told
            == f"{tmp_path}/in/out leads out of {tmp_path}/in: what lies in {tmp_path}/elsewhere is read too"
        )

    def test_folders_may_be_nested_deeper_than_calls_and_open_files(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
        Path("a.jpg").write_bytes(b"x")
        monkeypatch.chdir(tmp_path)
        found = [source.uri for source in storage.list_files("d")]
        assert found == [f"{'d/' * 1500}a.jpg"]
        for depth in range(1500, 0, -1):  # what removes temporary folders calls itself
            folder = "/".join(["d"] * depth)
            for name in os.listdir(folder):
                os.remove(f"{folder}/{name}")
            os.rmdir(folder)

    def test_folder_that_cannot_be_listed_is_given_itself(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "open").mkdir()
        (tmp_path / "shut").mkdir()
        (tmp_path / "open" / "a.jpg").write_bytes(b"x")
        scandir = os.scandir

        def refuse(path: str) -> object:
            if path.endswith("shut"):
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)
        found = [source.uri for source in storage.list_files(str(tmp_path))]
        assert found == [str(tmp_path / "open" / "a.jpg"), str(tmp_path / "shut")]
        with pytest.raises(InputError, match="Permission denied"):
            list(storage.list_files(str(tmp_path / "shut")))

    def test_names_that_are_not_utf8_can_be_stored_and_read(self, tmp_path: Path) -> None:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg")).write_bytes(b"x")
        (source,) = storage.list_files(str(tmp_path))
        assert source.uri.encode().startswith(b"file:///")
        assert storage.read(source.uri).data == b"x"


class TestWriting:
    @wherever_written
    def test_replaces(self, root: str) -> None:
        uri = storage.join(root, "deep", "er", "a.json")
        for data in (b"one", b"two"):
            storage.write_atomic(uri, data)
            assert storage.read(uri).data == data
        assert [source.uri for source in storage.list_files(root + "/")] == [uri]

    @wherever_written
    def test_copies_within_a_bucket(self, root: str, cloud: FakeCloud) -> None:
        first, second = f"{root}/a b/ü.parquet", f"{root}/c/d.parquet"
        storage.write_atomic(first, b"x" * 1000)
        cloud.faults = [503, "reset"] if "://" in root else []
        storage.copy(first, second)
        assert storage.read(second).data == storage.read(first).data == b"x" * 1000
        with pytest.raises(InputError) as caught:
            storage.copy(f"{root}/none", second)
        assert caught.value.kind == "not_found"

    @wherever_written
    def test_delete(self, root: str) -> None:
        uri = f"{root}/a.json"
        storage.write_atomic(uri, b"x")
        storage.delete(uri)
        assert not storage.exists(uri)
        storage.delete(uri)

    @pytest.mark.parametrize("root", ["gs", "s3", "az"], indirect=True)
    def test_tries_again(self, root: str, cloud: FakeCloud) -> None:
        cloud.faults = [503, "reset"]
        storage.write_atomic(f"{root}/a.json", b"x" * 1000)
        assert cloud.files == {"a.json": b"x" * 1000}

    def test_local_files_get_the_usual_permissions(self, tmp_path: Path) -> None:
        storage.write_atomic(str(tmp_path / "a"), b"x")
        (tmp_path / "b").write_bytes(b"x")
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "b").stat().st_mode)

    def test_failing_write_leaves_the_old_file_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        uri = str(tmp_path / "a")
        storage.write_atomic(uri, b"old")

        def full(handle: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match="No space left"):
            storage.write_atomic(uri, b"new")
        assert [path.name for path in tmp_path.iterdir()] == ["a"]
        assert (tmp_path / "a").read_bytes() == b"old"

    def test_nothing_is_written_where_a_file_stands_for_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"x")
        with pytest.raises(InputError):
            storage.write_atomic(str(tmp_path / "a" / "b"), b"x")

    def test_web_servers_are_not_written_to(self) -> None:
        for change in (
            lambda: storage.write_atomic("https://host/a", b"x"),
            lambda: storage.delete("https://host/a"),
            lambda: storage.copy("https://host/a", "https://host/b"),
        ):
            with pytest.raises(InputError) as caught:
                change()
            assert caught.value.kind == "unsupported"


class TestPrivateHosts:
    @pytest.fixture(autouse=True)
    def not_allowed(self, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "_private_hosts", False)
        http._session.cache_clear()  # connections that were made before

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0"])
    @pytest.mark.parametrize("ask", [storage.read, storage.stat, storage.open_file])
    def test_nothing_is_sent_to_them(self, ask: Callable[[str], object], host: str, cloud: FakeCloud) -> None:
        cloud.files["a.jpg"] = b"x"
        port = cloud.server_address[1]
        with pytest.raises(InputError, match="is not public; --allow_private_hosts") as caught:
            ask(f"http://{host}:{port}/web/a.jpg?sig=secret")
        assert caught.value.kind == "forbidden"
        assert "secret" not in caught.value.message
        assert cloud.requests == []

    def test_redirects_do_not_lead_there_nor_names_that_change_their_meaning(
        self, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The first connection passes for a public one: a server elsewhere, or the name when it was looked up.
        looks: list[str] = []
        monkeypatch.setattr(http, "is_public", lambda address: looks.append(address) or len(looks) == 1)
        cloud.files["a.jpg"] = b"x"
        cloud.moved = cloud.url.replace("127.0.0.1", "localhost") + "/web/a.jpg"
        with pytest.raises(InputError, match="--allow_private_hosts") as caught:
            storage.read(f"{cloud.url}/web/moved")
        assert caught.value.kind == "forbidden"
        assert cloud.requests == ["GET /web/moved"]
        assert looks == ["127.0.0.1", "127.0.0.1"]

    def test_redirects_lead_to_no_files(self, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "_private_hosts", True)
        cloud.moved = "file:///etc/passwd"
        with pytest.raises(InputError) as caught:
            storage.read(f"{cloud.url}/web/moved")
        assert caught.value.kind == "unsupported"

    @pytest.mark.parametrize(
        ("address", "public"),
        [
            ("8.8.8.8", True),
            ("2606:4700::1111", True),
            ("::ffff:8.8.8.8", True),
            ("64:ff9b::808:808", True),
            ("10.1.2.3", False),
            ("172.16.0.1", False),
            ("192.168.1.1", False),
            ("127.0.0.1", False),
            ("169.254.169.254", False),
            ("100.64.0.1", False),
            ("0.0.0.0", False),
            ("224.0.0.1", False),
            ("255.255.255.255", False),
            ("::1", False),
            ("fe80::1%eth0", False),
            ("fd00:ec2::254", False),
            ("::ffff:169.254.169.254", False),
            ("64:ff9b::a9fe:a9fe", False),
            ("2002:a9fe:a9fe::", False),
            ("::ffff:10.1.2.3", False),
            ("64:ff9b::a01:203", False),
            ("2002:a01:203::", False),
            ("168.63.129.16", False),
            ("::ffff:168.63.129.16", False),
            ("64:ff9b::a83f:8110", False),
            ("2002:a83f:8110::", False),
            ("192.0.0.9", False),
            ("192.0.0.200", False),
            ("64:ff9b:1::808:808", False),
            ("fec0::1", False),
            ("::808:808", False),
            ("::ffff:0:a9fe:a9fe", False),
            ("ff0e::1", False),
        ],
    )
    def test_addresses(self, address: str, public: bool) -> None:
        assert http.is_public(address) is public


class TestHttp:
    def test_redirects_have_an_end(self, cloud: FakeCloud) -> None:
        with pytest.raises(InputError, match="TooManyRedirects") as caught:
            storage.read(f"{cloud.url}/web/moved")
        assert caught.value.kind == "unsupported"
        assert len(cloud.requests) < 10

    @pytest.mark.usefixtures("cloud")
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize(
        "body",
        [
            b"Content-Length: 1000000000000\r\n\r\nmoved",
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nmoved\r\n",
            b"Connection: close\r\n\r\nmoved",
        ],
        ids=["long", "chunked", "until the end"],
    )
    def test_what_a_redirect_says_is_not_waited_for(self, status: int, body: bytes) -> None:
        with saying([f"HTTP/1.1 {status} Moved\r\nLocation: b\r\n".encode() + body], PIXELS) as server:
            assert storage.read(f"{server.url()}/x/a", deadline_s=5).data == b"pixels"
        assert [request.split("\n")[0] for request in server.requests] == [
            "GET /x/a HTTP/1.1",
            "GET /x/b HTTP/1.1",
        ]

    @pytest.mark.usefixtures("cloud")
    def test_credentials_go_to_no_other_host(self) -> None:
        with saying(PIXELS) as other:
            moved = [
                [f"HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n".encode()]
                for url in ("/b", f"{other.url('localhost')}/c")
            ]
            with saying(*moved) as server:
                storage.read(f"{server.url()}/a".replace("://", "://me:secret@"))
        assert ["Authorization: Basic " in request for request in server.requests] == [True, True]
        assert [request.split("\n")[0] for request in other.requests] == ["GET /c HTTP/1.1"]
        assert "Authorization" not in other.requests[0]

    @pytest.mark.usefixtures("cloud")
    @pytest.mark.parametrize(
        ("user", "sent"),
        [("", None), ("me:p%40ss@", b"me:p@ss"), (":word@", b":word")],
        ids=["none", "both", "a password only"],
    )
    def test_credentials_are_those_of_the_url_and_not_of_netrc(
        self, user: str, sent: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "netrc").write_text("default login netrc password netrc\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        with saying(PIXELS) as other:
            away = f"HTTP/1.1 302 Found\r\nLocation: {other.url()}/c\r\nContent-Length: 0\r\n\r\n"
            with saying([away.encode()]) as server:  # the same host at another port
                storage.read(f"{server.url()}/a".replace("://", f"://{user}"))
        expected = [] if sent is None else [f"Authorization: Basic {base64.b64encode(sent).decode()}"]
        assert [line for line in server.requests[0].split("\n") if "Authorization" in line] == expected
        assert "Authorization" not in other.requests[0]

    @pytest.mark.usefixtures("cloud")
    def test_cookies_are_not_kept(self) -> None:
        baked = [b"HTTP/1.1 200 OK\r\nSet-Cookie: id=7; Path=/\r\nContent-Length: 6\r\n\r\npixels"]
        with saying(baked, PIXELS) as server:
            for _ in range(2):
                storage.read(f"{server.url()}/a")
        assert len(server.requests) == 2
        assert "cookie" not in server.requests[1].lower()

    @pytest.mark.usefixtures("cloud")
    @pytest.mark.parametrize(
        ("status", "kind"),
        [("200 OK", None), ("203 Changed", None), ("202 Later", "unsupported"), ("206 Part", "unsupported"),
         ("300 Choose", "unsupported"), ("302 Found", "unsupported")],
    )  # fmt: skip
    def test_only_an_answer_that_is_the_file_is_read_as_it(self, status: str, kind: str | None) -> None:
        with saying([f"HTTP/1.1 {status}\r\nContent-Length: 6\r\n\r\npixels".encode()]) as server:
            if kind is None:
                assert storage.read(f"{server.url()}/a").data == b"pixels"
                return
            with pytest.raises(InputError, match=rf"/a: .*HTTP {status[:3]}\b") as caught:
                storage.read(f"{server.url()}/a")
        assert caught.value.kind == kind

    @pytest.mark.usefixtures("cloud")
    def test_what_a_server_says_of_an_error_moves_no_terminal(self) -> None:
        answer = b"HTTP/1.1 400 \x1b[31mred\x9b2J\r\nContent-Length: 0\r\n\r\n"
        with saying([answer]) as server, pytest.raises(InputError, match=r"\[31mred") as caught:
            storage.read(f"{server.url()}/a")
        assert caught.value.message.isprintable()

    @pytest.mark.parametrize(
        ("headers", "body", "kind"),
        [
            ('Content-Range: bytes 0-9/10\r\nETag: "v1"', b"0123456789", None),
            ("Content-Range: bytes 0-9/*", b"0123456789", None),
            ('Content-Range: bytes 0-9/10\r\nETag: "v2"', b"0123456789", "changed"),
            ('Content-Range: bytes 0-9/11\r\nETag: "v1"', b"0123456789", "changed"),
            ("Content-Range: bytes 1-9/10", b"123456789", "unavailable"),
            ("Content-Range: bytes 0-4/10", b"01234", "unavailable"),
            ("Content-Range: bytes 0-9/10", b"01234", "unavailable"),
            ("Content-Range: bytes 0-9/10", b"", "unavailable"),
            ("Content-Range: bytes 9-8/10", b"", "unavailable"),
            ('ETag: "v1"', b"0123456789", "unsupported"),
        ],
    )
    def test_a_part_of_a_file_is_the_part_and_the_file_that_was_asked_for(
        self, headers: str, body: bytes, kind: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(records, "_TRIES", 2)
        monkeypatch.setattr(records, "_FIRST_WAIT_S", 0.01)
        head = b"HTTP/1.1 206 Partial Content\r\n"
        first = head + b'ETag: "v1"\r\nContent-Range: bytes 0-0/10\r\nContent-Length: 1\r\n\r\n0'
        part = head + f"{headers}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        with saying([first], [part], [part]) as server, storage.open_file(f"{server.url()}/a.tar") as file:
            if kind is None:
                assert file.read() == b"0123456789"
                return
            with pytest.raises(InputError) as caught:
                file.read()
            assert caught.value.kind == kind

    def test_query_is_kept(self, cloud: FakeCloud) -> None:
        cloud.files["a.jpg"] = b"x"
        storage.read(f"{cloud.url}/web/a.jpg?width=20&sig=abc")
        assert cloud.requests == ["GET /web/a.jpg?width=20&sig=abc"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pass@host/a.jpg", "https://host/a.jpg"),
        ("https://user:p@ss@host/a.jpg", "https://host/a.jpg"),
        ("cannot read https://user:p@ss@host, nor me@host", "cannot read https://host, nor me@host"),
        ("https://user:p@ss@host?to=me@host", "https://host?to=…c7e6bb72dc9b"),
        ("https://user:p/ss@host/a.jpg", "https://host/a.jpg"),
        ("https://user:p#ss@host/a.jpg", "https://host/a.jpg"),
        ("https://user:p?s&s=s@host/a.jpg", "https://host/a.jpg"),
        ("https://user:p ss@host/a b.jpg", "https://host/a b.jpg"),
        ("https:/user:pass@host/a.jpg", "https:/host/a.jpg"),
        ("lists/https:/user:pass@host/a.jpg: is gone", "lists/https:/host/a.jpg: is gone"),
        ("https://user:pass/a.jpg", "https://user:…"),
        ("https://host:80/a@b.jpg", "https://host:80/a@b.jpg"),
        ("http://[::1]:80/a@b.jpg", "http://[::1]:80/a@b.jpg"),
        ("https://host/a@b.jpg", "https://host/a@b.jpg"),
        ("https://host?to=me@host", "https://host?to=…c7e6bb72dc9b"),
        ("https://host#me@host", "https://host#me@host"),
        ("abfs://container@host/a@b.jpg", "abfs://container@host/a@b.jpg"),
        ("abfss://container@host/a.jpg", "abfss://container@host/a.jpg"),
        ("https://host/a.jpg?id=5&w=20", "https://host/a.jpg?id=5&w=20"),
        ("https://host/a?api_key=abc&v=9", "https://host/a?api_key=…&v=9"),
        (
            "https://host/a?Signature=abc&Expires=9&Key-Pair-Id=k",
            "https://host/a?Signature=…&Expires=…&Key-Pair-Id=…",
        ),
        ("https://host/a?sv=1&se=2026&sr=b&sig=abc", "https://host/a?sv=…&se=…&sr=…&sig=…"),
        ("https://host/a?se=2026&amp;sig=abc", "https://host/a?se=…&amp;sig=…"),
        ("https://host/a?id=1;sig=abc", "https://host/a?id=1;sig=…"),
        ("https://host/a.jpg;jsessionid=abc?id=1", "https://host/a.jpg;jsessionid=…?id=1"),
        ("https://host/a;sid=abc/b;v=1.jpg?c=d?e", "https://host/a;sid=…/b;v=1.jpg?c=…cad3b470316c"),
        ("https://host/a.jpg#access_token=abc", "https://host/a.jpg#access_token=…"),
        ("https://host/a.tar#b=1/c.jpg", "https://host/a.tar#b=1/c.jpg"),
        ("https://host/a?pass=abc&otp=123&sas=abc", "https://host/a?pass=…&otp=…&sas=…"),
        ("https://host/a?pass=a b c", "https://host/a?pass=…"),
        ("https://host/a?url=https%3A%2F%2Fb%3Fsig%3Dabc", "https://host/a?url=…94b02a1298b2"),
        ("s3://bucket/a?b=c&sig=abc", "s3://bucket/a?b=c&sig=…"),
        ("https://host/a?access_token=abc#p.jpg", "https://host/a?access_token=…#p.jpg"),
        ("https://host/a?X-Goog-Credential=me&sess=1", "https://host/a?X-Goog-Credential=…&sess=…"),
        ("https://host/a?%73ig=abc", "https://host/a?%73ig=…"),
        ("https://host/a?X-Amz-Signature=abc&v=1", "https://host/a?X-Amz-Signature=…&v=1"),
        ("https://host/a?id=1&sig=abc: failed", "https://host/a?id=1&sig=…: failed"),
        ("(https://host/a?id=1&sig=abc) failed", "(https://host/a?id=1&sig=…) failed"),
        ("no/uri@all?sig=1", "no/uri@all?sig=1"),
    ],
)
def test_secrets_are_not_shown(text: str, shown: str) -> None:
    assert storage.redacted(text) == shown
    assert storage.redacted(shown) == shown


@pytest.mark.parametrize("name", ["key", "token", "fileKey", "code", "ticket", "user", "q", "anything"])
def test_urls_that_differ_stay_different(name: str) -> None:
    uris = [f"https://host/get?{name}={value}&v=1" for value in ("secret-1", "secret-2")]
    shown = [storage.redacted(uri) for uri in uris]
    assert shown[0] != shown[1]
    assert not any("secret" in text for text in shown)
    assert [storage.redacted(text) for text in shown] == shown
    assert storage.redacted(f"{uris[0]} failed") == f"{shown[0]} failed"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("a.jpg", "file"),
        ("/a/b", "file"),
        ("file:///a", "file"),
        ("GS://b/x", "gs"),
        ("a:b/c", "file"),
        ("s3://b", "s3"),
    ],
)
def test_scheme(uri: str, name: str) -> None:
    assert storage.scheme(uri) == name
