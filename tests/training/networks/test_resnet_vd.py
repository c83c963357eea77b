from __future__ import annotations

import pytest
import torch

from training.networks.resnet_vd import ResNetVd, Shortcut, resnet18_vd, resnet34_vd
from training.networks.slim import SlimNet

# ResNet-18 and -34 are published with 11.69 and 21.80 million parameters, a classifier of 512 x 1000 + 1000
# and a 7x7 stem; the deep stem replaces the latter, and vd's shortcuts are as large as the plain ones.
CLASSIFIER = 513_000
STEM = (3 * 32 + 32 * 32 + 32 * 64) * 9 + 2 * (32 + 32 + 64) - (3 * 64 * 49 + 2 * 64)


@pytest.mark.parametrize(
    ("net", "published"),
    [pytest.param(resnet18_vd(), 11_689_512, id="18"), pytest.param(resnet34_vd(), 21_797_672, id="34")],
)
def test_parameters_are_the_published_ones_with_a_deep_stem(net: ResNetVd, published: int) -> None:
    assert sum(p.numel() for p in net.parameters()) == published - CLASSIFIER + STEM


def test_detection_maps_halve_four_times() -> None:
    maps = resnet18_vd()(torch.zeros(1, 3, 64, 96))
    assert [tuple(m.shape[1:]) for m in maps] == [(64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3)]


def test_recognition_maps_keep_a_quarter_of_the_width() -> None:
    maps = resnet34_vd(channels=1)(torch.zeros(1, 1, 32, 320))
    assert tuple(maps[-1].shape[1:]) == (512, 1, 80)


@pytest.mark.parametrize("height", [8, 9], ids=["even", "odd"])
def test_a_shortcut_averages_before_it_projects(height: int) -> None:
    shortcut = Shortcut(4, 4, (2, 2)).eval()
    with torch.no_grad():
        shortcut[1][0].weight.copy_(torch.eye(4)[:, :, None, None])
    x = torch.randn(1, 4, height, 6)
    average = x[:, :, :8].reshape(1, 4, 4, 2, 3, 2).mean((3, 5)) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(shortcut(x)[:, :, :4], average)
    assert shortcut(x).shape[2] == (height + 1) // 2


def test_slim_maps_halve_four_times() -> None:
    net = SlimNet(stem=8, widths=(8, 16, 24, 32), depths=(0, 1, 2, 1), channels=1)
    maps = net(torch.zeros(2, 1, 64, 96))
    assert [tuple(m.shape) for m in maps] == [(2, 8, 16, 24), (2, 16, 8, 12), (2, 24, 4, 6), (2, 32, 2, 3)]
    assert net.widths == (8, 16, 24, 32)
