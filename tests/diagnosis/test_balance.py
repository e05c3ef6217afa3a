"""Factors of one layer against published values, closed forms and wide random layers."""

import math

import numpy as np
import pytest

from vgdash.activations import ACTIVATIONS
from vgdash.diagnosis.balance import BalanceParams, balance


def test_published_values():
    tanh = balance(BalanceParams("tanh", "lecun_normal", 5 / 3))  # REFERENCES row 5
    assert tanh.q_star == pytest.approx(1.17848, abs=5e-6)
    assert tanh.forward == pytest.approx(1, abs=1e-9)
    assert tanh.backward == pytest.approx(1.2098, abs=5e-5)
    selu = balance(BalanceParams("selu", "lecun_normal"))  # row 10
    assert selu.backward == pytest.approx(1.0716, abs=5e-5)
    norm = balance(BalanceParams("relu", "he_normal", normalization="batch"))  # row 13
    assert norm.backward == pytest.approx(math.pi / (math.pi - 1), rel=1e-9)
    third = BalanceParams("relu", "lecun_uniform", 3**-0.5)
    assert balance(third).forward == pytest.approx(1 / 6)  # row 16
    torch = balance(BalanceParams("relu", "pytorch_default", fan_in=512))
    assert (torch.q_star, torch.forward, torch.backward) == pytest.approx((7.8125e-4, 1, 1 / 12))


@pytest.mark.parametrize("gamma", [0.1, 1.0, 3.0])
@pytest.mark.parametrize(("fan_in", "fan_out"), [(256, 256), (784, 100)])
def test_relu_has_the_same_factor_at_every_q(gamma, fan_in, fan_out):
    found = balance(BalanceParams("relu", "he_normal", gamma, 0.0, fan_in, fan_out))
    assert found.forward == pytest.approx(gamma**2)
    assert found.forward_first == pytest.approx(gamma**2)
    factor = pytest.approx(gamma**2 * fan_out / fan_in, rel=1e-12)
    assert (found.backward, found.backward_first) == (factor, factor)
    assert found.gamma_forward == pytest.approx(1)
    assert found.gamma_backward == pytest.approx(math.sqrt(fan_in / fan_out))
    assert found.reason


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_wanted_gammas_give_factors_of_one(name):
    p = BalanceParams(name, "glorot_uniform", 1.7, 0.0, 200, 300)
    gamma = balance(p).gamma_forward
    at_one = balance(BalanceParams(name, "glorot_uniform", gamma, 0.0, 200, 300))
    z = np.random.default_rng(0).standard_normal(400_000)
    squares = ACTIVATIONS[name].f(z) ** 2
    error = squares.std() / squares.mean() / math.sqrt(z.size)
    assert abs(at_one.params.sigma_w2 * squares.mean() - 1) < 5 * error
    slopes = ACTIVATIONS[name].df(z) ** 2
    error = slopes.std() / slopes.mean() / math.sqrt(z.size)
    back = BalanceParams(name, "glorot_uniform", balance(p).gamma_backward, 0.0, 200, 300)
    assert abs(300 * back.variance * slopes.mean() - 1) < 5 * error + 1e-12


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_the_first_layers_factors_are_those_of_a_wide_random_layer(normalization):
    p = BalanceParams("gelu", "he_normal", 1.2, 0.4, 300, 200, normalization)
    found, rng, activation = balance(p), np.random.default_rng(1), ACTIVATIONS["gelu"]
    batch, results = 200, []
    for _ in range(6):
        def layer(a):
            bias = rng.standard_normal(300) * math.sqrt(p.sigma_b2)
            u = a @ rng.standard_normal((300, 300)).T * math.sqrt(p.variance) + bias
            if normalization == "batch":
                return (u - u.mean(axis=0)) / u.std(axis=0), u.var(axis=0).mean()
            if normalization == "layer":
                mean, std = u.mean(axis=1, keepdims=True), u.std(axis=1, keepdims=True)
                return (u - mean) / std, u.var(axis=1).mean()
            return u, 1.0

        first, _ = layer(rng.standard_normal((batch, 300)))
        second, divisor = layer(activation.f(first))
        weights = rng.standard_normal((200, 300)) * math.sqrt(p.variance)
        back = (rng.standard_normal((batch, 200)) @ weights * activation.df(first)) / math.sqrt(divisor)
        results.append(((first**2).mean(), (second**2).mean() / (first**2).mean(), (back**2).mean()))
    measured, error = np.mean(results, axis=0), np.std(results, axis=0, ddof=1) / math.sqrt(6)
    expected = np.array([found.q_first, found.forward_first, found.backward_first])
    # a batch of 200 and a width of 300 leave out 1/200 of a variance
    np.testing.assert_array_less(np.abs(measured - expected), 6 * error + 0.01 * expected)


def test_deep_down_means_the_fixed_point_or_the_limit_that_q_runs_to():
    assert balance(BalanceParams("tanh", "lecun_normal", 0.5)).q_star == 0
    assert balance(BalanceParams("tanh", "lecun_normal", 0.5)).forward == pytest.approx(0.25)
    exploding = balance(BalanceParams("silu", "lecun_normal", 3.0))
    assert exploding.q_star == math.inf
    assert exploding.forward == pytest.approx(4.5)  # far out SiLU is ReLU
    assert exploding.backward == pytest.approx(4.5, rel=1e-6)
    assert "grows" in exploding.reason
