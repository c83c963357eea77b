"""https:// and http://, read only, through requests.

A list of files may come from anybody, and what a machine of ours can reach is not for anybody: the metadata
service of a cloud, a router, a database. So a connection to an address that is not public is refused, before
anything is sent on it. The address looked at is that of the connection itself: what a name meant a moment
before, or where a redirect led, does not matter. Behind a proxy it is the proxy that connects, and has to
refuse. For the same reason no credentials are sent but those that the URL carries: nothing of ~/.netrc, and
no cookie that was set for another file.
"""

from __future__ import annotations

import functools
import http.cookiejar
import io
import ipaddress
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPResponse
from typing import Any, TypeVar

from models.records import InputError
from transforms.storage.records import DEADLINE_S, Blob, Source, bare, call_storage, http_error, too_large
from transforms.storage.redaction import redacted

_POOL = 32
_REDIRECTS = 5
_CONNECT_S = 10.0
_SILENCE_S = 30.0
_CHUNK = 1 << 20

_WHOLE = (200, 203, 204)
"""What answers say that are a whole file; those of 204 are empty ones."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PUBLIC6 = ipaddress.ip_network("2000::/3")
"""What is given out of IPv6. All else is of a link or a site, or stands for an IPv4 address."""
_PRIVATE4 = [ipaddress.ip_network(network) for network in ("168.63.129.16/32", "192.0.0.0/24")]
"""What Azure tells its machines by, and special ones of IANA's: ipaddress takes some of them for public."""

_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)")
"""What Content-Range says of an answer with a part of a file."""

T = TypeVar("T")

_private_hosts = False
_reading = threading.local()
"""`end`: when what this thread reads has to be there, by the monotonic clock."""


def allow_private_hosts(allowed: bool) -> None:
    """Says whether this process may read from addresses that are not public; it may not until told so."""
    global _private_hosts
    _private_hosts = allowed


def is_public(address: str) -> bool:
    """Whether an IP address is one that everybody in the Internet reaches, whatever it is wrapped in."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = (
            ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else ip.ipv4_mapped or ip.sixtofour
        )
        if inner is None:
            return ip.is_global and ip in _PUBLIC6
        ip = inner
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _PRIVATE4)


def read(uri: str, max_bytes: int | None, deadline_s: float = DEADLINE_S) -> Blob:
    """Reads a whole file; see `transforms.storage.read`."""

    def attempt() -> Blob:
        with _get(uri, {}) as answer:
            if answer.status_code not in _WHOLE:
                shown = redacted(uri)
                raise InputError("unsupported", f"{shown}: HTTP {answer.status_code} is not the file")
            return Blob(_body(uri, answer, max_bytes), bare(answer.headers.get("ETag")))

    return _call(uri, attempt, deadline_s)


def read_range(source: Source, start: int, end: int) -> bytes:
    """Reads the bytes from `start` up to before `end` of a file that is as `stat` found it.

    Raises:
        InputError: also when the server sends something else than this range; `changed` when it is another
            file's by now.
    """
    uri = source.uri

    def attempt() -> bytes:
        with _get(uri, {"Range": f"bytes={start}-{end - 1}"}) as answer:
            if answer.status_code != 206:
                raise InputError("unsupported", f"{redacted(uri)}: the server cannot send a part of a file")
            _check_range(source, answer.headers, start, end)
            data = _body(uri, answer, end - start)
            if len(data) != end - start:
                raise InputError(
                    "unavailable", f"{redacted(uri)}: only {len(data):,} of {end - start:,} bytes came"
                )
            return data

    return _call(uri, attempt)


def _check_range(source: Source, headers: Mapping[str, str], start: int, end: int) -> None:
    """Makes sure that an answer is the range that was asked for, of the file that was found."""
    shown, told = redacted(source.uri), headers.get("Content-Range", "")
    match = _RANGE.fullmatch(told)
    if not match:
        raise InputError("unsupported", f"{shown}: the server does not say which part of the file it sends")
    first, last, size = (int(number) if number != "*" else None for number in match.groups())
    etag = bare(headers.get("ETag"))
    if size not in (None, source.byte_size) or (etag and source.etag and etag != source.etag):
        raise InputError("changed", f"{shown}: the file has changed while it was read; read it again")
    if (first, last) != (start, end - 1):
        raise InputError(
            "unavailable", f"{shown}: the server sends another part of the file than bytes {start}-{end - 1}"
        )


def stat(uri: str) -> Source:
    """Returns a file's etag and size; see `transforms.storage.stat`."""

    def attempt() -> Source:
        with _get(uri, {"Range": "bytes=0-0"}) as answer:
            length = answer.headers.get("Content-Range", "").rpartition("/")[2]
            length = length if answer.status_code == 206 else answer.headers.get("Content-Length", "")
            return Source(uri, bare(answer.headers.get("ETag")), int(length) if length.isdigit() else None)

    return _call(uri, attempt)


def list_files(uri: str, begin: str) -> Iterator[Source]:
    """Raises, since HTTP has no folders."""
    raise InputError(
        "unsupported", f"{redacted(uri)}: a web server's files cannot be listed; name each of them"
    )


def write_atomic(uri: str, data: bytes) -> None:
    """Raises, since nothing is written to web servers."""
    raise InputError("unsupported", f"{redacted(uri)}: cannot be written to")


def copy(uri: str, target: str) -> None:
    """Raises, since nothing is written to web servers."""
    write_atomic(target, b"")


def delete(uri: str) -> None:
    """Raises, since nothing is deleted on web servers."""
    raise InputError("unsupported", f"{redacted(uri)}: cannot be deleted")


def _get(uri: str, headers: dict[str, str]) -> Any:
    # Without `identity` a server may compress, and lengths would be of something else.
    headers = {"Accept-Encoding": "identity", **headers}
    timeout = (_wait(_CONNECT_S), _wait(_SILENCE_S))
    try:
        answer = _session().get(uri, headers=headers, stream=True, timeout=timeout)
    except InputError as error:
        raise InputError(error.kind, f"{redacted(uri)}: {error.message}") from error
    if answer.status_code >= 400:
        answer.close()
        raise http_error(uri, answer.status_code, answer.reason or "", answer.headers.get("Retry-After"))
    return answer


def _body(uri: str, answer: Any, max_bytes: int | None) -> bytes:
    """Takes an answer's body within the cap and the time, and checks that all of it came."""
    length = answer.headers.get("Content-Length", "")
    if max_bytes is not None and length.isdigit() and int(length) > max_bytes:
        raise too_large(uri, int(length), max_bytes)
    # read1 gives what has come; read would wait for a whole chunk of a body that trickles.
    read = getattr(answer.raw, "read1", answer.raw.read)
    body = bytearray()
    while chunk := read(_CHUNK):
        body += chunk
        if max_bytes is not None and len(body) > max_bytes:
            raise too_large(uri, len(body), max_bytes)
        _wait(0)  # Behind a SOCKS proxy nothing else looks at the time.
    if length.isdigit() and len(body) != int(length):
        raise InputError("unavailable", f"{redacted(uri)}: only {len(body):,} of {int(length):,} bytes came")
    return bytes(body)


def _call(uri: str, attempt: Callable[[], T], deadline_s: float = DEADLINE_S) -> T:
    def in_time(left: float) -> T:
        _reading.end = time.monotonic() + left
        return attempt()

    return call_storage(uri, in_time, _input_error, deadline_s)


def _wait(longest: float) -> float:
    """Seconds that a step of what this thread reads may take: so many, but none past the deadline.

    Raises:
        TimeoutError: the deadline is over.
    """
    left: float = _reading.end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return min(longest, left)


def _input_error(uri: str, error: Exception) -> InputError:
    import requests

    if isinstance(error, InputError):
        return error
    if isinstance(error, requests.Timeout) or time.monotonic() >= _reading.end:
        return InputError("timeout", f"{redacted(uri)}: the server did not answer in time")
    if isinstance(error, requests.TooManyRedirects | requests.exceptions.InvalidURL | ValueError):
        return InputError("unsupported", f"{redacted(uri)}: cannot be read ({type(error).__name__})")
    return http_error(uri, None, type(error).__name__)  # Its text holds the URL, which may be signed.


@functools.cache
def _session() -> Any:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Plain(HTTPConnection):
        response_class = _Answer

        def _new_conn(self) -> Any:
            self.timeout = _wait(_CONNECT_S)  # After a redirect less is left than when it was set.
            connection = super()._new_conn()
            return connection if self.proxy else _checked(connection)  # A proxy may well be private.

    class Encrypted(Plain, HTTPSConnection):
        pass

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    pools = {"http": PlainPool, "https": EncryptedPool}

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)  # type: ignore[no-untyped-call, unused-ignore]
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
            manager = super().proxy_manager_for(proxy, **kwargs)
            if not proxy.lower().startswith("socks"):  # Those have classes of their own.
                manager.pool_classes_by_scheme = pools
            return manager

    class Session(requests.Session):
        def get_redirect_target(self, resp: Any) -> str | None:
            target = super().get_redirect_target(resp)
            if target:
                resp.close()  # What it says is not wanted, and requests would read all of it.
            return target

        def rebuild_auth(self, prepared_request: Any, response: Any) -> None:
            # That of requests looks into ~/.netrc here too.
            if self.should_strip_auth(response.request.url, prepared_request.url):
                prepared_request.headers.pop("Authorization", None)

    session = Session()
    session.auth = _authorised
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    session.max_redirects = _REDIRECTS
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter(pool_connections=_POOL, pool_maxsize=_POOL))
    return session


def _authorised(request: Any) -> Any:
    """A request with the credentials that its URL carries, and no others.

    Where a session has no `auth` of its own, requests sends what ~/.netrc holds, in place of the URL's: its
    `default` entry to any host that a list names.
    """
    import requests

    user, password = requests.utils.get_auth_from_url(request.url)
    return requests.auth.HTTPBasicAuth(user, password)(request) if user or password else request


class _Answer(HTTPResponse):
    """An answer that comes in time or not at all, its head too, of which http.client wants all at once."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_InTime(sock, self.fp.detach()))


class _InTime(io.RawIOBase):
    """What a socket receives until the deadline. Its own timeout begins anew with each byte that comes."""

    def __init__(self, sock: Any, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_wait(_SILENCE_S))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _checked(connection: Any) -> Any:
    """A connection that was just made.

    Raises:
        InputError: it leads to where none may.
    """
    address = connection.getpeername()[0]
    if _private_hosts or is_public(address):
        return connection
    connection.close()
    raise InputError(
        "forbidden", f"the host's address {address} is not public; --allow_private_hosts reads it"
    )
