"""ShuffleNetV2 (Ma et al. 2018, figure 3 c and d, table 5), which the paper tried for direction (table 7).

Letters in the shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

STAGES = {0.5: (48, 96, 192), 1.0: (116, 232, 464)}
"""Scale -> channels of the three stages."""
REPEATS = (4, 8, 4)


def pointwise(inputs: int, outputs: int) -> nn.Sequential:
    """Returns a 1x1 convolution, batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def depthwise(channels: int, stride: int) -> nn.Sequential:
    """Returns a 3x3 convolution of each channel by itself, and batch norm."""
    conv = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels))


class ShuffleUnit(nn.Module):
    """Half of the channels go through; where the size is halved, all go through both ways."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        self.halved = stride == 2
        entering = inputs if self.halved else half
        self.branch = nn.Sequential(pointwise(entering, half), depthwise(half, stride), pointwise(half, half))
        self.beside = nn.Identity()
        if self.halved:
            self.beside = nn.Sequential(depthwise(inputs, 2), pointwise(inputs, half))  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        """N x inputs x H x W -> N x outputs x H/stride x W/stride."""
        left, right = (x, x) if self.halved else x.chunk(2, 1)
        joined = torch.cat([self.beside(left), self.branch(right)], 1)
        n, c, h, w = joined.shape
        return joined.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class ShuffleNetV2(nn.Sequential):
    """The whole feature extractor: N x channels x H x W -> N x 1024 x H/32 x W/32.

    Args:
        scale: 0.5 or 1.0.
        channels: of the input.

    Attributes:
        width: channels that come out.
    """

    width = 1024

    def __init__(self, scale: float = 0.5, channels: int = 3) -> None:
        stem = nn.Conv2d(channels, 24, 3, 2, 1, bias=False)
        layers: list[nn.Module] = [stem, nn.BatchNorm2d(24), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
        inputs = 24
        for outputs, repeats in zip(STAGES[scale], REPEATS, strict=True):
            layers += [
                ShuffleUnit(inputs if i == 0 else outputs, outputs, 2 if i == 0 else 1)
                for i in range(repeats)
            ]
            inputs = outputs
        super().__init__(*layers, pointwise(inputs, self.width))
