"""Healthy models in other architectures: plain, recurrent, two towers."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from tests.models.broken_more import MF, VQ
from tests.models.nets import ce, data, healthy, img
from tests.models.zoo.models import initialize, mlp


class Post(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(n)])
        self.n = nn.ModuleList([nn.LayerNorm(64) for _ in range(n)])
        self.h = nn.Linear(64, 10)

    def forward(self, x):
        for layer, n in zip(self.layers, self.n, strict=False):
            x = n(x + F.relu(layer(x)))
        return self.h(x)


class Ste(torch.autograd.Function):
    @staticmethod
    def forward(c, x):
        return x.sign()

    @staticmethod
    def backward(c, g):
        return g


@healthy
def mf_small():
    x = torch.stack([torch.randint(100, (256,)), torch.randint(50, (256,))], 1)
    return MF(0.1), x, torch.randint(2, (256,)).float(), F.binary_cross_entropy_with_logits


@healthy
def vq():
    x, _t = data()
    return VQ(True), x, x, lambda o, t: F.mse_loss(o[0], t) + o[1]


@healthy
def postnorm_mlp():
    x, t = data()
    return Post(12), x, t, ce


@healthy
def xor():
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    return (
        mlp([2, 4, 1], nn.Tanh),
        x,
        torch.tensor([[0.0], [1], [1], [0]]),
        F.binary_cross_entropy_with_logits,
    )


@healthy
def sine_regression():
    x = torch.linspace(-3, 3, 128)[:, None]
    return mlp([1, 64, 64, 1], nn.ReLU), x, torch.sin(x), F.mse_loss


@healthy
def sine_regression10():
    x = torch.linspace(0, 10, 128)[:, None]
    return mlp([1, 64, 64, 1], nn.Tanh), x, torch.sin(x), F.mse_loss


@healthy
def ages():
    x = torch.randn(128, 8)
    return mlp([8, 64, 64, 1], nn.ReLU), x, 40 + 15 * torch.randn(128, 1), F.mse_loss


@healthy
def counts():
    x = torch.randn(128, 8)
    return mlp([8, 64, 64, 1], nn.ReLU), x, torch.poisson(1e3 * x[:, :1].exp()), F.poisson_nll_loss


@healthy
def pinn():
    x = torch.rand(256, 2)
    return (
        initialize(mlp([2] + [32] * 8 + [1], nn.Tanh), nn.Linear, nn.init.xavier_normal_),
        x,
        torch.sin(3 * x[:, :1]),
        F.mse_loss,
    )


@healthy
def bilstm():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.e = nn.Embedding(100, 32)
            self.r = nn.LSTM(32, 32, 2, batch_first=True, bidirectional=True)
            self.h = nn.Linear(64, 3)

        def forward(self, x):
            return self.h(self.r(self.e(x))[0].max(1).values)

    return M(), torch.randint(100, (32, 20)), torch.arange(32) % 3, ce


@healthy
def packed():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.r = nn.GRU(8, 32, batch_first=True)
            self.h = nn.Linear(32, 3)

        def forward(self, x, n):
            p = nn.utils.rnn.pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False)
            return self.h(self.r(p)[1][-1])

    return M(), (torch.randn(32, 10, 8), torch.randint(1, 10, (32,))), torch.arange(32) % 3, ce


@healthy
def textcnn():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.e = nn.Embedding(100, 32)
            self.c = nn.ModuleList([nn.Conv1d(32, 16, k) for k in (3, 4, 5)])
            self.h = nn.Linear(48, 2)

        def forward(self, x):
            x = self.e(x).transpose(1, 2)
            return self.h(torch.cat([F.relu(c(x)).max(2).values for c in self.c], 1))

    return M(), torch.randint(100, (32, 20)), torch.arange(32) % 2, ce


@healthy
def embbag():
    return (
        nn.Sequential(nn.EmbeddingBag(100, 32), nn.Linear(32, 4)),
        torch.randint(100, (32, 20)),
        torch.arange(32) % 4,
        ce,
    )


@healthy
def clip():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = mlp([64, 64, 32], nn.ReLU), mlp([48, 64, 32], nn.ReLU)
            self.t = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

        def forward(self, u, v):
            return F.normalize(self.a(u), dim=-1) @ F.normalize(self.b(v), dim=-1).T * self.t.exp()

    return M(), (torch.randn(32, 64), torch.randn(32, 48)), torch.arange(32), ce


@healthy
def pixels_with_bn():
    _x, t = img()
    return (
        nn.Sequential(
            nn.Conv2d(3, 16, 3),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(16, 10),
        ),
        255 * torch.rand(32, 3, 16, 16),
        t,
        ce,
    )


@healthy
def moe():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.g = nn.Linear(32, 4)
            self.e = nn.ModuleList([mlp([32, 64, 32], nn.ReLU) for _ in range(4)])
            self.h = nn.Linear(32, 5)

        def forward(self, x):
            w = self.g(x).softmax(-1)
            top = w.argmax(-1)
            y = torch.zeros_like(x)
            for k in range(4):
                m = top == k
                if m.any():
                    y[m] = self.e[k](x[m]) * w[m, k : k + 1]
            return self.h(x + y)

    return M(), torch.randn(64, 32), torch.arange(64) % 5, ce


@healthy
def custom_function():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.h = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)

        def forward(self, x):
            return self.h(F.relu(self.b(Ste.apply(self.a(x)))))

    x, t = data()
    return M(), x, t, ce
