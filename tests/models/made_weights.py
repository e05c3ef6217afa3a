"""Models whose weights are made of several parameters, are normalized, have a mean, or come with a factor."""

import warnings

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from tests.models.nets import broken, ce, data, each, healthy
from tests.models.zoo.models import initialize, mlp

EVERY = each("{}", *range(0, 24, 2))


def older_weight_norm(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and in many models
        return nn.utils.weight_norm(layer)


def deep(made, draw=lambda w: w, depth=12):
    layers = [nn.Linear(64 if i == 0 else 128, 128) for i in range(depth)]
    for layer in layers:
        draw(layer.weight)
    m = nn.Sequential(*[m for layer in layers for m in (made(layer), nn.ReLU())], nn.Linear(128, 10))
    return m, *data(), ce


@broken("weights_small", EVERY)
def weight_norm_of_small_weights():
    return deep(parametrizations.weight_norm, lambda w: nn.init.normal_(w, std=0.02))


@broken("weights_large", EVERY)
def older_weight_norm_of_large_weights():
    return deep(older_weight_norm, lambda w: nn.init.normal_(w, std=0.5))


def as_it_is(layer):
    return layer


@broken("weights_shifted", EVERY)
def weights_with_a_small_mean():
    return deep(as_it_is, lambda w: nn.init.normal_(w, mean=0.03, std=0.12))


@broken("weights_shifted", EVERY)
def weights_below_zero():
    """Each layer is on or off as a whole, and no gradient passes."""
    return deep(as_it_is, lambda w: nn.init.normal_(w, mean=-0.3, std=0.1))


@broken("weights_shifted", EVERY)
def uniform_weights_above_zero():
    return deep(as_it_is, lambda w: nn.init.uniform_(w, 0.0, 0.1))


@broken("weights_shifted", EVERY)
def weight_norm_of_weights_with_a_mean():
    return deep(parametrizations.weight_norm, lambda w: nn.init.normal_(w, mean=0.3, std=0.1))


@broken("weights_small", EVERY)
def spectral_norm_alone():
    return deep(parametrizations.spectral_norm)


class Standardized(nn.Linear):
    def forward(self, x):
        w = self.weight - self.weight.mean(1, keepdim=True)
        return F.linear(x, w / w.std(1, keepdim=True), self.bias)


@broken("weights_large", EVERY)
def standardized_weights_without_their_fan():
    def standardized(layer):
        return Standardized(layer.in_features, layer.out_features)

    return deep(standardized)


class Low(nn.Module):
    """A frozen layer and the product of two low matrices, of which one is 0 at the start."""

    def __init__(self, layer):
        super().__init__()
        self.a = nn.Parameter(torch.randn(4, layer.in_features))
        self.b = nn.Parameter(torch.zeros(layer.out_features, 4))
        self.layer = layer.requires_grad_(False)

    def forward(self, x):
        return F.linear(x, self.layer.weight + self.b @ self.a, self.layer.bias)


@broken("weights_small", each("{}.layer", *range(0, 24, 2)))
def low_rank_beside_small_weights():
    return deep(Low, lambda w: nn.init.normal_(w, std=0.02))


class Cosines(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.features, self.w = mlp([64, 128, 64], nn.ReLU), nn.Parameter(torch.randn(10, 64))
        self.factor = factor

    def forward(self, x):
        return self.factor * F.linear(F.normalize(self.features(x), dim=-1), F.normalize(self.w, dim=-1))


@healthy
def cosines_times_64():
    """ArcFace's head: learns the digits as well with factors of 1 to 200."""
    return Cosines(64.0), *data(), ce


class Towers(nn.Module):
    def __init__(self, ends, factor):
        super().__init__()
        self.a, self.b = mlp([64, 64, 32], nn.ReLU), mlp([64, 64, 32], nn.ReLU)
        self.ends, self.factor = ends, factor

    def forward(self, u, v):
        return self.factor * self.ends(self.a(u)) @ self.ends(self.b(v)).T


@healthy
def towers_of_cosines_times_100():
    """The largest factor that CLIP lets itself learn."""
    return Towers(F.normalize, 100.0), (torch.randn(64, 64), torch.randn(64, 64)), torch.arange(64), ce


@broken("output_scale", {"a.2", "b.2"})
def towers_times_300():
    return Towers(lambda z: z, 300.0), (torch.randn(64, 64), torch.randn(64, 64)), torch.arange(64), ce


class Sines(nn.Module):
    """A sinusoidal network, sin(30·Wx): the factor belongs to the gain (Sitzmann et al. 2020)."""

    def __init__(self, times):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2 if i == 0 else 128, 128) for i in range(5)])
        self.out = nn.Linear(128, 1)
        for i, layer in enumerate(self.layers):
            bound = 0.5 if i == 0 else (6 / 128) ** 0.5 / 30
            nn.init.uniform_(layer.weight, -times * bound, times * bound)

    def forward(self, x):
        for layer in self.layers:
            x = torch.sin(30 * layer(x))
        return self.out(x)


def waves(times):
    x = 2 * torch.rand(512, 2) - 1
    return Sines(times), x, torch.sin(9 * x[:, :1]) * torch.cos(7 * x[:, 1:]), F.mse_loss


@healthy
def sines_as_published():
    return waves(1)


@broken("weights_large", each("layers.{}", *range(5)))
def sines_of_large_weights():
    """They learn by heart: squared error .29 on new points after 300 steps, .0002 with the code."""
    return waves(4)


class Queries(nn.Module):
    """Learnt queries read the inputs, as in a Perceiver."""

    def __init__(self, times):
        super().__init__()
        self.queries, self.inside = nn.Parameter(torch.randn(8, 64)), nn.Linear(20, 64)
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 10)
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)
        with torch.no_grad():
            self.attention.in_proj_weight *= times
            self.attention.out_proj.weight *= times

    def forward(self, x):
        queries, keys = self.norm(self.queries.expand(len(x), -1, -1)), self.inside(x)
        return self.head((queries + self.attention(queries, keys, keys)[0]).mean(1))


@healthy
def learnt_queries():
    return Queries(1), torch.randn(32, 50, 20), torch.arange(32) % 10, ce


@broken("weights_large", {"attention"})
def learnt_queries_and_large_weights():
    return Queries(10), torch.randn(32, 50, 20), torch.arange(32) % 10, ce


@broken("output_scale", {"4"})
def outputs_larger_than_small_targets():
    m = mlp([64, 128, 128, 1], nn.ReLU)
    with torch.no_grad():
        m[-1].weight *= 30
    return m, data()[0], 0.1 * torch.randn(64, 1), F.mse_loss


class Steps(nn.Module):
    """Twenty steps along one field, as of a differential equation."""

    def __init__(self):
        super().__init__()
        self.field, self.head = mlp([64, 64, 64], nn.Tanh), nn.Linear(64, 10)
        nn.init.constant_(self.field[0].bias, -30.0)

    def forward(self, x):
        for _ in range(20):
            x = x + 0.1 * self.field(x)
        return self.head(x)


@broken("saturated", {"field.0"})
def steps_along_a_field_that_is_saturated():
    return Steps(), *data(), ce


@broken("weights_large", EVERY)
def leaky_relu_whose_slope_below_0_is_2():
    m, *rest = deep(as_it_is, nn.init.kaiming_normal_)
    for i in range(1, 24, 2):
        m[i] = nn.LeakyReLU(2.0)
    return m, *rest


@broken("weights_small", EVERY)
def small_weights_behind_a_head_of_zeros():
    m, *rest = deep(as_it_is, lambda w: nn.init.normal_(w, std=0.01))
    nn.init.zeros_(m[-1].weight)
    return m, *rest


@broken("weights_identical", {"0", "2"})
def equal_weights_and_biases_that_differ():
    """With SGD at .1 43 % of the digits are right after 400 steps, 97 % as PyTorch draws the weights."""
    m = mlp([64, 128, 128, 10], nn.ReLU)
    initialize(m, nn.Linear, lambda w: nn.init.constant_(w, 0.01))
    for layer in m[::2]:
        nn.init.uniform_(layer.bias, -0.1, 0.1)
    return m, *data(), ce


class Last(nn.Module):
    """A recurrent layer of which the head reads the last step."""

    def __init__(self, cell):
        super().__init__()
        self.cell, self.head = cell, nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


@broken("weights_large", {"cell"})
def recurrent_weights_of_one_and_a_half():
    cell = nn.RNN(8, 64, nonlinearity="relu", batch_first=True)
    nn.init.eye_(cell.weight_hh_l0)
    with torch.no_grad():
        cell.weight_hh_l0 *= 1.5
    return Last(cell), torch.randn(32, 60, 8), torch.arange(32) % 10, ce


@healthy
def recurrent_weights_that_start_at_the_identity():
    """As Le et al. 2015 draw them."""
    cell = nn.RNN(8, 64, nonlinearity="relu", batch_first=True)
    nn.init.eye_(cell.weight_hh_l0)
    nn.init.normal_(cell.weight_ih_l0, std=0.001)
    nn.init.zeros_(cell.bias_hh_l0)
    nn.init.zeros_(cell.bias_ih_l0)
    return Last(cell), torch.randn(32, 60, 8), torch.arange(32) % 10, ce
