from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from models.records import UsageError
from tests.training.synthesis.test_fonts import build_font
from training.synthesis.east_asian import (
    COMMON,
    EastAsianText,
    common_characters,
    east_asian_faces,
    is_east_asian,
    widened,
)
from training.synthesis.lines import LineSource
from training.tasks.recognition import load_charset

ASCII = "".join(map(chr, range(0x21, 0x7F)))


@pytest.fixture(scope="module", params=["zh", "ja"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def texts(language: str) -> EastAsianText:
    return EastAsianText(load_charset({"zh": "chinese", "ja": "japanese"}[language]).characters, language)


def test_lines_are_of_the_charset_and_of_the_language(texts: EastAsianText) -> None:
    allowed = frozenset(texts.characters) | set(ASCII)
    lines = [texts.line(Random(seed)) for seed in range(400)]
    assert all(line and line == " ".join(line.split()) for line in lines)
    written = [line for line in lines if any(map(is_east_asian, line))]
    assert len(written) > 0.8 * len(lines)
    assert sum(char in allowed for line in written for char in line) > 0.9 * sum(map(len, written))


def test_words_stand_without_spaces(texts: EastAsianText) -> None:
    assert not any(" " in texts.sentence(Random(seed)) for seed in range(100))


def test_characters_that_no_word_has_are_drawn_too(language: str) -> None:
    texts = EastAsianText([*common_characters(language)[:40], "\u4e28", "\u4e36", *ASCII], language)
    said = "".join(texts.line(Random(seed)) for seed in range(300))
    assert {"\u4e28", "\u4e36"} <= set(said)


def test_a_charset_without_the_language_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot spell any word of the language 'ja'"):
        EastAsianText(ASCII, "ja")


def test_widened_text_folds_back() -> None:
    import unicodedata

    assert widened("No.12/3") != "No.12/3"
    assert unicodedata.normalize("NFKC", widened("No.12/3")) == "No.12/3"


def test_faces_draw_the_commonest_characters(tmp_path: Path) -> None:
    common = common_characters("ja")[:COMMON]
    charset = [*common, *ASCII]
    build_font(tmp_path / "kanji.ttf", ASCII + "".join(common), empty=common[-1])
    build_font(tmp_path / "latin.ttf", ASCII)
    (tmp_path / "broken.ttc").write_bytes(b"no font")
    (face,) = east_asian_faces(charset, "ja", folders=[tmp_path])
    assert face.path.endswith("kanji.ttf")
    assert face.draws(common[0] + "A")
    assert not face.draws(common[-1])
    line = LineSource(1, charset, faces=[face], language="ja").sample(3)
    assert line.image.any() and set(line.text) <= set(charset) | {" "}


def test_a_machine_without_such_fonts_says_which_to_install(tmp_path: Path) -> None:
    build_font(tmp_path / "latin.ttf", ASCII)
    with pytest.raises(UsageError, match="apt-get install fonts-noto-cjk"):
        east_asian_faces(load_charset("chinese").characters, "zh", folders=[tmp_path])
