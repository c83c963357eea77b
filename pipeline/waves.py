"""Waves: what of the manifest is done, and what a wave that was not finished has left behind.

A wave is done when its marker `OUT/_waves/00000.json` exists. The marker is written last and all at once, so
a kill at any moment leaves a wave either done or without a marker; the files of one without are removed
before it runs again. Nothing is lost and nothing doubled.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.records import UsageError
from transforms import storage
from transforms.storage import local

FOLDER = "_waves"
KINDS = ("pages", "errors")
TEMPORARY = "beam-temp-"
"""What the names of the folders begin with that Beam writes into, beside its files, until it renames them."""


class JobError(Exception):
    """The job failed for a reason that is neither the user's nor a page's; one line, exit status 1."""


@dataclass(frozen=True, slots=True)
class Marker:
    """What is known of a wave that is done.

    Attributes:
        wave: its number.
        files: files listed in it.
        pages: rows in pages/.
        lines: lines of those.
        errors: rows in errors/, by kind.
        milliseconds: spent by stage, summed over workers.
        seconds: from its start to its end.
        bundle: name of the bundle.
        bundle_id: its id.
        options: those that change rows, see `pipeline.options.result_options`.
        run_id: the run that did it.
    """

    wave: int
    files: int
    pages: int
    lines: int
    errors: dict[str, int]
    milliseconds: dict[str, int]
    seconds: float
    bundle: str
    bundle_id: str
    options: dict[str, Any] = field(default_factory=dict)
    run_id: str = ""


def name_of(wave: int) -> str:
    """What the names of a wave's data files begin with."""
    return f"wave-{wave:05}"


def markers(output: str) -> dict[int, Marker]:
    """The markers of the waves that are done, by number."""
    found = {}
    for source in storage.list_files(storage.join(output, FOLDER)):
        if re.search(r"(?:^|/)\d+\.json$", source.uri):
            marker = Marker(**json.loads(storage.read(source.uri).data))
            found[marker.wave] = marker
    return dict(sorted(found.items()))


def commit(output: str, marker: Marker) -> None:
    """Declares a wave done."""
    data = json.dumps(asdict(marker), ensure_ascii=False, indent=1).encode()
    storage.write_atomic(storage.join(output, FOLDER, f"{marker.wave:05}.json"), data)


def rows(output: str, name: str, kind: str) -> int:
    """Rows in data files of a kind, by the files' own word.

    Args:
        output: the job's output.
        name: a wave's or a part's, see `name_of`.
        kind: pages or errors.
    """
    with ThreadPoolExecutor(16) as pool:
        return sum(pool.map(_rows, [uri for uri in _files(output, name, kind) if uri.endswith(".parquet")]))


def _rows(uri: str) -> int:
    import pyarrow.parquet as pq

    with storage.open_file(uri) as file:
        count: int = pq.ParquetFile(file).metadata.num_rows
    return count


def clean(output: str, name: str) -> None:
    """Removes what a wave without a marker, or a part of one, may have left."""
    for source in list(storage.list_files(storage.join(output, "_manifest"))):
        if re.search(rf"(?:^|/){name}[^/]*\.part$", source.uri):
            storage.delete(source.uri)
    for kind in KINDS:
        for uri in _files(output, name, kind):
            storage.delete(uri)
        if storage.is_local(output):  # object stores have no folders that could stay behind
            folder = Path(local.path_of(storage.join(output, kind)))
            for temporary in folder.glob(f"{TEMPORARY}{name}-*"):
                shutil.rmtree(temporary, ignore_errors=True)


def _files(output: str, name: str, kind: str) -> list[str]:
    """Data files of a kind, temporary ones included."""
    pattern = re.compile(rf"(?:^|/){kind}/(?:{TEMPORARY})?{name}-[^/]*(/.*)?$")
    listed = storage.list_files(storage.join(output, kind))
    return [source.uri for source in listed if pattern.search(source.uri)]


def refuse_mixing(
    output: str, done: Mapping[int, Marker], bundle_id: str, bundle: str, options: Mapping[str, Any]
) -> None:
    """Makes sure that one output holds the pages of one bundle, read with one set of options.

    Raises:
        UsageError: names what differs and what to do.
    """
    advice = f"choose another --output, or delete {output} to read everything again"
    for marker in done.values():
        if marker.bundle_id != bundle_id:
            raise UsageError(
                f"{output} holds pages read with the bundle {marker.bundle} ({marker.bundle_id[:12]}), "
                f"not with {bundle} ({bundle_id[:12]}): {advice}"
            )
        for name, value in options.items():
            if name in marker.options and marker.options[name] != value:
                raise UsageError(
                    f"{output} holds pages read with {name} = {marker.options[name]}, not {value}: {advice}"
                )
