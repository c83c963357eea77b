"""What a PDF's objects tell before PDFium draws them: what is missing, and what would never end.

PDFium draws what it finds: a page whose content is gone is white; a few bytes that unpack to gigabytes, or
forms that draw forms ten times each, keep it busy for hours. So streams of drawing are unpacked first,
under a cap; of pictures, whose size their dictionaries tell, only what is packed twice. Encrypted files are
not looked into.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from models.records import InputError

_FREE_BYTES = 16 << 20
_MAX_RATIO = 100
"""A stream may unpack to this many bytes, or to this many times its size: drawing packs to a fifth or so."""
_MOST_DRAWN = 1_000_000
"""Forms that one stream may draw, those that these draw included: a million take seconds."""
_FREE_BYTES_IN_ALL = 256 << 20
_PIECE = 1 << 16
_HOLE = bytes(32)
"""Zeros between the words of an object are legal, but nobody writes as many."""
_MOST_PAGES = 100_000
_NEAR = 4
"""References that may lie between a page and what is drawn on it: resources, their dictionary, a form."""

_NUMBERS = re.compile(rb"(\d{1,10})\s+\d{1,5}\s+\Z")
_REFERENCE = re.compile(rb"(\d{1,10})\s+\d{1,5}\s+R\b")
_STREAM = re.compile(rb"\bstream(?:\r\n|\n|\r)")
_FILTER = re.compile(rb"/Filter\s*(?:\[([^\]]*)\]|(/\w+))")
_LENGTH = re.compile(rb"/Length\s+(\d{1,10})\b(?!\s+\d+\s+R)")
_KIDS = re.compile(rb"/Kids\s*\[([^\]]*)\]")
_CONTENTS = re.compile(rb"/Contents\s*(\d+\s+\d+\s+R|\[[^\]]*\])")
_ELSEWHERE = re.compile(rb"/(?:Parent|P|Prev|Next|Dest|B|Annots)\s*(?:\d+\s+\d+\s+R|\[[^\]]*\])")
"""References of a page to what is not drawn on it."""
_NAMED = re.compile(rb"/([^\s/<>\[\](){}%]+)\s*(\d{1,10})\s+\d{1,5}\s+R\b")
_DRAWN = re.compile(rb"/([^\s/<>\[\](){}%]+)\s+Do\b")


@dataclass(slots=True)
class _Object:
    """An object: its dictionary (or other value) as text, and its stream where it has one."""

    head: bytes
    stored: memoryview | None = None
    broken: bool = False
    unpacked: bytes = b""

    def of_type(self, name: bytes) -> bool:
        return re.search(rb"/Type\s*/" + name + rb"\b", self.head) is not None

    def of_subtype(self, name: bytes) -> bool:
        return re.search(rb"/Subtype\s*/" + name + rb"\b", self.head) is not None


_Objects = Mapping[int, _Object]


@dataclass(frozen=True, slots=True)
class Damage:
    """What is broken in a PDF.

    Attributes:
        pages: 0-based numbers of the pages that lack something.
        unknown: whether there is damage that could be any page's.
    """

    pages: frozenset[int] = field(default_factory=frozenset)
    unknown: bool = False

    def told(self, page: int) -> str | None:
        """What to say of a page; None: nothing."""
        if page in self.pages:
            return "The PDF is broken: parts of what this page shows are missing."
        return "The PDF is broken: parts of some page are missing." if self.unknown else None


def check(data: bytes) -> Damage:
    """Looks for what is broken.

    Raises:
        InputError: something unpacks, or is drawn, beyond all bounds.
    """
    if b"/Encrypt" in data:
        return Damage()
    objects = dict(_objects(data))
    budget = max(_FREE_BYTES_IN_ALL, _MAX_RATIO * len(data))
    for found in list(objects.values()):
        if found.stored is not None:
            budget -= _unpack(found, budget)
        if found.of_type(b"ObjStm"):
            objects = {**dict(_packed(found)), **objects}
    _check_drawn(objects)
    return _damage(objects)


def _objects(data: bytes) -> Iterator[tuple[int, _Object]]:
    """Yields the objects with their numbers as they lie in the file: of several versions the last counts."""
    header = _header(data, 0, len(data))
    while header:
        found, end = _object(data, header.body)
        yield header.number, found
        header = _header(data, end, len(data))


class _Header(NamedTuple):
    """Where `12 0 obj` begins and ends."""

    number: int
    start: int
    body: int


def _header(data: bytes, start: int, end: int) -> _Header | None:
    """The first header of an object between two places."""
    at = data.find(b"obj", start, end)
    while at >= 0:
        before = max(start, at - 24)
        if numbers := _NUMBERS.search(data[before:at]):
            return _Header(int(numbers[1]), before + numbers.start(), at + 3)
        at = data.find(b"obj", at + 3, end)
    return None


def _object(data: bytes, start: int) -> tuple[_Object, int]:
    """Returns the object whose header ends at `start`, and where it ends."""
    ends = data.find(b"endobj", start)
    stream = _STREAM.search(data, start, ends if ends >= 0 else len(data))
    end = stream.start() if stream else ends if ends >= 0 else len(data)
    if following := _header(data, start, end):  # so that its own end is lost
        return _Object(data[start : following.start], broken=True), following.start
    head = data[start:end]
    if stream is None or _HOLE in head:
        return _Object(head, broken=_HOLE in head), end
    told = _LENGTH.search(head)
    end = stream.end() + int(told[1]) if told else len(data)
    if not data[end : end + 20].lstrip().startswith(b"endstream"):
        end = data.find(b"endstream", stream.end())
    following = _header(data, stream.end(), end if end >= 0 else len(data)) if not told or end < 0 else None
    if following or end < 0:
        end = following.start if following else len(data)
        return _Object(head, memoryview(data)[stream.end() : end], broken=True), end
    return _Object(head, memoryview(data)[stream.end() : end]), end


def _unpack(found: _Object, budget: int) -> int:
    """Unpacks a stream as far as it is packed by Flate, of pictures all but the last time; returns the bytes.

    What is unpacked is kept where it may draw something or hold objects.
    """
    filters = _FILTER.search(found.head)
    names = re.findall(rb"/(\w+)", filters[1] or filters[2]) if filters else []
    if found.of_subtype(b"Image"):
        names = names[:-1]
    data, taken = found.stored or b"", 0
    for name in names:
        if name not in (b"FlateDecode", b"Fl"):
            return taken
        try:
            data, size = _inflated(data, budget - taken)
        except zlib.error:
            found.broken = True
            return taken
        taken += size
    if found.of_type(b"ObjStm") or not found.of_subtype(b"Image") and b"Do" in bytes(data):
        found.unpacked = bytes(data)
    return taken


def _inflated(data: bytes | memoryview, budget: int) -> tuple[bytes, int]:
    """Returns the first `_FREE_BYTES` of what is packed, and how many there are in all."""
    most = min(budget, max(_FREE_BYTES, _MAX_RATIO * len(data)))
    inflater, kept, size = zlib.decompressobj(), bytearray(), 0
    for at in range(0, len(data), _PIECE):
        packed: bytes | memoryview = data[at : at + _PIECE]
        while packed and not inflater.eof:
            piece = inflater.decompress(packed, _FREE_BYTES)
            packed = inflater.unconsumed_tail
            size += len(piece)
            kept += piece[: max(0, _FREE_BYTES - len(kept))]
            if size > most:
                raise InputError(
                    "too_large",
                    f"Parts of the PDF unpack to over {_MAX_RATIO} times their size; it is not drawn.",
                )
    return bytes(kept), size


def _packed(stream: _Object) -> Iterator[tuple[int, _Object]]:
    """Yields the objects of a stream of objects: numbers and offsets stand before the first."""
    first = re.search(rb"/First\s+(\d+)", stream.head)
    at = int(first[1]) if first else 0
    numbers = [int(number) for number in re.findall(rb"\d{1,10}", stream.unpacked[:at])]
    starts = numbers[1::2]
    for number, start, end in zip(numbers[::2], starts, [*starts[1:], len(stream.unpacked)], strict=False):
        yield number, _Object(stream.unpacked[at + start : at + end])


def _check_drawn(objects: _Objects) -> None:
    forms: dict[int, int] = {}
    for number, found in objects.items():
        if found.of_subtype(b"Form"):
            _forms_drawn(number, objects, forms)
    most = max(forms.values(), default=0)
    # What names stand for on a page is not looked up: as if each were the form that draws most.
    on_pages = (
        len(_DRAWN.findall(found.unpacked)) for number, found in objects.items() if number not in forms
    )
    if most > _MOST_DRAWN or most * max(on_pages, default=0) > _MOST_DRAWN:
        raise InputError("too_large", f"The PDF draws over {_MOST_DRAWN:,} forms in forms; it is not drawn.")


def _forms_drawn(number: int, objects: _Objects, known: dict[int, int]) -> int:
    """How many forms a form draws, itself included; 0 for what is none."""
    form = objects.get(number)
    if number in known or form is None or not form.of_subtype(b"Form"):
        return known.get(number, 0)
    known[number] = _MOST_DRAWN + 1  # where it draws itself, as PDFium would for hours
    names = dict(_xobjects(form, objects)) if b"Do" in form.unpacked else {}
    drawn = Counter(_DRAWN.findall(form.unpacked)) if names else Counter()
    known[number] = 1 + sum(
        times * _forms_drawn(names[name], objects, known) for name, times in drawn.items() if name in names
    )
    return known[number]


def _xobjects(form: _Object, objects: _Objects) -> Iterator[tuple[bytes, int]]:
    """Yields names and numbers of what a form may draw, and of some other things that it refers to."""
    heads, seen = [form.head], set[int]()
    for _ in range(3):
        for head in heads:
            yield from ((name, int(number)) for name, number in _NAMED.findall(head))
        near = {int(number) for head in heads for _, number in _NAMED.findall(head)} - seen
        seen |= near
        heads = [
            objects[number].head for number in near if number in objects and objects[number].stored is None
        ]


def _damage(objects: _Objects) -> Damage:
    pages = list(_pages(objects))
    broken = {number for number, found in objects.items() if found.broken}
    damaged = {
        index
        for index, page in enumerate(pages)
        if any(number not in objects for number in _contents(objects[page], objects))
        or broken
        and broken & _near(page, objects)
    }
    return Damage(frozenset(damaged), unknown=bool(broken) and not damaged)


def _pages(objects: _Objects) -> Iterator[int]:
    """Yields the numbers of the pages' objects in their order; what is missing is none."""
    roots = [found for found in objects.values() if found.of_type(b"Catalog")]
    root = re.search(rb"/Pages\s+(\d+)", roots[-1].head) if roots else None
    waiting, seen = [int(root[1])] if root else [], set[int]()
    while waiting and len(seen) < _MOST_PAGES:
        number = waiting.pop()
        if number in seen or number not in objects:
            continue
        seen.add(number)
        kids = _KIDS.search(objects[number].head)
        if kids:
            waiting += reversed(list(_references(kids[1])))
        else:
            yield number


def _contents(page: _Object, objects: _Objects) -> Iterable[int]:
    """The numbers of the streams that draw a page."""
    told = _CONTENTS.search(page.head)
    numbers = list(_references(told[1])) if told else []
    array = objects.get(numbers[0]) if len(numbers) == 1 else None
    if array and array.stored is None and array.head.lstrip().startswith(b"["):
        return list(_references(array.head))
    return numbers


def _near(page: int, objects: _Objects) -> set[int]:
    """The numbers of what a page draws, and of what belongs to that."""
    found, new = set[int](), {page}
    for _ in range(_NEAR):
        found |= new
        heads = (_ELSEWHERE.sub(b"", objects[number].head) for number in new if number in objects)
        new = {number for head in heads for number in _references(head)} - found
    return found | new


def _references(text: bytes) -> Iterator[int]:
    return (int(number) for number in _REFERENCE.findall(text))
