"""Healthy models in other architectures: mixtures, custom functions, diffusion, long stacks."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.models.nets import UNet, ce, data, healthy, img
from tests.models.zoo.models import GPT, he, initialize, mlp, sentences, token_loss


@healthy
def checkpointed():
    from torch.utils.checkpoint import checkpoint

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.h = mlp([64, 64], nn.ReLU), mlp([64, 64], nn.ReLU), nn.Linear(64, 10)

        def forward(self, x):
            return self.h(
                F.relu(
                    checkpoint(
                        self.b, F.relu(checkpoint(self.a, x, use_reentrant=False)), use_reentrant=False
                    )
                )
            )

    x, t = data()
    return M(), x, t, ce


@healthy
def hf_like():
    class Outputs(dict):
        def __getattr__(self, k):
            return self[k]

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.e = GPT(2, 32, 61, 16, True)

        def forward(self, input_ids, labels=None):
            layer = self.e(input_ids)
            return Outputs(loss=token_loss(layer, labels), logits=layer)

    x, t = sentences(16, 16, 61)
    return M(), {"input_ids": x, "labels": t}, None, None


@healthy
def groupnorm_deep_res():
    class Bk(nn.Module):
        def __init__(self):
            super().__init__()
            self.g1, self.c1, self.g2, self.c2 = (
                nn.GroupNorm(4, 16),
                nn.Conv2d(16, 16, 3, padding=1),
                nn.GroupNorm(4, 16),
                nn.Conv2d(16, 16, 3, padding=1),
            )

        def forward(self, x):
            return x + self.c2(F.silu(self.g2(self.c1(F.silu(self.g1(x))))))

    x, t = img()
    return (
        nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            *[Bk() for _ in range(20)],
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(16, 10),
        ),
        x,
        t,
        ce,
    )


@healthy
def ddpm_unet():
    class T(nn.Module):
        def __init__(self):
            super().__init__()
            self.u = UNet()
            self.t = mlp([32, 64, 3], nn.SiLU)

        def forward(self, x, t):
            f = torch.exp(-torch.arange(16) * 0.5)
            e = torch.cat([torch.sin(t[:, None] * f), torch.cos(t[:, None] * f)], 1)
            return self.u(x + self.t(e)[:, :, None, None])

    return (
        T(),
        (torch.randn(8, 3, 16, 16), torch.randint(1000, (8,)).float()),
        torch.randn(8, 2, 16, 16),
        F.mse_loss,
    )


@healthy
def gan_d_bce():
    x = torch.randn(32, 64)
    return (
        nn.Sequential(*mlp([64, 128, 1], nn.LeakyReLU), nn.Sigmoid()),
        x,
        torch.ones(32, 1),
        F.binary_cross_entropy,
    )


@healthy
def prelu_he():
    x, t = data()
    m = mlp([64] + [64] * 10 + [10], nn.PReLU)
    initialize(m[:-1], nn.Linear, he)
    return m, x, t, ce


@healthy
def batch_of_one():
    x, t = data()
    return mlp([64, 64, 10], nn.ReLU), x[:1], t[:1], ce


@healthy
def siamese_shared():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.e = mlp([64, 64, 32], nn.ReLU)

        def forward(self, a, b):
            return (self.e(a) - self.e(b)).pow(2).sum(1)

    return (
        M(),
        (torch.randn(32, 64), torch.randn(32, 64)),
        torch.arange(32) % 2,
        lambda d, y: (y * d + (1 - y) * F.relu(1 - d)).mean(),
    )


@healthy
def deep_prenorm_xavier():
    x, t = sentences(4, 16, 61)
    m = GPT(24, 64, 61, 16, False)
    initialize(m, nn.Linear, nn.init.xavier_uniform_)
    return m, x, t, token_loss


@healthy
def inception():
    class Inception(nn.Module):
        def __init__(self, c):
            super().__init__()
            self.a, self.b, self.c = (
                nn.Conv2d(c, 8, 1),
                nn.Conv2d(c, 8, 3, padding=1),
                nn.Conv2d(c, 8, 5, padding=2),
            )
            [he(q.weight) for q in (self.a, self.b, self.c)]

        def forward(self, x):
            return F.relu(torch.cat([self.a(x), self.b(x), self.c(x)], 1))

    x, t = img()
    return (
        nn.Sequential(
            Inception(3),
            Inception(24),
            Inception(24),
            Inception(24),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(24, 10),
        ),
        x,
        t,
        ce,
    )


@healthy
def wavenet():
    """The last of its convolutions to the stream has no reader, as in the paper."""
    class WaveNet(nn.Module):
        def __init__(self, c=32, n=8):
            super().__init__()
            self.first = nn.Conv1d(1, c, 1)
            self.gated = nn.ModuleList([nn.Conv1d(c, 2 * c, 2, dilation=2 ** (i % 4), padding=2 ** (i % 4))
                                        for i in range(n)])
            self.on, self.out = (nn.ModuleList([nn.Conv1d(c, c, 1) for _ in range(n)]) for _ in range(2))
            self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(c, c, 1), nn.ReLU(), nn.Conv1d(c, 16, 1))

        def forward(self, x):
            stream, skips, steps = self.first(x), 0, x.shape[-1]
            for gated, on, out in zip(self.gated, self.on, self.out, strict=True):
                a, b = gated(stream)[..., :steps].chunk(2, 1)
                h = torch.tanh(a) * torch.sigmoid(b)
                skips, stream = skips + out(h), stream + on(h)
            return self.head(skips)

    return WaveNet(), torch.randn(4, 1, 64), torch.randint(16, (4, 64)), ce


@healthy
def efficientnet():
    """Squeeze and excitation, drawn like the other convolutions, by fan_out."""
    class Block(nn.Module):
        def __init__(self, n, m, stride=1):
            super().__init__()
            c, self.skip = 4 * n, n == m and stride == 1
            self.wide = nn.Sequential(
                nn.Conv2d(n, c, 1, bias=False), nn.BatchNorm2d(c), nn.SiLU(),
                nn.Conv2d(c, c, 3, stride, 1, groups=c, bias=False), nn.BatchNorm2d(c), nn.SiLU())
            self.gate = nn.Sequential(nn.Conv2d(c, n // 4, 1), nn.SiLU(), nn.Conv2d(n // 4, c, 1))
            self.back = nn.Sequential(nn.Conv2d(c, m, 1, bias=False), nn.BatchNorm2d(m))

        def forward(self, x):
            h = self.wide(x)
            h = self.back(h * torch.sigmoid(self.gate(h.mean((2, 3), keepdim=True))))
            return x + h if self.skip else h

    x, t = img(3, 32)
    m = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.SiLU(), Block(16, 16), Block(16, 24, 2),
        Block(24, 24), Block(24, 40, 2), Block(40, 40), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(40, 10))
    initialize(m, nn.Conv2d, lambda w: nn.init.kaiming_normal_(w, mode="fan_out"))
    return m, x, t, ce


@healthy
def stylegan():
    """Convolutions whose weights the inputs modulate, over a learnt constant."""
    class Modulated(nn.Module):
        def __init__(self, n, m):
            super().__init__()
            self.weight, self.style = nn.Parameter(torch.randn(m, n, 3, 3)), nn.Linear(32, n)
            nn.init.ones_(self.style.bias)

        def forward(self, x, z):
            w = self.weight * self.style(z)[:, None, :, None, None]
            w = w * torch.rsqrt((w**2).sum((2, 3, 4), keepdim=True) + 1e-8)
            out = F.conv2d(x.reshape(1, -1, *x.shape[2:]), w.flatten(0, 1), padding=1, groups=len(z))
            return 2**0.5 * F.leaky_relu(out.view(len(z), -1, *x.shape[2:]), 0.2)

    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.mapping, self.start = mlp([32, 32, 32], nn.ReLU), nn.Parameter(torch.randn(1, 32, 4, 4))
            self.a, self.b, self.rgb = Modulated(32, 32), Modulated(32, 16), nn.Conv2d(16, 3, 1)

        def forward(self, z):
            z = self.mapping(z)
            x = self.a(self.start.expand(len(z), -1, -1, -1), z)
            return self.rgb(self.b(F.interpolate(x, scale_factor=2), z))

    return Generator(), torch.randn(8, 32), torch.randn(8, 3, 8, 8), F.mse_loss


@healthy
def decisions():
    """Returns, states and times in one sum, drawn with .02, before a norm; the loss stands first."""
    class Decisions(nn.Module):
        def __init__(self):
            super().__init__()
            self.returns, self.states = nn.Linear(1, 64), nn.Linear(5, 64)
            self.times, self.words, self.norm = nn.Embedding(10, 64), nn.Embedding(300, 64), nn.LayerNorm(64)
            initialize(self, (nn.Linear, nn.Embedding), lambda w: nn.init.normal_(w, std=0.02))
            self.mix = nn.Linear(64, 64)

        def forward(self, returns, states, labels):
            x = self.returns(returns) + self.states(states) + self.times(torch.arange(10))
            logits = F.gelu(self.mix(self.norm(x))) @ self.words.weight.T
            return {"loss": token_loss(logits, labels), "logits": logits}

    labels = torch.randint(300, (8, 10))
    inputs = {"returns": torch.randn(8, 10, 1), "states": torch.randn(8, 10, 5), "labels": labels}
    return Decisions(), inputs, None, None


@healthy
def queries():
    """Learnt queries, through a layer of their own, over what the inputs say."""
    class Queries(nn.Module):
        def __init__(self):
            super().__init__()
            self.asked = nn.Parameter(torch.randn(6, 256))
            self.q, self.k, self.v = (nn.Linear(n, 256) for n in (256, 20, 20))
            self.head = nn.Linear(256, 5)

        def forward(self, x):
            scores = self.q(self.asked).expand(len(x), -1, -1) @ self.k(x).transpose(1, 2) / 16
            return self.head((scores.softmax(-1) @ self.v(x)).mean(1))

    m = Queries()
    nn.init.normal_(m.q.weight, std=0.1)
    return m, torch.randn(16, 30, 20), torch.arange(16) % 5, ce
