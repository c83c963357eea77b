from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from training.networks.db import DBMaps, DBNet, Pyramid, ShuffleHead, db

SLIM = {
    "backbone": "slim",
    "inner": 48,
    "head": "shuffle",
    "stem": 16,
    "widths": (24, 48, 80, 112),
    "depths": (1, 2, 2, 1),
}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="the paper's"),
        pytest.param({"inner": 256}, id="256 inner channels"),
        pytest.param({"residual_se": True}, id="RSE-FPN"),
        pytest.param({"backbone": "resnet18_vd", "inner": 256}, id="large scale"),
        pytest.param(SLIM, id="shipped"),
    ],
)
def test_maps_have_the_images_size(options: dict) -> None:
    net = db(**options)
    image = torch.zeros(1, 3, 64, 96)
    maps = net(image)
    assert isinstance(maps, DBMaps)
    assert [m.shape for m in maps] == [(1, 1, 64, 96)] * 3
    probability = net.eval()(image)
    assert probability.shape == (1, 1, 64, 96)
    assert probability.min() >= 0 and probability.max() <= 1


def test_the_shipped_net_fits_its_place_in_the_bundle() -> None:
    # int8 weights: a byte a parameter; the bundle's three models together may have 2.8 MB
    net = db(**SLIM)
    count = sum(p.numel() for name, p in net.named_parameters() if not name.startswith("threshold"))
    assert count < 900_000


def test_a_pyramid_by_hand() -> None:
    pyramid = Pyramid((2, 3, 4, 5), inner=8)
    maps = [torch.randn(1, width, 16 >> i, 24 >> i) for i, width in enumerate((2, 3, 4, 5))]
    merged = [F.conv2d(x, layer.weight) for x, layer in zip(maps, pyramid.reduce, strict=True)]
    for i in (2, 1, 0):
        merged[i] = merged[i] + merged[i + 1].repeat_interleave(2, 2).repeat_interleave(2, 3)
    parts = [F.conv2d(x, layer.weight, padding=1) for x, layer in zip(merged, pyramid.smooth, strict=True)]
    grown = [x.repeat_interleave(2**i, 2).repeat_interleave(2**i, 3) for i, x in enumerate(parts)]
    torch.testing.assert_close(pyramid(maps), torch.cat(grown, 1))


def test_the_shuffle_head_puts_a_cells_channels_in_reading_order() -> None:
    head = ShuffleHead(8).eval()
    with torch.no_grad():
        head[2].weight.zero_()
        head[2].bias.copy_(torch.arange(16.0))
    cell = head(torch.zeros(1, 8, 1, 2))[0, 0]
    torch.testing.assert_close(cell[:, :4], torch.arange(16.0).reshape(4, 4))
    torch.testing.assert_close(cell[:, 4:], torch.arange(16.0).reshape(4, 4))


def test_evaluation_says_what_training_learnt() -> None:
    net: DBNet = db(**SLIM)
    net.eval()
    image = torch.randn(1, 3, 32, 64)
    features = net.neck(net.backbone(image))
    torch.testing.assert_close(net(image), torch.sigmoid(net.shrink(features)))


def test_unknown_parts_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'vgg'.*slim"):
        db(backbone="vgg")
    with pytest.raises(ValueError, match="'wide'.*shuffle"):
        db(backbone="slim", head="wide")


@pytest.mark.parametrize(
    ("options", "megabytes"),
    [
        pytest.param({"inner": 256, "se": True}, 7.0, id="256 inner channels, SE"),
        pytest.param({"inner": 96, "se": True}, 4.1, id="96 inner channels, SE"),
        pytest.param({"inner": 96, "se": False}, 2.5, id="96 inner channels, no SE"),
    ],
)
def test_sizes_are_the_papers(options: dict, megabytes: float) -> None:
    """Section 2.1, to a tenth: the saved models hold graph and batch norms too."""
    net = db("mobilenet_v3", **options)
    size = 4 * sum(p.numel() for p in net.parameters()) / 1e6
    assert size == pytest.approx(megabytes, rel=0.1)
