"""Averages from tables against quadratures that evaluate the activation at the very q and correlation asked for."""

import math

import numpy as np
import pytest

from tests.test_quadrature import adaptive
from vgdash.activations import ACTIVATIONS
from vgdash.quadrature import MASSES, NODES, pair_mean, pair_nodes
from vgdash.theory.maps import log_moment, log_slope
from vgdash.theory.tabulated import cosine_map, single_averages

# Twice the nodes of gaussian.FINE in each direction.
FINEST = ((6.0, "legendre", 96, 190), (math.inf, "graded", 181, 240))
CORRELATIONS = np.array([-1.0, -0.9, -0.4, 0.0, 0.3, 0.7, 0.95, 0.999, 1 - 1e-7, 1.0])
BOUNDED = ("tanh", "sigmoid", "softsign")


def direct(name, q):
    """E[f(u) f(v)] / E[f(u)²] at ``CORRELATIONS``."""
    f, s = ACTIVATIONS[name].f, math.sqrt(q)
    u, v, *weights = pair_nodes(CORRELATIONS, s, FINEST)
    return pair_mean(f(u) * f(v), *weights) / (MASSES @ f(s * NODES) ** 2)


def error(name, q):
    cosine = cosine_map(ACTIVATIONS[name], math.log(q))
    return np.abs([cosine(c) for c in CORRELATIONS] - direct(name, q)).max()


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("q", [1e-3, 0.04, 0.5, 1.0, 1.9, 2.7, 11.0, 100.0])
def test_correlations_from_the_table_are_those_of_direct_quadrature_to_eight_digits(name, q):
    assert error(name, q) < 1e-8


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("q", [1e-30, 1e-12, 1e3, 1e5, 1e10, 1e30])
def test_far_outside_only_saturated_functions_lose_digits(name, q):
    assert error(name, q) < (1e-4 if name in BOUNDED and q > 1 else 1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("q", [1e-3, 1.0, 100.0])
def test_averages_of_one_input_agree_with_adaptive_quadrature_to_ten_digits(name, q):
    a, s = ACTIVATIONS[name], math.sqrt(q)
    moment, slope, mean = single_averages(a, math.log(q))
    assert math.exp(moment) == pytest.approx(adaptive(lambda z: a.f(s * z) ** 2), rel=1e-10)
    assert math.exp(slope) == pytest.approx(adaptive(lambda z: a.df(s * z) ** 2), rel=1e-10)
    assert mean == pytest.approx(adaptive(lambda z: a.f(s * z)), rel=1e-10, abs=1e-10 * math.exp(moment / 2))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_averages_of_one_input_are_those_of_the_maps_at_every_scale_and_beyond_the_range_of_floats(name):
    log_q = np.array([-3000.0, -150.0, -60.0, -30.0, -7.0, -1.0, 0.0, 0.96, 2.0, 15.0])
    log_q = log_q if name in BOUNDED else np.append(log_q, [40.0, 68.0, 150.0, 3000.0])  # a saturated slope lies in few of NODES
    moments, slopes, means = zip(*(single_averages(ACTIVATIONS[name], x) for x in log_q.tolist()), strict=True)
    np.testing.assert_allclose(moments, log_moment(name, log_q), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(slopes, log_slope(name, log_q), rtol=1e-13, atol=1e-13)
    assert not np.isnan(means).any()


def test_a_second_moment_of_zero_leaves_what_f_is_at_zero():
    assert single_averages(ACTIVATIONS["silu"], -math.inf) == (-math.inf, pytest.approx(-math.log(4)), 0.0)
    assert single_averages(ACTIVATIONS["sigmoid"], -math.inf) == pytest.approx((-2 * math.log(2), -4 * math.log(2), 0.5))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_equal_inputs_stay_equal_exactly_and_none_becomes_more_than_equal(name):
    for log_q in (-50.0, -3.0, 0.0, 1.7, 9.0):
        cosine = cosine_map(ACTIVATIONS[name], log_q)
        assert cosine(1.0) == pytest.approx(1, abs=1e-14)
        assert max(cosine(c) for c in (1.0, 1 + 1e-15, 1 - 1e-15)) <= 1 + 1e-15
