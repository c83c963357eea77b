from __future__ import annotations

import torch

from training.networks import build_network
from training.networks.shufflenet_v2 import ShuffleNetV2, ShuffleUnit


def test_it_has_the_published_number_of_weights() -> None:
    # 1.4 million at scale 0.5 (table 5 of the paper), of which 1,025,000 are ImageNet's classifier
    assert sum(parameter.numel() for parameter in ShuffleNetV2(0.5).parameters()) == 1_366_792 - 1_025_000


def test_shapes() -> None:
    net = ShuffleNetV2(0.5, channels=1).eval()
    assert net(torch.zeros(2, 1, 48, 192)).shape == (2, 1024, 2, 6)
    assert build_network("direction", {"backbone": "shufflenet_v2"})(torch.zeros(2, 3, 48, 192)).shape == (
        2,
        2,
    )


def test_half_of_the_channels_go_through_and_are_shuffled() -> None:
    unit = ShuffleUnit(8, 8, 1).eval()
    x = torch.randn(1, 8, 4, 4)
    y = unit(x)
    assert torch.equal(y[:, ::2], x[:, :4])  # every other channel is one that came in
    assert unit.branch[0][0].in_channels == 4
