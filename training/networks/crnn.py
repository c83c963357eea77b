"""CRNN (Shi et al. 2016) as PP-OCR has it (section 2.3): a light backbone, a small LSTM, CTC.

The paper's: MobileNetV3-small x0.5 with the strides of figure 12, two layers of 48 units each way, 3 x 32 x
320 in. `neck: conv` puts residual convolutions along the line in the LSTM's place; `backbone: resnet34_vd`
is the large one of table 15.

Letters in the shapes: N batch, C channels, H height (32), W width, T = W / 4 columns, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from training.networks.line_net import ColumnMixer
from training.networks.mobilenet_v3 import LINE_STRIDES, MobileNetV3, conv_norm_act
from training.networks.resnet_vd import resnet34_vd


class LstmNeck(nn.Module):
    """Two layers of LSTM read the columns both ways."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, num_layers=2, bidirectional=True, batch_first=True)
        self.width = 2 * hidden

    def forward(self, columns: Tensor) -> Tensor:
        """N x C x 1 x T -> N x T x width."""
        output: Tensor = self.lstm(columns.squeeze(2).transpose(1, 2))[0]
        return output


class ConvNeck(nn.Module):
    """Residual convolutions along the line, which leave CTC's plateau in half the samples."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.width = 2 * hidden
        mixers = [ColumnMixer(self.width, kernel=9, expansion=2) for _ in range(3)]
        self.layers = nn.Sequential(conv_norm_act(inputs, self.width, 1, "hardswish"), *mixers)

    def forward(self, columns: Tensor) -> Tensor:
        """N x C x 1 x T -> N x T x width."""
        output: Tensor = self.layers(columns)
        return output.squeeze(2).transpose(1, 2)


class Crnn(nn.Module):
    """Backbone, pooling to one row, neck, classifier.

    Args:
        backbone: returns its maps, the deepest last.
        pool: brings that map to N x C x 1 x T.
        neck: (N, C, 1, T) -> (N, T, neck.width).
        classes: K, blank (class 0) included.
    """

    def __init__(self, backbone: nn.Module, pool: nn.Module, neck: LstmNeck | ConvNeck, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = pool
        self.neck = neck
        self.classifier = nn.Linear(neck.width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x 32 x W -> N x T x K."""
        columns = self.pool(self.backbone(x)[-1])  # N x C x 1 x T
        logits: Tensor = self.classifier(self.neck(columns))
        return logits


def crnn(
    classes: int,
    channels: int = 3,
    backbone: str = "mobilenet_v3",
    scale: float = 0.5,
    hidden: int = 48,
    neck: str = "lstm",
    second_stride: Sequence[int] = (1, 1),
) -> Crnn:
    """Builds a CRNN; the defaults are the paper's.

    Args:
        classes: K, blank (class 0) included.
        channels: of the input.
        backbone: `mobilenet_v3` (small, at `scale`) or `resnet34_vd`.
        scale: of MobileNetV3's channels.
        hidden: units of the LSTM each way.
        neck: `lstm` or `conv`.
        second_stride: (down, across) of the second downsampling; the paper changed it from (2, 1) (table 12).

    Raises:
        ValueError: no such backbone or neck.
    """
    if backbone == "mobilenet_v3":
        down, across = second_stride
        net: nn.Module = MobileNetV3("small", scale, channels, strides=((down, across), *LINE_STRIDES[1:]))
        pool: nn.Module = nn.MaxPool2d((2 // down, 2))  # of two rows, or the only one
    elif backbone == "resnet34_vd":
        net, pool = resnet34_vd(channels), nn.Identity()  # its stem pools already
    else:
        raise ValueError(f"no backbone {backbone!r}: mobilenet_v3 or resnet34_vd")
    necks = {"lstm": LstmNeck, "conv": ConvNeck}
    if neck not in necks:
        raise ValueError(f"no neck {neck!r}: lstm or conv")
    return Crnn(net, pool, necks[neck](net.widths[-1], hidden), classes)  # type: ignore[index, arg-type]
