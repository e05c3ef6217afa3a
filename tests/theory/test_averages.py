"""Tabulated averages against quadratures that evaluate the activation at the requested q and correlation."""

import math

import numpy as np
import pytest

from tests.pair_quadrature import pair_mean, pair_nodes
from tests.test_quadrature import adaptive
from vgdash.activations import ACTIVATIONS
from vgdash.quadrature import MASSES, NODES
from vgdash.theory.averages import (
    correlation_series,
    correlation_slope,
    log_moment,
    log_slope,
    map_correlation,
    mean_value,
    moment_exponent,
)

CORRELATIONS = np.array([-1.0, -0.9, -0.4, 0.0, 0.3, 0.7, 0.95, 0.999, 1 - 1e-7, 1.0])
BOUNDED = ("tanh", "sigmoid", "softsign")


def ratio(f, q, correlation):
    """E[f(u) f(v)] / E[f(u)²]."""
    u, v, *weights = pair_nodes(correlation, math.sqrt(q))
    return pair_mean(f(u) * f(v), *weights) / (MASSES @ f(math.sqrt(q) * NODES) ** 2)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("q", [1e-30, 1e-12, 1e-3, 0.04, 0.5, 1.0, 2.7, 11.0, 100.0, 1e3, 1e5, 1e10, 1e30])
def test_correlations_are_those_of_direct_quadrature_to_eight_digits(name, q):
    """At large q saturated functions lose digits."""
    a = ACTIVATIONS[name]
    found = map_correlation(correlation_series(a, math.log(q)), CORRELATIONS)
    assert np.abs(found - ratio(a.f, q, CORRELATIONS)).max() < (1e-4 if name in BOUNDED and q > 100 else 1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(("q", "close"), [(0.04, 1e-8), (1.0, 1e-9), (2.7, 1e-9), (100.0, 3e-7)])
def test_the_slope_of_the_correlation_map_is_the_average_of_two_slopes(name, q, close):
    """q E[f'(u) f'(v)] / E[f(u)²], relative to equal inputs; near 1 saturated functions lose digits."""
    a, correlations = ACTIVATIONS[name], np.array([0.0, 0.3, 0.7, 0.8])
    largest = q * math.exp(log_slope(name, math.log(q)) - log_moment(name, math.log(q)))
    found = correlation_slope(correlation_series(a, math.log(q)), correlations)
    np.testing.assert_allclose(found / largest, ratio(a.df, q, correlations), atol=close)


@pytest.mark.parametrize("name", ["linear", "relu", "leaky_relu"])
def test_piecewise_linear_functions_follow_the_arc_cosine_kernels_of_cho_and_saul(name):
    """f = m z + d |z|, and E|u||v| = (2/π)(√(1 - c²) + c·arcsin c) for u, v ~ N(0, 1)."""
    right, left = ACTIVATIONS[name].f(1.0), -ACTIVATIONS[name].f(-1.0)
    m2, d2, c = ((right + left) / 2) ** 2, ((right - left) / 2) ** 2, CORRELATIONS[:-2]
    for q in (1e-6, 1.0, 1e6):
        series = correlation_series(ACTIVATIONS[name], math.log(q))
        even = 2 / math.pi * (np.sqrt(1 - c**2) + c * np.arcsin(c))
        np.testing.assert_allclose(map_correlation(series, c), (m2 * c + d2 * even) / (m2 + d2), atol=1e-13)
        slope = (m2 + d2 * np.arcsin(c[1:]) * 2 / math.pi) / (m2 + d2)
        np.testing.assert_allclose(correlation_slope(series, c[1:]), slope, atol=1e-10)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("q", [1e-3, 1.0, 100.0])
def test_averages_of_one_input_agree_with_adaptive_quadrature_to_ten_digits(name, q):
    a, s, x = ACTIVATIONS[name], math.sqrt(q), math.log(q)
    moment = math.exp(log_moment(name, x))
    assert moment == pytest.approx(adaptive(lambda z: a.f(s * z) ** 2), rel=1e-10)
    assert math.exp(log_slope(name, x)) == pytest.approx(adaptive(lambda z: a.df(s * z) ** 2), rel=1e-10)
    assert mean_value(name, x) == pytest.approx(adaptive(lambda z: a.f(s * z)), rel=1e-10,
                                                abs=1e-10 * moment**0.5)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_averages_of_one_input_are_exact_at_every_scale_of_floats(name):
    a = ACTIVATIONS[name]
    log_q = np.array([-60.0, -30.0, -7.0, -1.0, 0.0, 0.96, 2.0, 15.0])
    log_q = log_q if name in BOUNDED else np.append(log_q, [40.0, 68.0])  # few of NODES in a steep tanh
    scaled = np.multiply.outer(np.exp(log_q / 2), NODES)
    moments, slopes = (np.log(g(scaled) ** 2 @ MASSES) for g in (a.f, a.df))
    np.testing.assert_allclose(log_moment(name, log_q), moments, rtol=2e-13, atol=2e-13)
    np.testing.assert_allclose(log_slope(name, log_q), slopes, rtol=2e-13, atol=2e-13)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_moment_exponent_is_the_derivative_of_the_moment(name):
    x, h = np.array([-6.0, -1.0, 0.0, 2.0, 5.0]), 1e-4
    numerical = (log_moment(name, x + h) - log_moment(name, x - h)) / (2 * h)
    np.testing.assert_allclose(moment_exponent(name, x), numerical, atol=1e-7)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_moments_outside_the_range_of_floats_follow_the_power_law_of_the_activation(name):
    a = ACTIVATIONS[name]
    far, farther = log_moment(name, np.array([2000.0, 3000.0]))
    assert farther - far == pytest.approx(1000 if a.f(1e6) > 10 else 0, abs=1e-6)
    near, nearer = log_moment(name, np.array([-2000.0, -3000.0]))
    assert near - nearer == pytest.approx(1000 if a.f(0.0) == 0 else 0, abs=1e-6)
    at_zero = 2 * math.log(a.f(0.0)) if a.f(0.0) else -math.inf
    assert log_moment(name, -np.inf) == pytest.approx(at_zero, abs=1e-12)
    assert log_slope(name, -np.inf) == pytest.approx(math.log((a.df(-1e-9) ** 2 + a.df(1e-9) ** 2) / 2),
                                                     abs=1e-8)
    assert mean_value(name, -np.inf) == pytest.approx(float(a.f(0.0)), abs=1e-13)
    assert mean_value(name, 3000.0) in (0, pytest.approx(0.5), math.inf)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_equal_inputs_stay_equal_and_none_becomes_more_than_equal(name):
    for log_q in (-50.0, -3.0, 0.0, 1.7, 9.0):
        found = map_correlation(correlation_series(ACTIVATIONS[name], log_q),
                                np.array([1.0, 1 + 1e-15, 1 - 1e-15]))
        assert found[0] == pytest.approx(1, abs=1e-14)
        assert found.max() <= 1
