"""ResNet-vd, the backbones of the paper's large-scale system (table 15).

He et al. 2019, "Bag of Tricks for Image Classification": the stem is three 3x3 convolutions instead of one
7x7 (C), and a shortcut that shrinks averages before its 1x1 convolution (D). Written from the papers.

Shapes: B images, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

Stride = tuple[int, int]


def conv_norm(inputs: int, outputs: int, kernel: int = 3, stride: Stride = (1, 1)) -> nn.Sequential:
    """Returns a convolution without bias, padded to keep the size, and its batch norm."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Shortcut(nn.Sequential):
    """The way round a block: average over the stride, then 1x1 where channels change; else the identity."""

    def __init__(self, inputs: int, outputs: int, stride: Stride) -> None:
        steps: list[nn.Module] = []
        if stride != (1, 1):
            steps.append(nn.AvgPool2d(stride, stride, ceil_mode=True))
        if inputs != outputs or stride != (1, 1):
            steps.append(conv_norm(inputs, outputs, kernel=1))
        super().__init__(*steps)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: Stride) -> None:
        super().__init__()
        self.first = conv_norm(inputs, outputs, stride=stride)
        self.second = conv_norm(outputs, outputs)
        self.shortcut = Shortcut(inputs, outputs, stride)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """B x inputs x H x W -> B x outputs x H/stride x W/stride."""
        return self.act(self.second(self.act(self.first(x))) + self.shortcut(x))


class ResNetVd(nn.Module):
    """ResNet-vd of basic blocks that returns the maps of its four stages.

    Args:
        depths: blocks of each stage.
        widths: channels of each stage.
        stem: output channels of the stem's 3x3 convolutions; the first one halves the size.
        strides: stride (down, across) of each stage; the recogniser's keep the width.
        channels: of the image, 3 (blue, green, red) or 1 (gray).

    Attributes:
        widths: channels of the maps that `forward` returns.
    """

    def __init__(
        self,
        depths: Sequence[int],
        widths: Sequence[int] = (64, 128, 256, 512),
        stem: Sequence[int] = (32, 32, 64),
        strides: Sequence[Stride] = ((1, 1), (2, 2), (2, 2), (2, 2)),
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        ends = (channels, *stem)
        convs = [
            nn.Sequential(conv_norm(a, b, stride=(2, 2) if i == 0 else (1, 1)), nn.ReLU(inplace=True))
            for i, (a, b) in enumerate(zip(ends, ends[1:], strict=False))
        ]
        self.stem = nn.Sequential(*convs, nn.MaxPool2d(3, 2, 1))
        self.stages = nn.ModuleList()
        inputs = ends[-1]
        for depth, width, stride in zip(depths, widths, strides, strict=True):
            blocks = [
                BasicBlock(inputs if i == 0 else width, width, stride if i == 0 else (1, 1))
                for i in range(depth)
            ]
            self.stages.append(nn.Sequential(*blocks))
            inputs = width
        initialise(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """B x channels x H x W -> four maps, at 1/4, 1/8, 1/16 and 1/32 of H x W with the default strides."""
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def initialise(net: nn.Module) -> None:
    """Draws every convolution's weights from He's normal distribution (fan out)."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def resnet18_vd(channels: int = 3) -> ResNetVd:
    """Returns the backbone of the large-scale detector (table 15)."""
    return ResNetVd((2, 2, 2, 2), channels=channels)


def resnet34_vd(channels: int = 3, strides: Sequence[Stride] = ((1, 1), (2, 1), (2, 1), (2, 1))) -> ResNetVd:
    """Returns the backbone of the large-scale recogniser (table 15), which keeps a quarter of the width."""
    return ResNetVd((3, 4, 6, 3), strides=strides, channels=channels)
