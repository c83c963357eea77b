"""The direction classifier: a line stands upright or on its head (PP-OCR section 2.2).

The paper's is MobileNetV3-small x0.35 at 3 x 48 x 192. `slim` is three quarters of it: what decides are
the shapes of letters, which a few dense 3x3 convolutions see, averaged over the line.

Shapes: B lines, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from training.networks.mobilenet_v3 import MobileNetV3
from training.networks.slim import SlimNet


class DirectionNet(nn.Module):
    """A backbone, the average of its last map, and a linear layer to 0 and 180 degrees.

    Args:
        backbone: net with `widths` that returns its maps, the deepest last.
        dropout: share of the averaged features that are dropped in training.
    """

    def __init__(self, backbone: nn.Module, dropout: float = 0.1) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(backbone.widths[-1], 2)  # type: ignore[index, arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """B x C x H x W -> B x 2: logits in training, probabilities in evaluation."""
        features = self.backbone(image)[-1].mean((2, 3))
        logits: Tensor = self.classify(self.dropout(features))
        return logits if self.training else torch.softmax(logits, 1)


def slim(channels: int = 1, stem: int = 8, widths: Sequence[int] = (16, 24, 32, 48)) -> nn.Module:
    """A backbone of 60 thousand parameters."""
    return SlimNet(stem, widths, depths=(0, 1, 1, 1), channels=channels)


def mobilenet_v3(channels: int = 3, scale: float = 0.35) -> nn.Module:
    """The paper's backbone: MobileNetV3-small."""
    return MobileNetV3("small", scale, channels)


BACKBONES: dict[str, Callable[..., nn.Module]] = {"mobilenet_v3": mobilenet_v3, "slim": slim}


def direction(backbone: str = "mobilenet_v3", dropout: float = 0.1, **options: Any) -> DirectionNet:
    """Builds a direction classifier; the default is the paper's.

    Args:
        backbone: `mobilenet_v3` or `slim`.
        dropout: see `DirectionNet`.
        options: the backbone's own, `channels` first of all.

    Raises:
        ValueError: no backbone of that name.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"no backbone {backbone!r}; there are {', '.join(BACKBONES)}")
    return DirectionNet(BACKBONES[backbone](**options), dropout)
