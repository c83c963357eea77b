from __future__ import annotations

import pytest
import torch

from models.records import UsageError
from training.networks import build_network

# Megabytes of float32 in PP-OCR's table 11 with 6,623 classes: 48 units 4.6, 96 units 8, 256 units 23.
PAPER_MEGABYTES = [(48, 4.6), (96, 8.0), (256, 23.0)]


@pytest.mark.parametrize(("hidden", "megabytes"), PAPER_MEGABYTES)
def test_the_size_follows_table_11(hidden: int, megabytes: float) -> None:
    net = build_network("crnn", {"classes": 6623, "hidden": hidden})
    size = 4 * sum(p.numel() for p in net.parameters()) / 1e6
    assert size == pytest.approx(megabytes, rel=0.25)


@pytest.mark.parametrize(
    ("name", "options", "channels"),
    [
        ("crnn", {}, 3),
        ("crnn", {"channels": 1, "neck": "conv"}, 1),
        ("crnn", {"backbone": "resnet34_vd", "hidden": 8}, 3),
        ("line_net", {}, 1),
        ("line_net", {"channels": 3, "mixers": 1}, 3),
    ],
    ids=["paper", "conv neck", "large scale", "line net", "line net in colour"],
)
def test_a_column_for_four_pixels(name: str, options: dict[str, object], channels: int) -> None:
    net = build_network(name, {"classes": 37, **options}).eval()
    with torch.no_grad():
        assert net(torch.zeros(2, channels, 32, 320)).shape == (2, 80, 37)
        assert net(torch.zeros(1, channels, 32, 64)).shape == (1, 16, 37)


def test_line_net_is_small_enough_for_the_bundle() -> None:
    assert sum(p.numel() for p in build_network("line_net", {"classes": 209}).parameters()) == 747_329


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("crnn", {"classes": 5, "neck": "giraffe"}, "no neck 'giraffe'"),
        ("crnn", {"classes": 5, "backbone": "vgg"}, "no backbone 'vgg'"),
        ("crnn", {"classes": 5, "depth": 3}, "network crnn.*depth"),
        ("transformer", {}, "no network 'transformer'.*crnn"),
    ],
)
def test_what_does_not_exist_is_named(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_network(name, options)


@pytest.mark.parametrize("second_stride", [(1, 1), (2, 1)])
def test_the_columns_do_not_depend_on_the_second_stride(second_stride: tuple[int, int]) -> None:
    network = build_network("crnn", {"classes": 7, "second_stride": second_stride}).eval()
    assert network(torch.zeros(1, 3, 32, 64)).shape == (1, 16, 7)
