"""Small files to list, and what a listing of them names."""

from __future__ import annotations

from pathlib import Path

from transforms.sources import list_sources


def touch(*names: str) -> None:
    """Makes files, and the folders that they lie in."""
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def uris(*inputs: str) -> list[str]:
    """The URIs that a job with these inputs would read."""
    return [source.uri for source in list_sources(inputs)]
