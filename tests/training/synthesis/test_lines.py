from __future__ import annotations

import hashlib
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from training.synthesis.directions import DirectionSource, tells_direction
from training.synthesis.fonts import Face
from training.synthesis.lines import LOOKS, LineSource


def digest(seed: int, charset: tuple[str, ...], faces: list[Face], index: int) -> str:
    sample = LineSource(seed, charset, faces=faces).sample(index)
    return hashlib.sha256(sample.image.tobytes() + sample.text.encode()).hexdigest()


def test_a_line_is_decided_by_seed_and_index(charset: tuple[str, ...], faces: list[Face]):
    here = [digest(3, charset, faces, index) for index in (7, 0, 7)]
    assert here[0] == here[2] != here[1]
    assert digest(4, charset, faces, 7) != here[0]
    with ProcessPoolExecutor(1) as pool:
        assert pool.submit(digest, 3, charset, faces, 7).result() == here[0]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("color", [False, True], ids=["gray", "color"])
def test_every_look_gives_a_legible_line(look: str, color: bool, charset: tuple[str, ...], faces: list[Face]):
    source, contrasts = LineSource(0, charset, color=color, faces=faces), []
    for index in range(12):
        sample = source.sample_look(look, index)
        assert sample.image.dtype == np.uint8
        assert sample.image.shape[2:] == ((3,) if color else ())
        assert 28 <= sample.image.shape[0] <= 56
        assert sample.image.shape[1] >= 8
        assert set(sample.text) <= set(charset)
        contrasts.append(int(np.ptp(sample.image)))
    assert np.median(contrasts) > 60


def test_longer_texts_are_wider(charset: tuple[str, ...], faces: list[Face]):
    source = LineSource(2, charset, faces=faces)
    samples = [source.sample_look("clean", index) for index in range(60)]
    aspects = [sample.image.shape[1] / sample.image.shape[0] for sample in samples]
    assert np.corrcoef(aspects, [len(sample.text) for sample in samples])[0, 1] > 0.8


@pytest.mark.parametrize("charset", ["0123456789", "é!"], ids=["digits", "what a font may lack"])
def test_small_charsets_are_kept_to(charset: str, faces: list[Face]):
    source = LineSource(0, charset, faces=faces)
    assert all(set(source.sample(index).text) <= set(charset) | {" "} for index in range(40))


def test_speed_is_reported(charset: tuple[str, ...], faces: list[Face]):
    source = LineSource(0, charset, faces=faces)
    source.sample(0)
    start = time.process_time()
    made = [source.sample(index).image for index in range(150)]
    print(f"{len(made) / (time.process_time() - start):.0f} lines a second of one core")
    assert len({image.tobytes() for image in made}) == len(made)


def test_half_of_the_direction_samples_are_turned(charset: tuple[str, ...], faces: list[Face]):
    source, lines = DirectionSource(5, charset, faces=faces), LineSource(5, charset, faces=faces)
    angles = []
    for index in range(60):
        sample, line = source.sample(index), lines.sample(index)
        angles.append(sample.angle)
        if tells_direction(line.text):
            upright = sample.image[::-1, ::-1] if sample.angle else sample.image
            assert np.array_equal(upright, line.image)
    assert set(angles) == {0, 180}
    assert 15 < angles.count(180) < 45


@pytest.mark.parametrize(
    "text, told",
    [
        ("Total", True),
        ("SIS", False),
        ("1001", False),
        ("", False),
        ("-----", False),
        ("7.40", True),
        ("HEX", False),
        ("HEYT", True),
    ],
)
def test_texts_that_read_both_ways_are_told(text: str, told: bool):
    assert tells_direction(text) == told
