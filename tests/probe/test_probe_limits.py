"""Nets beyond the range of float32: overflow and underflow are named by layer, all before is right."""

import math

import numpy as np

from tests.midpoint_rule import GRID, gaussian_mean
from tests.probe.test_probe import slope
from vgdash.probe.params import ProbeParams
from vgdash.probe.probe import probe

FLOAT32_MAX = float(np.finfo(np.float32).max)


def test_overflow_of_float32_is_named_and_everything_before_it_is_right():
    p = ProbeParams.uniform(60, 256, "relu", "standard_normal", batch=16, seeds=2)
    result = probe(p)
    # q[l] = 256·128^(l-1); the largest of 256·16 entries is about 4 standard deviations
    layers = [1 + math.log((FLOAT32_MAX / reach) ** 2 / 256) / math.log(128) for reach in (5.5, 2.5)]
    assert math.floor(layers[0]) <= result.overflow <= math.ceil(layers[1]) + 1
    assert result.underflow is result.overflow_backward is result.underflow_backward is None
    for seed in range(2):
        first = np.flatnonzero(~np.isfinite(result.q[seed]))[0]
        assert math.isinf(result.q[seed, first])
        assert np.isnan(result.q[seed, first + 1:]).all()
        np.testing.assert_allclose(np.diff(np.log10(result.q[seed, :first])), math.log10(128),
                                   atol=5 * 0.43 * math.sqrt(5 / 256))
        for name in ("a2", "a_mean", "saturated", "dead", "correlation"):
            assert np.isfinite(getattr(result, name)[seed, :first]).all()
            assert np.isnan(getattr(result, name)[seed, first:]).all()
    assert np.isnan(result.grad2).all()
    assert np.isnan(result.dw2).all()


def test_overflow_to_infinities_of_both_signs_is_inf_and_not_nan():
    result = probe(ProbeParams.uniform(30, 64, "relu", "standard_normal", gamma=100.0, batch=8, seeds=4))
    assert np.isinf(result.q).sum(axis=1).tolist() == [1] * 4


def test_underflow_is_named_and_statistics_below_1e_minus_60_are_still_right():
    result = probe(ProbeParams.uniform(60, 256, "linear", "small_normal", batch=16, seeds=2))
    factor = 256 * 1e-4  # q[l] = factor^l
    expected = math.log(float(np.finfo(np.float32).tiny) ** 2) / math.log(factor)
    assert abs(result.underflow - expected) < 1.5
    before = result.q[:, :result.underflow - 1]
    assert before.min() < 1e-70
    np.testing.assert_allclose(np.diff(np.log10(before), axis=1), math.log10(factor),
                               atol=5 * 0.43 * math.sqrt(2 / 256))
    assert result.q[:, -1].max() == 0
    assert result.overflow is None
    expected_back = 60 - (expected - 1)
    assert abs(result.underflow_backward - expected_back) < 1.5
    assert result.grad2[:, 0].max() == result.dw2[:, 0].max() == 0


def test_gradient_overflow_is_named_when_the_way_forward_is_finite():
    # saturated tanh, q = 256·E[tanh²]: the gradient's second moment grows by chi = 256·E[(tanh')²] a layer
    n, batch = 256, 16
    result = probe(ProbeParams.uniform(110, n, "tanh", "standard_normal", batch=batch, seeds=3))
    q = float(n)
    for _ in range(50):
        q = n * gaussian_mean(np.tanh(math.sqrt(q) * GRID) ** 2)
    slopes = 1 / np.cosh(math.sqrt(q) * GRID) ** 2
    chi = n * gaussian_mean(slopes**2)
    # E[ln] is below ln E by half the relative variance of a mean over n units of (Gaussian·slope)²
    jensen = (3 * gaussian_mean(slopes**4) / gaussian_mean(slopes**2) ** 2 - 1) / n / 2
    rate, error = slope(result.grad2[:, :59:-1])
    assert error < 0.02
    assert abs(rate - math.log10(chi)) < 5 * error + 0.4343 * jensen
    assert result.overflow is result.underflow is result.underflow_backward is None
    firsts = []
    for grad2, dw2 in zip(result.grad2, result.dw2, strict=True):
        first = np.flatnonzero(~np.isfinite(grad2))[-1]  # the largest square is 1 to n·batch times their mean
        assert FLOAT32_MAX**2 / (n * batch * n * n) < grad2[first + 1] < FLOAT32_MAX**2
        assert math.isinf(grad2[first])
        assert np.isnan(grad2[:first]).all()
        assert np.isnan(dw2[:first + 1]).all()
        assert np.isfinite(dw2[first + 1:]).all()
        firsts.append(first + 1)
    assert result.overflow_backward == max(firsts)


def test_a_dead_end_stops_every_gradient_below_it():
    result = probe(ProbeParams((64,) * 31, "linear", "zeros", sigma_b2=1.0, seeds=1, batch=4))
    assert result.underflow is None
    assert result.underflow_backward == 29
    assert (result.grad2[0, :29] == 0).all()
    assert (result.dw2[0] == 0).tolist() == [True] * 29 + [False]


def test_zero_weights_leave_zero_signal_and_undefined_correlation():
    result = probe(ProbeParams.uniform(3, 8, "tanh", "zeros", batch=4, seeds=1))
    assert (result.q == 0).all()
    assert np.isnan(result.correlation).all()
    assert result.underflow == 1
