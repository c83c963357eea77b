"""A plain residual backbone of few channels, what the shipped detector stands on.

Dense 3x3 convolutions run near a CPU's peak rate, where the depthwise 5x5 ones of MobileNetV3 and the average
pools of ResNet-vd wait for memory: at equal milliseconds this net sees more and trains faster. Most of its
channels lie at 1/8 and deeper, since a map at 1/4 costs four times as much.

Shapes: B images, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from training.networks.resnet_vd import BasicBlock, conv_norm, initialise


class SlimNet(nn.Module):
    """A 3x3 convolution that halves the size, then four stages: another such, then residual blocks.

    Args:
        stem: channels of the first convolution.
        widths: channels of each stage.
        depths: residual blocks of each stage.
        channels: of the image, 3 (blue, green, red) or 1 (gray).

    Attributes:
        widths: channels of the maps that `forward` returns.
    """

    def __init__(
        self,
        stem: int = 16,
        widths: Sequence[int] = (16, 48, 96, 128),
        depths: Sequence[int] = (1, 1, 1, 1),
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.stem = halve(channels, stem)
        self.stages = nn.ModuleList()
        for inputs, width, depth in zip((stem, *widths), widths, depths, strict=False):
            blocks = [BasicBlock(width, width, (1, 1)) for _ in range(depth)]
            self.stages.append(nn.Sequential(halve(inputs, width), *blocks))
        initialise(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """B x channels x H x W -> four maps, at 1/4, 1/8, 1/16 and 1/32 of H x W."""
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def halve(inputs: int, outputs: int) -> nn.Sequential:
    """Returns a 3x3 convolution of stride 2, batch norm and ReLU."""
    return nn.Sequential(conv_norm(inputs, outputs, stride=(2, 2)), nn.ReLU(inplace=True))
