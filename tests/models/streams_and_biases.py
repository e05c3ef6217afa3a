"""Models whose streams lose the gradient, grow or are buried, whose biases drown the inputs, and others."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.models.healthy_rest import siamese_shared
from tests.models.nets import Enc, broken, ce, data, each, healthy, std
from tests.models.zoo.models import he, initialize, mlp, sentences, token_loss


class Block(nn.Module):
    """A block of layers ``a``, ``b`` … whose function is ``way(x, a, b, …)``."""

    def __init__(self, way, layers, width=64):
        super().__init__()
        self.way = way
        for name in layers:
            setattr(self, name, nn.Linear(width, width))

    def forward(self, x):
        return self.way(x, *self.children())


def blocks(count, way, layers="a", rule=he):
    m = nn.Sequential(*[Block(way, layers) for _ in range(count)], nn.Linear(64, 10))
    initialize(m, nn.Linear, rule)
    return m, *data(), ce


def highway(x, a, gate):
    opened = torch.sigmoid(gate(x))
    return opened * F.relu(a(x)) + (1 - opened) * x


@broken("weights_small", each("{}.a", *range(32)))
def stream_halved():
    return blocks(32, lambda x, a: (x + F.relu(a(x))) / 2)


@broken("weights_small", each("{}.b", *range(32)))
def stream_halved_after_two_layers():
    return blocks(32, lambda x, a, b: 0.5 * x + 0.5 * b(F.relu(a(x))), "ab")


@broken("weights_small", each("{}.a", *range(16)) | each("{}.b", *range(16)))
def stream_mean_of_three():
    return blocks(16, lambda x, a, b: (x + F.relu(a(x)) + F.relu(b(x))) / 3, "ab")


@broken("weights_small", each("{}.b", *range(32)))
def stream_with_a_factor():
    return blocks(32, lambda x, a, b: 0.6 * x + b(F.gelu(a(x))) / 2, "ab")


@broken("weights_small", each("{}.a", *range(24)))
def highway_half_open():
    return blocks(24, highway, "ag")


@broken("stream_grows", each("{}.a", *range(16)) | each("{}.b", *range(16)))
def parallel_branches_grow():
    return blocks(16, lambda x, a, b: x + F.relu(a(x)) + F.relu(b(x)), "ab")


@broken("stream_grows", each("{}.a", *range(16)) | each("{}.b", *range(16)))
def summed_branches_grow():
    return blocks(16, lambda x, a, b: x + (F.relu(a(x)) + F.relu(b(x))), "ab")


@broken("bias_large", each("{}", *range(0, 40, 2)))
def leaky_with_biases_below_zero():
    x, t = data()
    m = mlp([64] * 20 + [10], nn.LeakyReLU)
    initialize(m, nn.Linear, he)
    for layer in m[::2]:
        nn.init.constant_(layer.bias, -1.0)
    return m, x, t, ce


@broken("bias_large", each("{}", *range(0, 90, 3)))
def normalized_with_random_biases():
    x, t = data()
    m = nn.Sequential(*[part for _ in range(30) for part in (nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU())],
                      nn.Linear(64, 10))
    initialize(m, nn.Linear, he)
    for layer in m[::3]:
        std(1.5)(layer.bias)
    return m, x, t, ce


@broken("weights_small", each("{}", *range(0, 60, 2)))
def one_layer_even_smaller_than_all_others():
    x, t = data()
    m = mlp([64] * 30 + [10], nn.ReLU)
    m[0].weight.data *= 0.03
    m[0].bias.data *= 0.03
    return m, x, t, ce


@broken({"weights_large", "wrong_fan"}, each("{}", *range(0, 60, 2)))
def one_layer_even_larger_than_all_others():
    x, t = data()
    m = mlp([64] * 30 + [10], nn.ReLU)
    initialize(m, nn.Linear, std(0.25))
    m[8].weight.data *= 10
    return m, x, t, ce


@broken("output_scale", {"e.2"})
def distances_of_large_outputs():
    m, *rest = siamese_shared()
    m.e[2].weight.data *= 100
    return m, *rest


@healthy
def learnt_by_heart():
    x, _ = data()
    m = mlp([64, 64, 10], nn.ReLU)
    m[2].bias.data[0] = 300.0
    return m, x, torch.zeros(len(x), dtype=torch.long), ce


@healthy
def highway_nearly_shut():
    model, *rest = blocks(24, highway, "ag")
    for block in model[:-1]:
        nn.init.constant_(block.g.bias, -3.0)
    return model, *rest


@healthy
def stream_halved_and_branches_larger():
    return blocks(20, lambda x, a, b: (x + 3**0.5 * b(F.relu(a(x)))) / 2, "ab", std(0.15))


@healthy
def biases_of_a_tenth():
    x, t = data()
    m = mlp([64] * 12 + [10], nn.ReLU)
    initialize(m, nn.Linear, he)
    for layer in m[::2]:
        nn.init.constant_(layer.bias, 0.1)
    return m, x, t, ce


@healthy
def head_that_knows_how_rare_each_class_is():
    x, t = data()
    m = mlp([64, 64, 64, 10], nn.ReLU)
    initialize(m[:-1], nn.Linear, he)
    std(0.01)(m[-1].weight)
    m[-1].bias.data = torch.linspace(-2, 2, 10)
    return m, x, t, ce


@healthy
def tanh_in_branches_of_fifty_blocks():
    return blocks(50, lambda x, a: x + torch.tanh(a(x)), rule=std(0.125))


@healthy
def sigmoid_in_branches_of_thirty_blocks():
    return blocks(30, lambda x, a: x + torch.sigmoid(a(x)), rule=std(0.125))


def encoder(before, factor):
    """An encoder with normalization before or after the sums, and all of its attention scaled."""
    m = Enc(before)
    with torch.no_grad():
        for name, p in m.named_parameters():
            if "self_attn" in name:
                p *= factor
    return m, *sentences(16, 16, 61), token_loss


@broken("weights_large", each("enc.layers.{}.self_attn", *range(6)))
def skips_buried_by_attention():
    """Eight such blocks learn nothing (loss 2.8 of 3.5 after 250 steps of Adam; .01 with the code)."""
    return encoder(False, 8)


@broken("weights_large", each("enc.layers.{}.self_attn", *range(6)))
def attention_far_too_large():
    return encoder(True, 30)
