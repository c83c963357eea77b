"""Names without credentials: what rows, logs and records show of a URI, and what tells two files apart.

Of a URL's query, what is known to name a file stays as it is, and what is known to let somebody in, or to say
until when, goes. All else, which may be either, becomes a digest: URLs that differ in it go on to do so.
"""

from __future__ import annotations

import functools
import hashlib
import re
import urllib.parse

_NAMING = re.compile(
    r"(file|doc|document|image|img|photo|picture|pic|scan|object|item|record|page|volume|issue|folder|collection)"
    r"(id|name|no|number|path)?"
    r"|id|name|path|prefix|bucket|dir|p|n|no|nr|num|number|i|index|seq|part|vol|version|versionid|v|ver|rev|revision"
    r"|generation|snapshot|format|fmt|fm|ext|type|alt|export|download|dl|raw|view|lang|locale|year|month|day"
    r"|w|h|x|y|z|width|height|size|scale|zoom|quality|dpi|rotate|crop|fit|level|tile"
)
"""Names of parameters, without `-` and `_`, that say which file is meant, or in what form."""
_SECRET = re.compile(
    r"x-?(amz|goog|oss|obs|cos|ms)-.*|.*(passw|passphrase|secret|signature|credential|apikey|accesskey).*"
    r"|pass|pwd|pw|pin|otp|sas|sig|hmac|hm|jwt|bearer|api[-_]?key|auth(orization)?|.*access(key)?_?id|hdn(ts|ea)"
    r"|(access|refresh|id|auth|bearer|security|sas)[-_]?token|.*sess(ion)?[-_]?(id|key|token)?|sid",
    re.IGNORECASE,
)
"""Names of parameters that let somebody in and do not say to what."""
_SIGNATURE = re.compile(r"(.*-)?signature|sig|hmac|hm", re.IGNORECASE)
_OF_SIGNATURE = re.compile(
    r"se|st|sp|sv|sr|ss|srt|spr|sip|si|sk(oid|tid|t|e|s|v)|sdd|saoid|suoid|scid|ses|rsc[cdelt]"
    r"|exp|expires|expiry|ex|is|policy|key-pair-id|keyname|timestamp|ts|date|nonce",
    re.IGNORECASE,
)
"""Names of parameters that say, where there is a signature too, whose it is, and from when and until when."""
_UNSURE = re.compile(r"key|token|code|sign|auth|ticket", re.IGNORECASE)

_URL = re.compile(r"(https?:/+)(\S*?)(?=[\])}>:;,.'\"]*(?:\s|$))", re.IGNORECASE)
_WHOLE_URL = re.compile(r"(https?:/+)((?:(?!: ).)*)", re.IGNORECASE | re.DOTALL)
_OTHER_URI = re.compile(r"((?!https?://)[a-z][a-z0-9+.-]+://)([^/?#\s]*)(\S*)", re.IGNORECASE)
_PARAMETER = re.compile(r"([?&;#])([^=&;#?/]*)=(?!…)([^&;#]*)")
_OF_PATH = re.compile(r"([&;])([^=&;/]*)=(?!…)([^&;/]*)")


def redacted(text: str) -> str:
    """Returns a URI, or a message with some, without user:password@ and without what a query lets in by.

    URIs that name different files stay different. To what was redacted before, nothing happens.
    """
    if ":/" not in text:
        return text
    if url := _WHOLE_URL.fullmatch(text):
        return _redacted_url(url)
    return _OTHER_URI.sub(_redacted_other, _URL.sub(_redacted_url, text))


def _redacted_url(url: re.Match[str]) -> str:
    rest = _without_user(url[2])
    path = re.split("[?#]", rest, maxsplit=1)[0]
    query = rest[len(path) :]
    signed = any(_SIGNATURE.fullmatch(_name(parameter[2])) for parameter in _PARAMETER.finditer(query))
    shown = functools.partial(_shown, signed=signed)
    return url[1] + _OF_PATH.sub(shown, path) + _PARAMETER.sub(shown, query)


def _without_user(rest: str) -> str:
    """What follows `https://`, without user and password, also where these hold what belongs behind them."""
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        return rest[authority.rindex("@") + 1 :]
    host, colon, port = authority.rpartition("]")[2].partition(":")
    if not colon or port.isdecimal():
        return rest
    return rest[rest.rindex("@") + 1 :] if "@" in rest else f"{host}:…"


def _shown(parameter: re.Match[str], signed: bool) -> str:
    start, name, value = parameter[1], _name(parameter[2]), parameter[3]
    if _SECRET.fullmatch(name) or (signed and _OF_SIGNATURE.fullmatch(name)):
        return f"{start}{parameter[2]}=…"
    plain = not set("?&=@;#").intersection(urllib.parse.unquote(value))
    if start == "#":  # a member of an archive may have any name
        named = not _UNSURE.search(name)
    else:
        named = plain and bool(_NAMING.fullmatch(re.sub("[-_]", "", name.lower())))
    return parameter[0] if named else f"{start}{parameter[2]}=…{_digest(parameter[0])}"


def _name(encoded: str) -> str:
    return urllib.parse.unquote(encoded)


def _redacted_other(uri: re.Match[str]) -> str:
    """A bucket's URI: `?` and `&` mean nothing in its names, but somebody may have put a signature there."""
    container = uri[1].lower() in ("abfs://", "abfss://")
    authority = uri[2] if container else uri[2].rpartition("@")[2]
    return uri[1] + authority + _PARAMETER.sub(_without_secret, uri[3])


def _without_secret(parameter: re.Match[str]) -> str:
    secret = _SECRET.fullmatch(_name(parameter[2]))
    return f"{parameter[1]}{parameter[2]}=…" if secret else parameter[0]


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
