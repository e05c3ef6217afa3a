"""Gaussian averages of typed formulas against adaptive quadrature, closed forms and simulated nets."""

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import quad_vec

from tests.formulas import FORMULAS, second_reading
from vgdash import ACTIVATIONS, ProbeParams, predict, probe
from vgdash.theory.averages import (
    correlation_series,
    log_moment,
    log_slope,
    map_correlation,
    mean,
    mean_value,
)


def adaptive(text, scale):
    """E[f²], E[f'²] and E[f] at z ~ N(0, scale²) by scipy, in pieces that end at kinks."""
    f, a = second_reading(text), ACTIVATIONS[text]

    def integrand(z):
        value, slope = f(scale * z), float(a.df(np.float64(scale * z)))
        return np.array([value**2, slope**2, value]) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    places = sorted({*np.linspace(-9, 9, 7), *(k / scale for k in FORMULAS[text])})
    return quad_vec(integrand, -9, 9, epsabs=1e-11, epsrel=1e-9, norm="max", points=places[1:-1])[0]


@pytest.mark.parametrize(("text", "scale"), [*zip(FORMULAS, itertools.cycle([0.3, 2.0, 1.0]))])
def test_averages_agree_with_adaptive_quadrature(text, scale):
    a, log_q = ACTIVATIONS[text], 2 * math.log(scale)
    moment, slope, value = adaptive(text, scale)
    assert math.exp(log_moment(a, log_q)) == pytest.approx(moment, rel=1e-8)
    assert math.exp(log_slope(a, log_q)) == pytest.approx(slope, rel=1e-8)
    assert mean_value(a, log_q) == pytest.approx(value, abs=1e-8 * math.sqrt(moment))
    assert mean(a, a.f, scale) == pytest.approx(value, abs=1e-8 * math.sqrt(moment))
    assert a.second_moment(scale) == pytest.approx(moment, rel=1e-8)


def test_the_named_activations_as_formulas_have_their_averages():
    log_q = np.linspace(-30, 30, 25)
    for name, text in {
        "tanh": "1-2/(1+exp(2*z))", "relu": "max(z,0)", "silu": "z/(1+exp(-z))",
        "leaky_relu": "where(z>0,z,0.01*z)", "gelu": "z*sigmoid(2*sqrt(2/pi)*(z+0.044715*z**3))",
    }.items():
        a = ACTIVATIONS[text]
        for average in (log_moment, log_slope):
            np.testing.assert_allclose(average(a, log_q), average(name, log_q), atol=1e-8, err_msg=name)
        assert a.homogeneous == ACTIVATIONS[name].homogeneous
        assert a.saturation_slope == pytest.approx(ACTIVATIONS[name].saturation_slope, rel=1e-9)


@pytest.mark.parametrize(("omega", "q", "error"), [(1.0, 1.0, 1e-10), (1.0, 30.0, 1e-6), (30.0, 0.01, 1e-7),
                                                   (30.0, 1.0, 1e-10), (30.0, 4.0, 1e-8), (30.0, 25.0, 1e-4)])
def test_two_inputs_of_a_sine(omega, q, error):
    """E[sin ωu sin ωv] = e^(-ω²q) sinh(ω²q c). Terms in ψ must tell widths of 1/(ω√q), here 1/150."""
    k, c = omega**2 * q, np.array([-0.9, 0.0, 0.5, 0.9, 0.99, 1.0])
    truth = (np.exp(k * (c - 1)) - np.exp(-k * (c + 1))) / (1 - np.exp(-2 * k))
    series = correlation_series(ACTIVATIONS[f"sin({omega}*z)"], np.full(6, math.log(q)))
    np.testing.assert_allclose(map_correlation(series, c), truth, rtol=0, atol=error)


def test_two_inputs_of_a_clipped_line_and_of_a_shifted_ramp():
    """Against 2-D quadrature: E[f(u) f(v)] = E[g²], g the mean of f over what u and v do not share."""
    x, w = np.polynomial.legendre.leggauss(40)
    shared = np.linspace(-9, 9, 2001)
    for text, ends in (("max(-1,min(z,1))", (-1.0, 1.0)), ("relu(z-1)", (1.0,))):
        f = ACTIVATIONS[text].f
        for q, c in ((0.5, 0.6), (4.0, 0.95)):
            edges = np.unique([*np.linspace(-9, 9, 61), *(end / math.sqrt(q) for end in ends)])
            half = np.diff(edges)[:, None] / 2
            z, mass = (edges[:-1, None] + half + half * x).ravel(), (half * w).ravel()
            apart = (z - math.sqrt(c) * shared[:, None]) / math.sqrt(1 - c)
            g = np.exp(-apart**2 / 2) @ (f(math.sqrt(q) * z) * mass) / math.sqrt(2 * math.pi * (1 - c))
            bell = np.exp(-shared**2 / 2) / math.sqrt(2 * math.pi) * (shared[1] - shared[0])
            truth = g**2 @ bell / (f(math.sqrt(q) * z) ** 2 * np.exp(-z * z / 2) @ mass
                                              / math.sqrt(2 * math.pi))
            series = correlation_series(ACTIVATIONS[text], np.array(math.log(q)))
            assert float(map_correlation(series, c)) == pytest.approx(truth, abs=2e-6), (text, q, c)


@pytest.mark.parametrize("text", ["sin(30*z)", "max(-1,min(z,1))", "z*sigmoid(1.702*z)"])
def test_nets_measure_the_prediction(text):
    p = ProbeParams.uniform(12, 128, text, "lecun_normal", gamma=ACTIVATIONS[text].forward_gain,
                            seeds=16, batch=32)
    measured, predicted = probe(p), predict(p)
    for name in ("q", "grad2"):
        band = getattr(predicted, f"band_{name}")
        center = getattr(predicted, f"log10_{name}") + band.mean / math.log(10)
        error = np.sqrt(np.maximum(band.variance, 1e-9) / p.seeds) / math.log(10)
        away = np.abs(np.log10(getattr(measured, name)).mean(axis=0) - center) / error
        assert away.max() < 5, name


@pytest.mark.parametrize("omega", [10, 30, 45.5])
def test_siren_keeps_its_law_through_the_layers(omega):
    """Sitzmann et al. 2020: without biases ω z is N(0, 1), so E[a²] = (1 - e^-2)/2 = 0.43; with them more.

    Its biases are uniform and half of z, so that z is not quite Gaussian: that moves E[a²] by some percent.
    """
    p = ProbeParams((2, *(256,) * 8), f"sin({omega}*z)", "siren", seeds=16, batch=64)
    assert p.scales[0] == pytest.approx(math.sqrt(1 / 3) / 2)  # U(±1/n), n = 2
    measured, predicted = probe(p), predict(p)
    assert measured.a2.mean(axis=0)[1:] == pytest.approx(predicted.a2[1:], abs=0.03)
    assert predicted.a2[1:] == pytest.approx(0.45, abs=0.06)
