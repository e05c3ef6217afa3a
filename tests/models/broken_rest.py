"""Broken models of the same kinds: number formats, dead and saturated units, code by hand."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.models.nets import broken, ce, data, each, img, std
from tests.models.zoo.models import GPT, PreNormBlock, he, initialize, mlp, patterns, sentences, token_loss


class RNNC(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.rnn, self.head = k(8, 32, batch_first=True), nn.Linear(32, 5)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class HandRMS(nn.Module):
    def forward(self, x):
        return x / torch.sqrt(x.pow(2).sum(-1, keepdim=True) + 1e-5)


@broken("input_scale", {"rnn"})
def rnn_inputs():
    x, t = patterns(60, (20, 8), 5)
    return RNNC(nn.GRU), x * 500, t, ce


@broken("float16_overflow", {"2"})
def rms_half():
    x, t = data()
    m = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), HandRMS(), nn.Linear(256, 10))
    initialize(m, nn.Linear, he)
    return m.half(), (x * 30).half(), t, lambda o, t: ce(o.float(), t)


@broken("float16_overflow", {"m.2"})
def autocast_half():
    class A(nn.Module):
        def __init__(self):
            super().__init__()
            self.m = mlp([64, 256, 256, 10], nn.ReLU)
            initialize(self.m[:-1], nn.Linear, he)
            self.m[2].weight.data *= 20000

        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.float16):
                return self.m(x).float()

    x, t = data()
    return A(), x, t, ce


@broken("weights_zero", {"B", "A"})
def lora_both_zero():
    x, t = data()

    class L(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Linear(64, 10)
            self.A, self.B = nn.Linear(64, 4, bias=False), nn.Linear(4, 10, bias=False)
            nn.init.zeros_(self.B.weight)
            nn.init.zeros_(self.A.weight)
            self.base.requires_grad_(False)

        def forward(self, x):
            return self.base(x) + self.B(self.A(x))

    return L(), x, t, ce


@broken("saturated", {"2", "3"})
def softsign_bias():
    x, t = data()
    m = mlp([64, 64, 64, 10], nn.Tanh)
    initialize(m, nn.Linear, nn.init.xavier_normal_)
    nn.init.normal_(m[2].bias, std=20.0)
    return m, x, t, ce


@broken({"saturated", "weights_large"}, {"0", "1", "2", "3"})
def hardtanh_large():
    x, t = data()
    m = mlp([64, 64, 64, 10], nn.Hardtanh)
    initialize(m[:-1], nn.Linear, std(1.0))
    return m, x, t, ce


@broken("dead", {"0", "1"})
def conv_dead():
    x, t = img()
    m = nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 144, 10),
    )
    nn.init.constant_(m[0].bias, -30.0)
    return m, x, t, ce


@broken("dead", {"2", "3"})
def mostly_dead():
    x, t = data()
    m = mlp([64, 64, 64, 10], nn.ReLU)
    initialize(m[:-1], nn.Linear, he)
    m[2].bias.data[:58] = -30
    return m, x, t, ce


@broken("dead", {"b.up"})
def dead_in_transformer():
    x, t = patterns(32, (16, 32), 10)

    class T(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = PreNormBlock(32, 4), PreNormBlock(32, 4)
            self.head = nn.Linear(32, 10)
            nn.init.constant_(self.b.up.bias, -20.0)

        def forward(self, x):
            return self.head(self.b(self.a(x)).mean(1))

    return T(), x, t, ce


@broken("weights_small", each("layers.{}", *range(20)))
def custom_function_deep():
    class Sw(torch.autograd.Function):
        @staticmethod
        def forward(c, x):
            c.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(c, g):
            return g * (c.saved_tensors[0] > 0)

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(20)])
            self.h = nn.Linear(64, 10)

        def forward(self, x):
            for layer in self.layers:
                x = Sw.apply(layer(x))
            return self.h(x)

    x, t = data()
    return M(), x, t, ce


@broken("weights_small", {f"{i}.{k}" for i in range(14) for k in "abc"})
def inception_default():
    class Inception(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.a, self.b, self.c = (
                nn.Conv2d(c, 8, 1),
                nn.Conv2d(c, 8, 3, padding=1),
                nn.Conv2d(c, 8, 5, padding=2),
            )

        def forward(self, x):
            return F.relu(torch.cat([self.a(x), self.b(x), self.c(x)], 1))

    x, t = img()
    return (
        nn.Sequential(
            Inception(3),
            *[Inception(24) for _ in range(12)],
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(24, 10),
        ),
        x,
        t,
        ce,
    )


class Repeated(nn.Module):
    """One layer, used again and again."""

    def __init__(self, gain):
        super().__init__()
        self.first, self.shared, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
        std((gain / 64) ** 0.5)(self.shared.weight)

    def forward(self, x):
        x = self.first(x)
        for _ in range(14):
            x = F.relu(self.shared(x))
        return self.head(x)


@broken("weights_small", {"shared"})
def repeated_small():
    x, t = data()
    return Repeated(1 / 3), x, t, ce


@broken("weights_large", {"shared"})
def repeated_large():
    x, t = data()
    return Repeated(18), x, t, ce


@broken("weights_small", {f"layers.{i}" for i in range(30)})
def swish_by_hand():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(16)])
            self.h = nn.Linear(64, 10)

        def forward(self, x):
            for layer in self.layers:
                z = layer(x)
                x = z * torch.sigmoid(1.702 * z)
            return self.h(x)

    x, t = data()
    return M(), x, t, ce


@broken(
    {"weights_large"},
    {"blocks.0.attention.qkv", "blocks.1.attention.qkv"} | each("blocks.{}.attention.qkv", *range(4)),
)
def attention_saturated():
    x, t = sentences(16, 16, 61)
    m = GPT(4, 64, 61, 16, False)
    for b in m.blocks:
        nn.init.normal_(b.attention.qkv.weight, std=1.0)
    return m, x, t, token_loss
