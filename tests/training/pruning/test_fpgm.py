from __future__ import annotations

import pytest
import torch
import torch_pruning
from torch import nn

from models.records import UsageError
from training.networks import build_network
from training.networks.resize import changed_sizes, sizes
from training.pruning.fpgm import cut, filter_distances, importance, kept, prunable

SLIM = {"backbone": "slim", "stem": 8, "widths": [8, 8, 8, 8], "depths": [1, 0, 0, 1], "inner": 16}
NETWORKS = [
    pytest.param("db", SLIM | {"head": "shuffle"}, (1, 3, 64, 64), id="slim"),
    pytest.param("direction", {"scale": 0.35}, (1, 3, 48, 96), id="mobilenet"),
    pytest.param("line_net", {"classes": 9}, (1, 1, 32, 64), id="line_net"),
]


def test_distances_by_hand() -> None:
    # On a line at 0, 5 and 10: the middle one is 5 from each, the ends are 5 and 10 from the others.
    filters = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    torch.testing.assert_close(filter_distances(filters), torch.tensor([15.0, 10.0, 15.0]))


def test_the_filter_nearest_to_the_geometric_median_goes_first() -> None:
    net = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Conv2d(3, 2, 1))
    net[0].weight.data = torch.tensor([1.0, 9.0, 4.0]).reshape(3, 1, 1, 1)  # distances 11, 13, 8
    image = torch.ones(1, 1, 4, 4)
    pruned = cut(net, image, {"0": 0.3})
    assert pruned[0].weight.flatten().tolist() == [1.0, 9.0]
    assert torch.equal(pruned[2].weight, net[2].weight[:, [0, 1]])
    assert net[0].out_channels == 3


def test_it_agrees_with_torch_pruning_where_no_weight_is_negative() -> None:
    """torch-pruning ranks by |w|, so the two criteria are the same there and only there."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 12, 3), nn.ReLU(), nn.Conv2d(12, 4, 1))
    net[0].weight.data.abs_()
    graph = torch_pruning.DependencyGraph().build_dependency(net, torch.zeros(1, 3, 8, 8))
    group = graph.get_pruning_group(net[0], torch_pruning.prune_conv_out_channels, list(range(12)))
    theirs = torch_pruning.importance.FPGMImportance(p=1, group_reduction="first")(group)
    torch.testing.assert_close(importance(group) / importance(group).mean(), theirs)
    net[0].weight.data[::2].neg_()
    assert not torch.allclose(importance(group) / importance(group).mean(), theirs)


@pytest.mark.parametrize(
    ("channels", "share", "multiple", "left"),
    [(16, 0.0, 4, 16), (16, 0.5, 1, 8), (16, 0.55, 4, 8), (16, 0.5, 3, 9), (6, 0.01, 1, 5), (6, 0.9, 8, 6)],
)
def test_what_is_left(channels: int, share: float, multiple: int, left: int) -> None:
    assert kept(channels, share, multiple) == left


@pytest.mark.parametrize(("name", "options", "shape"), NETWORKS)
def test_a_pruned_network_is_built_again_from_its_options(name: str, options: dict, shape: tuple) -> None:
    torch.manual_seed(0)
    network = build_network(name, options).eval()
    image = torch.randn(shape)
    layers = prunable(network, image)
    pruned = cut(network, image, dict.fromkeys(layers, 0.5)).eval()
    changed = changed_sizes(pruned, network)
    again = build_network(name, {**options, "pruned": changed}).eval()
    again.load_state_dict(pruned.state_dict())
    with torch.no_grad():
        assert torch.equal(again(image), pruned(image))
        assert again(image).shape == network(image).shape
    assert sum(p.numel() for p in again.parameters()) < 0.75 * sum(p.numel() for p in network.parameters())
    assert sizes(again) == sizes(pruned)


@pytest.mark.parametrize(
    ("name", "options", "shape", "whole"),
    [
        ("line_net", {"classes": 9}, (1, 1, 32, 64), ["classifier"]),
        # 16 channels that are 4 x 4 pixels, and what only training asks
        ("db", SLIM | {"head": "shuffle"}, (1, 3, 64, 64), ["shrink.2", "threshold.0.0"]),
        ("crnn", {"classes": 9}, (1, 3, 32, 64), ["backbone.stages.3.3.0"]),  # an LSTM reads it
    ],
)
def test_layers_that_must_stay_whole(name: str, options: dict, shape: tuple, whole: list[str]) -> None:
    network = build_network(name, options)
    assert set(whole) <= dict(network.named_modules()).keys()
    assert not set(whole) & prunable(network, torch.zeros(shape)).keys()


def test_channels_that_layers_share_go_from_all_of_them() -> None:
    network = build_network("db", SLIM)
    left = sizes(cut(network, torch.zeros(1, 3, 64, 64), {"neck.reduce.0": 0.5}))
    assert [left[f"neck.reduce.{i}"][0] for i in range(4)] == [8] * 4
    assert [left[f"neck.smooth.{i}"][1] for i in range(4)] == [8] * 4


@pytest.mark.parametrize("pruned", [{"no.such": [1, 1]}, {"stages.0.0": [4]}, {"stages.0.0": [0, 1]}])
def test_sizes_that_fit_no_layer_are_refused(pruned: dict) -> None:
    with pytest.raises(UsageError, match="no layer"):
        build_network("line_net", {"classes": 9, "pruned": pruned})
