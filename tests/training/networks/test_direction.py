from __future__ import annotations

import pytest
import torch

from training.networks.direction import direction


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        pytest.param({}, (3, 48, 192), id="the paper's"),
        pytest.param({"backbone": "line_net", "channels": 1}, (1, 32, 192), id="shipped"),
    ],
)
def test_two_logits_in_training_and_two_probabilities_after(options: dict, shape: tuple[int, ...]) -> None:
    net = direction(**options)
    lines = torch.randn(2, *shape)
    assert net(lines).shape == (2, 2)
    probabilities = net.eval()(lines)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2))
    assert (probabilities > 0).all()


def test_sizes() -> None:
    """The paper gives 0.85 MB for the whole fp32 file (table 8), graph and all."""
    paper, shipped = (
        sum(p.numel() for p in direction(**o).parameters()) for o in ({}, {"backbone": "line_net"})
    )
    assert 100_000 < paper < 212_500
    assert shipped < 150_000


def test_an_unknown_backbone_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'vgg'.*line_net"):
        direction(backbone="vgg")
