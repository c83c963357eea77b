from __future__ import annotations

from pathlib import Path

import pytest

from training.config import ConfigError
from training.data.charset import Charset, count_missing, normalize, read_charset

LATIN = read_charset("latin")


@pytest.mark.parametrize(
    "text",
    ["Größe: 12,50 €", "L'œuvre coûte « 3½ » – déjà vu…", "“100 % §4” ²³ °C £ © ™", "~`{|}^\\_@#&*<>"],
)
def test_latin_spells_what_its_languages_print(text: str) -> None:
    assert LATIN.missing(text) == ""
    assert "".join(LATIN.characters[i - 1] for i in LATIN.encode(text)) == text


def test_latin_holds_each_character_once_in_its_composed_form() -> None:
    assert all(normalize(c) == c for c in LATIN.characters if c != " ")
    assert {*map(chr, range(32, 127))} <= {*LATIN.characters}


@pytest.mark.parametrize(
    ("path", "text"),
    [([], ""), ([0, 0], ""), ([1, 1, 1], "a"), ([1, 0, 1], "aa"), ([0, 1, 2, 2, 0, 2], "abb"), ([3], " ")],
)
def test_a_greedy_path_is_merged(path: list[int], text: str) -> None:
    assert Charset(("a", "b", " ")).decode(path) == text


def test_what_is_missing_is_counted_by_lines() -> None:
    assert count_missing(Charset(("a",)), ["aab", "b", "c", "a"]) == {"b": 2, "c": 1}


@pytest.mark.parametrize("content", ["a\na\n", "ab\n"], ids=["twice", "two in a line"])
def test_a_bad_charset_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "c.txt").write_text(content)
    with pytest.raises(ConfigError, match="single characters"):
        read_charset(tmp_path / "c.txt")


def test_a_charset_that_is_nowhere_is_named() -> None:
    with pytest.raises(ConfigError, match="klingon"):
        read_charset("klingon")
    with pytest.raises(ConfigError, match="did you mean latin?"):
        read_charset("latn")


@pytest.mark.parametrize(
    ("text", "normal"),
    [("e\u0301", "é"), (" a\u00a0\tb ", "a b"), ("1\u22122", "1-2")],
    ids=["compose", "spaces", "minus"],
)
def test_normalize(text: str, normal: str) -> None:
    assert normalize(text) == normal
