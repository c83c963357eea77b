"""What an ONNX file's bytes tell without the package onnx: weights that it keeps elsewhere, and its metadata.

Source of the format: Protocol Buffers' "Encoding", and onnx.proto of ONNX.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED_64, _BYTES, _GROUP, _GROUP_END, _FIXED_32 = range(6)
_KEY_BITS = (1 << 32) - 1
"""Readers take these of a key, and pass over others."""
_MODEL, _GRAPH, _FUNCTION, _NODE, _ATTRIBUTE, _SPARSE, _TENSOR, _TRAINING = range(8)
_INSIDE: dict[int, dict[int, int]] = {
    _MODEL: {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION},
    _TRAINING: {1: _GRAPH, 2: _GRAPH},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
}
"""Which messages the fields of each message are, as far as a tensor may lie in them."""
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_LONGEST_NUMBER = 10
_METADATA, _KEY, _VALUE = 14, 1, 2
"""Fields of a model, and of one of its entries."""


def has_external_data(data: bytes) -> bool:
    """Whether one of a model's tensors names another file for its data.

    What is no ONNX file has none: who loads it will say so.

    Args:
        data: the bytes of an ONNX file.
    """
    waiting = [(_MODEL, memoryview(data))]
    while waiting:  # no calls within calls: graphs may be nested as deep as one likes
        message, content = waiting.pop()
        for field, value in _fields(content):
            if message == _TENSOR and field in (_EXTERNAL_DATA, _DATA_LOCATION) and value != 0:
                return True
            inner = _INSIDE.get(message, {}).get(field)
            if inner is not None and isinstance(value, memoryview):
                waiting.append((inner, value))
    return False


def metadata(data: bytes) -> dict[str, str]:
    """The entries of a model's metadata; of what is no ONNX file, none.

    Args:
        data: the bytes of an ONNX file.
    """
    entries = (value for field, value in _fields(memoryview(data)) if field == _METADATA)
    pairs = (dict(_fields(entry)) for entry in entries if isinstance(entry, memoryview))
    return {_text(pair.get(_KEY)): _text(pair.get(_VALUE)) for pair in pairs}


def _text(value: int | memoryview | None) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, memoryview) else ""


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The numbers and the bytes in a message, each with its field, as far as they can be made out."""
    at = 0
    while at < len(data):
        key, at = _number(data, at)
        key &= _KEY_BITS
        kind = key & 7
        if kind == _VARINT:
            value, at = _number(data, at)
            yield key >> 3, value
        elif kind == _BYTES:
            size, at = _number(data, at)
            yield key >> 3, data[at : at + size]
            at += size
        elif kind in (_FIXED_32, _FIXED_64):
            at += 4 if kind == _FIXED_32 else 8
        elif kind not in (_GROUP, _GROUP_END):  # ONNX has no groups; readers pass over them and go on
            return


def _number(data: memoryview, at: int) -> tuple[int, int]:
    """The number at a place and the place behind it; past the end where it has none."""
    number = 0
    for place, byte in enumerate(data[at : at + _LONGEST_NUMBER]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    return 0, len(data)
