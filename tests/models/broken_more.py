"""Broken models of the same kinds: plain nets, outputs, recurrent nets."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.models.nets import broken, ce, data, each, img, vgg
from tests.models.zoo.models import ViT, he, initialize, mlp, patterns


class Scaled(nn.Module):
    def __init__(self, v):
        super().__init__()
        self.m = mlp([64, 64, 64, 10], nn.ReLU)
        initialize(self.m[:-1], nn.Linear, he)
        self.scale = nn.Parameter(torch.full((10,), v))

    def forward(self, x):
        return self.m(x) * self.scale


class Temp(nn.Module):
    def __init__(self):
        super().__init__()
        self.m = mlp([64, 64, 64, 10], nn.ReLU)

    def forward(self, x):
        return self.m(x) / 0.005


class MF(nn.Module):
    def __init__(self, std_):
        super().__init__()
        self.u, self.i = nn.Embedding(100, 64), nn.Embedding(50, 64)
        nn.init.normal_(self.u.weight, std=std_)
        nn.init.normal_(self.i.weight, std=std_)

    def forward(self, x):
        return (self.u(x[:, 0]) * self.i(x[:, 1])).sum(1)


class NumpyTrip(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.head = mlp([64, 64, 64], nn.ReLU), nn.Linear(64, 10)

    def forward(self, x):
        return self.head(torch.from_numpy(self.enc(x).detach().numpy()))


class VQ(nn.Module):
    def __init__(self, st):
        super().__init__()
        self.enc, self.code, self.dec = (
            mlp([64, 64, 16], nn.ReLU),
            nn.Embedding(32, 16),
            mlp([16, 64, 64], nn.ReLU),
        )
        self.st = st

    def forward(self, x):
        z = self.enc(x)
        q = self.code(torch.cdist(z, self.code.weight).argmin(1))
        if self.st:
            return self.dec(z + (q - z).detach()), ((q - z.detach()) ** 2).mean() + 0.25 * (
                (q.detach() - z) ** 2
            ).mean()
        return self.dec(q), ((q - z.detach()) ** 2).mean()


class RNNC(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.rnn, self.head = k(8, 32, batch_first=True), nn.Linear(32, 5)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


@broken("weights_small", each("{}", *range(0, 40, 2)))
def leaky_default():
    x, t = data()
    return mlp([64] * 20 + [10], nn.LeakyReLU), x, t, ce


@broken("weights_small", each("{}", *range(0, 80)))
def vgg16_default():
    x, t = img(3, 32)
    m = vgg(3, [16, 16, "M", 32, 32, "M", 64, 64, 64, "M", 64, 64, 64, "M", 64, 64, 64, "M"], False, x)
    m(x)
    return m, x, t, ce


@broken("weights_large", each("{}", *range(0, 40, 2)))
def elu_large():
    x, t = data()
    return (
        initialize(
            mlp([64] + [100] * 12 + [10], nn.ELU),
            nn.Linear,
            lambda w: nn.init.normal_(w, std=(6 / w.shape[1]) ** 0.5),
        ),
        x,
        t,
        ce,
    )


@broken("wrong_fan", each("{}", *range(0, 40, 2)))
def conv3d_kernel():
    x, t = torch.randn(8, 2, 8, 8, 8), torch.arange(8) % 4
    L = []
    c = 2
    for w in (8, 8, 16, 16):
        L += [nn.Conv3d(c, w, 3, padding=1), nn.ReLU()]
        c = w
    m = nn.Sequential(*L, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(16, 4))
    initialize(m[:-1], nn.Conv3d, lambda w: nn.init.normal_(w, std=(2 / w.shape[1]) ** 0.5))
    return m, x, t, ce


@broken("wrong_fan", each("{}", *range(0, 40, 2)))
def decoder_fans():
    x, t = data(16)
    m = mlp([16, 64, 256, 1024, 1024, 10], nn.ReLU)
    initialize(m[:-1], nn.Linear, lambda w: nn.init.normal_(w, std=(2 / w.shape[0]) ** 0.5))
    return m, x, t, ce


@broken({"wrong_fan", "weights_small"}, each("{}", *range(0, 40, 2)))
def convT_he():
    z = torch.randn(16, 64, 2, 2)
    m = nn.Sequential(
        nn.ConvTranspose2d(64, 64, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 64, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 64, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 64, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 3, 4, 2, 1),
    )
    initialize(m, nn.ConvTranspose2d, he)
    for layer in m[:-1:2]:
        layer.weight.data *= 0.1
    return m, z, torch.randn(16, 3, 64, 64), F.mse_loss


@broken("scale_zero", {"norm"})
def vit_norm_zero():
    x, t = img()
    m = ViT()
    nn.init.zeros_(m.norm.weight)
    return m, x, t, ce


@broken("output_scale", {"", "m.4"})
def logit_scale_param():
    x, t = data()
    return Scaled(100.0), x, t, ce


@broken("output_scale", {"", "m.4"})
def logit_temperature():
    x, t = data()
    return Temp(), x, t, ce


@broken("output_scale", {"u", "i"})
def mf_default():
    x = torch.stack([torch.randint(100, (256,)), torch.randint(50, (256,))], 1)
    return MF(1.0), x, torch.randint(2, (256,)).float(), F.binary_cross_entropy_with_logits


@broken("detached", {"enc", "enc.0", "enc.2"})
def numpy_trip():
    x, t = data()
    return NumpyTrip(), x, t, ce


@broken("detached", {"enc", "enc.0", "enc.2"})
def vq_no_straight_through():
    x, _t = data()
    return VQ(False), x, x, lambda o, t: F.mse_loss(o[0], t) + o[1]


@broken("weights_identical", {"rnn"})
def lstm_constant():
    x, t = patterns(60, (20, 8), 5)
    m = RNNC(nn.LSTM)
    for p in m.rnn.parameters():
        nn.init.constant_(p, 0.05)
    nn.init.constant_(m.head.weight, 0.05)
    return m, x, t, ce


@broken("weights_identical", {"rnn"})
def rnn_constant():
    x, t = patterns(60, (20, 8), 5)
    m = RNNC(nn.RNN)
    for p in m.rnn.parameters():
        nn.init.constant_(p, 0.05)
    nn.init.constant_(m.head.weight, 0.05)
    return m, x, t, ce


@broken({"weights_large", "saturated"}, {"rnn"})
def gru_large():
    x, t = patterns(60, (20, 8), 5)
    m = RNNC(nn.GRU)
    for p in m.rnn.parameters():
        nn.init.normal_(p, std=2.0)
    return m, x, t, ce
