from __future__ import annotations

import torch
from torch import nn

from training.strategies.ema import Ema
from training.strategies.l2_decay import add_l2_gradient
from training.strategies.pretrained import load_fitting


def test_the_average_follows_the_weights_by_its_decay() -> None:
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    ema = Ema(net, 0.75)
    nn.init.ones_(net.weight)
    for step, expected in ((1000, 0.25), (1001, 0.4375)):
        ema.update(net, step)
        torch.testing.assert_close(ema.averages["weight"], torch.tensor([[expected]]))


def test_the_first_steps_forget_the_start_sooner() -> None:
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    ema = Ema(net, 0.999)
    nn.init.ones_(net.weight)
    ema.update(net, 0)
    torch.testing.assert_close(ema.averages["weight"], torch.tensor([[0.9]]))


def test_the_network_has_its_own_weights_again_after_the_block() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    ema = Ema(net, 0.9)
    nn.init.ones_(net[0].weight)
    own = {name: value.clone() for name, value in net.state_dict().items()}
    with ema.applied_to(net):
        torch.testing.assert_close(net.state_dict(), ema.averages)
    torch.testing.assert_close(dict(net.state_dict()), own)


def test_l2_decay_adds_the_weight_to_the_gradient_of_matrices_alone() -> None:
    net = nn.Linear(2, 2)
    net(torch.ones(1, 2)).sum().backward()
    before = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    add_l2_gradient(net.parameters(), 0.5)
    torch.testing.assert_close(net.weight.grad, before[0] + 0.5 * net.weight.detach())
    torch.testing.assert_close(net.bias.grad, before[1])


def test_pretrained_weights_fill_what_fits_and_name_the_rest() -> None:
    old, new = (nn.Sequential(nn.Linear(2, 3), nn.Linear(3, classes)) for classes in (4, 5))
    kept = load_fitting(new, {**old.state_dict(), "gone": torch.zeros(1)})
    assert kept == ["1.bias", "1.weight"]
    torch.testing.assert_close(new[0].weight, old[0].weight)


def test_a_net_for_grey_says_of_it_what_the_net_for_colour_says() -> None:
    colour, gray = (
        nn.Sequential(nn.Conv2d(channels, 4, 3), nn.Conv2d(4, 4, 3, groups=4)) for channels in (3, 1)
    )
    assert load_fitting(gray, colour.state_dict()) == []
    image = torch.rand(1, 1, 9, 9)
    torch.testing.assert_close(gray(image), colour(image.expand(1, 3, 9, 9)))
