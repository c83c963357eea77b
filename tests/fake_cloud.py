"""A small web server that acts as Google Cloud Storage, S3, Azure and a plain web server, and can misbehave.

One dictionary of files answers in all four dialects, as far as `transforms.storage` speaks them. What it
cannot show is whether the clouds take our credentials: nothing here is signed, and abfs:// is not played.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.sax.saxutils import escape, unescape

from google_crc32c import Checksum

_S3_LIST = (
    "<ListBucketResult>{0}<IsTruncated>{1}</IsTruncated>"
    "<NextContinuationToken>{2}</NextContinuationToken></ListBucketResult>"
)
_S3_ENTRY = (
    "<Contents><Key>{0}</Key><Size>{1}</Size><ETag>{2}</ETag>"
    "<LastModified>2025-06-02T10:00:00.000Z</LastModified></Contents>"
)
_AZURE_LIST = "<EnumerationResults><Blobs>{0}</Blobs><NextMarker>{2}</NextMarker></EnumerationResults>"
_AZURE_ENTRY = (
    "<Blob><Name>{0}</Name><Properties><Content-Length>{1}</Content-Length><Etag>{2}</Etag>"
    "<Content-Type>image/jpeg</Content-Type><Last-Modified>Mon, 02 Jun 2025 10:00:00 GMT</Last-Modified>"
    "</Properties></Blob>"
)


LATE_S = 20.0


class FakeCloud(ThreadingHTTPServer):
    """Files by name, in one bucket called `bucket`.

    Attributes:
        files: what there is.
        faults: taken from the front, one a request: an HTTP status, `reset` (no answer), `cut` (a reset in
            the middle of the body), `short` (the body ends early), `swapped` (a body of the right length
            with a wrong byte), `slow` (it trickles), `late` (a proper answer after `LATE_S`), `hang` (no
            answer until the server ends), or None for a proper answer.
        chance: asked for a fault with method and path once there are no more `faults`.
        retry_after: what answers of 429 and 503 say.
        delay_s: seconds before each answer.
        listed: files in one answer to a listing.
        moved: where `web/moved` redirects to.
        requests: method and path of each request.
        injected: number of faults.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.faults: list[int | str | None] = []
        self.chance: Callable[[str, str], int | str | None] = lambda method, path: None
        self.retry_after = "0"
        self.delay_s = 0.0
        self.listed = 2
        self.moved = "/web/moved"
        self.requests: list[str] = []
        self.injected = 0
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of connections that were cut on purpose."""


@contextmanager
def running() -> Iterator[FakeCloud]:
    with FakeCloud() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: FakeCloud
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle_any(self) -> None:
        if self.path.startswith("/storage/v1/b/bucket?"):  # Google's client asks this when it pleases.
            return self.answer(404, b"")
        self.server.requests.append(f"{self.command} {self.path}")
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        time.sleep(self.server.delay_s)
        faults = self.server.faults
        self.fault = faults.pop(0) if faults else self.server.chance(self.command, self.path)
        self.server.injected += self.fault is not None
        if self.fault == "reset":
            self.reset()
        elif self.fault == "hang":
            self.server.ended.wait()
            self.reset()
        elif self.fault == "late":
            self.server.ended.wait(LATE_S)
            self.route()
        elif isinstance(self.fault, int):
            headers = {"Retry-After": self.server.retry_after}
            self.answer(self.fault, b"<Error><Code>Injected</Code></Error>", headers)
        else:
            self.route()
        return None

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

    def reset(self) -> None:
        """Ends the connection as a machine does that is switched off."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def route(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        path = urllib.parse.unquote(url.path)
        google = re.match(r"/(?:download/|upload/)?storage/v1/b/([^/]+)/o(?:/(.*))?$", path, re.DOTALL)
        bucket, name = google.groups() if google else path[1:].partition("/")[::2]
        if bucket == "web" and name == "moved":
            self.answer(302, b"", {"Location": self.server.moved})
        elif bucket not in ("bucket", "web"):
            self.answer(404, b"")
        elif google and "/rewriteTo/" in path:
            self.copy(*re.split("/rewriteTo/b/bucket/o/", name))
        elif google and self.command == "POST":
            self.google_upload()
        elif self.command == "POST":
            self.azure_delete() if query.get("comp") == "batch" else self.s3_delete()
        elif not name:
            self.listing(query, "google" if google else "azure" if "comp" in query else "s3")
        elif self.command == "PUT" and (source := self.copy_source()):
            self.copy(source, name)
        elif self.command == "PUT":
            self.server.files[name] = self.body
            self.answer(200, b"", {"ETag": etag(self.body)})
        elif self.command == "DELETE":
            found = self.server.files.pop(name, None) is not None
            self.answer(204 if found or not google else 404, b"")
        elif name not in self.server.files:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        elif google and query.get("alt") != "media":
            self.answer(200, json.dumps(described(name, self.server.files[name])).encode())
        else:
            self.file(self.server.files[name])

    def file(self, data: bytes) -> None:
        headers = {"ETag": etag(data), "Last-Modified": "Mon, 02 Jun 2025 10:00:00 GMT"}
        if self.path.startswith("/download/"):  # Google's, over the file as a whole
            headers["X-Goog-Hash"] = f"crc32c={base64.b64encode(Checksum(data).digest()).decode()}"
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not span:
            return self.answer(200, data, headers)
        start, end = int(span[1]), min(int(span[2]) + 1, len(data))
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        return self.answer(206, data[start:end], headers)

    def google_upload(self) -> None:
        """Takes a multipart upload: JSON with the name, then the data."""
        boundary = b"--" + self.headers.get_boundary("").encode()
        _, meta, data, _ = self.body.split(boundary)
        name = json.loads(meta.partition(b"\r\n\r\n")[2])["name"]
        self.server.files[name] = data.partition(b"\r\n\r\n")[2][:-2]
        self.answer(200, json.dumps(described(name, self.server.files[name])).encode())

    def copy_source(self) -> str:
        """The name of the file that S3 or Azure is asked to copy; empty where it shall store the body."""
        source = self.headers.get("x-amz-copy-source") or self.headers.get("x-ms-copy-source") or ""
        return urllib.parse.unquote(source.split("?")[0]).partition("bucket/")[2]

    def copy(self, source: str, name: str) -> None:
        if source not in self.server.files:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        data = self.server.files[name] = self.server.files[source]
        if self.path.startswith("/storage/"):
            sizes = {"totalBytesRewritten": str(len(data)), "objectSize": str(len(data))}
            described_copy = {"done": True, "resource": described(name, data), **sizes}
            return self.answer(200, json.dumps(described_copy).encode())
        if "x-ms-copy-source" in self.headers:
            return self.answer(202, b"", {"x-ms-copy-status": "success", "ETag": etag(data)})
        result = f"<CopyObjectResult><ETag>{escape(etag(data))}</ETag></CopyObjectResult>"
        return self.answer(200, result.encode())

    def s3_delete(self) -> None:
        """Deletes the files that the body names."""
        names = [unescape(name) for name in re.findall(r"<Key>(.*?)</Key>", self.body.decode(), re.DOTALL)]
        for name in names:
            self.server.files.pop(name, None)
        deleted = "".join(f"<Deleted><Key>{escape(name)}</Key></Deleted>" for name in names)
        self.answer(200, f"<DeleteResult>{deleted}</DeleteResult>".encode())

    def azure_delete(self) -> None:
        """Deletes the files that the parts of the body name, and answers in as many parts."""
        answers = []
        for number, path in enumerate(re.findall(r"DELETE (\S+) HTTP", self.body.decode())):
            name = urllib.parse.unquote(path).split("?")[0].partition("/bucket/")[2]
            status = "404 Not Found" if self.server.files.pop(name, None) is None else "202 Accepted"
            code = "x-ms-error-code: BlobNotFound\r\n" if status.startswith("404") else ""
            head = f"--b\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\n"
            answers.append(f"{head}HTTP/1.1 {status}\r\n{code}\r\n\r\n")
        self.answer(
            202, f"{''.join(answers)}--b--\r\n".encode(), {"Content-Type": "multipart/mixed; boundary=b"}
        )

    def listing(self, query: dict[str, str], dialect: str) -> None:
        """Lists `listed` files a page."""
        tokens = (query.get(key) for key in ("pageToken", "continuation-token", "start-after", "marker"))
        prefix, token = query.get("prefix", ""), next(filter(None, tokens), "")
        names = sorted(name for name in self.server.files if name.startswith(prefix) and name > token)
        listed = self.server.listed
        page, more = names[:listed], names[listed - 1] if len(names) > listed else None
        if dialect == "google":
            answer: dict[str, Any] = {"items": [described(name, self.server.files[name]) for name in page]}
            return self.answer(200, json.dumps(answer | ({"nextPageToken": more} if more else {})).encode())
        text = _AZURE_LIST if dialect == "azure" else _S3_LIST
        entry = _AZURE_ENTRY if dialect == "azure" else _S3_ENTRY
        entries = "".join(
            entry.format(escape(name), len(self.server.files[name]), escape(etag(self.server.files[name])))
            for name in page
        )
        text = text.format(entries, str(bool(more)).lower(), escape(more or ""))
        return self.answer(200, text.encode(), {"Content-Type": "application/xml"})

    def answer(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD" or status == 204:
            return
        if self.fault in ("short", "cut"):
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.close_connection = True
            if self.fault == "cut":
                self.reset()
        elif self.fault == "swapped" and data:
            self.wfile.write(bytes([data[0] ^ 1]) + data[1:])
        elif self.fault == "slow":
            for byte in data:
                self.wfile.write(bytes([byte]))
                if self.server.ended.wait(0.02):
                    return
        else:
            self.wfile.write(data)


def etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


def described(name: str, data: bytes) -> dict[str, str]:
    return {
        "name": name,
        "etag": etag(data).strip('"'),
        "size": str(len(data)),
        "generation": "1",
        "bucket": "bucket",
    }
