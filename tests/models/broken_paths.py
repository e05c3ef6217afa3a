"""Broken models: inputs, outputs, paths of the gradient, number formats, whole architectures."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.models.nets import (
    LM,
    DictNet,
    NoGrad,
    Rounded,
    Siam,
    SumSq,
    Towers,
    broken,
    ce,
    data,
    each,
    img,
    std,
)
from tests.models.zoo.models import GPT, he, initialize, mlp, sentences, token_loss


@broken("input_scale", {"b"})
def dict_one_large():
    return (
        DictNet(),
        {"num": torch.randn(64, 8), "extra": 5000 * torch.rand(64, 8)},
        torch.arange(64) % 3,
        ce,
    )


@broken("output_scale", {"4"})
def head_normal():
    x, t = data()
    m = mlp([64, 128, 128, 10], nn.ReLU)
    initialize(m[:-1], nn.Linear, he)
    nn.init.normal_(m[4].weight)
    return m, x, t, ce


@broken("output_scale", {"4"})
def regression_head():
    x, _ = data()
    t = torch.randn(64, 1)
    m = mlp([64, 128, 128, 1], nn.ReLU)
    initialize(m[:-1], nn.Linear, he)
    nn.init.normal_(m[4].weight, std=2.0)
    return m, x, t, F.mse_loss


@broken("detached", {"enc", "enc.0", "enc.2"})
def no_grad_encoder():
    x, t = data()
    return NoGrad(), x, t, ce


@broken("detached", {"enc", "enc.0", "enc.2"})
def rounded():
    x, t = data()
    return Rounded(), x, t, ce


@broken("detached", {"enc.0", "enc.2", "p"})
def output_detached():
    x, t = data()
    return Siam(), x, t, ce


@broken("float16_overflow", {"0", "2", "4", "6"})
def half_overflow():
    x, t = data()
    m = mlp([64] + [256] * 6 + [10], nn.ReLU)
    initialize(m[:-1], nn.Linear, he)
    m[2].weight.data *= 3000
    return m.half(), x.half() * 20, t, lambda o, t: ce(o.float(), t)


@broken("float16_overflow", {"2"})
def half_sum():
    x = torch.randn(32, 64) * 100
    m = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), SumSq(), nn.Linear(1, 3))
    return m.half(), (x).half(), torch.arange(32) % 3, lambda o, t: ce(o.float(), t)


@broken("float16_underflow", each("{}", *range(0, 20, 2)))
def half_underflow():
    x, t = data()
    m = mlp([64] + [64] * 3 + [10], nn.ReLU)
    initialize(m[:-1], nn.Linear, he)
    return m.half(), x.half(), t, lambda o, t: ce(o.float(), t) * 1e-6


@broken("weights_zero", each("{}", *range(0, 8, 2)))
def zeros():
    x, t = data()
    return initialize(mlp([64, 64, 64, 10], nn.ReLU), nn.Linear, nn.init.zeros_), x, t, ce


@broken("weights_zero", {"2"})
def zero_hidden():
    x, t = data()
    m = mlp([64, 64, 64, 10], nn.ReLU)
    initialize(m, nn.Linear, he)
    nn.init.zeros_(m[2].weight)
    return m, x, t, ce


@broken({"weights_zero", "weights_identical"}, each("{}", *range(0, 8, 2)))
def zeros_sigmoid():
    x, t = data()
    return initialize(mlp([64, 64, 64, 10], nn.Sigmoid), nn.Linear, nn.init.zeros_), x, t, ce


@broken("weights_identical", each("{}", *range(0, 8)))
def conv_constant():
    x, t = img()
    m = nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 144, 10),
    )
    for p in m.parameters():
        nn.init.constant_(p, 0.02)
    return m, x, t, ce


@broken({"weights_large", "saturated"}, {"rnn"})
def lstm_normal():
    x, t = sentences(16, 16, 61)
    m = LM()
    for p in m.rnn.parameters():
        nn.init.normal_(p)
    return m, x, t, token_loss


@broken(
    {"weights_large"},
    each("blocks.{}.attention.qkv", *range(4))
    | each("blocks.{}.up", *range(4))
    | each("blocks.{}.down", *range(4))
    | each("blocks.{}.attention.proj", *range(4)),
)
def gpt_normal():
    x, t = sentences(16, 16, 61)
    m = GPT(4, 64, 61, 16, False)
    initialize(m, nn.Linear, std(1.0))
    m.head.weight.data *= 0.02
    return m, x, t, token_loss


@broken("weights_small", each("b.{}", *range(0, 30, 2)))
def tower_bad():
    return Towers(), (torch.randn(64, 32), torch.randn(64, 32)), torch.arange(64) % 5, ce


@broken("output_scale", {"head"})
def gpt_head_large():
    x, t = sentences(16, 16, 61)
    m = GPT(4, 64, 61, 16, False)
    nn.init.normal_(m.head.weight)
    return m, x, t, token_loss


@broken({"weights_large"}, {"0", "2"})
def uniform01():
    x, t = data()
    m = mlp([64, 64, 64, 64, 10], nn.ReLU)
    initialize(m, nn.Linear, lambda w: nn.init.uniform_(w))
    return m, x, t, ce


@broken({"stream_grows"}, each("layers.{}", *range(40)) | each("layers.{}.fc", *range(40)))
def leaky_resid_linear():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(20)])
            self.head = nn.Linear(64, 10)
            initialize(self.layers, nn.Linear, he)

        def forward(self, x):
            for layer in self.layers:
                branch = F.leaky_relu(layer(x))
                branch += x  # in place, as many residual nets have it
                x = branch
            return self.head(x)

    x, t = data()
    return M(), x, t, ce


@broken("input_scale", {"rho.0"})
def set_summed():
    class DeepSets(nn.Module):
        def __init__(self):
            super().__init__()
            self.phi = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
            self.rho = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5))

        def forward(self, x):
            return self.rho(self.phi(x).sum(1))

    return DeepSets(), torch.randn(32, 5000, 3), torch.arange(32) % 5, ce


@broken("output_scale", {"v"})
def factorization_machine():
    class DeepFM(nn.Module):
        def __init__(self):
            super().__init__()
            self.v, self.deep = nn.Embedding(1000, 16), mlp([160, 64, 1], nn.ReLU)

        def forward(self, x):
            v = self.v(x)
            pairs = (v.sum(1) ** 2 - (v**2).sum(1)).sum(1) / 2
            return pairs + self.deep(v.flatten(1))[:, 0]

    x = torch.randint(1000, (128, 10))
    return DeepFM(), x, (torch.rand(128) < 0.3).float(), F.binary_cross_entropy_with_logits


@broken("input_scale", each("layers.{}.0", *range(4)))
def neighbours_summed():
    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([mlp([n, 32, 32], nn.ReLU) for n in (16, 32, 32, 32)])
            self.head = nn.Linear(32, 4)

        def forward(self, x, edges):
            for layer in self.layers:
                x = F.relu(layer(x + edges @ x))
            return self.head(x)

    edges = (torch.rand(80, 80) < 0.9).float()
    return Graph(), (torch.randn(80, 16), edges), torch.arange(80) % 4, ce


@broken("input_scale", {"net.0"})
def pixels_of_255():
    class Pixels(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp([64, 64, 10], nn.ReLU)

        def forward(self, x):
            return self.net(255 * x.flatten(1))

    return Pixels(), torch.rand(64, 8, 8), torch.arange(64) % 10, ce


@broken("weights_large", {"field.0", "field.2"})
def field_normal():
    class Steps(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(16, 32), nn.Linear(32, 5)
            self.field = mlp([32, 32, 32], nn.Tanh)
            initialize(self.field, nn.Linear, lambda w: nn.init.normal_(w, std=3.0))

        def forward(self, x):
            x = self.first(x)
            for _ in range(10):
                x = x + 0.1 * self.field(x)
            return self.last(x)

    return Steps(), torch.randn(64, 16), torch.arange(64) % 5, ce


@broken({"weights_large", "stream_grows"}, {"again"})
def recurrent_by_hand():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.read, self.head = nn.Linear(4, 32), nn.Linear(32, 3)
            self.again = nn.Linear(32, 32, bias=False)
            nn.init.eye_(self.again.weight).data.mul_(1.5)

        def forward(self, x):
            h = torch.zeros(len(x), 32)
            for step in x.unbind(1):
                h = F.relu(0.1 * self.read(step) + self.again(h))
            return self.head(h)

    return Recurrent(), torch.randn(32, 40, 4), torch.arange(32) % 3, ce


@broken("detached", {"0", "2"})
def signs_of_weights():
    class Signs(nn.Linear):
        def forward(self, x):
            return F.linear(x, self.weight.sign() / 8, self.bias)

    x, t = data()
    return nn.Sequential(Signs(64, 64), nn.ReLU(), Signs(64, 64), nn.ReLU(), nn.Linear(64, 10)), x, t, ce
