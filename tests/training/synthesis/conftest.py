from __future__ import annotations

import pytest

from training.synthesis.fonts import Face, FontBook, built_in_face, font_files, font_folders, inspect

LATIN = tuple(map(chr, range(0x20, 0x7F))) + tuple("àâçéèêëîïôùûÀÉÈäöüÄÖÜß€£§°–’“”…")


@pytest.fixture(scope="session")
def charset() -> tuple[str, ...]:
    return LATIN


@pytest.fixture(scope="session")
def faces() -> list[Face]:
    """A few of this machine's fonts, or the one inside Pillow: what is tested holds for any."""
    files = sorted(font_files(font_folders()))
    found = [face for face in map(inspect, files[:: max(1, len(files) // 25)]) if face]
    return found or [built_in_face()]


@pytest.fixture(scope="session")
def book(faces: list[Face]) -> FontBook:
    return FontBook(faces)
