"""DB's loss: L = alpha Ls + Lb + beta Lt with alpha 5 and beta 10 (PP-OCR; Liao et al. 2020 section 3.5).

Shapes: B images, H x W pixels; every map is B x 1 x H x W or B x H x W float32.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from training.networks.db import DBMaps


class DBTargets(NamedTuple):
    """The batch of maps of `training.data.detection.Targets`, each B x 1 x H x W."""

    shrink: Tensor
    shrink_mask: Tensor
    threshold: Tensor
    threshold_mask: Tensor


def db_loss(
    maps: DBMaps, targets: DBTargets, alpha: float = 5.0, beta: float = 10.0, negatives: float = 3.0
) -> dict[str, Tensor]:
    """Returns the loss under `loss` and its parts under `shrink`, `binary` and `threshold`.

    Args:
        maps: what the net says.
        targets: what it should say.
        alpha: weight of the shrink map's loss.
        beta: weight of the threshold map's loss.
        negatives: pixels without text that count, for each one with text: the hardest (OHEM).
    """
    shrink = balanced_bce(maps.shrink, targets.shrink, targets.shrink_mask, negatives)
    binary = dice_loss(torch.sigmoid(maps.binary), targets.shrink, targets.shrink_mask)
    threshold = masked_l1(torch.sigmoid(maps.threshold), targets.threshold, targets.threshold_mask)
    loss = alpha * shrink + binary + beta * threshold
    return {
        "loss": loss,
        "shrink": shrink.detach(),
        "binary": binary.detach(),
        "threshold": threshold.detach(),
    }


def balanced_bce(logits: Tensor, target: Tensor, mask: Tensor, negatives: float = 3.0) -> Tensor:
    """Mean cross entropy over all pixels of text and the hardest `negatives` times as many others.

    A batch without text counts a hundred of the hardest pixels, so that false alarms still cost.
    """
    losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    positive = target * mask
    negative = ((1 - target) * mask).bool()
    text = int(positive.sum())
    kept = min(int(negative.sum()), max(int(negatives * text), 100))
    hardest = torch.topk(losses[negative], kept, sorted=False).values
    return ((losses * positive).sum() + hardest.sum()) / max(text + kept, 1)


def dice_loss(probability: Tensor, target: Tensor, mask: Tensor, epsilon: float = 1e-6) -> Tensor:
    """1 - 2 |A and B| / (|A| + |B|) over the pixels of `mask`."""
    both = (probability * target * mask).sum()
    return 1 - 2 * both / ((probability * mask).sum() + (target * mask).sum() + epsilon)


def masked_l1(value: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference over the pixels of `mask`; 0 where it is empty."""
    return ((value - target).abs() * mask).sum() / mask.sum().clamp(min=1)
