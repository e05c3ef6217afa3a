"""First losses against the sampled cross-entropy of Gaussian numbers, and of real nets."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import dblquad, quad

from vgdash.diagnosis.first_loss import cross_entropy, first_loss
from vgdash.probe.probe import ProbeParams, probe
from vgdash.theory.layerwise import predict


def losses(z):
    """ln Σ e^z of the rows."""
    top = z.max(axis=1)
    return top + np.log(np.exp(z - top[:, None]).sum(axis=1))


@pytest.mark.parametrize(("q", "classes", "nets"), [
    (1e-3, 3, 20_000), (1.0, 10, 20_000), (2.0, 10, 20_000), (173.0, 27, 20_000), (900.0, 10, 20_000),
    (768.0, 32_128, 60)])
def test_the_integral_is_the_sampled_mean(q, classes, nets):
    rng = np.random.default_rng(0)
    sample = losses(math.sqrt(q) * rng.standard_normal((nets, classes)))
    error = sample.std(ddof=1) / math.sqrt(nets)
    assert cross_entropy(q, classes) == pytest.approx(sample.mean(), abs=5 * error + 0.003 * sample.mean())


def test_no_signal_guesses_and_a_small_one_costs_half_its_variance():
    assert cross_entropy(0.0, 10) == pytest.approx(math.log(10), abs=1e-6)
    assert cross_entropy(0.01, 10) - math.log(10) == pytest.approx(0.9 * 0.01 / 2, rel=0.01)


def found(widths, activation, initializer, **more):
    p = ProbeParams(widths, activation, initializer, batch=32, **more)
    return first_loss(probe(p), predict(p))


def test_public_cases_have_the_loss_that_pytorch_has():
    makemore = found((30, 200, 27), "tanh", "standard_normal")
    assert makemore.guess == pytest.approx(3.30, abs=0.005)
    assert makemore.expected == pytest.approx(26.3, abs=0.5)
    assert makemore.measured == pytest.approx(26.3, rel=0.1)  # two nets
    assert makemore.mended - makemore.guess < 0.03
    assert 0.005 < makemore.scale < 0.03  # its author takes 0.01
    assert found((64, 64, 10), "relu", "he_normal").expected == pytest.approx(3.18, abs=0.1)
    assert found((64, *[64] * 29, 10), "relu", "he_normal").expected == pytest.approx(2.77, abs=0.2)
    assert found((768, 2048), "linear", "standard_normal").expected > 90
    assert found((64, 10), "linear", "zeros").excess == pytest.approx(0, abs=1e-6)


def test_the_last_layers_own_scale_and_bias_count_as_they_do_in_a_softmax():
    plain = found((64, 64, 10), "relu", "he_normal")
    assert found((64, 64, 10), "relu", "he_normal", last_bias=3.0).expected == pytest.approx(
        plain.expected, abs=0.02)  # the scatter of ln q is that of its sum with the bias
    scaled = found((64, 64, 10), "relu", "he_normal", last_scale=plain.scale)
    assert scaled.expected == pytest.approx(plain.mended, abs=0.003)
    assert found((64, 64, 10), "relu", "he_normal", last_scale=0.0).excess == pytest.approx(0, abs=1e-6)
    assert found((64, 64, 1), "relu", "he_normal") is None


def test_the_scatter_of_deep_nets_lowers_the_mean_loss_as_in_sampled_nets():
    nets, depth, width = 150, 30, 32
    rng, said = np.random.default_rng(1), []
    for _ in range(nets):
        a = rng.standard_normal((16, width))
        for fan_out in [width] * (depth - 1) + [10]:
            z = a @ rng.standard_normal((width, fan_out)) * math.sqrt(2 / width)
            a = np.maximum(z, 0)
        said.append(losses(z).mean())
    theory = found((width,) * depth + (10,), "relu", "he_normal").expected
    assert theory < cross_entropy(2.0, 10) - 0.1
    assert theory == pytest.approx(np.mean(said), abs=5 * np.std(said) / math.sqrt(nets))


def two_classes(q):
    """E[ln(1 + e^d)], d ~ N(0, 2q)."""
    width = math.sqrt(2 * q)
    both = quad(lambda t: (np.logaddexp(0, width * t) + np.logaddexp(0, -width * t)) * math.exp(-t * t / 2),
                0, 12, limit=400)[0]
    return both / math.sqrt(2 * math.pi)


def three_classes(q):
    """E[ln Σ e^z] in polar coordinates: z without its mean is √(2q/3) r cos(θ - 2πi/3), r of Rayleigh."""
    scale, third = math.sqrt(2 * q / 3), 2 * math.pi / 3

    def loss(angle, r):
        largest, *others = (scale * r * math.cos(angle - i * third) for i in range(3))
        return r * math.exp(-r * r / 2) * (largest + math.log1p(sum(math.exp(z - largest) for z in others)))

    return 3 / math.pi * dblquad(loss, 0, 9, 0, third / 2)[0]


def many_classes(q, classes):
    """E[max(z + G)] less that of G, with G of Gumbel's distribution, which is E[ln Σ e^z]."""
    z = np.linspace(-9, 9, 20_001)
    weights = np.exp(-z * z / 2)
    weights /= weights.sum()

    def below(x):
        return float(np.exp(-np.exp(np.minimum(math.sqrt(q) * z - x, 700))) @ weights) ** classes

    ends = np.linspace(0, 30 + 9 * math.sqrt(q), 9)
    parts = [quad(lambda x: 1 - below(x) - below(-x), *two, epsabs=1e-9)[0] for two in pairwise(ends)]
    return sum(parts) - np.euler_gamma


@pytest.mark.parametrize("q", [0.02, 0.5, 2, 10, 50, 100, 300, 784])
def test_the_integral_is_scipys_also_for_few_classes_and_large_numbers(q):
    error = 1e-7 if q < 400 else 0.003  # as LARGEST says
    assert cross_entropy(q, 2) == pytest.approx(two_classes(q), rel=error)
    assert cross_entropy(q, 3) == pytest.approx(three_classes(q), rel=error)
    assert cross_entropy(q, 10) == pytest.approx(many_classes(q, 10), rel=error)


SAMPLED = [  # widths, initializer, activation, standard deviation of the weights times √n
    ((784, 10), "standard_normal", "linear", 28.0), ((784, 2), "standard_normal", "linear", 28.0),
    ((64, 128, 128, 128, 128, 2), "he_normal", "relu", math.sqrt(2)),
    ((64, 128, 10), "standard_normal", "tanh", None)]


@pytest.mark.parametrize(("widths", "initializer", "activation", "gain"), SAMPLED)
def test_the_scatter_over_the_outputs_counts_once(widths, initializer, activation, gain):
    """The outputs scatter by 2/K, and the integral averages over that already."""
    f = {"linear": lambda z: z, "relu": lambda z: np.maximum(z, 0), "tanh": np.tanh}[activation]
    rng, said = np.random.default_rng(2), []
    for _ in range(800):
        a = rng.standard_normal((16, widths[0]))
        for n, m in pairwise(widths):
            z = a @ rng.standard_normal((n, m)) * (gain / math.sqrt(n) if gain else 1.0)
            a = f(z)
        said.append(losses(z).mean())
    theory = found(widths, activation, initializer).expected
    assert theory == pytest.approx(np.mean(said), abs=4 * np.std(said) / math.sqrt(len(said)))
