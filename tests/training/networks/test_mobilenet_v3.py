from __future__ import annotations

import pytest
import torch

from training.networks.mobilenet_v3 import LINE_STRIDES, MobileNetV3, scaled


def parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("channels", "width"), [(16, 16), (8, 8), (5.6, 8), (36, 40), (33.6, 32), (20, 24), (0.5, 8)]
)
def test_channels_are_multiples_of_eight_and_lose_no_tenth(channels: float, width: int) -> None:
    assert scaled(channels) == width


# Of MobileNetV3 (Howard et al. 2019) at scale 1, the layers up to the last 1x1 convolution. The counts are
# those of torchvision's `features`, where SE's hidden width is rounded to a multiple of 8; here it is a
# quarter.
@pytest.mark.parametrize(("size", "count"), [("large", 2_971_952), ("small", 927_008)])
def test_the_full_size_has_the_published_parameters(size: str, count: int) -> None:
    assert parameters(MobileNetV3(size, 1.0)) == pytest.approx(count, rel=1e-2)


def test_without_se_only_those_weights_go() -> None:
    with_se, without = MobileNetV3("large", 0.5), MobileNetV3("large", 0.5, se=False)
    squeezed = [m for m in with_se.modules() if type(m).__name__ == "SqueezeExcite"]
    assert parameters(with_se) - parameters(without) == sum(map(parameters, squeezed)) > 300_000


@pytest.mark.parametrize(
    ("size", "scale", "widths"),
    [("large", 0.5, [16, 24, 56, 480]), ("large", 1.0, [24, 40, 112, 960]), ("small", 0.35, [8, 8, 16, 200])],
)
def test_four_maps_from_a_quarter_to_a_thirtysecond(size: str, scale: float, widths: list[int]) -> None:
    net = MobileNetV3(size, scale).eval()
    assert net.widths == widths
    with torch.no_grad():
        maps = net(torch.zeros(1, 3, 64, 96))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (w, 64 // s, 96 // s) for w, s in zip(widths, (4, 8, 16, 32), strict=True)
    ]


def test_the_line_strides_keep_half_the_width() -> None:
    with torch.no_grad():
        last = MobileNetV3("small", 0.5, strides=LINE_STRIDES).eval()(torch.zeros(1, 3, 32, 320))[-1]
    assert tuple(last.shape) == (1, 288, 2, 160)
