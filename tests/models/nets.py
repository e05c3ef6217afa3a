"""Modules of the models that reports are tested on, and the lists of those models."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from tests.models.zoo.models import he, initialize, lecun, mlp, patterns

BROKEN, HEALTHY = {}, {}
ce = F.cross_entropy


def broken(causes, layers):
    """Note a broken model with the causes and layers that a report may name."""

    def note(build):
        BROKEN[build.__name__] = build, {causes} if isinstance(causes, str) else set(causes), layers
        return build

    return note


def healthy(build):
    """Note a healthy model."""
    HEALTHY[build.__name__] = build
    return build


def std(size):
    return lambda w: nn.init.normal_(w, std=size)


def data(width=64, classes=10, count=64):
    return patterns(count, (width,), classes)


def img(channels=3, side=16, classes=10, count=32):
    return patterns(count, (channels, side, side), classes)


def each(pattern, *numbers):
    return {pattern.format(i) for i in numbers}


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.alpha * x


class NoNorm(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.up, self.down = nn.Linear(w, 4 * w), nn.Linear(4 * w, w)
        self.mix = nn.Linear(w, w)
        he(self.up.weight)
        lecun(self.down.weight)
        lecun(self.mix.weight)

    def forward(self, x):
        x = x + self.mix(x)
        return x + self.down(F.gelu(self.up(x)))


class ResConv(nn.Module):
    def __init__(self, w, norm=False):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(w, w, 3, padding=1), nn.Conv2d(w, w, 3, padding=1)
        he(self.c1.weight)
        he(self.c2.weight)
        self.n1, self.n2 = (nn.BatchNorm2d(w), nn.BatchNorm2d(w)) if norm else (nn.Identity(), nn.Identity())

    def forward(self, x):
        return F.relu(x + self.n2(self.c2(F.relu(self.n1(self.c1(x))))))


class DictNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = nn.Linear(8, 32), nn.Linear(8, 32), nn.Linear(64, 3)

    def forward(self, num, extra):
        return self.head(torch.cat([F.relu(self.a(num)), F.relu(self.b(extra))], 1))


class NoGrad(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.head = mlp([64, 64, 64], nn.ReLU), nn.Linear(64, 10)

    def forward(self, x):
        with torch.no_grad():
            z = self.enc(x)
        return self.head(F.relu(z))


class Rounded(NoGrad):
    def forward(self, x):
        return self.head(torch.round(self.enc(x)))


class Siam(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.p = mlp([64, 64, 32], nn.ReLU), nn.Linear(32, 32)

    def forward(self, x):
        return self.p(self.enc(x)).detach()


class SumSq(nn.Module):
    def forward(self, x):
        return (x * x).sum(1, keepdim=True)


class LM(nn.Module):
    def __init__(self, k=nn.LSTM):
        super().__init__()
        self.emb, self.rnn, self.head = nn.Embedding(61, 48), k(48, 48, batch_first=True), nn.Linear(48, 61)

    def forward(self, x):
        return self.head(self.rnn(self.emb(x))[0])


class Towers(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = mlp([32] + [64] * 12, nn.ReLU)
        self.b = mlp([32] + [64] * 12, nn.ReLU)
        self.head = nn.Linear(128, 5)
        initialize(self.a, nn.Linear, he)

    def forward(self, u, v):
        return self.head(torch.cat([self.a(u), self.b(v)], 1))


class Enc(nn.Module):
    def __init__(self, norm_first):
        super().__init__()
        self.emb = nn.Embedding(61, 48)
        self.pos = nn.Parameter(torch.randn(16, 48) * 0.02)
        self.enc = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(48, 4, 96, batch_first=True, norm_first=norm_first),
            6,
            enable_nested_tensor=False,
        )
        self.head = nn.Linear(48, 61)

    def forward(self, x):
        return self.head(self.enc(self.emb(x) + self.pos))


class UNet(nn.Module):
    def __init__(self, bn=True):
        super().__init__()

        def c(i, o):
            return nn.Sequential(
                nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o) if bn else nn.Identity(), nn.ReLU()
            )

        self.d1, self.d2, self.mid, self.u2, self.u1 = c(3, 8), c(8, 16), c(16, 32), c(48, 16), c(24, 8)
        self.t2, self.t1 = nn.ConvTranspose2d(32, 32, 2, stride=2), nn.ConvTranspose2d(16, 16, 2, stride=2)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        a = self.d1(x)
        b = self.d2(F.max_pool2d(a, 2))
        m = self.mid(F.max_pool2d(b, 2))
        y = self.u2(torch.cat([self.t2(m), b], 1))
        y = self.u1(torch.cat([self.t1(y), a], 1))
        return self.out(y)


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3 + 8 * i, 8, 3, padding=1) for i in range(6)])
        self.head = nn.Linear(51, 10)

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, F.relu(layer(x))], 1)
        return self.head(x.mean((2, 3)))


class MB(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.b = nn.Sequential(
            nn.Conv2d(c, 4 * c, 1, bias=False),
            nn.BatchNorm2d(4 * c),
            nn.ReLU6(),
            nn.Conv2d(4 * c, 4 * c, 3, padding=1, groups=4 * c, bias=False),
            nn.BatchNorm2d(4 * c),
            nn.ReLU6(),
            nn.Conv2d(4 * c, c, 1, bias=False),
            nn.BatchNorm2d(c),
        )
        self.se = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, 4, 1), nn.ReLU(), nn.Conv2d(4, c, 1), nn.Sigmoid()
        )

    def forward(self, x):
        y = self.b(x)
        return x + y * self.se(y)


class FixupBlock(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(w, w, 3, padding=1), nn.Conv2d(w, w, 3, padding=1)
        he(self.c1.weight)
        self.c1.weight.data *= 0.4
        nn.init.zeros_(self.c2.weight)
        self.b = nn.Parameter(torch.zeros(1))
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return F.relu(x + self.c2(F.relu(self.c1(x + self.b))) * self.scale)


class RMS(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


class Llama(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.n1, self.n2 = RMS(d), RMS(d)
        self.q, self.k, self.v, self.o = [nn.Linear(d, d, bias=False) for _ in range(4)]
        self.gate, self.up, self.down = (
            nn.Linear(d, 3 * d, bias=False),
            nn.Linear(d, 3 * d, bias=False),
            nn.Linear(3 * d, d, bias=False),
        )

    def forward(self, x):
        h = self.n1(x)
        batch, T, D = h.shape
        q, k, v = [f(h).view(batch, T, 4, D // 4).transpose(1, 2) for f in (self.q, self.k, self.v)]
        a = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(D // 4) + torch.full((T, T), -1e9).triu(1), -1)
        x = x + self.o((a @ v).transpose(1, 2).reshape(batch, T, D))
        h = self.n2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class LlamaLM(nn.Module):
    def __init__(self, d=48, n=6):
        super().__init__()
        self.emb = nn.Embedding(61, d)
        self.blocks = nn.ModuleList([Llama(d) for _ in range(n)])
        self.norm = RMS(d)
        self.head = nn.Linear(d, 61, bias=False)
        initialize(self, (nn.Linear, nn.Embedding), std(0.02))

    def forward(self, x):
        x = self.emb(x)
        for b in self.blocks:
            x = b(x)
        return self.head(self.norm(x))


class NextBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.dw = nn.Conv2d(c, c, 7, padding=3, groups=c)
        self.n = nn.LayerNorm(c)
        self.up, self.down = nn.Linear(c, 4 * c), nn.Linear(4 * c, c)
        self.gamma = nn.Parameter(1e-6 * torch.ones(c))

    def forward(self, x):
        y = self.n(self.dw(x).permute(0, 2, 3, 1))
        return x + (self.gamma * self.down(F.gelu(self.up(y)))).permute(0, 3, 1, 2)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Linear(64, 64)
        self.mu, self.lv = nn.Linear(64, 8), nn.Linear(64, 8)
        self.d1, self.d2 = nn.Linear(8, 64), nn.Linear(64, 64)

    def forward(self, x):
        h = F.relu(self.enc(x))
        mu, lv = self.mu(h), self.lv(h)
        z = mu + torch.randn_like(mu) * (lv / 2).exp()
        return torch.sigmoid(self.d2(F.relu(self.d1(z)))), mu, lv


class Multi(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.a, self.b = mlp([64, 64, 64], nn.ReLU), nn.Linear(64, 10), nn.Linear(64, 3)

    def forward(self, x):
        h = F.relu(self.body(x))
        return {"a": self.a(h), "b": self.b(h)}


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1, self.l2 = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x, a):
        return a @ self.l2(F.relu(a @ self.l1(x)))


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(32), nn.LayerNorm(32)
        self.t = mlp([16, 32, 16], nn.GELU)
        self.c = mlp([32, 64, 32], nn.GELU)

    def forward(self, x):
        x = x + self.t(self.n1(x).mT).mT
        return x + self.c(self.n2(x))


def vgg(c0, conf, bn, x):
    L = []
    c = c0
    for w in conf:
        if w == "M":
            L.append(nn.MaxPool2d(2))
            continue
        L += [nn.Conv2d(c, w, 3, padding=1)] + ([nn.BatchNorm2d(w)] if bn else []) + [nn.ReLU(inplace=True)]
        c = w
    return nn.Sequential(*L, nn.Flatten(), nn.LazyLinear(64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, 10))
