"""First losses against the sampled cross-entropy of Gaussian numbers, and of real nets."""

import math

import numpy as np
import pytest

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
