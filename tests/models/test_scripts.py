"""Which scripts a charset can write."""

from __future__ import annotations

import string

import pytest

from models.bundle import list_bundles, load_bundle
from models.scripts import scripts_of

RUSSIAN = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
GREEK = "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώ"


@pytest.mark.parametrize(
    ("charset", "scripts"),
    [
        pytest.param("", (), id="nothing"),
        pytest.param(string.digits + string.punctuation, (), id="no letters"),
        pytest.param(string.ascii_letters, ("Latin",), id="Latin"),
        pytest.param(string.ascii_lowercase, (), id="half of the letters"),
        pytest.param(RUSSIAN + RUSSIAN.upper(), ("Cyrillic",), id="Cyrillic"),
        pytest.param((RUSSIAN + RUSSIAN.upper()).replace("ъ", ""), ("Cyrillic",), id="but for a rare letter"),
        pytest.param(GREEK + GREEK.upper(), ("Greek",), id="Greek"),
        pytest.param(string.ascii_letters + GREEK[:24] + "ΓΔΘΛΞΠΣΦΨΩ", ("Latin",), id="Greek of formulas"),
        pytest.param(map(chr, range(0x5D0, 0x5EB)), ("Hebrew",), id="Hebrew"),
        pytest.param(map(chr, range(0xE01, 0xE5C)), ("Thai",), id="Thai"),
        pytest.param(map(chr, range(0x600, 0x660)), ("Arabic",), id="Arabic"),
        pytest.param(map(chr, range(0x900, 0x970)), ("Devanagari",), id="Devanagari"),
        pytest.param(map(chr, range(0xAC00, 0xAC00 + 2350)), ("Hangul",), id="Hangul"),
        pytest.param(map(chr, range(0x4E00, 0x4E00 + 300)), (), id="some Han"),
        pytest.param(map(chr, range(0x4E00, 0x4E00 + 6000)), ("Han",), id="Han"),
    ],
)
def test_a_script_is_read_where_its_everyday_letters_are(charset: str, scripts: tuple[str, ...]) -> None:
    assert scripts_of(charset) == scripts


def test_built_in_bundles() -> None:
    read = {
        name: scripts_of(load_bundle(name, check=False).manifest.recognition.charset)
        for name in list_bundles()
    }
    assert read == {
        "careful": ("Latin",),
        "chinese": ("Latin", "Han"),
        "latin": ("Latin",),
        "ppocrv6-small": ("Latin", "Hiragana", "Katakana", "Han"),
    }
