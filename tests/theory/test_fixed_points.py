"""Mean-field theory against published values, closed forms, plain iteration and adaptive quadrature."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pair_quadrature import pair_mean, pair_nodes
from tests.test_quadrature import adaptive
from vgdash.activations import ACTIVATIONS
from vgdash.quadrature import MASSES, NODES
from vgdash.theory.averages import correlation_series, log_moment, map_correlation
from vgdash.theory.fixed_points import (
    critical_line,
    critical_sigma_w2,
    fixed_point,
    keeps_correlations,
    q_star,
    xi_c,
    xi_q,
)


def correlation_map(name, log_q, correlation):
    return float(map_correlation(correlation_series(ACTIVATIONS[name], log_q), correlation))


def variance_map(name, q, sigma_w2, sigma_b2):
    return sigma_w2 * adaptive(lambda z: ACTIVATIONS[name].f(math.sqrt(q) * z) ** 2) + sigma_b2


def test_relu_at_two_is_the_edge_of_chaos_and_every_q_is_its_own_fixed_point():
    at = fixed_point("relu", 2, 0)
    assert at.phase == "critical"
    assert at.chi_1 == pytest.approx(1, abs=1e-12)
    assert math.isnan(at.q_star)
    assert "every q is a fixed point" in at.reason
    assert (at.c_star, at.xi_c, at.xi_q) == (1, math.inf, math.inf)
    assert critical_sigma_w2("relu", 0) == pytest.approx(2, abs=1e-12)
    assert critical_sigma_w2("relu", 0.3) == pytest.approx(2, abs=1e-12)


def test_relu_above_two_has_no_fixed_point_and_says_by_how_much_it_grows():
    at = fixed_point("relu", 3, 0.1)
    assert at.q_star == math.inf
    assert at.reason == "no fixed point: the variance grows without bound (x1.5 a layer)"
    assert at.phase == "chaotic"
    assert all(math.isnan(x) for x in (at.c_star, at.xi_q, at.xi_c))


def test_relu_below_two_settles_at_the_closed_form():
    assert q_star("relu", 1.5, 0.2) == pytest.approx(0.2 / 0.25, rel=1e-12)
    assert xi_q("relu", 1.5, 0.2) == pytest.approx(-1 / math.log(0.75), rel=1e-10)
    assert xi_c("relu", 1.5, 0.2) == pytest.approx(-1 / math.log(0.75), rel=1e-10)


def test_tanh_at_the_critical_point_decays_as_one_over_two_l():
    at = fixed_point("tanh", 1, 0)
    assert (at.q_star, at.phase, at.xi_q, at.xi_c) == (0, "critical", math.inf, math.inf)
    assert at.reason.startswith("power law: at the critical point q decays like 1/(2l), not exponentially")
    q = 1.0
    for _ in range(3000):
        q = MASSES @ np.tanh(math.sqrt(q) * NODES) ** 2
    assert q * 2 * 3000 == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", ["elu", "selu"])
def test_the_power_law_of_a_kinked_activation_is_the_one_that_iteration_shows(name):
    """x_l = 1/√q_l grows by a constant a layer in the end; the reason names that constant."""
    reason = fixed_point(name, critical_sigma_w2(name, 0), 0).reason
    constant = float(reason.split("1/(")[1].split("l)")[0])
    log_q, roots, growth = -12.0, [], math.log(critical_sigma_w2(name, 0))
    for _ in range(400):
        roots.append(math.exp(-log_q / 2))
        log_q = growth + float(log_moment(name, log_q))
    assert "l)^2" in reason
    assert (roots[-1] - roots[0]) / 399 == pytest.approx(constant, rel=0.02)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(("sigma_w2", "sigma_b2"), [(0.6, 0.05), (1.5, 0.3), (0.9, 3.0)])
def test_q_star_is_a_fixed_point_of_the_variance_map_by_adaptive_quadrature(name, sigma_w2, sigma_b2):
    q = q_star(name, sigma_w2, sigma_b2)
    if q < math.inf:
        assert variance_map(name, q, sigma_w2, sigma_b2) == pytest.approx(q, rel=1e-9)
    else:
        assert variance_map(name, 1e12, sigma_w2, sigma_b2) > 1e12


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(("sigma_w2", "sigma_b2"), [(1.3, 0.05), (3.0, 0.1), (8.0, 0.5)])
def test_iteration_from_one_approaches_q_star_and_c_star_at_the_stated_pace(name, sigma_w2, sigma_b2):
    at = fixed_point(name, sigma_w2, sigma_b2)
    if at.q_star == math.inf:
        assert at.reason
        return
    log_q, qs = 0.0, []
    for _ in range(2000):
        qs.append(math.exp(log_q))
        log_q = math.log(sigma_w2 * math.exp(float(log_moment(name, log_q))) + sigma_b2)
    assert qs[-1] == pytest.approx(at.q_star, rel=1e-7)
    c, cs = 0.3, []
    for _ in range(400):
        cs.append(abs(c - at.c_star))
        moment = math.exp(float(log_moment(name, log_q)))
        c = (sigma_w2 * moment * correlation_map(name, log_q, c) + sigma_b2) / qs[-1]
    assert cs[-1] < max(1e-7, math.exp(-390 / at.xi_c))
    fade = [i for i in range(399) if 1e-5 < cs[i] < 1e-3]
    if len(fade) > 2:
        assert cs[fade[-1] + 1] / cs[fade[-1]] == pytest.approx(math.exp(-1 / at.xi_c), rel=2e-3)
    gaps = [abs(q - at.q_star) / at.q_star for q in qs]
    fade = [i for i in range(1999) if 1e-6 < gaps[i] < 1e-4]
    if fade:
        assert gaps[fade[-1] + 1] / gaps[fade[-1]] == pytest.approx(math.exp(-1 / at.xi_q), rel=2e-3)


@pytest.mark.parametrize("name", ["elu", "selu", "softsign", "tanh", "sigmoid"])
def test_above_the_critical_line_the_correlation_is_a_fixed_point_by_direct_quadrature_and_its_pace_too(name):
    edge, a = critical_sigma_w2(name, 1.0), ACTIVATIONS[name]
    at = fixed_point(name, 1.02 * edge, 1.0)
    assert (fixed_point(name, 0.98 * edge, 1.0).phase, at.phase) == ("ordered", "chaotic")
    u, v, *weights = pair_nodes(at.c_star, math.sqrt(at.q_star))
    covariance, slope = (float(pair_mean(f(u) * f(v), *weights)) for f in (a.f, a.df))
    assert at.sigma_w2 * covariance + at.sigma_b2 == pytest.approx(at.c_star * at.q_star, rel=1e-8)
    assert math.exp(-1 / at.xi_c) == pytest.approx(at.sigma_w2 * slope, abs=1e-7)


def test_an_activation_that_jumps_over_criticality_says_so():
    """GELU without bias: below x2.35 a unit variance dies, above it grows, and chi_1 is 1 at neither."""
    (at,) = critical_line(ACTIVATIONS["gelu"], np.zeros(1))
    assert math.isnan(at.sigma_w2)
    assert at.reason.startswith("no critical point")
    dies, grows = fixed_point("gelu", 2.34, 0), fixed_point("gelu", 2.36, 0)
    assert (dies.q_star, grows.q_star) == (0, math.inf)
    assert dies.chi_1 < 0.99
    assert grows.chi_1 > 1.01


def test_an_unstable_fixed_point_is_named():
    gain = ACTIVATIONS["gelu"].forward_gain
    at = fixed_point("gelu", gain**2, 0)
    assert at.q_star == pytest.approx(1, abs=1e-9)
    assert math.isnan(at.xi_q)
    assert "unstable" in at.reason


@given(name=st.sampled_from(sorted(ACTIVATIONS)), sigma_w2=st.floats(0, 1e4), sigma_b2=st.floats(0, 100))
@settings(max_examples=60, deadline=None)
def test_whatever_is_not_finite_has_its_reason(name, sigma_w2, sigma_b2):
    at = fixed_point(name, sigma_w2, sigma_b2)
    values = (at.q_star, at.chi_1, at.c_star, at.xi_q, at.xi_c)
    assert at.reason or (all(math.isfinite(x) for x in values) and at.q_star > 0)
    assert at.phase == ("critical" if abs(at.chi_1 - 1) < 1e-9 else "ordered" if at.chi_1 < 1 else "chaotic")
    if at.phase == "chaotic" and math.isfinite(at.q_star) and at.q_star > 0:
        assert 0 <= at.c_star < 1


def test_a_record_counts_like_its_name():
    assert fixed_point(ACTIVATIONS["tanh"], 2, 0.1) == fixed_point("tanh", 2, 0.1)


@pytest.mark.parametrize(("name", "kept"), [("tanh", True), ("gelu", True), ("silu", True), ("linear", True),
                                            ("relu", False), ("selu", False), ("abs(z)", False),
                                            ("tanh(z)*tanh(z)", None)])
def test_small_signals_keep_their_correlation_where_the_activation_is_straight_at_0(name, kept):
    """Of |z| the map is above c, as ReLU's; of z² it is (1 + 2c²)/3: above c and below."""
    assert keeps_correlations(name) is kept


@pytest.mark.parametrize(("name", "sigma_w2"), [("tanh", 0.9), ("tanh", 1.0), ("gelu", 2.0)])
def test_where_the_signal_dies_without_bias_the_correlation_depends_on_where_it_starts(name, sigma_w2):
    nodes, masses = np.polynomial.hermite_e.hermegauss(60)
    masses = masses / masses.sum()
    f, ends = ACTIVATIONS[name].f, []
    for c in (0.0, 0.6):
        q = 1.0
        for _ in range(300):
            u, v = math.sqrt(q) * nodes, math.sqrt(q) * (c * nodes[:, None] + math.sqrt(1 - c * c) * nodes)
            square, product = masses @ f(u) ** 2, masses * f(u) @ f(v) @ masses
            q, c = sigma_w2 * square, product / square
        ends.append(c)
    assert ends[1] - ends[0] > 0.05
    assert ends[1] < 0.95
    assert "without biases the last correlation of two inputs depends on the first" in fixed_point(
        name, sigma_w2, 0).reason
    assert "biases" not in fixed_point(name, sigma_w2, 0.05).reason


def test_relu_comes_to_1_without_bias_and_its_reason_says_how_slowly():
    c, way = 0.0, []
    for _ in range(4000):
        c = (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi  # Cho and Saul 2009
        way.append(1 - c)
    assert way[3999] / way[1999] == pytest.approx(1 / 4, rel=0.03)
    reason = fixed_point("relu", 1, 0).reason
    assert "without biases correlations approach 1 like a power of the depth" in reason
