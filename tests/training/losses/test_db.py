from __future__ import annotations

import numpy as np
import pytest
import torch

from training.losses.db import DBTargets, balanced_bce, db_loss, dice_loss, masked_l1
from training.networks.db import SHARPNESS, DBMaps


def draw(seed: int, text: float = 0.2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 1, 12, 16, generator=generator) * 3
    target = (torch.rand(2, 1, 12, 16, generator=generator) < text).float()
    mask = (torch.rand(2, 1, 12, 16, generator=generator) < 0.9).float()
    return logits, target, mask


def bce_by_sorting(logits: torch.Tensor, target: torch.Tensor, mask: torch.Tensor, negatives: float) -> float:
    """Pixel by pixel in float64: all text, and the hardest others, found by sorting."""
    text, others = [], []
    for x, t, m in zip(
        *(values.flatten().double().tolist() for values in (logits, target, mask)), strict=True
    ):
        probability = 1 / (1 + np.exp(-x))
        if m:
            (text if t else others).append(-np.log(probability if t else 1 - probability))
    count = min(len(others), max(int(negatives * len(text)), 100))
    return (sum(text) + sum(sorted(others)[::-1][:count])) / max(len(text) + count, 1)


@pytest.mark.parametrize("text", [0.0, 0.05, 0.2, 0.9], ids=["none", "few", "some", "most"])
def test_balanced_bce_agrees_with_sorting(text: float) -> None:
    logits, target, mask = draw(1, text)
    expected = bce_by_sorting(logits, target, mask, 3.0)
    assert float(balanced_bce(logits, target, mask, 3.0)) == pytest.approx(expected, rel=1e-5)


def test_dice_counts_what_two_maps_share() -> None:
    target = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    said = torch.tensor([[1.0, 0.0, 1.0, 1.0]])
    assert float(dice_loss(said, target, torch.ones(1, 4))) == pytest.approx(1 - 2 * 1 / (3 + 2))
    assert float(dice_loss(said, target, torch.tensor([[1.0, 1.0, 0.0, 0.0]]))) == pytest.approx(
        1 - 2 * 1 / (1 + 2)
    )
    assert float(dice_loss(target, target, torch.ones(1, 4))) == pytest.approx(0, abs=1e-6)


def test_l1_asks_only_inside_the_mask() -> None:
    value, target = torch.tensor([0.2, 0.9, 0.5]), torch.tensor([0.5, 0.5, 0.5])
    assert float(masked_l1(value, target, torch.tensor([1.0, 0.0, 1.0]))) == pytest.approx(0.15)
    assert float(masked_l1(value, target, torch.zeros(3))) == 0


def test_loss_is_the_weighted_sum_with_alpha_five_and_beta_ten() -> None:
    shrink, target, mask = draw(2)
    threshold, levels, zone = draw(3)
    binary = SHARPNESS * (torch.sigmoid(shrink) - torch.sigmoid(threshold))
    losses = db_loss(DBMaps(shrink, threshold, binary), DBTargets(target, mask, levels, zone))
    expected = (
        5 * balanced_bce(shrink, target, mask)
        + dice_loss(torch.sigmoid(binary), target, mask)
        + 10 * masked_l1(torch.sigmoid(threshold), levels, zone)
    )
    assert float(losses["loss"]) == pytest.approx(float(expected), rel=1e-6)
    assert float(losses["shrink"]) == pytest.approx(bce_by_sorting(shrink, target, mask, 3.0), rel=1e-5)


def test_the_loss_moves_both_maps_and_leaves_masked_pixels_alone() -> None:
    shrink, target, mask = draw(4)
    threshold, levels, zone = draw(5)
    shrink.requires_grad_()
    threshold.requires_grad_()
    zone = zone * mask
    binary = SHARPNESS * (torch.sigmoid(shrink) - torch.sigmoid(threshold))
    db_loss(DBMaps(shrink, threshold, binary), DBTargets(target, mask, levels, zone))["loss"].backward()
    assert shrink.grad is not None and threshold.grad is not None
    assert shrink.grad[mask == 0].abs().max() == 0 and threshold.grad[mask == 0].abs().max() == 0
    assert shrink.grad[mask == 1].abs().max() > 0 and threshold.grad[zone == 1].abs().max() > 0
