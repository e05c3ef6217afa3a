"""Healthy models with what lists of symptoms complain about: the rest."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.models.healthy_nets import resnet_bn
from tests.models.nets import GCN, VAE, LlamaLM, Mixer, Multi, NextBlock, Towers, ce, data, healthy, img, std
from tests.models.zoo.models import GPT, he, initialize, mlp, patterns, sentences, token_loss


@healthy
def half_mlp():
    x, t = data()
    m = mlp([64] + [128] * 4 + [10], nn.ReLU)
    initialize(m[:-1], nn.Linear, he)
    return m.half(), x.half(), t, lambda o, t: ce(o.float(), t)


@healthy
def bf16_gpt():
    x, t = sentences(16, 16, 61)
    return GPT(4, 64, 61, 16, True).bfloat16(), x, t, lambda o, t: token_loss(o.float(), t)


@healthy
def llama():
    x, t = sentences(16, 16, 61)
    return LlamaLM(), x, t, token_loss


@healthy
def convnext():
    x, t = img()
    return (
        nn.Sequential(
            nn.Conv2d(3, 24, 4, stride=4),
            *[NextBlock(24) for _ in range(6)],
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.LayerNorm(24),
            nn.Linear(24, 10),
        ),
        x,
        t,
        ce,
    )


@healthy
def weight_normed():
    x, t = data()
    m = mlp([64, 128, 128, 10], nn.ReLU)
    initialize(m, nn.Linear, he)
    for i in (0, 2):
        nn.utils.parametrizations.weight_norm(m[i])
    return m, x, t, ce


@healthy
def spectral():
    x, _ = img()
    m = nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 16, 4, 2, 1)),
        nn.LeakyReLU(0.2),
        nn.utils.parametrizations.spectral_norm(nn.Conv2d(16, 32, 4, 2, 1)),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(512, 1),
    )
    return m, x, torch.randint(2, (32, 1)).float(), F.binary_cross_entropy_with_logits


@healthy
def vae():
    x = torch.rand(64, 64)
    return (
        VAE(),
        x,
        x,
        lambda o, t: F.binary_cross_entropy(o[0], t) + (-0.5 * (1 + o[2] - o[1] ** 2 - o[2].exp())).mean(),
    )


@healthy
def tabular_bn_first():
    x = torch.randn(64, 12) * torch.logspace(0, 5, 12) + 1000
    return (
        nn.Sequential(nn.BatchNorm1d(12), nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 1)),
        x,
        torch.randn(64, 1),
        F.mse_loss,
    )


@healthy
def onehot():
    t = torch.randint(500, (64,))
    return mlp([500, 64, 64, 10], nn.ReLU), F.one_hot(t, 500).float(), t % 10, ce


@healthy
def one_head_in_loss():
    x, t = data()
    return Multi(), x, t, lambda o, t: ce(o["a"], t)


@healthy
def towers():
    m = Towers()
    initialize(m.b, nn.Linear, he)
    return m, (torch.randn(64, 32), torch.randn(64, 32)), torch.arange(64) % 5, ce


@healthy
def log_softmax_nll():
    x, t = data()
    return nn.Sequential(*mlp([64, 128, 10], nn.ReLU), nn.LogSoftmax(1)), x, t, F.nll_loss


@healthy
def trained():
    x, t = data(count=256)
    m = mlp([64, 128, 128, 10], nn.ReLU)
    o = torch.optim.Adam(m.parameters(), 1e-2)
    for _ in range(150):
        o.zero_grad()
        ce(m(x), t).backward()
        o.step()
    return m, x, t, ce


@healthy
def trained_resnet():
    x, t = img(count=64)
    m = resnet_bn()[0]
    o = torch.optim.Adam(m.parameters(), 1e-3)
    for _ in range(6):
        o.zero_grad()
        ce(m(x), t).backward()
        o.step()
    return m, x, t, ce


@healthy
def gcn():
    a = (torch.rand(50, 50) < 0.1).float() + torch.eye(50)
    a = a / a.sum(1, keepdim=True)
    return GCN(), (torch.randn(50, 16), a), torch.arange(50) % 4, ce


@healthy
def mixer():
    x, t = patterns(32, (16, 32), 10)
    return (
        nn.Sequential(*[Mixer() for _ in range(6)], nn.LayerNorm(32), nn.Flatten(), nn.Linear(512, 10)),
        x,
        t,
        ce,
    )


@healthy
def autoencoder_default():
    x = torch.rand(64, 1, 16, 16)
    return (
        nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 8, 2, 2),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 2, 2),
            nn.Sigmoid(),
        ),
        x,
        x,
        F.mse_loss,
    )


@healthy
def dcgan_g():
    z = torch.randn(16, 32, 1, 1)
    m = nn.Sequential(
        nn.ConvTranspose2d(32, 64, 4, 1, 0, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(True),
        nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(True),
        nn.ConvTranspose2d(32, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    initialize(m, nn.ConvTranspose2d, std(0.02))
    return m, z, None, None


@healthy
def rnn_tanh():
    x, t = patterns(60, (20, 8), 5)

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.r, self.h = nn.RNN(8, 48, batch_first=True), nn.Linear(48, 5)

        def forward(self, x):
            return self.h(self.r(x)[1][-1])

    return M(), x, t, ce


@healthy
def gru_cell_loop():
    x, t = patterns(60, (20, 8), 5)

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.r, self.h = nn.GRUCell(8, 48), nn.Linear(48, 5)

        def forward(self, x):
            h = torch.zeros(len(x), 48)
            for i in range(20):
                h = self.r(x[:, i], h)
            return self.h(h)

    return M(), x, t, ce


@healthy
def lora_like():
    x, t = data()

    class L(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Linear(64, 64)
            self.A, self.B = nn.Linear(64, 4, bias=False), nn.Linear(4, 64, bias=False)
            nn.init.zeros_(self.B.weight)
            self.base.requires_grad_(False)

        def forward(self, x):
            return self.base(x) + self.B(self.A(x))

    return nn.Sequential(L(), nn.ReLU(), L(), nn.ReLU(), nn.Linear(64, 10)), x, t, ce


@healthy
def gpt_xavier_deep():
    x, t = sentences(8, 16, 61)
    m = GPT(12, 64, 61, 16, False)
    initialize(m, nn.Linear, nn.init.xavier_uniform_)
    m.head.weight.data *= 0.1
    return m, x, t, token_loss
