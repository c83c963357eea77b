"""A language model of characters: how likely a character is behind those before it.

It holds n-grams with stupid backoff (Brants et al. 2007) in a hash table of fingerprints (Talbot and Osborne
2007): two bytes an n-gram, a few of them wrong in a thousand. Letters are counted without case, digits as one
character, so that no number is ever preferred to another one. Case has a table of its own.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.onnx_file import metadata
from models.records import UsageError

METADATA = "ppocr-beam.language"
"""The entry of a recogniser's ONNX file that holds its language model, as `Language.to_json` writes it."""
FORMAT = 1
ORDER = 5
"""Characters of the longest n-grams."""
SPACE, OTHER, DIGIT = 1, 2, 3
"""Symbols; 0 stands for nothing, and a language's letters follow."""
MOST_LETTERS = 255 - DIGIT
WAYS = 4
"""Cells of a bucket."""
LEVEL_BITS = 5
LEVELS = 1 << LEVEL_BITS
"""Log probabilities that a cell can hold, and none, which is 0."""
FINGERPRINTS = (1 << 16 - LEVEL_BITS) - 1
"""Fingerprints that it can hold beside; the cell 0 is empty."""
CASELESS, LOWER, UPPER = range(3)
STATES = 6
NEXT_STATE: npt.NDArray[np.int64] = np.array(
    [[0, 5, 3], [1, 5, 3], [2, 5, 3], [1, 5, 4], [1, 5, 4], [2, 5, 4]], np.int64
)
"""What a caseless character, a small and a capital letter make of a state: before a word at the start (0),
behind one in capitals (1) or another one (2); behind a word's one capital (3), several (4) or a small letter
(5).
"""
_BYTE = np.uint64(8)
_CONTEXT = np.uint64((1 << 8 * (ORDER - 1)) - 1)
_KEPT = np.array([[(1 << 8 * symbols) - 1] for symbols in range(ORDER - 1, -1, -1)], np.uint64)
_SIZES = np.array([1 << 8 * symbols for symbols in range(1, ORDER - 1)], np.uint64)
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_FIRST_SHIFT, _SECOND_SHIFT, _PLACE_SHIFT = np.uint64(29), np.uint64(32), np.uint64(12)
_FINGERPRINTS = np.uint64(FINGERPRINTS)
_TENTH = float(np.log(0.1))

Keys = npt.NDArray[np.uint64]
"""n-grams: their symbols, a byte each, the last one lowest."""
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Symbols:
    """What the classes of a recogniser are to a language: (classes,) each.

    Attributes:
        symbols: uint64; class 0, the blank, is nothing.
        cases: int64, of `CASELESS`, `LOWER` and `UPPER`.
    """

    symbols: Keys
    cases: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Language:
    """How likely characters follow each other.

    Attributes:
        letters: what is told apart, beside spaces and digits: small letters, and signs.
        cells: (buckets, `WAYS`) uint16, a fingerprint of an n-gram and the number of its level each; 0: none.
        levels: (`LEVELS`,) log probabilities, ascending; the first is of what the cells have nothing of.
        cases: (`STATES`, 2) log probabilities of a small and a capital letter.
        backoff: what is added for each character that an n-gram is shorter, at most 0.
    """

    letters: str
    cells: npt.NDArray[np.uint16]
    levels: Floats
    cases: Floats
    backoff: float

    def symbols(self, charset: Sequence[str]) -> Symbols:
        """What the classes of a charset are; it is without the blank."""
        known = numbered(self.letters)
        pairs = [(0, CASELESS), *(symbol_of(char, known) for char in charset)]
        return Symbols(
            np.array([symbol for symbol, _ in pairs], np.uint64),
            np.array([case for _, case in pairs], np.int64),
        )

    def scores(self, contexts: Keys, symbols: Keys) -> Floats:
        """(n,) log probabilities of symbols behind contexts, (n,) both; of a digit, that of any ten."""
        places, prints = addresses(ngrams(contexts, symbols), len(self.cells))
        held = self.cells[places]
        levels = np.where(held >> LEVEL_BITS == prints[..., None], held & (LEVELS - 1), 0).max(2)
        longest = (levels > 0).argmax(0)
        found = levels[longest, np.arange(len(symbols))]
        # A context that is short because its line begins leaves nothing out.
        left_out = np.maximum(np.where(found, longest, ORDER) - _missing(contexts), 0)
        return np.asarray(
            self.levels[found] + self.backoff * left_out + (symbols == DIGIT) * _TENTH, np.float32
        )

    def to_json(self) -> str:
        """The text that `from_json` reads."""
        return json.dumps(
            {
                "format": FORMAT,
                "letters": self.letters,
                "cells": base64.b64encode(self.cells.astype("<u2").tobytes()).decode(),
                "levels": self.levels.tolist(),
                "cases": self.cases.tolist(),
                "backoff": self.backoff,
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> Language:
        """Reads what `to_json` wrote.

        Raises:
            UsageError: it is of another format, or damaged.
        """
        try:
            values = json.loads(text)
            if values["format"] != FORMAT:
                raise ValueError(f"format {values['format']!r}, this version reads {FORMAT}")
            cells = np.frombuffer(base64.b64decode(values["cells"], validate=True), "<u2").astype(np.uint16)
            levels, cases = (np.array(values[name], np.float32) for name in ("levels", "cases"))
            letters, backoff = str(values["letters"]), float(values["backoff"])
            sound = levels.shape == (LEVELS,) and cases.shape == (STATES, 2) and len(letters) <= MOST_LETTERS
            if not (sound and len(cells) and np.isfinite([*levels, *cases.ravel(), backoff]).all()):
                raise ValueError("it has other sizes, or no numbers")
            return cls(letters, cells.reshape(-1, WAYS), levels, cases, backoff)
        except (ValueError, KeyError, TypeError, binascii.Error, RecursionError) as error:
            raise UsageError(f"the language model cannot be read: {error}") from None


def numbered(letters: str) -> dict[str, int]:
    """The symbols of a language's letters."""
    return {letter: number for number, letter in enumerate(letters, DIGIT + 1)}


def symbol_of(char: str, known: dict[str, int]) -> tuple[int, int]:
    """A character's symbol and case; `known`: what `numbered` says of a language's letters."""
    if char == " ":
        return SPACE, CASELESS
    if char.isascii() and char.isdigit():
        return DIGIT, CASELESS
    small = char.lower()
    if small not in known:
        return OTHER, CASELESS
    if small == char.upper():
        return known[small], CASELESS
    return known[small], LOWER if char == small else UPPER


def followed(contexts: Keys, symbols: Keys) -> Keys:
    """The contexts behind one more symbol."""
    return (contexts << _BYTE & _CONTEXT) | symbols


def ngrams(contexts: Keys, symbols: Keys) -> Keys:
    """(`ORDER`, n): the symbols behind all of their context, then behind less and less of it."""
    return (contexts & _KEPT) << _BYTE | symbols


def _missing(contexts: Keys) -> npt.NDArray[np.int64]:
    """How many symbols contexts of one symbol or more have less than the longest."""
    return ORDER - 2 - np.searchsorted(_SIZES, contexts, side="right")


def addresses(keys: Keys, buckets: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint16]]:
    """The buckets of n-grams, and their fingerprints, 1 and up."""
    mixed = keys * _FIRST
    mixed ^= mixed >> _FIRST_SHIFT
    mixed *= _SECOND
    mixed ^= mixed >> _SECOND_SHIFT
    places = (mixed >> _PLACE_SHIFT) % np.uint64(buckets)
    return places.astype(np.int64), (mixed % _FINGERPRINTS).astype(np.uint16) + np.uint16(1)


def language_in(path: Path) -> Language | None:
    """The language model in a recogniser's ONNX file; None: it has none.

    Raises:
        UsageError: it cannot be read.
    """
    text = metadata(path.read_bytes()).get(METADATA)
    if text is None:
        return None
    try:
        return Language.from_json(text)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
