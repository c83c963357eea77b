"""Mixup (Zhang et al. 2017; PP-OCR table 9): two images laid over each other, their losses weighed alike."""

from __future__ import annotations

import torch
from torch import Tensor


def mixup(
    images: Tensor, alpha: float = 0.2, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, float]:
    """Blends each image of a batch with another one.

    Args:
        images: (N, C, H, W).
        generator: torch's own by default.
        alpha: of the Beta(alpha, alpha) distribution that the share is drawn from.

    Returns:
        The blended images, the (N,) indices of the partners, and the share s of the first: the loss of a
        batch is s x loss(own labels) + (1 - s) x loss(partners' labels).
    """
    share = draw_share(alpha, generator)
    partners = torch.randperm(len(images), generator=generator)
    return share * images + (1 - share) * images[partners], partners, share


def draw_share(alpha: float, generator: torch.Generator | None) -> float:
    """A number of Beta(alpha, alpha), from torch's own generator: a resumed run draws the same."""
    first, second = torch._standard_gamma(torch.full((2,), alpha), generator=generator).tolist()
    return float(first / (first + second)) if first + second > 0 else 1.0
