from __future__ import annotations

import pytest
import torch

from training.strategies.cutmix import cutmix
from training.strategies.mixup import mixup


def images() -> torch.Tensor:
    return torch.arange(6.0).reshape(6, 1, 1, 1).expand(6, 1, 8, 12).contiguous()


def test_mixup_is_the_weighed_sum_of_an_image_and_its_partner() -> None:
    mixed, partners, share = mixup(images(), 1.0, torch.Generator().manual_seed(1))
    assert 0 < share < 1 and sorted(partners.tolist()) == list(range(6))
    own = torch.arange(6.0)
    torch.testing.assert_close(mixed[:, 0, 0, 0], share * own + (1 - share) * partners)


def test_cutmix_tells_the_share_of_the_area_that_stayed() -> None:
    mixed, partners, share = cutmix(images(), 1.0, torch.Generator().manual_seed(2))
    for i, partner in enumerate(partners.tolist()):
        own = (mixed[i] == i).float().mean().item()
        assert own == pytest.approx(1.0 if partner == i else share)
        assert ((mixed[i] == i) | (mixed[i] == partner)).all()


def test_a_generator_decides_all_draws() -> None:
    first, second = (mixup(images(), 0.2, torch.Generator().manual_seed(7)) for _ in range(2))
    torch.testing.assert_close(first[0], second[0])
