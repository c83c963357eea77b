"""Warm-up, a constant rate, then a decay: for runs whose length is not known when they start.

Cosine decay needs the number of steps beforehand. Here the rate stays until `decay_start`, which a resumed
run may set once the time left is known: `--resume schedule.options.decay_start=9000
schedule.options.decay_steps=1500`.
"""

from __future__ import annotations

import math

from training.strategies.warm_up import warm_up_factor


def warmup_stable_decay(
    step: int,
    steps: int,
    warm_up: int = 0,
    decay_start: int | None = None,
    decay_steps: int = 0,
    floor: float = 0.0,
) -> float:
    """1 after the warm-up, then half a cosine to `floor` over `decay_steps`.

    The decay begins at `decay_start`, by default so that it ends with the run. In a run that is shorter, it
    has begun before the first step, which is warmed up to all the same.
    """
    warm = warm_up_factor(step, warm_up)
    start = steps - decay_steps if decay_start is None else decay_start
    if step < start or decay_steps <= 0:
        return warm
    progress = min(1.0, (step - start) / decay_steps)
    return warm * (floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2)
