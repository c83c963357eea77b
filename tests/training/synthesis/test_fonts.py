from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from models.records import UsageError
from training.synthesis import fonts
from training.synthesis.fonts import FontBook, built_in_face, index_faces, inspect, usable_faces

ASCII = "".join(map(chr, range(0x21, 0x7F)))


def glyph(box: tuple[int, int, int, int] | None):
    pen = TTGlyphPen(None)
    if box:
        left, bottom, right, top = box
        pen.moveTo((left, bottom))
        pen.lineTo((left, top))
        pen.lineTo((right, top))
        pen.lineTo((right, bottom))
        pen.closePath()
    return pen.glyph()


def build_font(path: Path, characters: str, family: str = "Tiny", empty: str = "", small: int = 500) -> Path:
    """A font whose every glyph is a box of its own width; those of `empty` are claimed but not drawn."""
    names = [".notdef", *(f"u{ord(char):04X}" for char in characters)]
    tall = {char: 700 if not char.islower() or char in "bdfhklt" else small for char in characters}
    boxes = [(50, 0, 60 + 4 * number, tall[char]) for number, char in enumerate(characters)]
    drawn = [glyph(None if char in empty else box) for char, box in zip(characters, boxes, strict=True)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(char): name for char, name in zip(characters, names[1:], strict=True)})
    builder.setupGlyf(dict(zip(names, [glyph((50, 0, 450, 700)), *drawn], strict=True)))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (600, 50)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(path)
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_face_draws_what_its_font_holds_and_nothing_else(tmp_path: Path):
    face = inspect(str(build_font(tmp_path / "tiny.ttf", ASCII + "é")))
    assert face is not None
    assert face.draws("Café é")
    assert not face.draws("€")
    assert face.mono


def test_a_claimed_glyph_without_ink_does_not_count(tmp_path: Path):
    face = inspect(str(build_font(tmp_path / "tiny.ttf", ASCII + "éà", empty="à")))
    assert face is not None
    assert "é" in face.glyphs
    assert "à" not in face.glyphs


def test_a_font_with_capitals_for_small_letters_is_for_capitals_alone(tmp_path: Path):
    face = inspect(str(build_font(tmp_path / "tiny.ttf", ASCII, small=700)))
    assert face is not None
    assert face.draws("EXIT 12")
    assert not face.draws("Exit 12")


@pytest.mark.parametrize(
    "characters, content",
    [(ASCII.replace("@", ""), None), (ASCII, b"no font at all"), (ASCII, b"")],
    ids=["lacks a character of ASCII", "garbage", "empty file"],
)
def test_unusable_files_are_no_faces(tmp_path: Path, characters: str, content: bytes | None):
    path = build_font(tmp_path / "tiny.ttf", characters)
    if content is not None:
        path.write_bytes(content)
    assert inspect(str(path)) is None


def test_the_index_names_each_design_once_and_leaves_out_symbol_fonts(tmp_path: Path):
    build_font(tmp_path / "a.ttf", ASCII, "Alpha")
    build_font(tmp_path / "copy.ttf", ASCII, "Beta")
    build_font(tmp_path / "math.ttf", ASCII + "é", "Some Math")
    (tmp_path / "broken.otf").write_bytes(b"?")
    faces = index_faces([tmp_path])
    assert [face.family for face in faces] == ["Alpha"]
    assert index_faces([tmp_path]) == faces, "the kept index must say the same"


def test_a_changed_file_is_looked_at_again(tmp_path: Path):
    build_font(tmp_path / "a.ttf", ASCII, "Alpha")
    index_faces([tmp_path])
    build_font(tmp_path / "a.ttf", ASCII + "é", "Alpha")
    assert "é" in index_faces([tmp_path])[0].glyphs


@pytest.mark.parametrize(
    "kept", ["", "{", '{"x": {"path": 3}}', "[]"], ids=["empty", "cut off", "other fields", "a list"]
)
def test_a_spoilt_index_is_made_anew(tmp_path: Path, kept: str):
    build_font(tmp_path / "a.ttf", ASCII, "Alpha")
    index_faces([tmp_path])
    (file,) = (tmp_path / "cache").rglob("*.json")
    file.write_text(kept)
    assert [face.family for face in index_faces([tmp_path])] == ["Alpha"]


def test_without_fonts_the_message_names_packages(tmp_path: Path):
    with pytest.raises(UsageError, match="apt-get install fonts-"):
        usable_faces(ASCII, folders=[tmp_path])


def test_a_charset_with_accents_refuses_fonts_without(tmp_path: Path):
    build_font(tmp_path / "a.ttf", ASCII, "Alpha")
    assert usable_faces(ASCII, folders=[tmp_path])
    with pytest.raises(UsageError, match="No usable font"):
        usable_faces(ASCII + "é", folders=[tmp_path])


def test_training_and_development_faces_share_no_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    face = inspect(str(build_font(tmp_path / "a.ttf", ASCII)))
    assert face
    styles = [replace(face, family=f"Family {n // 2}", style=f"Style {n % 2}") for n in range(200)]
    monkeypatch.setattr(fonts, "index_faces", lambda folders=None: styles)
    training = {each.family for each in usable_faces(ASCII)}
    held_out = {each.family for each in usable_faces(ASCII, held_out=True)}
    assert not training & held_out
    assert len(training | held_out) == 100
    assert 2 <= len(held_out) <= 25


def test_the_book_drops_only_what_no_face_draws(tmp_path: Path):
    plain = inspect(str(build_font(tmp_path / "a.ttf", ASCII, "Alpha")))
    accented = inspect(str(build_font(tmp_path / "b.ttf", ASCII + "é", "Beta")))
    assert plain and accented
    book, rng = FontBook([plain, accented]), Random(0)
    assert {book.pick(rng, "thé")[0].family for _ in range(20)} == {"Beta"}
    assert book.pick(rng, "thé €5") == (accented, "thé 5")


def test_pillows_own_face_is_a_last_resort():
    assert built_in_face().draws("Total: 12.50")
