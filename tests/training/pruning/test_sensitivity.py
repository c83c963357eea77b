from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
import torch
from torch import nn

from models.records import UsageError
from training.pruning.plot import plot_sensitivity
from training.pruning.sensitivity import SHARES, Sensitivity, measure, shares_at, shares_for

KNOWN = Sensitivity(0.9, {"tough": (0.0, 0.02, 0.2), "touchy": (0.1, 0.3, 0.9), "idle": (0.0, -0.01, 0.0)})


def test_shares_at_a_loss_by_hand() -> None:
    assert SHARES == (0.25, 0.5, 0.75)
    # tough: 0.02 at .5 and 0.2 at .75, so .05 lies a sixth of the way; touchy: half of the way to .25
    assert shares_at(KNOWN, 0.05) == pytest.approx({"tough": 0.5 + 0.25 / 6, "touchy": 0.125, "idle": 0.75})
    assert shares_at(KNOWN, 0.0) == {"tough": 0.25, "touchy": 0.0, "idle": 0.75}


def test_shares_for_a_size_cost_as_little_as_it_can() -> None:
    def size(shares: dict[str, float]) -> int:
        return round(1000 * (3 - sum(shares.values())))

    shares = shares_for(KNOWN, size, 1600)
    assert 1590 <= size(shares) <= 1600
    assert shares["idle"] == 0.75 and shares["touchy"] < shares["tough"]
    with pytest.raises(UsageError, match="cannot be reached"):
        shares_for(KNOWN, size, 700)


def ask(network: nn.Module) -> float:
    """A score that knows how many channels are left."""
    ask.calls += 1  # type: ignore[attr-defined]
    return sum(layer.out_channels for layer in network.modules() if isinstance(layer, nn.Conv2d)) / 100


def test_measuring_goes_on_where_it_stopped(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(1, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    state, image, said = tmp_path / "state.json", torch.zeros(1, 1, 4, 4), []
    ask.calls = 0  # type: ignore[attr-defined]
    whole = measure(net, image, ask, state, said.append)
    assert whole.losses["0"] == pytest.approx((0.02, 0.04, 0.06))
    assert whole.losses["2"] == pytest.approx((0.01, 0.02, 0.03))
    assert ask.calls == 7 and len(said) == 2  # type: ignore[attr-defined]
    known = json.loads(state.read_text())
    known["losses"]["2"] = known["losses"]["2"][:1]
    state.write_text(json.dumps(known))
    assert measure(net, image, ask, state, said.append) == whole
    assert ask.calls == 9  # type: ignore[attr-defined]


def test_a_network_without_layers_to_prune_is_wrong_usage(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())  # its channels are its output
    with pytest.raises(UsageError, match="nothing to prune"):
        measure(net, torch.zeros(1, 1, 4, 4), ask, tmp_path / "state.json", print)
    assert not (tmp_path / "state.json").exists()


def test_the_plot_has_a_row_a_layer(tmp_path: Path) -> None:
    plot_sensitivity(KNOWN, {"idle": 0.75}, tmp_path / "plot.png")
    image = cv2.imread(str(tmp_path / "plot.png"))
    assert image.shape[0] > 3 * 26
    # The costliest cell is redder than the one that costs nothing.
    assert image[58 + 26 + 8, 330 + 2 * 84 + 8, 0] < image[58 + 8, 330 + 8, 0] - 50
