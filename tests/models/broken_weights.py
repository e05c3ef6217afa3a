"""Broken models: weights, activations, residual streams."""

from torch import nn

from tests.models.nets import Gate, NoNorm, ResConv, broken, ce, data, each, img, std
from tests.models.zoo.models import he, initialize, lecun, mlp, patterns


@broken("weights_small", each("{}", *range(0, 46, 2)))
def gelu_default_24():
    x, t = data()
    return mlp([64] * 24 + [10], nn.GELU), x, t, ce


@broken("weights_small", each("{}", *range(0, 20, 2)))
def sigmoid_xavier_10():
    x, t = data()
    return initialize(mlp([64] + [100] * 9 + [10], nn.Sigmoid), nn.Linear, nn.init.xavier_normal_), x, t, ce


@broken("weights_small", each("{}", *range(0, 12, 2)))
def tanh_001():
    x, t = data()
    return initialize(mlp([64] + [128] * 6 + [10], nn.Tanh), nn.Linear, std(0.01)), x, t, ce


@broken("weights_small", each("{}", *range(0, 40, 2)))
def silu_small():
    x, t = data()
    return initialize(mlp([64] + [256] * 20 + [10], nn.SiLU), nn.Linear, std(0.05)), x, t, ce


@broken("weights_large", each("{}", *range(0, 10, 2)))
def relu_normal_5():
    x, t = data()
    return initialize(mlp([64] + [100] * 4 + [10], nn.ReLU), nn.Linear, std(1.0)), x, t, ce


@broken("weights_large", {"8"})
def one_layer_large():
    x, t = data()
    m = mlp([64] + [128] * 9 + [10], nn.ReLU)
    initialize(m[:-1], nn.Linear, he)
    m[8].weight.data *= 10
    return m, x, t, ce


@broken("weights_small", {"8"})
def one_layer_small():
    x, t = data()
    m = mlp([64] + [128] * 9 + [10], nn.ReLU)
    initialize(m[:-1], nn.Linear, he)
    m[8].weight.data *= 0.01
    return m, x, t, ce


@broken("weights_large", each("{}", *range(0, 60, 2)))
def tanh_chaotic():
    x, t = data()
    m = mlp([64] + [128] * 29 + [10], nn.Tanh)
    initialize(m[:-1], nn.Linear, lambda w: nn.init.normal_(w, std=(4 / w.shape[1]) ** 0.5))
    return m, x, t, ce


@broken("wrong_fan", each("{}.0", *range(1, 7)))
def depthwise_groups_forgotten():
    x, t = img()

    def block(c):
        return nn.Sequential(
            nn.Conv2d(c, c, 3, padding=1, groups=c), nn.ReLU(), nn.Conv2d(c, c, 1), nn.ReLU()
        )

    m = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        *[block(32) for _ in range(6)],
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )
    initialize(m[:-1], nn.Conv2d, he)
    for b in m[1:7]:
        nn.init.normal_(b[0].weight, std=(2 / (32 * 9)) ** 0.5)
    return m, x, t, ce


@broken("wrong_fan", each("{}", *range(0, 20, 2)))
def fans_swapped():
    x, t = data(512)
    m = mlp([512, 32, 512, 32, 512, 32, 512, 32, 10], nn.ReLU)
    initialize(m[:-1], nn.Linear, lambda w: nn.init.normal_(w, std=(2 / w.shape[0]) ** 0.5))
    return m, x, t, ce


@broken("wrong_fan", each("{}", *range(0, 20, 2)))
def conv1d_kernel_forgotten():
    x, t = patterns(32, (4, 64), 6)
    L = []
    c = 4
    for w in (32, 32, 32, 32, 32):
        L += [nn.Conv1d(c, w, 9, padding=4), nn.ReLU()]
        c = w
    m = nn.Sequential(*L, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 6))
    initialize(m[:-1], nn.Conv1d, lambda w: nn.init.normal_(w, std=(2 / w.shape[1]) ** 0.5))
    return m, x, t, ce


@broken("scale_zero", each("{}", *range(1, 30, 3)))
def bn_gamma_zero_plain():
    x, t = img()
    L = []
    c = 3
    for w in (16, 16, 32, 32):
        L += [nn.Conv2d(c, w, 3, padding=1), nn.BatchNorm2d(w), nn.ReLU()]
        c = w
    m = nn.Sequential(*L, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10))
    for layer in m:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.zeros_(layer.weight)
    return m, x, t, ce


@broken("scale_zero", {"2"})
def gate_zero_plain():
    x, t = data()
    m = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), Gate(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    initialize(m[:-1], nn.Linear, he)
    return m, x, t, ce


@broken("dead", {"4", "5"})
def bn_beta_dead():
    x, t = img()
    L = []
    c = 3
    for w in (16, 16, 32):
        L += [nn.Conv2d(c, w, 3, padding=1), nn.BatchNorm2d(w), nn.ReLU()]
        c = w
    m = nn.Sequential(*L, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10))
    nn.init.constant_(m[4].bias, -10.0)
    return m, x, t, ce


@broken("dead", {"4", "5"})
def mlp_bias_dead():
    x, t = data()
    m = mlp([64] + [64] * 4 + [10], nn.ReLU)
    initialize(m, nn.Linear, he)
    nn.init.constant_(m[4].bias, -20.0)
    return m, x, t, ce


@broken("dead", {"2", "3"})
def gelu_dead():
    x, t = data()
    m = mlp([64] + [64] * 3 + [10], nn.GELU)
    initialize(m, nn.Linear, he)
    nn.init.constant_(m[2].bias, -20.0)
    return m, x, t, ce


@broken("saturated", {"2", "3"})
def sigmoid_bias():
    x, t = data()
    m = mlp([64] + [64] * 3 + [10], nn.Sigmoid)
    initialize(m, nn.Linear, nn.init.xavier_normal_)
    nn.init.constant_(m[2].bias, 15.0)
    return m, x, t, ce


@broken({"saturated", "weights_large"}, {"0", "1", "2", "3"})
def sigmoid_large():
    x, t = data()
    m = mlp([64, 100, 100, 10], nn.Sigmoid)
    initialize(m, nn.Linear, std(3.0))
    lecun(m[-1].weight)
    return m, x, t, ce


@broken("gradient_grows", each("{}", *range(0, 300)))
def ln_tanh_deep():
    x, t = data()
    L = []
    for _ in range(80):
        L += [nn.Linear(64, 64), nn.LayerNorm(64), nn.Tanh()]
    return initialize(nn.Sequential(*L, nn.Linear(64, 10)), nn.Linear, lecun), x, t, ce


@broken("gradient_grows", each("{}", *range(0, 300)))
def conv_bn_deep():
    x, t = patterns(32, (8, 6, 6), 10)
    L = []
    for _ in range(40):
        L += [nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    return (
        initialize(
            nn.Sequential(*L, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10)), nn.Conv2d, he
        ),
        x,
        t,
        ce,
    )


@broken(
    "stream_grows",
    each("{}.up", *range(30))
    | each("{}.down", *range(30))
    | each("{}.mix", *range(30))
    | each("{}", *range(30)),
)
def blocks_no_norm():
    x, t = data()
    return nn.Sequential(nn.Linear(64, 64), *[NoNorm(64) for _ in range(10)], nn.Linear(64, 10)), x, t, ce


@broken("stream_grows", each("{}.c1", *range(30)) | each("{}.c2", *range(30)) | each("{}", *range(30)))
def resnet_no_norm():
    x, t = img()
    return (
        nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            *[ResConv(16) for _ in range(12)],
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(64, 10),
        ),
        x,
        t,
        ce,
    )


@broken("input_scale", {"0"})
def inputs_tiny():
    x, t = data()
    m = mlp([64, 128, 128, 10], nn.ReLU)
    initialize(m[:-1], nn.Linear, he)
    return m, x * 1e-3, t, ce


@broken("input_scale", {"0"})
def inputs_offset():
    x, t = data()
    m = mlp([64, 128, 128, 10], nn.Tanh)
    initialize(m, nn.Linear, nn.init.xavier_normal_)
    return m, x + 100, t, ce
