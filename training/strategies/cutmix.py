"""CutMix (Yun et al. 2019; PP-OCR table 9): a rectangle of each image comes from another one."""

from __future__ import annotations

import torch
from torch import Tensor

from training.strategies.mixup import draw_share


def cutmix(
    images: Tensor, alpha: float = 1.0, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, float]:
    """Pastes a rectangle of a partner into each image of a batch.

    Args:
        images: (N, C, H, W).
        generator: torch's own by default.
        alpha: of the Beta(alpha, alpha) distribution that the rectangle's share is drawn from.

    Returns:
        The images, the (N,) indices of the partners, and the share of the area that is the image's own; the
        loss is weighed with it as in `mixup`.
    """
    height, width = images.shape[2:]
    side = (1 - draw_share(alpha, generator)) ** 0.5
    h, w = round(height * side), round(width * side)
    y = int(torch.randint(height - h + 1, (), generator=generator))
    x = int(torch.randint(width - w + 1, (), generator=generator))
    partners = torch.randperm(len(images), generator=generator)
    mixed = images.clone()
    mixed[:, :, y : y + h, x : x + w] = images[partners, :, y : y + h, x : x + w]
    return mixed, partners, 1 - h * w / (height * width)
