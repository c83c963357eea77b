from __future__ import annotations

import numpy as np
import pytest

from training.config import Choice, ConfigError
from training.strategies import AUGMENTATIONS, SCHEDULES, resolve

ALWAYS = {name: Choice(name, {"probability": 1.0}) for name in AUGMENTATIONS if name != "degrade"}
SHAPES = [(32, 100), (32, 100, 1), (48, 192, 3), (5, 3), (1, 1, 3)]


def picture(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ALWAYS)
def test_shape_and_type_stay_and_the_input_is_untouched(name: str, shape: tuple[int, ...]) -> None:
    augment = resolve(AUGMENTATIONS, ALWAYS[name])
    image = picture(shape)
    before = image.copy()
    for seed in range(12):
        out = augment(image, np.random.default_rng(seed))
        assert out.shape == shape and out.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("name", ALWAYS)
def test_the_seed_decides(name: str) -> None:
    augment = resolve(AUGMENTATIONS, ALWAYS[name])
    image = picture((32, 120))
    runs = [[augment(image, np.random.default_rng(seed)) for seed in range(10)] for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(*runs, strict=True))
    assert any(not np.array_equal(out, image) for out in runs[0])


@pytest.mark.parametrize("name", ALWAYS)
def test_probability_zero_changes_nothing(name: str) -> None:
    augment = resolve(AUGMENTATIONS, Choice(name, {"probability": 0.0}))
    image = picture((32, 120))
    assert all(np.array_equal(augment(image, np.random.default_rng(seed)), image) for seed in range(10))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="bda"):
        resolve(AUGMENTATIONS, Choice("sepia"))


@pytest.mark.parametrize(
    ("table", "choice", "message"),
    [
        (AUGMENTATIONS, Choice("bda", {"probabilty": 1.0}), "'probabilty'; there are probability, geometry"),
        (AUGMENTATIONS, Choice("degrade", {"probability": 1.0}), "'probability'; there are none"),
        (SCHEDULES, Choice("cosine_decay", {"step": 3}), "'step'; there are warm_up, floor"),
    ],
    ids=["misspelt", "no options", "what its caller gives"],
)
def test_an_unknown_option_lists_the_known_ones(table: dict[str, str], choice: Choice, message: str) -> None:
    with pytest.raises(ConfigError, match=f"{choice.name} has no option {message}"):
        resolve(table, choice)


@pytest.mark.parametrize(
    ("table", "choice", "message"),
    [
        (AUGMENTATIONS, Choice("bda", {"geometry": 1}), "bda's geometry must be bool, got 1"),
        (
            SCHEDULES,
            Choice("cosine_decay", {"warm_up": "abc"}),
            "cosine_decay's warm_up must be int, got 'abc'",
        ),
        (
            SCHEDULES,
            Choice("warmup_stable_decay", {"decay_start": "9k"}),
            "decay_start must be int, got '9k'",
        ),
    ],
    ids=["a number for a switch", "a word for a number", "a word for a number or none"],
)
def test_an_option_of_another_type_is_refused(table: dict[str, str], choice: Choice, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(table, choice)


def test_a_number_may_be_left_out_where_none_is_meant() -> None:
    schedule = resolve(SCHEDULES, Choice("warmup_stable_decay", {"decay_start": None, "decay_steps": 10}))
    assert [schedule(step, 20) for step in (0, 10, 20)] == [1, 1, 0]


def test_cutout_covers_a_square_of_the_configured_side() -> None:
    image = np.zeros((40, 400), np.uint8)
    out = resolve(AUGMENTATIONS, Choice("cutout", {"probability": 1.0, "size": 0.5}))(
        image, np.random.default_rng(3)
    )
    rows, columns = np.nonzero(out)
    assert np.ptp(columns) + 1 == 20
    assert np.ptp(rows) + 1 <= 20


def test_hide_and_seek_hides_its_share_of_the_cells() -> None:
    image = np.arange(32 * 3200, dtype=np.int64).reshape(32, 3200).astype(np.uint8)
    hide = resolve(AUGMENTATIONS, Choice("hide_and_seek", {"probability": 1.0, "hidden": 0.25}))
    changed = (hide(image, np.random.default_rng(0)) != image).mean()
    assert 0.2 < changed < 0.3
