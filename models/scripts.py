"""Which scripts a charset can write."""

from __future__ import annotations

from collections.abc import Iterable

Ranges = tuple[tuple[str, str], ...]
"""First and last character of each, both included."""

ALPHABETS: dict[str, Ranges] = {
    "Latin": (("A", "Z"), ("a", "z")),
    "Greek": (("Α", "Ρ"), ("Σ", "Ω"), ("ά", "ί"), ("α", "ω"), ("ό", "ώ")),
    "Cyrillic": (("А", "я"),),
    "Armenian": (("Ա", "Ֆ"), ("ա", "ֆ")),
    "Georgian": (("ა", "ჰ"),),
    "Hebrew": (("א", "ת"),),
    "Arabic": (("ء", "غ"), ("ف", "ي")),
    "Devanagari": (("क", "न"), ("प", "र"), ("ल", "ळ"), ("व", "ह"), ("ा", "ू")),
    "Bengali": (("ক", "ন"), ("প", "র"), ("শ", "হ"), ("া", "ূ")),
    "Tamil": (("ண", "த"), ("ந", "ப"), ("ம", "வ"), ("ா", "ூ")),
    "Telugu": (("క", "న"), ("ప", "ర"), ("శ", "హ"), ("ా", "ూ")),
    "Kannada": (("ಕ", "ನ"), ("ಪ", "ರ"), ("ಶ", "ಹ"), ("ಾ", "ೂ")),
    "Thai": (("ก", "ฮ"), ("ะ", "ู"), ("เ", "ไ")),
    "Hiragana": (("あ", "ん"),),
    "Katakana": (("ア", "ン"),),
}
"""The letters that everyday text of a script cannot do without; most scripts have further ones."""
ALL_BUT = 0.05
"""Part of an alphabet that may be missing: dictionaries leave out a rare letter or two."""

THOUSANDS: dict[str, Ranges] = {"Han": (("一", "龥"),), "Hangul": (("가", "힣"),)}
"""Scripts with so many characters that no charset holds all of them."""
ENOUGH = 2_000
"""Characters of such a script with which nearly all of its everyday text can be written."""


def scripts_of(charset: Iterable[str]) -> tuple[str, ...]:
    """The scripts whose everyday text a charset can write, by their Unicode names.

    A script of which it has some signs only, such as Greek letters for formulas, is not among them.

    Args:
        charset: characters, in any order; they may take several code points.
    """
    known = set(charset)
    whole = [name for name, ranges in ALPHABETS.items() if _missing(ranges, known) <= ALL_BUT * _size(ranges)]
    large = [name for name, ranges in THOUSANDS.items() if _size(ranges) - _missing(ranges, known) >= ENOUGH]
    return (*whole, *large)


def _size(ranges: Ranges) -> int:
    return sum(ord(last) - ord(first) + 1 for first, last in ranges)


def _missing(ranges: Ranges, known: set[str]) -> int:
    return sum(chr(code) not in known for first, last in ranges for code in range(ord(first), ord(last) + 1))
