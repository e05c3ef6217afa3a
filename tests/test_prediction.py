"""Predictions against an independent simulation (plain NumPy), against ``probe``, closed forms and published values."""

import math

import numpy as np
import pytest

from vgdash.activations import ACTIVATIONS
from vgdash.gaussian import MASSES, NODES
from vgdash.network import ProbeParams, probe
from vgdash.prediction import PREDICTED, predict

LN10 = math.log(10)
SEEDS = 200


def simulate(p, sigma_w2, seeds=SEEDS, rng=0):
    """q and grad2 ``(seeds, depth)`` of float64 nets with N(0, sigma_w2/fan_in) weights: the definition, line by line."""
    a, rng = ACTIVATIONS[p.activation], np.random.default_rng(rng)
    x = rng.standard_normal((seeds, p.batch, p.widths[0]))
    weights, zs = [], []
    for fan_in, fan_out in zip(p.widths[:-1], p.widths[1:], strict=True):
        weights.append(rng.standard_normal((seeds, fan_out, fan_in)) * math.sqrt(sigma_w2 / fan_in))
        bias = math.sqrt(p.sigma_b2) * rng.standard_normal((seeds, 1, fan_out))
        zs.append(x @ weights[-1].transpose(0, 2, 1) + bias)
        x = a.f(zs[-1])
    gradients = [rng.standard_normal(zs[-1].shape)]
    for w, z in zip(weights[:0:-1], zs[-2::-1], strict=True):
        gradients.append(gradients[-1] @ w * a.df(z))
    return {"q": np.stack([(z**2).mean((1, 2)) for z in zs], 1),
            "grad2": np.stack([(g**2).mean((1, 2)) for g in gradients[::-1]], 1)}


def assert_band_holds(measured, prediction, name, seeds=SEEDS):
    centre, band = getattr(prediction, f"log10_{name}") * LN10, getattr(prediction, f"band_{name}")
    logs = np.log(measured[name])
    np.testing.assert_array_less(np.abs(logs.mean(0) - centre - band.mean), 4 * np.sqrt(band.variance / seeds), err_msg=name)
    # variance of n normal draws: relative error √(2/n)
    np.testing.assert_array_less(np.abs(logs.var(0) / band.variance - 1), 4 * math.sqrt(2 / seeds), err_msg=name)
    low, high = prediction.interval(name, 0.9)
    inside = ((np.log10(measured[name]) >= low) & (np.log10(measured[name]) <= high)).mean(0)
    np.testing.assert_array_less(np.abs(inside - 0.9), 4 * math.sqrt(0.9 * 0.1 / seeds), err_msg=name)


@pytest.mark.parametrize("strength", [0.6, 1.0, 1.5], ids=["ordered", "critical", "chaotic"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_two_hundred_random_nets_scatter_around_the_prediction_as_the_band_says(name, strength):
    """sigma_w2 relative to the one that keeps gradients at unit variance; 5·depth/width = 0.47."""
    sigma_w2 = strength / (MASSES @ ACTIVATIONS[name].df(NODES) ** 2)
    p = ProbeParams.uniform(6, 64, name, "lecun_normal", gamma=math.sqrt(sigma_w2), sigma_b2=0.05, batch=4)
    measured, prediction = simulate(p, sigma_w2), predict(p)
    for statistic in ("q", "grad2"):
        assert_band_holds(measured, prediction, statistic)


@pytest.mark.parametrize(("name", "gain2"), [("relu", 2.0), ("linear", 1.0), ("tanh", 1.0)])
def test_the_band_holds_for_a_larger_batch_and_for_widths_that_change(name, gain2):
    p = ProbeParams((96, 64, 128, 64, 96, 80), name, "lecun_normal", gamma=math.sqrt(gain2), batch=16)
    measured, prediction = simulate(p, gain2, rng=1), predict(p)
    for statistic in ("q", "grad2"):
        assert_band_holds(measured, prediction, statistic)


@pytest.mark.parametrize(("name", "noise", "kind"), [("relu", 5, "published"), ("linear", 2, "published"), ("tanh", None, "approximate")])
def test_the_band_of_one_layer_more_is_that_of_hanin_and_nica(name, noise, kind):
    """A batch of 2 unrelated inputs halves the noise of one input; what they share comes on top, and is known for ReLU's first layer."""
    p = ProbeParams.uniform(2, 10_000 // 4, name, "he_normal" if name == "relu" else "lecun_normal", batch=2)
    prediction = predict(p)
    assert prediction.band_kind == kind
    if noise:
        step = prediction.band_grad2.variance[0] - prediction.band_grad2.variance[1]
        assert step == pytest.approx(noise / 2 / 2500, rel=0.01)
        assert prediction.band_grad2.mean[0] == pytest.approx(-prediction.band_grad2.variance[0] / 2, rel=1e-6)


@pytest.mark.parametrize("settings", [
    {"activation": "relu", "initializer": "he_normal", "keep": 0.7},
    {"activation": "tanh", "initializer": "orthogonal", "gamma": 1.3, "sigma_b2": 0.1},
    {"activation": "gelu", "initializer": "pytorch_default", "gamma": 2.0},
    {"activation": "selu", "initializer": "glorot_uniform"},
    {"activation": "relu", "initializer": "he_normal", "residual": "plain", "sigma_b2": 0.2},
    {"activation": "silu", "initializer": "lecun_uniform", "residual": "scaled", "keep": 0.9},
    {"activation": "elu", "initializer": "he_uniform", "residual": "zero", "sigma_b2": 0.2},
    {"activation": "tanh", "initializer": "he_normal", "normalization": "layer", "sigma_b2": 0.3},
    {"activation": "relu", "initializer": "he_normal", "normalization": "layer", "residual": "plain"},
    {"activation": "relu", "initializer": "he_normal", "normalization": "batch"},
    {"activation": "silu", "initializer": "small_normal", "normalization": "batch", "residual": "plain", "keep": 0.8},
    {"activation": "sigmoid", "initializer": "glorot_normal", "rescale": "lsuv", "sigma_b2": 0.1},
], ids=str)
def test_every_statistic_of_a_wide_probe_is_the_predicted_one(settings):
    """Width 256, depth 5: the finite-width shift of a mean over seeds is of order depth/width, with batch norm depth/batch."""
    p = ProbeParams((300, 256, 256, 256, 256, 256), batch=128, seeds=8, **settings)
    measured, prediction = probe(p), predict(p)
    for name in PREDICTED:
        ours, theirs = getattr(prediction, name), getattr(measured, name)
        error = 4.5 * theirs.std(0, ddof=1) / math.sqrt(p.seeds)
        finite = 5 * p.depth / 256 if name in ("q", "a2", "grad2", "dw2") else 0.5 * p.depth / 256
        scale = np.abs(ours) if name in ("q", "a2", "grad2", "dw2") else 1.0
        np.testing.assert_array_less(np.abs(theirs.mean(0) - ours), error + finite * scale + 1e-12, err_msg=name)


def test_relu_with_batch_normalization_multiplies_gradients_by_pi_over_pi_minus_one():
    """Yang et al. 2019: 1.46694 a layer, for a large batch."""
    prediction = predict(ProbeParams.uniform(10, 64, "relu", "he_normal", normalization="batch", batch=4096))
    factors = 10 ** -np.diff(prediction.log10_grad2)
    np.testing.assert_allclose(factors[1:], 1.46694, rtol=2e-3)


def test_residual_variance_doubles_a_layer_and_scaled_branches_keep_it_below_e():
    """De & Smith 2020: 2^l; with branches times 1/√B and B branches (1 + 1/B)^B."""
    plain = predict(ProbeParams.uniform(100, 32, "relu", "he_normal", residual="plain"))
    np.testing.assert_allclose(plain.log10_q, np.arange(1, 101) * math.log10(2), rtol=1e-12)
    scaled = predict(ProbeParams.uniform(101, 32, "relu", "he_normal", residual="scaled"))
    assert scaled.q[-1] / scaled.q[0] == pytest.approx(1.01**100, rel=1e-12)
    assert scaled.q[-1] / scaled.q[0] == pytest.approx(2.70, abs=0.005)


def test_he_keeps_relu_and_its_correlations_follow_the_arc_cosine_kernel_over_fifty_layers():
    prediction = predict(ProbeParams.uniform(51, 64, "relu", "he_normal"))
    np.testing.assert_allclose(prediction.q, 2, rtol=1e-12)
    np.testing.assert_allclose(prediction.a2, 1, rtol=1e-12)
    np.testing.assert_allclose(prediction.grad2, 1, rtol=1e-12)
    np.testing.assert_allclose(prediction.correlation[[1, 2, 5, 10, 50]], [0.31831, 0.49373, 0.73595, 0.87154, 0.98786], atol=5.1e-6)


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_dropout_moves_relus_critical_point_to_two_keep(keep):
    """E[a²] and the gradient both gain 1/keep, so sigma_w2 = 2·keep is what keeps them."""
    prediction = predict(ProbeParams.uniform(30, 64, "relu", "he_normal", gamma=math.sqrt(keep), keep=keep))
    np.testing.assert_allclose(prediction.log10_q[1:], prediction.log10_q[0], atol=1e-12)
    np.testing.assert_allclose(prediction.log10_grad2, 0, atol=1e-12)


@pytest.mark.parametrize("name", ["relu", "elu", "linear", "gelu"])
def test_nothing_overflows_at_the_largest_net_and_growth_is_the_closed_form(name):
    prediction = predict(ProbeParams((4096,) * 257, name, "standard_normal", batch=2, seeds=1, residual="none")
                         if False else _largest(name))
    a = ACTIVATIONS[name]
    growth = math.log10(4096 / 2 if name != "linear" else 4096)
    assert prediction.log10_q[-1] - prediction.log10_q[-2] == pytest.approx(growth, abs=1e-9)
    assert prediction.q[-1] == math.inf
    assert prediction.a_mean[-1] == (0 if name == "linear" else math.inf)
    assert np.isfinite(prediction.log10_q).all() and np.isfinite(prediction.log10_grad2).all() and a.f(1.0) > 0
