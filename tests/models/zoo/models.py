"""Small PyTorch models, broken and healthy, each as it stands before its first step of training.

Every function in `MODELS` returns (model, inputs, targets, loss) with `loss(model(inputs), targets)`.
What is wrong with them is in `truth.py`.
"""
import functools
import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

MODELS = {}


def seeded(build):
    """Draws from `seed` and leaves the caller's random numbers as they were."""
    @functools.wraps(build)
    def draw(seed=0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build()
    MODELS[build.__name__] = draw
    return draw


def patterns(count, shape, classes):
    """One random pattern a class (of 4 x 4 tiles in pictures) under as much noise, unit variance."""
    centres = torch.randn(classes, *shape)
    if len(shape) == 3:
        centres = F.interpolate(torch.randn(classes, shape[0], 4, 4), size=shape[1:])
    targets = torch.arange(count) % classes
    return (centres[targets] + torch.randn(count, *shape)) / 2**0.5, targets


def sentences(count, length, vocabulary):
    """Tokens t → 3t + 1, so that the next one follows from the last."""
    tokens = [torch.randint(vocabulary, (count,))]
    for _ in range(length):
        tokens.append((3 * tokens[-1] + 1) % vocabulary)
    tokens = torch.stack(tokens, 1)
    return tokens[:, :-1], tokens[:, 1:]


def token_loss(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def initialize(model, kinds, rule):
    for module in model.modules():
        if isinstance(module, kinds):
            rule(module.weight)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)
    return model


def he(weight):
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


def lecun(weight):
    nn.init.normal_(weight, std=weight[0].numel() ** -0.5)


def mlp(widths, activation):
    layers = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*layers[:-1])


class Attention(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class PreNormBlock(nn.Module):
    def __init__(self, width, heads, causal=False):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads, causal)
        self.norm2 = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, depth, width, vocabulary, length, tied):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*[PreNormBlock(width, 4, causal=True) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        initialize(self, (nn.Linear, nn.Embedding), lambda w: nn.init.normal_(w, std=0.02))
        for block in self.blocks:
            for last in (block.attention.proj, block.down):
                nn.init.normal_(last.weight, std=0.02 / (2 * depth) ** 0.5)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, tokens):
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        return self.head(self.norm(self.blocks(x)))


@seeded
def mlp_relu_default():
    inputs, targets = patterns(64, (64,), 10)
    return mlp([64] * 30 + [10], nn.ReLU), inputs, targets, F.cross_entropy


@seeded
def mlp_tanh_normal():
    inputs, targets = patterns(128, (30,), 27)
    model = initialize(mlp([30] + [200] * 8 + [27], nn.Tanh), nn.Linear, nn.init.normal_)
    lecun(model[-1].weight)
    return model, inputs, targets, F.cross_entropy


@seeded
def vgg_kernel_forgotten():
    inputs, targets = patterns(40, (3, 16, 16), 10)
    layers, channels = [], 3
    for width in (16, 16, 32, 32, 32, 32):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        channels = width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, 10))
    initialize(model, nn.Conv2d, lambda w: nn.init.normal_(w, std=(2 / w.shape[1]) ** 0.5))
    return model, inputs, targets, F.cross_entropy


@seeded
def gpt_last_norm_zero():
    inputs, targets = sentences(16, 16, 61)
    model = GPT(depth=4, width=64, vocabulary=61, length=16, tied=False)
    nn.init.zeros_(model.norm.weight)
    return model, inputs, targets, token_loss


@seeded
def mlp_constant():
    inputs, targets = patterns(100, (64,), 10)
    model = mlp([64, 48, 48, 48, 10], nn.Tanh)
    initialize(model, nn.Linear, lambda w: nn.init.constant_(w, 1 / w.shape[1]))
    nn.init.constant_(model[0].weight, 1 / 8)
    return model, inputs, targets, F.cross_entropy


class ResidualMLPBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        he(self.up.weight)
        lecun(self.down.weight)

    def forward(self, x):
        return x + self.down(F.relu(self.up(x)))


@seeded
def residual_without_norm():
    inputs, targets = patterns(64, (48,), 10)
    model = nn.Sequential(nn.Linear(48, 64), *[ResidualMLPBlock(64) for _ in range(24)], nn.Linear(64, 10))
    return model, inputs, targets, F.cross_entropy


@seeded
def mlp_batchnorm_deep():
    inputs, targets = patterns(64, (64,), 10)
    layers = []
    for _ in range(50):
        layers += [nn.Linear(64, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU()]
    model = initialize(nn.Sequential(*layers, nn.Linear(64, 10)), nn.Linear, he)
    return model, inputs, targets, F.cross_entropy


@seeded
def cnn_pixels():
    inputs, targets = patterns(40, (1, 16, 16), 10)
    inputs = (128 + 50 * inputs).clamp(0, 255).round()
    model = nn.Sequential(nn.Conv2d(1, 16, 3, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(),
                          nn.Flatten(), nn.Linear(800, 10))
    initialize(model[:4], nn.Conv2d, he)
    return model, inputs, targets, F.cross_entropy


@seeded
def lm_tied_embedding():
    inputs, targets = sentences(16, 16, 97)
    model = GPT(depth=2, width=128, vocabulary=97, length=16, tied=True)
    nn.init.normal_(model.tokens.weight)
    return model, inputs, targets, token_loss


class FrozenByMistake(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv1d(4, 16, 5), nn.ReLU(), nn.Conv1d(16, 8, 5), nn.ReLU(),
                                     nn.AdaptiveMaxPool1d(1), nn.Flatten())
        self.head = nn.Linear(8, 6)
        initialize(self.encoder, nn.Conv1d, he)

    def forward(self, x):
        return self.head(self.encoder(x).data)


@seeded
def encoder_detached():
    inputs, targets = patterns(60, (4, 32), 6)
    return FrozenByMistake(), inputs, targets, F.cross_entropy


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8), nn.ReLU())
        self.decoder = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 64))
        initialize(self, nn.Linear, he)
        lecun(self.decoder[2].weight)

    def forward(self, x):
        return self.decoder(self.encoder(x))


@seeded
def autoencoder_dead_code():
    inputs, _ = patterns(128, (64,), 6)
    model = Autoencoder()
    nn.init.constant_(model.encoder[2].bias, -10.0)
    return model, inputs, inputs, F.mse_loss


class GramPool(nn.Module):
    def forward(self, points):
        return (points.transpose(1, 2) @ points).flatten(1)


class PointCloud(nn.Module):
    def __init__(self):
        super().__init__()
        self.point, self.pool = initialize(mlp([3, 8, 16], nn.ReLU), nn.Linear, he), GramPool()
        self.norm, self.head = nn.LayerNorm(256), nn.Linear(256, 4)

    def forward(self, points):
        return self.head(self.norm(self.pool(self.point(points)))).float()


@seeded
def pointcloud_half():
    targets = torch.arange(8) % 4
    stretch = torch.tensor([[1.0, 1, 1], [1.5, 0.5, 0.7], [0.5, 1.5, 0.7], [0.6, 0.6, 1.5]])
    inputs = 1.5 * torch.randn(8, 16384, 3) * stretch[targets, None]
    return PointCloud().half(), inputs.half(), targets, F.cross_entropy


@seeded
def mlp_he():
    inputs, targets = patterns(64, (64,), 10)
    model = mlp([64] + [128] * 19 + [10], nn.ReLU)
    initialize(model[:-1], nn.Linear, he)
    return model, inputs, targets, F.cross_entropy


class ResidualConvBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x):
        return F.relu(x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


@seeded
def resnet_zero_gamma():
    inputs, targets = patterns(40, (3, 16, 16), 10)
    stem = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
    blocks = [ResidualConvBlock(16) for _ in range(5)]
    model = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10))
    return initialize(model, nn.Conv2d, he), inputs, targets, F.cross_entropy


@seeded
def gpt2():
    inputs, targets = sentences(16, 16, 61)
    return GPT(depth=6, width=64, vocabulary=61, length=16, tied=True), inputs, targets, token_loss


class Sine(nn.Module):
    def forward(self, x):
        return torch.sin(30 * x)


@seeded
def siren():
    inputs = torch.rand(512, 2) * 2 - 1
    targets = torch.sin(6 * inputs[:, :1]) * torch.cos(9 * inputs[:, 1:])
    model = mlp([2, 64, 64, 64, 1], Sine)
    initialize(model, nn.Linear, lambda w: nn.init.uniform_(w, -math.sqrt(6 / w.shape[1]) / 30,
                                                            math.sqrt(6 / w.shape[1]) / 30))
    nn.init.uniform_(model[0].weight, -1 / 2, 1 / 2)
    return model, inputs, targets, F.mse_loss


class ViT(nn.Module):
    def __init__(self, width=48, depth=4, classes=10):
        super().__init__()
        self.patches, self.positions = nn.Conv2d(3, width, 4, stride=4), nn.Embedding(16, width)
        self.blocks = nn.Sequential(*[PreNormBlock(width, 4) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)
        initialize(self, nn.Linear, nn.init.xavier_uniform_)
        nn.init.normal_(self.positions.weight, std=0.02)
        nn.init.normal_(self.head.weight, std=0.01)

    def forward(self, images):
        x = self.patches(images).flatten(2).transpose(1, 2) + self.positions.weight
        return self.head(self.norm(self.blocks(x)).mean(1))


@seeded
def vit_small_head():
    inputs, targets = patterns(40, (3, 16, 16), 10)
    return ViT(), inputs, targets, F.cross_entropy


class LastStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(8, 48, num_layers=2, batch_first=True, dropout=0.1), nn.Linear(48, 5)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


@seeded
def lstm_default():
    inputs, targets = patterns(60, (20, 8), 5)
    return LastStep(), inputs, targets, F.cross_entropy
