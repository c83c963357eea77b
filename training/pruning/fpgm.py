"""Which filters to take out, by their geometric median, and taking them out of all layers that share them.

He et al. 2019, "Filter Pruning via Geometric Median": a filter near the geometric median of its layer says
least that the others do not say. The one with the smallest sum of distances to all filters is nearest to it
(their equation 4), so filters are ranked by that sum. torch-pruning knows which layers share channels. Its
own FPGM importance squares the weights before it measures distances, so that w and -w are the same; ours
does not.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
OUTPUTS = (torch_pruning.prune_conv_out_channels, torch_pruning.prune_depthwise_conv_out_channels)


def filter_distances(filters: Tensor) -> Tensor:
    """(N,) for (N, D) filters: the sum of each one's Euclidean distances to all of them."""
    return torch.cdist(filters[None], filters[None], compute_mode="donot_use_mm_for_euclid_dist")[0].sum(1)


def importance(group: Any) -> Tensor:
    """(N,) for a group of layers that share N channels: the mean over its layers of the filters' distances.

    Each layer's are divided by their mean, so that layers count alike whatever the size of their weights.
    Only layers that the channels come out of have filters; those that they go into follow.
    """
    total, layers = torch.zeros(0), 0
    for item in group:
        layer = item.dep.layer
        if item.dep.pruning_fn not in OUTPUTS or not isinstance(layer, CONVOLUTIONS):
            continue
        weight = layer.weight.detach()
        if isinstance(layer, nn.ConvTranspose2d):
            weight = weight.transpose(0, 1)
        distances = filter_distances(weight[item.idxs].flatten(1))
        total = torch.zeros(len(distances)) if layers == 0 else total
        total[item.root_idxs] += distances / distances.mean().clamp(min=1e-12)
        layers += 1
    return total / max(layers, 1)


def prunable(network: nn.Module, image: Tensor) -> dict[str, int]:
    """Layers that may lose outputs and how many they have, each standing for all that share its channels.

    Left out are those whose channels are what the network puts out, and those that some layer needs all of
    (an LSTM, a shuffle), which is found out by trying; and those that only training asks.

    Args:
        network: any of `training.networks`.
        image: (1, C, H, W), an input that it takes.
    """
    trial = _traceable(network)
    shapes = _shapes(trial(image))
    graph = _graph(trial, image)
    groups = list(graph.get_all_groups(root_module_types=list(CONVOLUTIONS)))
    names = {layer: name for name, layer in trial.named_modules()}
    roots = [_root(group, names) for group in groups]
    whole = {root: dict(network.named_modules())[root].out_channels for root in roots if root}
    found: dict[str, int] = {}
    asked = _asked(network, image)
    for name, channels in whole.items():
        if channels < 2 or name not in asked:
            continue
        try:
            _drop(graph, dict(trial.named_modules())[name], 1)
            fits = _shapes(trial(image)) == shapes
        except (RuntimeError, ValueError):
            fits = False
        if fits:
            found[name] = channels
        else:
            trial = _traceable(network)
            graph = _graph(trial, image)
    return dict(sorted(found.items(), key=lambda item: list(whole).index(item[0]), reverse=True))


def _asked(network: nn.Module, image: Tensor) -> set[str]:
    """Names of the layers that evaluation runs through."""
    net, asked = copy.deepcopy(network).eval(), set()
    for name, layer in net.named_modules():
        layer.register_forward_hook(lambda *_, name=name: asked.add(name))
    with torch.no_grad():
        net(image)
    return asked


def _root(group: Any, names: Mapping[nn.Module, str]) -> str:
    """The first of a group's layers that mix channels, or nothing where an LSTM is among them."""
    layers = [item.dep.layer for item in group if item.dep.pruning_fn in OUTPUTS]
    if any(isinstance(item.dep.layer, nn.LSTM) for item in group):
        return ""
    mixing = {layer for layer in layers if isinstance(layer, CONVOLUTIONS) and layer.groups == 1}
    return next((name for layer, name in names.items() if layer in mixing), "")


def _drop(graph: Any, layer: Any, count: int) -> None:
    """Takes out the `count` filters of a layer that the others can best stand in for."""
    function = OUTPUTS[0]
    ranked = importance(graph.get_pruning_group(layer, function, list(range(layer.out_channels)))).argsort()
    graph.get_pruning_group(layer, function, ranked[:count].tolist()).prune()


def cut(network: nn.Module, image: Tensor, shares: Mapping[str, float], multiple: int = 1) -> nn.Module:
    """A copy of the network without a share of the channels of each layer named.

    Args:
        network: stays as it is.
        image: (1, C, H, W), an input that it takes.
        shares: names from `prunable`, and which share of its channels goes: at least one channel where it is
            above 0, and never all of them.
        multiple: what is left of a layer is rounded up to a multiple of this, vectors being so long.
    """
    pruned = _traceable(network)
    graph = _graph(pruned, image)
    layers = dict(pruned.named_modules())
    for name, share in shares.items():
        layer: Any = layers[name]
        gone = layer.out_channels - kept(layer.out_channels, share, multiple)
        if gone > 0:
            _drop(graph, layer, gone)
    return pruned.train(network.training)


def kept(channels: int, share: float, multiple: int) -> int:
    """How many channels stay when a share of them goes."""
    if share <= 0:
        return channels
    left = max(1, min(channels - 1, round(channels * (1 - share))))
    return int(min(channels, -(-left // multiple) * multiple))


def _graph(network: nn.Module, image: Tensor) -> Any:
    def forward(net: nn.Module, example: Tensor) -> Any:
        net.training = True  # which torch-pruning has just set back
        return net(example)

    return torch_pruning.DependencyGraph().build_dependency(network, image, forward, verbose=False)


def _traceable(network: nn.Module) -> nn.Module:
    """A copy that says all that it says in training, its norms and dropouts being at rest.

    A detector's threshold map is only said in training, but shares the neck's channels.
    """
    net = copy.deepcopy(network).eval()
    net.training = True
    for parameter in net.parameters():
        parameter.requires_grad_(True)  # what torch-pruning traces by
    return net


def _shapes(outputs: Any) -> list[torch.Size]:
    return [each.shape for each in (outputs if isinstance(outputs, tuple) else (outputs,))]
