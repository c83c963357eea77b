"""Charsets: the characters a recogniser knows, in the order of its classes; class 0 is CTC's blank."""

from __future__ import annotations

import difflib
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from models.spelling import normalize as normalize
from training.config import CONFIGS, ConfigError


@dataclass(frozen=True)
class Charset:
    """Characters to classes and back.

    Attributes:
        characters: class i is `characters[i - 1]`.
    """

    characters: tuple[str, ...]
    _classes: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_classes", {c: i for i, c in enumerate(self.characters, 1)})
        if len(self._classes) != len(self.characters) or any(len(c) != 1 for c in self.characters):
            raise ConfigError("a charset must hold single characters, each once")

    @property
    def classes(self) -> int:
        """Classes of the network's output, the blank included."""
        return len(self.characters) + 1

    def missing(self, text: str) -> str:
        """The characters of a text that the charset lacks, each once, in order."""
        return "".join(dict.fromkeys(c for c in text if c not in self._classes))

    def encode(self, text: str) -> list[int]:
        """Classes of a text.

        Raises:
            KeyError: a character is missing; ask `missing` first.
        """
        return [self._classes[c] for c in text]

    def decode(self, classes: Iterable[int]) -> str:
        """The text of a greedy CTC path: repeats merged, blanks dropped."""
        text, before = [], 0
        for index in classes:
            if index and index != before:
                text.append(self.characters[index - 1])
            before = index
        return "".join(text)


def base_of(char: str) -> str:
    """The plainer letter that a character is a form of: c of č, l of ł, s of ſ; itself where it is none."""
    plain = unicodedata.normalize("NFKD", char)[0]
    if plain != char:
        return plain
    try:
        return unicodedata.lookup(unicodedata.name(char).partition(" WITH ")[0])
    except (KeyError, ValueError):  # no such letter, or a character without a name
        return char


def read_charset(path: str | Path) -> Charset:
    """Reads one character a line from a file, or from the one of that name in `training/configs`.

    Raises:
        ConfigError: no such file, or not one character a line.
    """
    found = next((p for p in (Path(path), CONFIGS / path, CONFIGS / f"{path}.txt") if p.is_file()), None)
    if found is None:
        close = difflib.get_close_matches(str(path), [p.stem for p in CONFIGS.glob("*.txt")], n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(f"no charset {path}; give a file of one character a line{hint}")
    lines = found.read_text("utf-8").split("\n")
    return Charset(tuple(lines[:-1] if lines[-1] == "" else lines))


def count_missing(charset: Charset, texts: Iterable[str]) -> Counter[str]:
    """How many lines each character that the charset lacks would cost."""
    return Counter(c for text in texts for c in charset.missing(text))
