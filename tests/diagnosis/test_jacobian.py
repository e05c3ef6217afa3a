"""Singular values against compound matrices, determinants, autograd, closed forms; moments against theory."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from vgdash.activations import ACTIVATIONS
from vgdash.diagnosis.jacobian import jacobian_spectrum
from vgdash.layers import EPSILON, Tape, forward
from vgdash.params import ParamError
from vgdash.probe.probe import ProbeParams
from vgdash.probe.propagation import build

LN10 = math.log(10)
uniform = ProbeParams.uniform


def dense_jacobian(p, draw=0, row=0):
    """∂z[L]/∂x by plain multiplication in float64, without normalization; and its factors."""
    net, x, _ = build(p, draw)
    tape = Tape(p.widths, p.batch, np.float64)
    for _ in forward(net, x.astype(np.float64), tape):
        pass
    factors = []
    for index, weights in enumerate(net.weights):
        factor = weights * float(net.scales[index])
        if index:
            factor = factor * tape.slope[index][row]
        skip = net.skips[index]
        factors.append(factor if skip is None else np.eye(len(factor)) + skip * factor)
    product = np.eye(p.widths[0])
    for factor in factors:
        product = factor @ product
    return product, factors


def compound(matrix, k):
    """All k x k minors: its largest singular value is the product of the k largest of the matrix."""
    rows = list(itertools.combinations(range(len(matrix)), k))
    return np.array([[np.linalg.det(matrix[np.ix_(r, c)]) for c in rows] for r in rows])


@pytest.mark.parametrize("p", [
    uniform(256, 4, "linear", "lecun_normal", seeds=1),
    uniform(200, 5, "tanh", "lecun_normal", seeds=1, gamma=1.3, sigma_b2=0.3),
    uniform(120, 4, "sigmoid", "standard_normal", seeds=1, gamma=4.0),
    uniform(60, 4, "linear", "standard_normal", seeds=1, gamma=30.0),
    uniform(150, 4, "leaky_relu", "he_uniform", seeds=1),
    uniform(100, 4, "tanh", "standard_normal", seeds=1, gamma=8.0, sigma_b2=1.0),
], ids=lambda p: f"{p.activation}-{p.depth}")
def test_no_singular_value_drowns_however_far_apart_they_are(p):
    # ln s_1 + … + ln s_k is ln of the norm of a product of compound matrices: rescaled floats keep it
    _, factors = dense_jacobian(p)
    n = p.widths[0]
    sums = []
    for k in range(1, n + 1):
        product, log_scale = np.eye(math.comb(n, k)), 0.0
        for factor in factors:
            product = compound(factor, k) @ product
            scale = np.abs(product).max()
            product, log_scale = product / scale, log_scale + math.log(scale)
        sums.append(log_scale + math.log(np.linalg.norm(product, 2)))
    expected = np.diff([0.0, *sums]) / LN10
    found = jacobian_spectrum(p)
    np.testing.assert_allclose(found.log10_s[0, 0], expected, rtol=0, atol=2e-6)
    if p.activation == "linear":
        assert np.ptp(expected) > 16  # beyond what one float64 product could keep


def test_orthogonal_linear_nets_have_singular_values_of_exactly_one_at_any_depth():
    found = jacobian_spectrum(uniform(256, 32, "linear", "orthogonal"))
    assert np.abs(found.log10_s).max() < 256 * 32 * np.finfo(np.float32).eps / LN10  # the weights are float32
    assert found.predicted_log10_mean == pytest.approx(0, abs=1e-12)
    assert found.predicted_log10_largest == pytest.approx(0, abs=1e-12)
    assert found.predicted_variance == pytest.approx(0, abs=1e-12)
    assert found.log10_condition.max() < 1e-3


def test_the_identity_times_gamma_gives_gamma_to_the_depth():
    found = jacobian_spectrum(uniform(200, 6, "linear", "identity", gamma=1.5))
    np.testing.assert_allclose(found.log10_s, 200 * math.log10(1.5), rtol=1e-9)
    assert found.log10_s.shape == (2, 1, 6)
    assert math.isnan(found.predicted_variance)
    assert "identity" in found.reason


def test_the_logs_add_up_to_the_determinants_at_width_100():
    p = uniform(64, 100, "tanh", "he_normal", seeds=1)
    _, factors = dense_jacobian(p)
    expected = sum(np.linalg.slogdet(factor)[1] for factor in factors)
    found = jacobian_spectrum(p).log10_s
    assert np.ptp(found) > 20
    assert found.sum() * LN10 == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("p", [
    uniform(4, 24, "relu", "he_normal", residual="plain"),
    uniform(5, 24, "gelu", "orthogonal", residual="scaled", sigma_b2=0.2),
    uniform(4, 24, "tanh", "lecun_normal", residual="zero"),
    ProbeParams((30, 20, 40, 12), "elu", "glorot_uniform"),
    ProbeParams((12, 40, 8, 30), "silu", "he_normal"),
    uniform(4, 24, "relu", "he_normal", keep=0.6),
    uniform(4, 24, "relu", "standard_normal", rescale="lsuv"),
    uniform(4, 24, "gelu", "he_normal", last_scale=0.1, last_bias=2.0, input_mean=1.0, input_scale=3.0),
], ids=str)
def test_short_nets_agree_with_the_svd_of_the_multiplied_out_jacobian(p):
    found = jacobian_spectrum(p, inputs=2)
    assert found.log10_s.shape == (2, 2, min(p.widths[0], p.widths[-1]))
    for seed, row in itertools.product(range(2), range(2)):
        s = np.linalg.svd(dense_jacobian(p, seed, row)[0], compute_uv=False)
        rank = found.rank[seed, row]
        assert (s[rank:] < 1e-12 * s[0]).all()
        ours = 10 ** found.log10_s[seed, row, :rank]
        np.testing.assert_allclose(ours, s[:rank], rtol=1e-7, atol=1e-13 * s[0])


@pytest.mark.parametrize(("normalization", "scale"), [("layer", 1.0), ("batch", 1.0), ("layer", 0.3)])
def test_normalization_is_differentiated_as_finite_differences_say(normalization, scale):
    """Layer normalization in full; batch normalization with the batch's mean and variance held fixed."""
    p = uniform(3, 10, "tanh", "he_normal", normalization=normalization, batch=16, seeds=1, norm_scale=scale)
    net, x, _ = build(p, 0)
    x = x.astype(np.float64)
    activation = ACTIVATIONS[p.activation]
    statistics = []

    def output(a, fixed=None):
        for index, weights in enumerate(net.weights):
            u = a @ (weights * float(net.scales[index])).T
            if normalization == "layer":
                mean, variance = u.mean(axis=1, keepdims=True), u.var(axis=1, keepdims=True)
            elif fixed is None:
                mean, variance = u.mean(axis=0), u.var(axis=0)
                statistics.append((mean, variance))
            else:
                mean, variance = fixed[index]
            z = scale * (u - mean) / np.sqrt(variance + 1e-5)
            a = activation.f(z)
        return z

    output(x)
    step, first = 1e-6, x[:1]
    rises = [output(first + step * e, statistics) - output(first - step * e, statistics) for e in np.eye(10)]
    s = np.linalg.svd(np.concatenate(rises).T / (2 * step), compute_uv=False)
    found = jacobian_spectrum(p).log10_s[0, 0]
    large = s > 1e-3 * s[0]
    np.testing.assert_allclose(10 ** found[large], s[large], rtol=1e-6)


def test_windows_of_scales_join_without_a_seam_in_a_dense_spectrum_of_twelve_decades():
    p = uniform(9, 80, "linear", "lecun_normal", seeds=1)
    s = np.linalg.svd(dense_jacobian(p)[0], compute_uv=False)
    there = s > 1e-10 * s[0]  # what the multiplied-out product keeps to 1e-6
    assert s[there].min() < 1e-8 * s[0]
    np.testing.assert_allclose(10 ** jacobian_spectrum(p).log10_s[0, 0, there], s[there], rtol=1e-5)


def test_dead_relu_units_leave_exact_zeros_and_the_rank_is_that_of_the_narrowest_layer():
    p = uniform(12, 40, "relu", "he_normal", seeds=1, seed=3)
    _, factors = dense_jacobian(p)
    open_units = [int((np.abs(factor).max(axis=0) > 0).sum()) for factor in factors[1:]]
    found = jacobian_spectrum(p)
    assert 0 < found.rank[0, 0] <= min(open_units) < 40
    assert found.zeros == pytest.approx(1 - found.rank[0, 0] / 40)
    assert found.log10_condition[0, 0] == math.inf
    assert found.share.sum() + found.zeros == pytest.approx(1)


def test_layer_normalization_loses_one_direction_and_shrinks_another_without_losing_it():
    found = jacobian_spectrum(uniform(5, 24, "tanh", "he_normal", normalization="layer", seeds=4))
    assert (found.rank == 23).all()  # the mean goes to 0; the length keeps EPSILON/variance, 5e-6 a layer
    assert (np.abs(found.log10_s[..., 22] - 5 * math.log10(EPSILON / 2)) < 5).all()


def test_zeros_have_no_jacobian_and_say_so():
    found = jacobian_spectrum(uniform(5, 16, "relu", "zeros"))
    assert found.rank.max() == 0
    assert found.zeros == 1
    assert "0" in found.reason
    assert found.frame().share.sum() == 0


def moments_over_seeds(found):
    """ln of the mean of s², and mean s⁴/(mean s²)² - 1, with their standard errors over seeds."""
    squares = 100.0 ** found.log10_s[:, 0]
    first, second = squares.mean(axis=1), (squares**2).mean(axis=1)
    ratio = second.mean() / first.mean() ** 2
    influences = first / first.mean(), second / first.mean() ** 2 - 2 * ratio * first / first.mean()
    return math.log(first.mean()), ratio - 1, *(x.std(ddof=1) / math.sqrt(len(x)) for x in influences)


MOMENTS = [replace(p, seeds=24, batch=2) for p in (
    uniform(4, 128, "linear", "lecun_normal"),
    uniform(4, 128, "relu", "he_normal"),
    uniform(4, 128, "tanh", "lecun_normal", gamma=1.5, sigma_b2=0.2),
    uniform(4, 128, "tanh", "orthogonal", gamma=2.0, sigma_b2=0.2),
    uniform(4, 128, "relu", "orthogonal", gamma=1.4),
    ProbeParams((160, 80, 120, 64), "relu", "he_normal"),
    ProbeParams((160, 80, 120, 64), "elu", "orthogonal"),
    uniform(4, 128, "relu", "he_normal", keep=0.7),
    uniform(4, 128, "tanh", "he_normal", normalization="layer"),
    uniform(4, 128, "tanh", "he_normal", normalization="layer", norm_scale=0.5, input_mean=1.0),
    uniform(4, 128, "relu", "pytorch_default", last_scale=0.2, input_scale=4.0),
    uniform(4, 96, "relu", "he_normal", residual="plain"),
    uniform(4, 96, "relu", "he_normal", residual="scaled"),
)]


@pytest.mark.parametrize("p", MOMENTS, ids=str)
def test_mean_and_variance_of_the_squared_singular_values_are_those_of_free_probability(p):
    found = jacobian_spectrum(p)
    log_mean, variance, mean_error, error = moments_over_seeds(found)
    left_out = p.depth / min(p.widths)  # by the limit of wide layers, relative
    assert abs(log_mean - found.predicted_log10_mean * LN10) < 4 * mean_error + left_out / 4
    assert found.log10_mean.shape == found.variance.shape == (24, 1)
    if p.residual != "none":
        assert math.isnan(found.predicted_variance)
        assert "skip" in found.reason
        return
    left_out *= 1.5 * (1 + found.predicted_variance)
    assert abs(variance - found.predicted_variance) < 4 * error + left_out


@pytest.mark.parametrize("depth", [1, 3, 10])
def test_pennington_variance_l_and_largest_value_of_linear_gaussian_nets(depth):
    # REFERENCES row 19
    found = jacobian_spectrum(uniform(depth, 200, "linear", "lecun_normal", seeds=2))
    assert found.predicted_variance == pytest.approx(depth)
    largest = math.log10((depth + 1) ** (depth + 1) / depth**depth) / 2
    assert found.predicted_log10_largest == pytest.approx(largest)
    # the edge of n values fluctuates by n^(-2/3) (Tracy-Widom) of s², times its curvature, about depth
    edge = 5 * depth * 200 ** (-2 / 3) / 2 / LN10
    assert np.abs(found.log10_s[:, 0, 0] - largest).max() < edge + 0.01


def test_a_net_that_leaves_float64_says_so():
    found = jacobian_spectrum(uniform(256, 16, "relu", "standard_normal", gamma=100.0))
    assert np.isnan(found.log10_s).all()
    assert "float64" in found.reason


def test_too_wide_a_net_is_refused_before_it_is_drawn_and_seeds_are_thinned(monkeypatch):
    with pytest.raises(ParamError, match=r"widths must be .*narrower"):
        jacobian_spectrum(uniform(10, 2048, batch=2, seeds=1))
    with pytest.raises(ParamError, match="inputs"):
        jacobian_spectrum(uniform(2, 8, batch=4), inputs=5)
    monkeypatch.setattr("vgdash.diagnosis.jacobian.WORK", 7.5 * 3 * 16**3)
    assert jacobian_spectrum(uniform(3, 16, seeds=9)).seeds == 7
    assert jacobian_spectrum(uniform(3, 16, seeds=9), inputs=2).seeds == 3
