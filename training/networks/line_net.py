"""LineNet: the recogniser that ships in `latin`, a small dense convolutional net with CTC.

The same task as PP-OCR's CRNN (section 2.3), built for a CPU with wide vectors: dense 3x3 convolutions at few
channels keep AVX2 busy where MobileNetV3's depthwise 5x5 wait for memory (training is 2.3 times as fast a
core, and inference costs the same with twice the weights), and a convolutional neck stands in place of the
LSTM, because it leaves CTC's blank plateau after half as many samples and its int8 weights need no special
care.

Letters in the shapes: N batch, C channels, H height (32), W width, T = W / 4 columns, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """Convolution with `same` padding and batch norm."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        groups: int = 1,
    ) -> None:
        padding = (kernel[0] // 2, kernel[1] // 2)
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
        )


class ResidualBlock(nn.Module):
    """Two dense 3x3 convolutions beside an identity, which is all that it does before training.

    So a net can grow: blocks added behind trained ones change nothing until they have learnt something.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels, (3, 3))
        self.second = ConvNorm(channels, channels, (3, 3))
        self.relu = nn.ReLU(inplace=True)
        nn.init.zeros_(self.second[1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.second(self.relu(self.first(x)))
        output: Tensor = self.relu(x + residual)
        return output


class ColumnMixer(nn.Module):
    """A residual step along the line: depthwise 1 x kernel, then a two-layer perceptron on each column.

    Before training it is the identity, as `ResidualBlock` is.
    """

    def __init__(self, channels: int, kernel: int, expansion: int) -> None:
        super().__init__()
        self.mix = ConvNorm(channels, channels, (1, kernel), groups=channels)
        self.expand = nn.Conv2d(channels, channels * expansion, 1)
        self.act = nn.Hardswish()
        self.project = nn.Conv2d(channels * expansion, channels, 1)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.project(self.act(self.expand(self.mix(x))))
        return x + change


class LineNet(nn.Module):
    """Lines to CTC logits.

    Args:
        classes: K, blank (class 0) included.
        channels: 1 for gray input, 3 for colour.
        widths: channels of the stem and of the stages after it.
        blocks: residual blocks a stage.
        neck: channels of the columns, `mixers` steps with kernels of `kernel` columns.
        dropout: on the columns before the classifier, training only.
    """

    def __init__(
        self,
        classes: int,
        channels: int = 1,
        widths: Sequence[int] = (16, 32, 64, 128),
        blocks: Sequence[int] = (0, 1, 1, 1),
        neck: int = 128,
        mixers: int = 3,
        kernel: int = 9,
        expansion: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.stages = line_stages(channels, widths, blocks)
        # Height 32 leaves two rows: the fold reads them with one kernel instead of averaging them away.
        self.fold = nn.Sequential(
            nn.Conv2d(widths[-1], neck, (2, 1), bias=False), nn.BatchNorm2d(neck), nn.ReLU(inplace=True)
        )
        self.neck = nn.Sequential(*[ColumnMixer(neck, kernel, expansion) for _ in range(mixers)])
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Conv2d(neck, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x 32 x W -> N x T x K."""
        x = self.stages(x)  # N x C x 2 x T
        x = self.neck(self.fold(x))  # N x C x 1 x T
        logits: Tensor = self.classifier(self.dropout(x))
        return logits.squeeze(2).transpose(1, 2)


def line_stages(channels: int, widths: Sequence[int], blocks: Sequence[int]) -> nn.Sequential:
    """Stages that halve the height: N x channels x 32 x W -> N x widths[-1] x 32 / 2^stages x W / 4."""
    strides = ((2, 2), (2, 2), (2, 1), (2, 1))
    layers: list[nn.Module] = []
    for width, count, stride in zip(widths, blocks, strides, strict=False):
        layers += [ConvNorm(channels, width, (3, 3), stride), nn.ReLU(inplace=True)]
        layers += [ResidualBlock(width) for _ in range(count)]
        channels = width
    return nn.Sequential(*layers)


def line_net(**options: object) -> LineNet:
    """The builder that configurations name."""
    return LineNet(**options)  # type: ignore[arg-type]
