"""Cosine learning rate decay (PP-OCR sections 2.1 to 2.3)."""

from __future__ import annotations

import math

from training.strategies.warm_up import warm_up_factor


def cosine_decay(step: int, steps: int, warm_up: int = 0, floor: float = 0.0) -> float:
    """Falls from 1 to `floor` along half a cosine that starts where the warm-up ends."""
    if step < warm_up:
        return warm_up_factor(step, warm_up)
    progress = min(1.0, (step - warm_up) / max(1, steps - warm_up))
    return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2
