"""The direction classifier: a line stands upright or on its head (PP-OCR section 2.2).

The paper's is MobileNetV3-small x0.35 at 3 x 48 x 192. `line_net` is the first three stages of the recogniser
of that name: what tells letters from each other tells their tops from their bottoms, so it starts from a
trained recogniser's weights (`pretrained`) and learns in minutes.

Shapes: B lines, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from training.networks.line_net import line_stages
from training.networks.mobilenet_v3 import MobileNetV3
from training.networks.shufflenet_v2 import ShuffleNetV2


class DirectionNet(nn.Module):
    """Features of the whole line, and a linear layer from them to 0 and 180 degrees.

    Args:
        width: number of features.
        dropout: share of them that are dropped in training.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(width, 2)

    def features(self, image: Tensor) -> Tensor:
        """B x C x H x W -> B x width."""
        raise NotImplementedError

    def forward(self, image: Tensor) -> Tensor:
        """B x C x H x W -> B x 2: logits in training, probabilities in evaluation."""
        logits: Tensor = self.classify(self.dropout(self.features(image)))
        return logits if self.training else torch.softmax(logits, 1)


class MobileDirection(DirectionNet):
    """The paper's: the average of the last map of MobileNetV3-small."""

    def __init__(self, channels: int = 3, scale: float = 0.35, dropout: float = 0.1) -> None:
        backbone = MobileNetV3("small", scale, channels)
        super().__init__(backbone.widths[-1], dropout)
        self.backbone = backbone

    def features(self, image: Tensor) -> Tensor:
        average: Tensor = self.backbone(image)[-1].mean((2, 3))
        return average


class ShuffleDirection(DirectionNet):
    """The average of ShuffleNetV2's last map, for table 7."""

    def __init__(self, channels: int = 3, scale: float = 0.5, dropout: float = 0.1) -> None:
        super().__init__(ShuffleNetV2.width, dropout)
        self.backbone = ShuffleNetV2(scale, channels)

    def features(self, image: Tensor) -> Tensor:
        average: Tensor = self.backbone(image).mean((2, 3))
        return average


class LineDirection(DirectionNet):
    """A recogniser's first stages; one kernel reads their rows, average and peak of the columns decide.

    Names are those of `training.networks.line_net.LineNet`, so that its weights fit.
    """

    def __init__(
        self,
        channels: int = 1,
        widths: Sequence[int] = (16, 32, 64),
        blocks: Sequence[int] = (0, 1, 1),
        dropout: float = 0.1,
    ) -> None:
        super().__init__(2 * widths[-1], dropout)
        self.stages = line_stages(channels, widths, blocks)
        rows = 32 >> len(widths)
        self.rows = nn.Sequential(
            nn.Conv2d(widths[-1], widths[-1], (rows, 1), bias=False),
            nn.BatchNorm2d(widths[-1]),
            nn.ReLU(inplace=True),
        )

    def features(self, image: Tensor) -> Tensor:
        columns = self.rows(self.stages(image)).squeeze(2)
        return torch.cat([columns.mean(2), columns.amax(2)], 1)


BACKBONES: dict[str, Callable[..., DirectionNet]] = {
    "mobilenet_v3": MobileDirection,
    "line_net": LineDirection,
    "shufflenet_v2": ShuffleDirection,
}


def direction(backbone: str = "mobilenet_v3", **options: Any) -> DirectionNet:
    """Builds a direction classifier; the default is the paper's.

    Args:
        backbone: `mobilenet_v3`, `line_net` or `shufflenet_v2`.
        options: its own, `channels` first of all.

    Raises:
        ValueError: no backbone of that name.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"no backbone {backbone!r}; there are {', '.join(BACKBONES)}")
    return BACKBONES[backbone](**options)
