"""MobileNetV3 (Howard et al. 2019, tables 1 and 2), the light backbone of all three parts of PP-OCR.

What the paper varies is a parameter: large or small, the scale of the channels, squeeze-and-excitation (left
out in the detector, section 2.1) and the strides (kept wide in the recogniser, section 2.3 and figure 12).

Letters in the shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

Stride = tuple[int, int]


class Block(NamedTuple):
    """A row of the tables: kernel, channels inside and out, SE or not, activation, downsampling or not."""

    kernel: int
    expansion: int
    outputs: int
    se: bool
    act: str
    down: bool = False


LARGE = (
    Block(3, 16, 16, False, "relu"),
    Block(3, 64, 24, False, "relu", True),
    Block(3, 72, 24, False, "relu"),
    Block(5, 72, 40, True, "relu", True),
    Block(5, 120, 40, True, "relu"),
    Block(5, 120, 40, True, "relu"),
    Block(3, 240, 80, False, "hardswish", True),
    Block(3, 200, 80, False, "hardswish"),
    Block(3, 184, 80, False, "hardswish"),
    Block(3, 184, 80, False, "hardswish"),
    Block(3, 480, 112, True, "hardswish"),
    Block(3, 672, 112, True, "hardswish"),
    Block(5, 672, 160, True, "hardswish", True),
    Block(5, 960, 160, True, "hardswish"),
    Block(5, 960, 160, True, "hardswish"),
)
SMALL = (
    Block(3, 16, 16, True, "relu", True),
    Block(3, 72, 24, False, "relu", True),
    Block(3, 88, 24, False, "relu"),
    Block(5, 96, 40, True, "hardswish", True),
    Block(5, 240, 40, True, "hardswish"),
    Block(5, 240, 40, True, "hardswish"),
    Block(5, 120, 48, True, "hardswish"),
    Block(5, 144, 48, True, "hardswish"),
    Block(5, 288, 96, True, "hardswish", True),
    Block(5, 576, 96, True, "hardswish"),
    Block(5, 576, 96, True, "hardswish"),
)
SIZES = {"large": (LARGE, 960), "small": (SMALL, 576)}

# The downsamplings of the recogniser (figure 12): the second keeps everything, the later ones keep the width.
LINE_STRIDES: tuple[Stride, ...] = ((1, 1), (2, 1), (2, 1), (2, 1))


def scaled(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of 8, never less than nine tenths of what was asked for."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


class SqueezeExcite(nn.Module):
    """Channels weighed by what the whole map holds (Hu et al. 2018), through a quarter of their number."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, channels // 4, 1)
        self.relu = nn.ReLU(inplace=True)
        self.expand = nn.Conv2d(channels // 4, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.gate(self.expand(self.relu(self.reduce(self.pool(x)))))
        return x * weights


def conv_norm_act(
    inputs: int, outputs: int, kernel: int, act: str, stride: Stride = (1, 1), groups: int = 1
) -> nn.Sequential:
    """Convolution with `same` padding, batch norm, and an activation unless `act` is empty."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    acts = {"relu": nn.ReLU, "hardswish": nn.Hardswish}
    return nn.Sequential(*layers, *([acts[act](inplace=True)] if act else []))


class InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, weigh, narrow; beside an identity where the shapes allow one."""

    def __init__(self, inputs: int, block: Block, scale: float, se: bool, stride: Stride) -> None:
        super().__init__()
        inside, outputs = scaled(block.expansion * scale), scaled(block.outputs * scale)
        self.expand = conv_norm_act(inputs, inside, 1, block.act)
        self.filter = conv_norm_act(inside, inside, block.kernel, block.act, stride, groups=inside)
        self.weigh = SqueezeExcite(inside) if se and block.se else nn.Identity()
        self.narrow = conv_norm_act(inside, outputs, 1, "")
        self.identity = inputs == outputs and stride == (1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.narrow(self.weigh(self.filter(self.expand(x))))
        return x + y if self.identity else y


class MobileNetV3(nn.Module):
    """The backbone: four maps, at 1/4, 1/8, 1/16 and 1/32 with the default strides.

    The deepest is widened by the closing 1x1 convolution.

    Args:
        size: `large` or `small`.
        scale: of all channels.
        channels: of the input.
        se: whether to keep squeeze-and-excitation.
        strides: (vertical, horizontal) of the four downsamplings after the stem's 2 x 2.

    Attributes:
        widths: channels of the maps.
    """

    def __init__(
        self,
        size: str = "small",
        scale: float = 0.5,
        channels: int = 3,
        se: bool = True,
        strides: Sequence[Stride] = ((2, 2),) * 4,
    ) -> None:
        super().__init__()
        blocks, last = SIZES[size]
        remaining = list(strides)
        width = scaled(16 * scale)
        stages: list[list[nn.Module]] = [[conv_norm_act(channels, width, 3, "hardswish", (2, 2))]]
        self.widths: list[int] = []
        for block in blocks:
            stride = tuple(remaining.pop(0)) if block.down else (1, 1)
            if block.down and len(remaining) < 3:  # the first map is at a quarter of the size
                self.widths.append(width)
                stages.append([])
            stages[-1].append(InvertedResidual(width, block, scale, se, (stride[0], stride[1])))
            width = scaled(block.outputs * scale)
        stages[-1].append(conv_norm_act(width, scaled(last * scale), 1, "hardswish"))
        self.widths.append(scaled(last * scale))
        self.stages = nn.ModuleList(nn.Sequential(*stage) for stage in stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """N x C x H x W -> maps N x widths[i] x h_i x w_i, from fine to coarse."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
