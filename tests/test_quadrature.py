"""Gaussian averages against adaptive quadrature, nested quadrature and closed forms."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

from tests.pair_quadrature import pair_mean, pair_nodes
from vgdash.activations import ACTIVATIONS
from vgdash.quadrature import MASSES, NODES

PIECES = (-9, -3, -1, -0.3, 0, 0.3, 1, 3, 9)
FUNCTIONS = {
    "f²": lambda a, z: a.f(z) ** 2, "f'²": lambda a, z: a.df(z) ** 2, "|f|": lambda a, z: np.abs(a.f(z)),
    "z f f'": lambda a, z: z * a.f(z) * a.df(z), "f⁴": lambda a, z: a.f(z) ** 4}


def adaptive(g, precision=1e-11):
    """E[g(z)] by scipy, in pieces that end at the kink."""
    def integrand(z):
        return float(g(np.float64(z))) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return sum(quad(integrand, *piece, epsabs=precision * 1e-3, epsrel=precision, limit=200)[0]
               for piece in pairwise(PIECES))


def nested(f, scale, correlation):
    """E[f(u) f(v)]: scipy over u, and for each u a Gauss-Legendre rule over v, in pieces that end at 0."""
    x, w = np.polynomial.legendre.leggauss(60)
    rest = math.sqrt(1 - correlation**2)

    def given(z):
        kink = min(9.0, max(-9.0, -correlation * z / rest))
        ends = np.unique(np.concatenate([np.linspace(-9, kink, 12), np.linspace(kink, 9, 12)]))
        middle, half = (ends[1:] + ends[:-1]) / 2, np.diff(ends) / 2
        y = middle[:, None] + half[:, None] * x
        density = np.exp(-y * y / 2) / math.sqrt(2 * math.pi)
        return float((f(scale * (correlation * z + rest * y)) * density * w * half[:, None]).sum())
    return adaptive(lambda z: float(f(scale * z)) * given(z), 1e-9)


def pair(f, scale, correlation):
    u, v, *weights = pair_nodes(correlation, scale)
    return float(pair_mean(f(u) * f(v), *weights))


def test_every_kink_is_at_zero_where_the_rules_split_the_integral():
    assert {kink for a in ACTIVATIONS.values() for kink in a.kinks} == {0.0}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("q", [1e-3, 1.0, 100.0])
def test_averages_of_every_activation_agree_with_adaptive_quadrature_to_ten_digits(name, q):
    a, s = ACTIVATIONS[name], math.sqrt(q)
    for label, g in FUNCTIONS.items():
        truth = adaptive(lambda z, g=g: g(a, s * z))
        assert MASSES @ g(a, s * NODES) == pytest.approx(truth, rel=1e-10), label


@pytest.mark.parametrize("name", ["relu", "selu", "tanh", "gelu", "softsign"])
@pytest.mark.parametrize(("q", "correlation"), [(0.01, 0.5), (1.0, -0.8), (3.0, 0.99), (50.0, 0.3)])
def test_averages_of_a_correlated_pair_agree_with_nested_quadrature(name, q, correlation):
    a, s = ACTIVATIONS[name], math.sqrt(q)
    close = 1e-8 * adaptive(lambda z: a.f(s * z) ** 2)
    assert pair(a.f, s, correlation) == pytest.approx(nested(a.f, s, correlation), abs=close)


@pytest.mark.parametrize("correlation", [-1.0, -0.7, 0.0, 0.5, 0.999, 1 - 1e-9, 1.0])
def test_relu_pairs_follow_the_arc_cosine_kernels_of_cho_and_saul(correlation):
    a, angle = ACTIVATIONS["relu"], math.acos(correlation)
    covariance = (math.sin(angle) + (math.pi - angle) * correlation) / (2 * math.pi)
    assert pair(a.f, 1.0, correlation) == pytest.approx(covariance, abs=1e-12)
    assert pair(a.df, 1.0, correlation) == pytest.approx((math.pi - angle) / (2 * math.pi), abs=1e-12)
