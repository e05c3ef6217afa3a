"""Defaults of frameworks: biases, means and convolutions, against PyTorch, quadrature and closed forms."""

import math

import numpy as np
import pytest
from scipy import integrate

from vgdash.activations import ACTIVATIONS
from vgdash.probe.probe import ProbeParams, probe
from vgdash.theory.layerwise import predict
from vgdash.theory.nonzero_mean import averages_about, pair_cosine_about

LN10 = math.log(10)


def test_the_default_of_pytorch_settles_at_its_biases():
    """q = 1/(3n) + q/6, so 1/(3n)/(1 - 1/6); at width 512 7.8125e-4."""
    assert predict(ProbeParams.uniform(50, 512, "relu", "pytorch_default")).q[-1] == pytest.approx(7.8125e-4)
    uneven = predict(ProbeParams((400, 100, 50, 25), "relu", "pytorch_default")).q
    np.testing.assert_allclose(uneven, [401 / 1200, 401 / 7200 + 1 / 300, uneven[1] / 6 + 1 / 150])


def test_fifty_layers_of_nn_linear_are_what_is_measured_and_predicted():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    p = ProbeParams.uniform(50, 512, "relu", "pytorch_default", batch=32, seeds=3)
    theirs = []
    for _ in range(3):
        z, x = None, torch.randn(32, 512)
        with torch.no_grad():
            for _ in range(50):
                z = torch.nn.Linear(512, 512)(x)
                x = torch.relu(z)
        theirs.append(float((z**2).mean()))
    # a seed's ln q: five layers count (1/6 a layer), each with 5/512; biases 0.8/512
    spread = 4 * math.sqrt(0.012)
    np.testing.assert_allclose(np.log10([*theirs, *probe(p).q[:, -1]]), predict(p).log10_q[-1],
                               atol=spread / LN10)


CONV = {"pytorch_default": lambda nn, layer: None,
        "bert_normal": lambda nn, layer: nn.init.trunc_normal_(layer.weight, std=0.02, a=-0.04, b=0.04),
        "he_fan_out": lambda nn, layer: nn.init.kaiming_normal_(layer.weight, mode="fan_out")}


@pytest.mark.parametrize("name", CONV)
def test_convolutions_are_predicted_with_their_own_fans(name):
    """Circular padding gives every pixel all its weights."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    p = ProbeParams((64, 128, 96, 64), "relu", name, kernels=(3, 1, 5), seeds=6)
    theirs = np.empty((6, 3))
    for net in range(6):
        a = torch.randn(4, 64, 10, 10)
        for layer, (n, m, side) in enumerate(zip(p.widths, p.widths[1:], p.sides, strict=False)):
            conv = torch.nn.Conv2d(n, m, side, padding=side // 2, padding_mode="circular",
                                   bias=name == "pytorch_default")
            with torch.no_grad():
                CONV[name](torch.nn, conv)
                z = conv(a)
                a = torch.relu(z)
            theirs[net, layer] = float((z**2).mean())
    expected = predict(p).log10_q * LN10
    assert predict(p).q[0] == pytest.approx({
        "pytorch_default": 1 / 3 + 1 / 1728, "bert_normal": 576 * 0.02**2 * 0.87962566**2,
        "he_fan_out": 2 * 64 / 128}[name], rel=1e-6)
    for logs in (np.log(theirs), np.log(probe(p).q)):
        np.testing.assert_array_less(np.abs(logs.mean(0) - expected), 5 * logs.std(0, ddof=1) / 6**0.5 + 0.03)


@pytest.mark.parametrize(("mean", "s", "r"), [
    (0.1, 0.4, 0.3), (0.1, 0.1, 0.9), (1.0, 0.16, 0.2), (-0.5, 0.2, 0.0), (0.5, 0.05, 0.5), (2.0, 3.0, 0.5)])
@pytest.mark.parametrize("name", ["relu", "elu", "gelu", "tanh", "sigmoid"])
def test_averages_about_a_mean_are_those_of_adaptive_quadrature(name, mean, s, r):
    a, log_q = ACTIVATIONS[name], math.log(mean**2 + s**2)

    def expectation(g):
        return sum(integrate.quad(lambda z: g(z) * math.exp(-((z - mean) / s) ** 2 / 2), low, high,
                                  epsabs=1e-13, epsrel=1e-12, points=[mean] if low < mean < high else None,
                                  limit=200)[0]
                   for low, high in ((min(mean, 0) - 9 * s, 0), (0, max(mean, 0) + 9 * s))
                   ) / s / math.sqrt(2 * math.pi)

    found = averages_about(a, mean, log_q)
    expected = [expectation(g) for g in (lambda z: float(a.f(z)) ** 2, lambda z: float(a.df(z)) ** 2, a.f)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)
    rng = np.random.default_rng(0)
    u, v = rng.standard_normal((2, 400_000))
    u, v = (a.f(mean + s * x) for x in (u, r * u + math.sqrt(1 - r * r) * v))
    products = u * v / found[0]
    cosine = pair_cosine_about(a, mean, log_q, (r * s * s + mean**2) / (mean**2 + s**2))
    assert cosine == pytest.approx(products.mean(), abs=5 * products.std() / math.sqrt(400_000))
