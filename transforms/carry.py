"""What rows carry of the file that a page came from: columns of a Parquet file, the `.json` beside an image.

All of it becomes one text, a JSON object by the names that were asked for.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from models.records import InputError
from transforms.caps import Found

JSON = "json"
"""The name that asks for the `.json` beside an image in a tar or zip archive, as webdataset has it."""
LONGEST = 1 << 20
"""Characters of a row's text; a longer one is left out."""
_LONGEST_BYTES = 4 * LONGEST
"""Bytes that may come to a text short enough: a file that has more is not parsed."""


def is_json(name: str) -> bool:
    """Whether a member's name is that of a JSON file."""
    return name.lower().endswith(".json")


def with_json(found: Iterable[Found]) -> Iterator[tuple[str, bytes | InputError | None, float, str | None]]:
    """Members with the JSON of their sample; the JSON files themselves are left out.

    A sample's files stand one behind the other, and have one name up to the first dot. One image waits at a
    time, for the JSON file that may be next.

    Args:
        found: members of the archive, JSON files with their bytes.
    """
    image: Found | None = None
    sample, text = "", None
    try:
        for name, data, end in found:
            if image is not None and sample_of(name) != sample_of(image[0]):
                yield (*image, None)
                image = None
            if is_json(name):
                sample, text = sample_of(name), json_text(data)
                if image is not None:
                    yield (*image, text)
                    image = None
            elif data is None or sample_of(name) == sample:
                yield name, data, end, text if data is not None else None
            else:
                if image is not None:  # two images of one sample, and no JSON between them
                    yield (*image, None)
                image = name, data, end
    except Exception:  # of a broken archive what came before is read
        if image is not None:
            yield (*image, None)
        raise
    if image is not None:
        yield (*image, None)


def sample_of(name: str) -> str:
    """What the files of one sample have in common: folder and name up to the first dot."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def json_text(data: bytes | InputError | None) -> str | None:
    """A JSON file as `json` of an object; what is no JSON is a string in it. None: it cannot be had."""
    if not isinstance(data, bytes) or len(data) > _LONGEST_BYTES:
        return None
    text = data.decode("utf-8-sig", "backslashreplace")
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        text = json.dumps(text, ensure_ascii=False)
    return _bounded(f'{{"{JSON}": {text.strip()}}}')


def columns_text(values: Mapping[str, Any]) -> str | None:
    """A row's columns as a JSON object; None where it is too long.

    Args:
        values: scalars of pyarrow; None: there is no such column.
    """
    plain = {name: _plain(value) for name, value in values.items()}
    return _bounded(json.dumps(plain, ensure_ascii=False))


def _plain(scalar: Any) -> Any:
    """A scalar as JSON can have it: dates and decimals as text; null for what is no number, or no value."""
    if scalar is None or not scalar.is_valid:
        return None
    if hasattr(scalar, "as_buffer"):  # text, which need not be UTF-8, or bytes
        return bytes(scalar.as_buffer()[: _LONGEST_BYTES + 1]).decode("utf-8", "backslashreplace")
    value = _value(scalar)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _value(scalar: Any) -> Any:
    """A scalar as Python's, else as pyarrow's text of it (nanoseconds, late dates); None: neither can be."""
    with contextlib.suppress(Exception):  # of whichever library Python's value would need
        return scalar.as_py()
    with contextlib.suppress(Exception):  # such as a time zone that nobody knows
        return scalar.cast("string").as_py()
    return None


def _bounded(text: str) -> str | None:
    return text if len(text) <= LONGEST else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
