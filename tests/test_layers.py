import dataclasses
import math
from itertools import product

import numpy as np
import pytest

import vgdash.layers
from tests.gradients import gradient_errors
from vgdash.activations import ACTIVATIONS
from vgdash.layers import dropout_mask, normalize, normalize_backward, residual_factors
from vgdash.probe.params import ProbeParams

COMBINED = {"residual": "scaled", "keep": 0.8, "sigma_b2": 0.1}
REMEDIES = [{"normalization": "batch"}, {"normalization": "layer"}, {"residual": "plain"},
            {"residual": "scaled"}, {"residual": "zero"}, {"keep": 0.7}, {"rescale": "lsuv"},
            {"normalization": "batch", **COMBINED},
            {"normalization": "layer", **COMBINED, "residual": "plain"},
            {"normalization": "layer", "norm_scale": 0.7},
            {"normalization": "batch", "norm_scale": 2.5, "residual": "scaled"}]


def small(activation="tanh", **rest):
    return ProbeParams((4, 5, 5, 3), activation, "he_normal", batch=6, seeds=1, seed=3, **rest)


@pytest.mark.parametrize(("activation", "remedy"), [
    *((name, {}) for name in ACTIVATIONS), *product(["gelu", "relu"], REMEDIES)], ids=str)
def test_gradients_agree_with_finite_differences(activation, remedy):
    assert gradient_errors(small(activation, **remedy)).max() < 1e-6


@pytest.mark.parametrize("gamma", [1.0, 0.01])
def test_checker_catches_a_slope_that_is_a_thousandth_wrong_however_small_the_gradient_is(monkeypatch, gamma):
    tanh = ACTIVATIONS["tanh"]

    def wrong(z, out):
        return np.multiply(tanh.slope(z, out), 1.001, out=out)

    monkeypatch.setitem(ACTIVATIONS, "tanh", dataclasses.replace(tanh, slope=wrong))
    errors = gradient_errors(small(gamma=gamma))
    assert (errors[:, :-1] > 5e-4).all()
    assert errors[0, -1] < 1e-6  # the last layer's gradient does not pass through a slope


def test_checker_catches_a_normalization_that_forgets_its_variance(monkeypatch):
    def wrong(gradient, hat, factor, axis):
        return (gradient - gradient.mean(axis=axis, keepdims=True)) * factor

    monkeypatch.setattr(vgdash.layers, "normalize_backward", wrong)
    assert gradient_errors(small(normalization="layer")).max() > 1e-2


@pytest.mark.parametrize("axis", [-1, -2])
def test_normalization_leaves_mean_0_and_variance_1_for_any_leading_axes(axis):
    u = np.random.default_rng(0).normal(3, 5, (2, 16, 12))
    hat, factor = normalize(u, axis)
    np.testing.assert_allclose(hat.mean(axis=axis), 0, atol=1e-14)
    variance = u.var(axis=axis)
    np.testing.assert_allclose(hat.var(axis=axis), variance / (variance + 1e-5), rtol=1e-12)
    back = normalize_backward(u, hat, factor, axis)
    np.testing.assert_allclose(back.mean(axis=axis), 0, atol=1e-14)  # a shift of u changes nothing


@pytest.mark.parametrize(("axis", "name"), [(-1, "layer_norm"), (-2, "batch_norm")])
def test_normalization_agrees_with_torch_forward_and_backward(axis, name):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    u, gradient = rng.normal(2, 3, (8, 5)), rng.normal(size=(8, 5))
    tensor = torch.tensor(u, requires_grad=True)
    arguments = {"layer_norm": ((5,),), "batch_norm": (None, None, None, None, True)}[name]
    result = getattr(torch.nn.functional, name)(tensor, *arguments)
    result.backward(torch.tensor(gradient))
    hat, factor = normalize(u, axis)
    np.testing.assert_allclose(hat, result.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(normalize_backward(gradient, hat, factor, axis), tensor.grad.numpy(),
                               rtol=1e-9, atol=1e-14)


def test_dropout_keeps_the_mean_and_raises_the_second_moment_by_1_over_keep():
    keep, n = 0.3, 400_000
    mask = dropout_mask((n,), keep, np.random.default_rng(2))
    assert set(np.unique(mask)) == {np.float32(0), np.float32(1 / keep)}
    std = math.sqrt((1 / keep - 1) / n)
    assert abs(mask.mean(dtype=float) - 1) < 5 * std
    assert abs((mask.astype(float) ** 2).mean() - 1 / keep) < 5 * std / keep


def test_residual_branches_are_where_the_width_stays_and_share_the_variance():
    widths = (8, 8, 8, 4, 4)
    assert residual_factors(widths, "none") == (None,) * 4
    assert residual_factors(widths, "plain") == (None, 1.0, None, 1.0)
    assert residual_factors(widths, "scaled") == (None, 1 / math.sqrt(2), None, 1 / math.sqrt(2))
