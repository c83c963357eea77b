from __future__ import annotations

import math

import pytest

from training.strategies.cosine_decay import cosine_decay
from training.strategies.warm_up import constant, warm_up_factor
from training.strategies.warmup_stable_decay import warmup_stable_decay


@pytest.mark.parametrize(("step", "factor"), [(0, 0.1), (4, 0.5), (9, 1.0), (50, 1.0)])
def test_warm_up_rises_linearly_and_stays(step: int, factor: float) -> None:
    assert warm_up_factor(step, 10) == pytest.approx(factor)
    assert constant(step, 100, warm_up=10) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 0.1), (10, 1.0), (55, 0.5), (100, 0.0), (200, 0.0), (32, (1 + math.cos(math.pi * 22 / 90)) / 2)],
)
def test_cosine_falls_from_the_end_of_the_warm_up(step: int, factor: float) -> None:
    assert cosine_decay(step, 100, warm_up=10) == pytest.approx(factor)


def test_cosine_ends_at_its_floor() -> None:
    assert cosine_decay(100, 100, floor=0.2) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("step", "factor"), [(0, 0.5), (1, 1.0), (79, 1.0), (80, 1.0), (90, 0.5), (100, 0.0)]
)
def test_stable_decay_ends_with_the_run(step: int, factor: float) -> None:
    assert warmup_stable_decay(step, 100, warm_up=2, decay_steps=20) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("step", "factor"), [(0, 0.05), (4, 0.25 * (1 + math.cos(math.pi * 0.54))), (50, 0.0)]
)
def test_a_run_shorter_than_its_decay_is_warmed_up(step: int, factor: float) -> None:
    assert warmup_stable_decay(step, 50, warm_up=10, decay_steps=100) == pytest.approx(factor)


def test_a_decay_can_be_begun_at_any_step() -> None:
    factors = [
        warmup_stable_decay(step, 1000, decay_start=50, decay_steps=10, floor=0.1)
        for step in (49, 50, 55, 60, 70)
    ]
    assert factors == pytest.approx([1, 1, 0.55, 0.1, 0.1])
