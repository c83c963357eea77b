"""Sets of names by the ten million."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.bytes_]


def keys_of(names: Iterable[str]) -> Keys:
    """A digest of each name, 16 bytes."""
    digests = (
        hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=15).digest() for name in names
    )
    # NumPy takes zeros at the end of bytes for padding: the last byte is never one.
    return np.array([digest + b"\1" for digest in digests], "S16")


class Seen:
    """A set of keys at 16 bytes each, where Python's would take 100: there may be ten million files.

    Sorted runs, each longer than the next: adding merges runs as adding one carries digits.
    """

    def __init__(self) -> None:
        self._runs: list[Keys] = []

    def add(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Adds keys; returns which of them were new, the first of equal ones."""
        new = np.zeros(len(keys), bool)
        new[np.unique(keys, return_index=True)[1]] = True
        new &= ~self.holds(keys)
        added = np.sort(keys[new])
        while self._runs and len(self._runs[-1]) <= len(added):
            added = np.sort(np.concatenate([self._runs.pop(), added]))
        if len(added):
            self._runs.append(added)
        return new

    def holds(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Which keys are in the set."""
        found = np.zeros(len(keys), bool)
        for run in self._runs:
            place = np.minimum(np.searchsorted(run, keys), len(run) - 1)
            found |= run[place] == keys
        return found
