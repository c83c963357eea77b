from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from training.synthesis.text import MAX_CHARS, TextSource

KINDS = (
    "address company contact item labelled leader line marks measures name phrase quoted rare sentence sign "
    "single table_row word words"
)


@pytest.mark.parametrize("kind", KINDS.split())
def test_every_kind_says_something_within_the_charset(kind: str, charset: tuple[str, ...]):
    source, rng = TextSource(charset), Random(kind)
    for _ in range(100):
        text = source.fit(getattr(source, kind)(rng), rng)
        assert text == " ".join(text.split())
        assert 0 < len(text) <= MAX_CHARS
        assert set(text) <= set(charset)


@pytest.mark.parametrize("charset", ["0123456789", "abc", "é"], ids=["digits", "three letters", "one letter"])
def test_small_charsets_are_kept_to(charset: str):
    source, rng = TextSource(charset), Random(0)
    assert all(set(source.line(rng)) <= set(charset) | {" "} for _ in range(300))


def test_what_the_charset_lacks_is_spelled_otherwise():
    source = TextSource("abcdefghijklmnopqrstuvwxyz'\". E")
    assert source.fit("l’œuf “à” …", Random(0)) == 'l\'oeuf "" ...'


def test_no_character_is_forgotten(charset: tuple[str, ...]):
    source, rng, lines = TextSource(charset), Random(0), 6000
    seen = Counter(char for _ in range(lines) for char in set(source.line(rng)))
    assert min(seen[char] for char in charset) >= lines / 2000


def test_case_and_length_vary(charset: tuple[str, ...]):
    source, rng = TextSource(charset), Random(1)
    lines = [source.line(rng) for _ in range(1000)]
    assert sum(line.isupper() for line in lines) > 100
    assert sum(line.islower() for line in lines) > 100
    assert sum(line.istitle() for line in lines) > 50
    assert min(map(len, lines)) == 1
    assert max(map(len, lines)) > 75
