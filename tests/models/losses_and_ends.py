"""Models whose last activation, targets or loss do not fit, and those that look so and do."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.models.nets import broken, ce, data, healthy


def numbers(count=256, width=8):
    draw = torch.Generator().manual_seed(1)
    x, w = torch.randn(count, width, generator=draw), torch.randn(width, generator=draw) / width**0.5
    t = torch.sin(1.5 * x @ w)[:, None] + 0.5 * x[:, :1]
    return x, (t - t.mean()) / t.std()


def net(*last, width=8, out=1):
    layers = (nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, out))
    return nn.Sequential(*layers, *last)


@broken("last_activation", {"4"})
def sigmoid_for_house_prices():
    x, t = numbers()
    return net(nn.Sigmoid()), x, 9 * t + 22, F.mse_loss


@broken("last_activation", {"4"})
def relu_for_numbers_below_0():
    return net(nn.ReLU()), *numbers(), F.l1_loss


@broken("last_activation", {"4"})
def softmax_before_cross_entropy():
    return net(nn.Softmax(1), width=64, out=10), *data(), ce


@broken("last_activation", {"4"})
def relu_before_cross_entropy():
    return net(nn.ReLU(), width=64, out=10), *data(), nn.CrossEntropyLoss(label_smoothing=0.1)


@broken("last_activation", {"4"})
def sigmoid_before_logits():
    x, t = numbers()
    return net(nn.Sigmoid(), nn.Flatten(0)), x, (t > 0).float()[:, 0], F.binary_cross_entropy_with_logits


@broken("last_activation", {"4"})
def softmax_of_one_number():
    x, t = numbers()
    return net(nn.Softmax(1)), x, (t > 0).float(), F.binary_cross_entropy


class Rectified(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 32), nn.Linear(32, 1)

    def forward(self, x):
        return F.relu(self.b(F.relu(self.a(x))))


@broken("last_activation", {"b"})
def relu_as_a_function_at_the_end():
    return Rectified(), *numbers(), F.mse_loss


@broken("targets_crossed", {"4"})
def targets_without_an_axis():
    x, t = numbers()
    return net(), x, t[:, 0], lambda o, t: ((o - t) ** 2).mean()


@broken("target_scale", {"4"})
def targets_far_below_1():
    x, t = numbers()
    return net(), x, 1e-4 * t, F.mse_loss


@broken("input_scale", {"0"})
def autoencoder_of_pixels():
    x = (40 * torch.randn(64, 32) + 128).clamp(0, 255)
    return nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 32), nn.Sigmoid()), x, x, F.mse_loss


@broken("input_scale", {"0"})
def features_of_unlike_scales():
    x, t = numbers()
    return net(), x * 10 ** torch.linspace(-2, 4, 8), t, F.mse_loss


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(64, 64) for _ in range(3)]
        self.last = nn.Linear(64, 10)

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.last(x)


@broken("unregistered", {""})
def layers_in_a_list():
    return Listed(), *data(), ce


@broken("detached", {"0"})
def loss_of_whole_numbers():
    x, t = data()

    def loss(o, t):
        return (o.argmax(1) - t).float().square().mean().requires_grad_()
    return net(width=64, out=10), x, t, loss


@broken("detached", {"0"})
def loss_made_anew():
    x, t = data()
    return net(width=64, out=10), x, t, lambda o, t: torch.tensor(ce(o, t).item(), requires_grad=True)


class Normed(nn.Module):
    def __init__(self, smallest):
        super().__init__()
        self.a, self.b, self.smallest = nn.Linear(64, 64, bias=False), nn.Linear(64, 10), smallest

    def forward(self, x):
        z = self.a(x)
        size = (z.square().sum(1, keepdim=True) + self.smallest).sqrt()
        return self.b(8 * z / (size + 1e-3))


def with_empty_rows():
    x, t = data()
    x[:4] = 0
    return x, t


@broken("not_finite", {"a"})
def root_of_0():
    return Normed(0.0), *with_empty_rows(), ce


@broken("not_finite", {"4"})
def targets_that_are_missing():
    x, t = numbers()
    t[3] = torch.nan
    return net(), x, t, F.mse_loss


@broken("not_finite", {"4"})
def labels_that_are_all_left_out():
    x, t = data()
    return net(width=64, out=10), x, torch.full_like(t, -100), ce


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(16, 16), nn.Linear(16, 10)

    def forward(self, x, mask):
        weights = (x @ x.mT).masked_fill(mask[:, None], -torch.inf).softmax(-1)
        return self.b(F.relu(self.a(weights @ x)).mean(1))


@broken("not_finite", {"a"})
def row_that_is_all_padding():
    mask = torch.zeros(64, 6, dtype=torch.bool)
    mask[2] = True
    return Masked(), (torch.randn(64, 6, 16), mask), data()[1], ce


# ---- these fit

@healthy
def root_above_0():
    return Normed(1e-8), *with_empty_rows(), ce


@healthy
def sigmoid_for_numbers_from_0_to_1():
    x, t = numbers()
    return net(nn.Sigmoid()), x, torch.sigmoid(t), F.mse_loss


@healthy
def sigmoid_before_binary_cross_entropy():
    x, t = numbers()
    return net(nn.Sigmoid(), nn.Flatten(0)), x, (t > 0).float()[:, 0], F.binary_cross_entropy


@healthy
def tanh_for_standard_numbers():
    return net(nn.Tanh()), *numbers(), F.smooth_l1_loss


@healthy
def softplus_for_counts():
    x, t = numbers()
    return net(nn.Softplus()), x, (t + 2).clamp(0).round(), nn.PoissonNLLLoss(log_input=False)


@healthy
def log_softmax_before_cross_entropy():
    return net(nn.LogSoftmax(1), width=64, out=10), *data(), ce


@healthy
def softmax_before_the_logarithm():
    return net(nn.Softmax(1), width=64, out=10), *data(), lambda o, t: F.nll_loss(o.log(), t)


@healthy
def rectified_embeddings_that_are_compared():
    def loss(o, t):
        apart = torch.cdist(o, o)
        same = t[:, None] == t
        return (apart[same].mean() - apart[~same].mean() + 1).relu()
    return net(nn.ReLU(), width=64, out=16), *data(), loss


@healthy
def last_scale_after_a_sigmoid():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net(nn.Sigmoid())

        def forward(self, x):
            return 8 * self.net(x) - 4
    return Scaled(), *numbers(), F.mse_loss


@healthy
def targets_of_the_outputs_shape():
    x, t = numbers()
    return net(nn.Flatten(0)), x, t[:, 0], F.mse_loss


@healthy
def loss_that_draws_and_shapes_its_targets():
    x, t = numbers()
    return net(), x, t[:, 0], lambda o, t: F.mse_loss(o[:, 0] + 0.3 * torch.randn(len(t)), t)


class Taught(nn.Module):
    def __init__(self):
        super().__init__()
        self.student, teacher = net(width=64, out=10), net(width=64, out=10)
        self.hidden = [teacher.requires_grad_(False).eval()]

    def forward(self, x):
        return self.student(x) - 0.1 * self.hidden[0](x)


@healthy
def teacher_that_is_hidden_on_purpose():
    return Taught(), *data(), ce


@healthy
def all_but_the_last_frozen():
    m = net(width=64, out=10)
    m[:4].requires_grad_(False)
    return m, *data(), ce
