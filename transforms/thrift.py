"""The numbers of a Parquet page's header, which stands before the page and says how large it is.

Source of the format: Apache Thrift's "Compact protocol encoding", and PageHeader in parquet.thrift of Apache
Parquet.
"""

from __future__ import annotations

from dataclasses import dataclass

_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(13)
_UNPACKED, _STORED = 2, 3
"""The fields with the sizes that a page has."""
_DEEPEST = 8
_LONGEST_NUMBER = 10
"""Bytes of a number of 64 bits."""


class CutOffError(Exception):
    """The header goes on behind what is there of it."""


@dataclass(frozen=True, slots=True)
class PageHeader:
    """What a page says of itself.

    Attributes:
        length: bytes of the header.
        stored: bytes of the page as it is stored, behind its header.
        unpacked: bytes that it claims to have when it is unpacked.
    """

    length: int
    stored: int
    unpacked: int


def page_header(data: bytes) -> PageHeader:
    """Reads a page's header from the bytes that begin with it.

    Raises:
        CutOffError: more bytes are needed.
        ValueError: it is none.
    """
    reader = _Reader(data)
    numbers = reader.struct(0)
    if min(numbers.get(_STORED, -1), numbers.get(_UNPACKED, -1)) < 0:
        raise ValueError("a page without a size")
    return PageHeader(reader.at, numbers[_STORED], numbers[_UNPACKED])


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self, depth: int) -> dict[int, int]:
        """Passes over a struct; returns those of its fields that are whole numbers."""
        numbers: dict[int, int] = {}
        field = 0
        while kind := self._byte():
            step, kind = kind >> 4, kind & 15
            field = field + step if step else self._number()
            if kind in (_I16, _I32, _I64):
                numbers[field] = self._number()
            elif kind not in (_TRUE, _FALSE):
                self._pass(kind, depth)
        return numbers

    def _pass(self, kind: int, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError("a header that is nested too deep")
        if kind in (_I16, _I32, _I64):
            self._number()
        elif kind in (_TRUE, _FALSE, _BYTE):  # as an item, a truth has a byte too
            self._skip(1)
        elif kind == _DOUBLE:
            self._skip(8)
        elif kind == _BINARY:
            self._skip(self._unsigned())
        elif kind in (_LIST, _SET):
            self._pass_list(depth)
        elif kind == _STRUCT:
            self.struct(depth + 1)
        else:  # a map, of which page headers have none
            raise ValueError("a header with a field of an unknown kind")

    def _pass_list(self, depth: int) -> None:
        head = self._byte()
        count = self._unsigned() if head >> 4 == 15 else head >> 4
        for _ in range(count):
            self._pass(head & 15, depth + 1)

    def _byte(self) -> int:
        self._skip(1)
        return self._data[self.at - 1]

    def _skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self._data):
            raise CutOffError

    def _number(self) -> int:
        """A number of either sign, in zigzag."""
        number = self._unsigned()
        return number >> 1 ^ -(number & 1)

    def _unsigned(self) -> int:
        number = 0
        for place in range(_LONGEST_NUMBER):
            byte = self._byte()
            number |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                return number
        raise ValueError("a number that has no end")
