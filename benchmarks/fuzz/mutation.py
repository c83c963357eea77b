"""Mutation of files: bits, cuts, splices, numbers; and of JSON, value by value."""

from __future__ import annotations

import gzip
import json
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

_HEAD = 200
"""Bytes at the start of a file, among which half of the mutations happen: headers say most."""
_WORDS = (0, 1, 127, 128, 255, 256, 32767, 32768, 65535, 1 << 31, (1 << 31) - 1, (1 << 32) - 1, 1 << 32)
_WORDS_TOO = (1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
_NUMBERS = (b"0", b"-1", b"99999999", b"2147483647", b"4294967296", b"1e30", b"9" * 30)
_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 0.5, 1e308, -1e308, float("nan"), float("inf"), 10**30, 10**400, 1 << 63),
    *("", "a" * 1000, "\ud800", "\0", "../x", "/etc/passwd", "NaN", [], {}, [[]], {"a": 1}, [1e300]),
)
_PNG = b"\x89PNG\r\n\x1a\n"


def mutated(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """A file that differs from another in one to eight places.

    Args:
        data: the file.
        random: decides.
        others: what is spliced into it.
    """
    if data[:1] == b"{" and random.random() < 0.6:
        return _json(data, random)
    packed = data[:2] == b"\x1f\x8b" and random.random() < 0.7
    changed = bytearray(gzip.decompress(data) if packed else data)
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        if changed:
            random.choice(_MUTATIONS)(changed, _place(changed, random), random, others)
    whole = _with_checksums(bytes(changed), random)
    return gzip.compress(whole, 1, mtime=0) if packed else whole


def _place(data: bytearray, random: Random) -> int:
    return random.randrange(len(data) if random.random() < 0.5 else min(len(data), _HEAD))


def _flip(data: bytearray, at: int, random: Random, _: Sequence[bytes]) -> None:
    data[at] ^= 1 << random.randrange(8)


def _byte(data: bytearray, at: int, random: Random, _: Sequence[bytes]) -> None:
    data[at] = random.choice((0, 1, 127, 128, 255, random.randrange(256)))


def _word(data: bytearray, at: int, random: Random, _: Sequence[bytes]) -> None:
    kind, size = random.choice((("H", 2), ("I", 4), ("Q", 8)))
    number = random.choice((*_WORDS, *_WORDS_TOO, at, len(data))) & ((1 << 8 * size) - 1)
    data[at : at + size] = struct.pack(random.choice("<>") + kind, number)


def _cut_out(data: bytearray, at: int, random: Random, _: Sequence[bytes]) -> None:
    del data[at : at + random.choice((1, 2, 4, 17, 512))]


def _cut_off(data: bytearray, at: int, _: Random, __: Sequence[bytes]) -> None:
    del data[at:]


def _put_in(data: bytearray, at: int, random: Random, _: Sequence[bytes]) -> None:
    data[at:at] = random.randbytes(random.choice((1, 2, 4, 64)))


def _repeat(data: bytearray, at: int, random: Random, _: Sequence[bytes]) -> None:
    start = random.randrange(len(data))
    data[at:at] = data[start : start + random.choice((4, 64, 512, 2000))]


def _splice(data: bytearray, at: int, random: Random, others: Sequence[bytes]) -> None:
    other = random.choice(others)
    start = random.randrange(max(1, len(other)))
    size = random.choice((8, 64, 1024))
    data[at : at + size] = other[start : start + size]


def _number(data: bytearray, at: int, random: Random, _: Sequence[bytes]) -> None:
    if found := re.search(rb"\d+", bytes(data[at : at + 4096])):
        data[at + found.start() : at + found.end()] = random.choice(_NUMBERS)


_Mutation = Callable[[bytearray, int, Random, Sequence[bytes]], None]
_MUTATIONS: tuple[_Mutation, ...] = (
    *(_flip, _flip, _byte, _word, _word, _cut_out, _cut_off, _put_in, _repeat, _splice, _number),
)


def _json(data: bytes, random: Random) -> bytes:
    """JSON of which one or two values are others, or a key is gone, or new."""
    values = (
        [json.loads(line) for line in data.splitlines() if line] if b"}\n{" in data else [json.loads(data)]
    )
    for _ in range(random.choice((1, 1, 2))):
        node = random.choice(values)
        while node:
            key = random.choice(list(node) if isinstance(node, dict) else range(len(node)))
            if isinstance(node[key], (dict, list)) and node[key] and random.random() < 0.7:
                node = node[key]
                continue
            if isinstance(node, dict) and random.random() < 0.1:
                del node[key]
            else:
                node[f"{key}x" if isinstance(node, dict) and random.random() < 0.1 else key] = random.choice(
                    _VALUES
                )
            break
    return b"\n".join(json.dumps(value).encode() for value in values)


def _with_checksums(data: bytes, random: Random) -> bytes:
    """The same with right checksums, mostly, so that what is broken is looked at at all."""
    if random.random() < 0.2:
        return data
    if data.startswith(_PNG):
        return _png(data)
    return _tar(data) if data[257:262] == b"ustar" else data


def _png(data: bytes) -> bytes:
    changed, at = bytearray(data), len(_PNG)
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        changed[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(changed)


def _tar(data: bytes) -> bytes:
    changed = bytearray(data)
    for at in range(0, len(data) - 511, 512):
        if data[at + 257 : at + 262] == b"ustar":
            changed[at + 148 : at + 156] = b" " * 8
            changed[at + 148 : at + 156] = b"%06o\0 " % sum(changed[at : at + 512])
    return bytes(changed)
