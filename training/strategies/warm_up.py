"""Learning rate warm-up (PP-OCR sections 2.1 to 2.3): small steps until the start has settled."""

from __future__ import annotations


def warm_up_factor(step: int, warm_up: int) -> float:
    """Rises linearly to 1 over the first `warm_up` steps; never 0, so that the first step counts."""
    return min(1.0, (step + 1) / warm_up) if warm_up else 1.0


def constant(step: int, steps: int, warm_up: int = 0) -> float:
    """No decay at all: the paper's baseline for cosine decay."""
    return warm_up_factor(step, warm_up)
