"""The DB text detector: a backbone, a feature pyramid and two maps (PP-OCR section 2.1, figure 5).

Liao et al. 2020, "Real-time Scene Text Detection with Differentiable Binarization": the shrink map P says
where the middles of lines are, the threshold map T where their borders are, and 1 / (1 + exp(-50 (P - T)))
replaces the hard threshold in training. Inference needs P alone. RSE-FPN is PP-OCRv3's neck.
Written from the papers.

Shapes: B images, C channels, H x W pixels; H and W are multiples of 32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.networks.mobilenet_v3 import MobileNetV3, SqueezeExcite
from training.networks.resnet_vd import conv_norm, initialise, resnet18_vd
from training.networks.slim import SlimNet

SHARPNESS = 50.0
"""The factor k of the differentiable binarization."""
FLAT = math.log(0.3 / 0.7)
"""The logit of a threshold map that is 0.3 everywhere."""


class DBMaps(NamedTuple):
    """What the net says in training; each B x 1 x H x W.

    Attributes:
        shrink: logits of the shrink map.
        threshold: logits of the threshold map.
        binary: logits of the differentiable binarization, k (P - T).
    """

    shrink: Tensor
    threshold: Tensor
    binary: Tensor


class ResidualSE(nn.Module):
    """A convolution whose output and its excited self are added: RSE-FPN's layer (PP-OCRv3 section 2.3)."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.excite = SqueezeExcite(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """B x inputs x H x W -> B x outputs x H x W."""
        x = self.conv(x)
        return x + self.excite(x)


def plain_layer(inputs: int, outputs: int, kernel: int) -> nn.Module:
    """Returns the bare convolution of DB's pyramid."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)


class Pyramid(nn.Module):
    """Merges four maps of falling size into one at the first one's size, with `inner` channels.

    Args:
        widths: channels of the maps, finest first.
        inner: channels of the merged map; 96 in PP-OCR, 256 in DB.
        residual_se: RSE-FPN's layers instead of bare convolutions.
    """

    def __init__(self, widths: Sequence[int], inner: int, residual_se: bool = False) -> None:
        super().__init__()
        layer = ResidualSE if residual_se else plain_layer
        self.reduce = nn.ModuleList(layer(width, inner, 1) for width in widths)
        self.smooth = nn.ModuleList(layer(inner, inner // len(widths), 3) for _ in widths)
        initialise(self)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Four maps of B x widths[i] x H/2^i x W/2^i -> B x inner x H x W."""
        merged = [reduce(x) for reduce, x in zip(self.reduce, maps, strict=True)]
        for i in range(len(merged) - 1, 0, -1):
            merged[i - 1] = merged[i - 1] + F.interpolate(merged[i], scale_factor=2.0)
        smooth = [smooth(x) for smooth, x in zip(self.smooth, merged, strict=True)]
        levels = [x if i == 0 else F.interpolate(x, scale_factor=2.0**i) for i, x in enumerate(smooth)]
        return torch.cat(levels, 1)


class TransposedHead(nn.Sequential):
    """One map at four times the size, as in DB: a 3x3 convolution and two transposed ones."""

    def __init__(self, inner: int) -> None:
        width = inner // 4
        super().__init__(
            conv_norm(inner, width),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, width, 2, 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, 1, 2, 2),
        )
        initialise(self)


class ShuffleHead(nn.Sequential):
    """One map at four times the size: a cell's 16 channels become its 4 x 4 pixels."""

    def __init__(self, inner: int) -> None:
        width = inner // 4
        super().__init__(
            conv_norm(inner, width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 16, 1),
            nn.PixelShuffle(4),
        )
        initialise(self)


class DBNet(nn.Module):
    """The detector.

    Args:
        backbone: net with `widths` that returns four maps at 1/4, 1/8, 1/16 and 1/32 of the image.
        inner: channels of the pyramid.
        residual_se: RSE-FPN's pyramid.
        head: makes one map's head from `inner`.
    """

    def __init__(
        self,
        backbone: nn.Module,
        inner: int = 96,
        residual_se: bool = False,
        head: Callable[[int], nn.Module] = TransposedHead,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = Pyramid(backbone.widths, inner, residual_se)  # type: ignore[arg-type]
        self.shrink = head(inner)
        self.threshold = head(inner)

    def forward(self, image: Tensor) -> DBMaps | Tensor:
        """B x C x H x W -> maps in training; in evaluation the probability map, B x 1 x H x W."""
        features = self.neck(self.backbone(image))
        shrink = self.shrink(features)
        if not self.training:
            return torch.sigmoid(shrink)
        threshold = self.threshold(features)
        binary = SHARPNESS * (torch.sigmoid(shrink) - torch.sigmoid(threshold))
        return DBMaps(shrink, threshold, binary)

    def flatten_threshold(self) -> None:
        """Makes the threshold map 0.3 everywhere: a start where all but its head is trained.

        An exported detector holds no threshold head. A random one would send its errors through the rest.
        """
        flatten(self.threshold)


def flatten(head: nn.Module) -> None:
    """Makes what a head says 0.3 everywhere, until it has learnt something."""
    convolutions = (nn.Conv2d, nn.ConvTranspose2d)
    last = [layer for layer in head.modules() if isinstance(layer, convolutions)][-1]
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, FLAT)  # type: ignore[arg-type]


def mobilenet_v3(channels: int = 3, scale: float = 0.5, se: bool = False, size: str = "large") -> nn.Module:
    """The paper's backbone: MobileNetV3-large x0.5, squeeze-and-excitation removed."""
    return MobileNetV3(size, scale, channels, se)


BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "mobilenet_v3": mobilenet_v3,
    "resnet18_vd": resnet18_vd,
    "slim": SlimNet,
}
HEADS: dict[str, Callable[[int], nn.Module]] = {"transposed": TransposedHead, "shuffle": ShuffleHead}


def db(
    backbone: str = "mobilenet_v3",
    inner: int = 96,
    residual_se: bool = False,
    head: str = "transposed",
    **options: Any,
) -> DBNet:
    """Builds a detector; the defaults are the paper's (MobileNetV3-large x0.5 without SE, light head).

    Args:
        backbone: `mobilenet_v3`, `resnet18_vd` or `slim`.
        inner: see `DBNet`.
        residual_se: see `DBNet`.
        head: `transposed` or `shuffle`.
        options: the backbone's own.

    Raises:
        ValueError: no backbone or head of that name.
    """
    if backbone not in BACKBONES or head not in HEADS:
        raise ValueError(
            f"no backbone {backbone!r} or no head {head!r}: {', '.join(BACKBONES)}; {', '.join(HEADS)}"
        )
    return DBNet(BACKBONES[backbone](**options), inner, residual_se, HEADS[head])
