"""Healthy models with what lists of symptoms complain about: plain nets and convolutions."""

import torch
from torch import nn

from tests.models.nets import LM, MB, Dense, Enc, FixupBlock, ResConv, UNet, ce, data, healthy, img, std, vgg
from tests.models.zoo.models import he, initialize, lecun, mlp, sentences, token_loss


@healthy
def mlp3_default():
    x, t = data()
    return mlp([64, 128, 128, 10], nn.ReLU), x, t, ce


@healthy
def mlp5_default():
    x, t = data()
    return mlp([64, 128, 128, 128, 128, 10], nn.ReLU), x, t, ce


@healthy
def lenet():
    x, t = img(1, 28)
    return (
        nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, 10),
        ),
        x,
        t,
        ce,
    )


@healthy
def lenet_tanh_pixels01():
    _x, t = img(1, 28)
    return (
        nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.Tanh(),
            nn.Linear(120, 84),
            nn.Tanh(),
            nn.Linear(84, 10),
        ),
        torch.rand(32, 1, 28, 28),
        t,
        ce,
    )


@healthy
def vgg16_bn():
    x, t = img(3, 32)
    m = vgg(3, [16, 16, "M", 32, 32, "M", 64, 64, 64, "M", 64, 64, 64, "M", 64, 64, 64, "M"], True, x)
    m(x)
    return m, x, t, ce


@healthy
def vgg16_fanout():
    x, t = img(3, 32)
    m = vgg(3, [16, 16, "M", 32, 32, "M", 64, 64, 64, "M", 64, 64, 64, "M", 64, 64, 64, "M"], False, x)
    m(x)
    initialize(m, nn.Conv2d, lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"))
    initialize(m, nn.Linear, std(0.01))
    return m, x, t, ce


@healthy
def encoder_postnorm():
    x, t = sentences(16, 16, 61)
    return Enc(False), x, t, token_loss


@healthy
def encoder_prenorm():
    x, t = sentences(16, 16, 61)
    return Enc(True), x, t, token_loss


@healthy
def gru_default():
    x, t = sentences(16, 16, 61)
    return LM(nn.GRU), x, t, token_loss


@healthy
def lstm_lm():
    x, t = sentences(16, 16, 61)
    return LM(), x, t, token_loss


@healthy
def unet():
    return UNet(), torch.randn(8, 3, 16, 16), torch.randint(2, (8, 16, 16)), ce


@healthy
def unet_nobn():
    return UNet(False), torch.randn(8, 3, 16, 16), torch.randint(2, (8, 16, 16)), ce


@healthy
def densenet():
    x, t = img()
    return Dense(), x, t, ce


@healthy
def mobilenet_se():
    x, t = img()
    return (
        nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2),
            nn.BatchNorm2d(16),
            nn.Hardswish(),
            *[MB(16) for _ in range(5)],
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(16, 10),
        ),
        x,
        t,
        ce,
    )


@healthy
def selu_20():
    x, t = data()
    return initialize(mlp([64] + [100] * 20 + [10], nn.SELU), nn.Linear, lecun), x, t, ce


@healthy
def tanh_xavier_50():
    x, t = data()
    return initialize(mlp([64] + [100] * 50 + [10], nn.Tanh), nn.Linear, nn.init.xavier_normal_), x, t, ce


@healthy
def orthogonal_linear():
    x, t = data()
    return initialize(mlp([64] * 30 + [10], nn.Identity), nn.Linear, nn.init.orthogonal_), x, t, ce


@healthy
def orthogonal_gain_tanh():
    x, t = data()
    return (
        initialize(
            mlp([64] + [64] * 20 + [10], nn.Tanh), nn.Linear, lambda w: nn.init.orthogonal_(w, gain=1.1)
        ),
        x,
        t,
        ce,
    )


@healthy
def gelu_he_20():
    x, t = data()
    return initialize(mlp([64] + [128] * 20 + [10], nn.GELU), nn.Linear, he), x, t, ce


@healthy
def sigmoid_small():
    x, t = data()
    return mlp([64, 30, 10], nn.Sigmoid), x, t, ce


@healthy
def frozen_bn():
    x, t = img()
    m = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        *[ResConv(16, True) for _ in range(8)],
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    for _ in range(15):
        m(x)
    return m.eval(), x, t, ce


@healthy
def frozen_encoder():
    x, t = img()
    m = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 196, 10),
    )
    m[:4].requires_grad_(False)
    return m, x, t, ce


@healthy
def fixup():
    x, t = img()
    m = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        *[FixupBlock(16) for _ in range(8)],
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    nn.init.zeros_(m[-1].weight)
    nn.init.zeros_(m[-1].bias)
    return m, x, t, ce


@healthy
def resnet_bn():
    x, t = img()
    return (
        nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            *[ResConv(16, True) for _ in range(16)],
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(64, 10),
        ),
        x,
        t,
        ce,
    )


@healthy
def zero_head():
    x, t = data()
    m = mlp([64, 128, 128, 10], nn.ReLU)
    initialize(m, nn.Linear, he)
    nn.init.zeros_(m[4].weight)
    return m, x, t, ce


@healthy
def softmax_regression_zero():
    x, t = data()
    m = nn.Linear(64, 10)
    nn.init.zeros_(m.weight)
    nn.init.zeros_(m.bias)
    return m, x, t, ce
