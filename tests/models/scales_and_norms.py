"""Models with scales that are too small, normalizations of nothing, and inputs of unlike sizes."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.models.made_weights import Last
from tests.models.nets import Enc, broken, ce, data, each, healthy
from tests.models.zoo.models import mlp, sentences, token_loss


class Faint(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 64), nn.Linear(64, 10)

    def forward(self, x):
        return self.b(1e-4 * F.relu(self.a(x)))


@broken("input_scale", {"b"})
def factor_that_makes_a_signal_faint():
    return Faint(), *data(8), ce


def normalized(size, depth=10):
    layers = [m for _ in range(depth) for m in (nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU())]
    m = nn.Sequential(*layers, nn.Linear(64, 10))
    for norm in m[1::3]:
        nn.init.constant_(norm.weight, size)
    return m, *data(), ce


@healthy
def scales_of_a_half():
    return normalized(0.5)


@broken("scale_small", each("{}", *range(1, 30, 3)))
def scales_of_a_hundredth():
    return normalized(0.01)


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.opened = nn.Linear(64, 64), nn.Parameter(torch.tensor(-10.0))

    def forward(self, x):
        return torch.sigmoid(self.opened) * F.relu(self.layer(x))


@broken("scale_small", {"0", "1"})
def learnt_gates_nearly_shut():
    return nn.Sequential(Gate(), Gate(), nn.Linear(64, 10)), *data(), ce


@broken("norm_empty", {"1"})
def normalized_one_by_one():
    return nn.Sequential(nn.Linear(64, 1), nn.LayerNorm(1), nn.Linear(1, 10)), *data(), ce


@broken("norm_empty", {"3"})
def normalized_in_groups_of_one():
    m = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.GroupNorm(16, 16),
                      nn.Flatten(), nn.Linear(16, 10))
    return m, torch.randn(32, 3, 8, 8), torch.arange(32) % 10, ce


@broken("input_scale", {"0"})
def nothing_to_read():
    m = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    return m, torch.zeros(64, 64), torch.arange(64) % 10, ce


@broken("input_scale", {"head"})
def positions_a_thousand_times_too_large():
    """Normalization before the sums hides them from all layers but the last."""
    m = Enc(True)
    nn.init.normal_(m.pos, std=1000.0)
    return m, *sentences(16, 16, 61), token_loss


@broken("weights_small", {"cell"})
def recurrent_weights_of_a_thousandth():
    cell = nn.RNN(8, 64, batch_first=True)
    for p in cell.parameters():
        nn.init.normal_(p, std=0.001)
    return Last(cell), torch.randn(32, 60, 8), torch.arange(32) % 10, ce


class Neighbours(nn.Module):
    """Features summed over neighbours, which a sparse buffer holds."""

    def __init__(self):
        super().__init__()
        self.register_buffer("near", torch.eye(30).to_sparse())
        self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.b(torch.relu(torch.sparse.mm(self.near, self.a(x))))


@healthy
def sparse_buffer():
    return Neighbours(), torch.randn(30, 8), torch.arange(30) % 3, ce


@broken("target_scale", {"4"})
def house_prices():
    x = torch.randn(128, 8)
    return mlp([8, 64, 64, 1], nn.ReLU), x, 2e5 + 5e4 * torch.randn(128, 1), F.mse_loss


@broken("target_scale", {"4"})
def kelvin():
    x = torch.randn(128, 8)
    return mlp([8, 64, 64, 1], nn.ReLU), x, 290 + 10 * torch.randn(128, 1), F.smooth_l1_loss


class HandWritten(nn.Module):
    """h = tanh(x Wx + h Wh), step by step."""

    def __init__(self, gain):
        super().__init__()
        self.read, self.keep, self.head = nn.Linear(4, 32), nn.Linear(32, 32, bias=False), nn.Linear(32, 1)
        nn.init.orthogonal_(self.keep.weight, gain)

    def forward(self, x):
        h = x.new_zeros(len(x), 32)
        for step in x.unbind(1):
            h = torch.tanh(self.read(step) + self.keep(h))
        return self.head(h)


def first_number(gain):
    x = torch.randn(64, 25, 4)
    return HandWritten(gain), x, x[:, -5, :1], F.mse_loss


@broken("weights_large", {"keep"})
def recurrent_by_hand():
    return first_number(4.0)


@healthy
def recurrent_by_hand_of_gain_1():
    return first_number(1.0)
