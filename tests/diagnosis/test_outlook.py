"""The four figures of a start against closed forms, brute force and random matrices."""

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from vgdash.activations import ACTIVATIONS
from vgdash.diagnosis.outlook import (
    CHAOS,
    FORGIVEN,
    NEAR,
    RELATED,
    UNEVEN,
    log_bending,
    only_neighbours,
    outlooks,
)
from vgdash.initializers import INITIALIZERS
from vgdash.layers import residual_factors
from vgdash.probe.probe import ProbeParams, probe
from vgdash.theory.layerwise import predict

uniform = ProbeParams.uniform


def outlook(p):
    return outlooks([p])[0]


def test_relu_with_lecun_halves_signal_and_gradient_in_every_layer():
    found = outlook(uniform(50, 256, "relu", "lecun_normal"))
    decades = 49 * math.log10(2)
    assert found[:2] == pytest.approx((-decades, -decades), abs=1e-6)
    assert found.gradient == pytest.approx(decades, abs=1e-6)
    assert found.scale == 0
    assert found.unevenness == pytest.approx(2 * math.log10(1 + 2 * 49 / UNEVEN))


@pytest.mark.parametrize("p", [
    uniform(40, 100, "gelu", "lecun_normal", residual="scaled", sigma_b2=0.1, gamma=1.3),
    uniform(40, 100, "tanh", "standard_normal", normalization="layer", sigma_b2=0.5),
    uniform(40, 100, "relu", "glorot_normal", normalization="batch"),
    uniform(10, 100, "silu", "pytorch_default"),
    uniform(40, 100, "elu", "he_uniform", keep=0.8, input_scale=2.0, input_mean=0.5),
    uniform(200, 100, "softplus", "orthogonal", gamma=3.0),
    ProbeParams((784, 512, 512, 256, 10), "softsign", "playground_default", gamma=2.0),
], ids=str)
def test_signal_and_gradient_are_those_of_predict(p):
    theory, found, units = predict(p), outlook(p), np.log10(p.widths[1:])
    assert found.forward == pytest.approx(theory.log10_q[-1], abs=1e-9)
    assert found.backward == pytest.approx(theory.log10_grad2[0], abs=1e-9)
    ranges = [np.ptp(theory.log10_grad2), np.ptp(theory.log10_grad2 + units)]
    assert found.gradient == pytest.approx(min(ranges), abs=1e-9)


def arc_cosine(c):
    """Cho & Saul 2009: the cosine behind ReLU."""
    return (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi


@pytest.mark.parametrize(("depth", "keep"), [(2, 1.0), (3, 1.0), (30, 1.0), (10, 0.8)])
def test_the_difference_that_relu_leaves_is_that_of_the_arc_cosine_kernel(depth, keep):
    related, unrelated = RELATED, 0.0
    for _ in range(depth - 2):
        related, unrelated = keep * arc_cosine(related), keep * arc_cosine(unrelated)
    expected = -math.log10((related - unrelated) / RELATED)
    found = outlook(uniform(depth, 100, "relu", "he_normal", keep=keep))
    assert found.difference == pytest.approx(expected, rel=1e-5, abs=1e-9)


def sine_kernel(k, c):
    """E[sin u sin v]/E[sin² u] for u, v ~ N(0, k) of cosine c."""
    return (math.exp(k * (c - 1)) - math.exp(-k * (c + 1))) / -math.expm1(-2 * k)


@pytest.mark.parametrize(("gamma", "neighbours"), [(1.0, False), (1.4, False), (10.0, True), (100.0, None)])
def test_of_few_features_chaos_counts_by_what_becomes_of_neighbours(gamma, neighbours):
    """Three layers of sin(z): the last hidden one holds the kernel of the first, the kernel of cosine c."""
    p = ProbeParams((2, 64, 64, 2), "sin(z)", "lecun_normal", gamma=gamma)
    kept = {c: sine_kernel(gamma**2, c) / c for c in (RELATED, NEAR)}
    expected = -math.log10(kept[RELATED]) if neighbours is False else max(CHAOS, -math.log10(kept[NEAR]))
    assert outlook(p).difference == pytest.approx(expected, rel=5e-3)  # of tabulated averages
    assert only_neighbours(p, outlook(p)) == bool(neighbours)


@pytest.mark.parametrize(("activation", "depth"), [("relu", 30), ("tanh", 20), ("gelu", 12)])
def test_order_takes_the_same_from_few_features_as_from_many(activation, depth):
    few, many = (outlook(ProbeParams((n, *(64,) * (depth - 1), 2), activation, "lecun_normal")).difference
                 for n in (2, 64))
    assert few == pytest.approx(many, rel=1e-9)
    assert few > 0.04


@pytest.mark.parametrize(("activation", "residual"), [("relu", "none"), ("tanh", "none"), ("relu", "scaled")])
def test_the_difference_that_batch_normalization_leaves_is_that_of_random_nets(activation, residual):
    width, depth, f = 400, 8, ACTIVATIONS[activation].f
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((2, 200, width))
    z = np.concatenate([one, RELATED * one + math.sqrt(1 - RELATED**2) * other])
    skips = residual_factors((width,) * (depth + 1), residual)
    for layer in range(depth - 1):
        u = (f(z) if layer else z) @ rng.standard_normal((width, width))
        branch = (u - u.mean(axis=0)) / u.std(axis=0)
        z = branch if skips[layer] is None else z + skips[layer] * branch
    sizes = np.linalg.norm(z, axis=1)
    cosine = ((z[:200] * z[200:]).sum(axis=1) / sizes[:200] / sizes[200:]).mean()
    found = outlook(uniform(depth, width, activation, "he_normal", normalization="batch", residual=residual,
                            batch=400))
    assert RELATED * 10**-found.difference == pytest.approx(cosine, rel=0.1)  # finite width and batch


@pytest.mark.parametrize(("residual", "depth"), [("plain", 50), ("scaled", 8)])
def test_branches_that_a_scale_of_zero_shuts_take_no_difference_and_add_no_silence(residual, depth):
    """The net is its first and last layer until the first step opens the branches."""
    p = ProbeParams((64, *(50,) * (depth - 1), 10), "relu", "he_normal", normalization="batch",
                    residual=residual, norm_scale=0.0)
    assert outlook(p).difference == pytest.approx(0, abs=1e-9)
    assert outlook(replace(p, norm_scale=1e-3)).difference == pytest.approx(0, abs=1e-3)  # no jump at 0
    assert outlook(p).scale == 0
    assert outlook(p).learns


@pytest.mark.parametrize(("activation", "orthogonal", "residual"), [
    ("linear", False, "none"), ("relu", False, "none"), ("relu", True, "none"), ("relu", False, "plain"),
    ("tanh", True, "scaled")])
def test_unevenness_is_the_spread_of_the_singular_values_of_random_nets(activation, orthogonal, residual):
    """S against the moments tr(JJᵀ)²/n over (tr JJᵀ/n)² of Jacobians of nets 100 wide."""
    name = "orthogonal" if orthogonal else "he_normal" if activation == "relu" else "lecun_normal"
    gamma = math.sqrt(2) if orthogonal else 1.0
    p = uniform(5, 100, activation, name, residual=residual, gamma=gamma)
    s = UNEVEN * (10 ** (outlook(p).unevenness / 2) - 1)
    spreads = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        weights = [INITIALIZERS[name].draw(100, 100, rng, p.gamma, np.float64) for _ in range(5)]
        z, jacobian = weights[0] @ rng.standard_normal(100), np.eye(100)
        for w, skip in zip(weights[1:], residual_factors(p.widths, residual)[1:], strict=True):
            slope = ACTIVATIONS[activation].df(z)
            step = w * slope
            jacobian = (step if skip is None else np.eye(100) + skip * step) @ jacobian
            u = w @ ACTIVATIONS[activation].f(z)
            z = u if skip is None else z + skip * u
        squares = np.linalg.svd(jacobian, compute_uv=False) ** 2
        spreads.append((squares**2).mean() / squares.mean() ** 2 - 1)
    assert s == pytest.approx(np.mean(spreads), rel=0.2)  # products of spreads are left out: S adds up


def test_the_scale_counts_a_large_last_layer_a_straight_net_and_silent_branches():
    assert outlook(uniform(4, 100, "linear", "lecun_normal", gamma=10.0)).scale == pytest.approx(8 - FORGIVEN)
    assert outlook(uniform(4, 100, "relu", "lecun_normal", gamma=0.01)).scale == 0  # ReLU bends at any size
    assert outlook(uniform(4, 100, "tanh", "lecun_normal", gamma=0.01)).scale == pytest.approx(4)
    layers, gamma = 40, 0.01
    branches = layers - 2  # of layers 2 to L - 1
    silent = outlook(uniform(layers, 100, "relu", "he_normal", gamma=gamma, residual="plain"))
    assert silent.scale == pytest.approx(-math.log10(branches * gamma**2), rel=1e-3)
    assert outlook(uniform(layers, 100, "relu", "he_normal", residual="zero")).scale == 0


@pytest.mark.parametrize("omega", [4, 10, 30])
@pytest.mark.parametrize("gamma", [0.02, 0.3, 2.0])
@pytest.mark.parametrize(("activation", "scaled"), [
    ("tanh", "tanh({}*z)"), ("sin(z)", "sin({}*z)"), ("sigmoid", "sigmoid({}*z)")])
def test_a_function_that_bends_sooner_with_weights_that_are_smaller_is_the_same_net(
        activation, scaled, gamma, omega):
    """f(ω (W/ω) x) = f(W x)."""
    plain = ProbeParams((64, 128, 128, 128, 10), activation, "lecun_normal", gamma=gamma)
    same = replace(plain, activation=scaled.format(omega), gamma=gamma / omega, last_scale=float(omega))
    assert outlook(same) == pytest.approx(outlook(plain), abs=0.01)


@pytest.mark.parametrize(("activation", "formula"), [("tanh", math.tanh), ("sin(z)", math.sin)])
def test_an_activation_bends_where_tanh_does_at_1(activation, formula):
    """Sampled: the share of f(√q z) that no straight line explains, over that of a large q."""
    z = np.random.default_rng(0).standard_normal(400_000)

    def share(f, q):
        return 1 - np.corrcoef(z, np.vectorize(f)(math.sqrt(q) * z))[0, 1] ** 2
    q = math.exp(log_bending(ACTIVATIONS[activation]))
    assert share(formula, q) / share(formula, 1e6) == pytest.approx(
        share(math.tanh, 1) / share(math.tanh, 1e6), rel=0.02)


def test_zeros_have_no_outlook_but_in_one_layer():
    assert math.isinf(outlook(uniform(3, 8, "relu", "zeros")).difficulty)
    assert outlook(ProbeParams((64, 10), "linear", "zeros")).difficulty == 0


def test_a_shut_last_layer_is_no_hindrance():
    open_, shut = (outlook(uniform(5, 64, "relu", "he_normal", last_scale=scale)) for scale in (1.0, 0.0))
    assert shut.difficulty == pytest.approx(open_.difficulty)
    assert shut.forward == -math.inf


def test_the_identity_is_measured_and_its_width_does_not_matter():
    wide, narrow = (outlook(uniform(30, n, "relu", "identity")) for n in (512, 100))
    assert wide.gradient == pytest.approx(narrow.gradient, abs=0.1)
    seen = probe(uniform(30, 512, "relu", "identity", seeds=2, batch=64))
    assert wide.gradient == pytest.approx(np.ptp(seen.log10("grad2"), axis=1).mean(), abs=0.1)


@pytest.mark.parametrize("normalization", ["layer", "batch"])
@pytest.mark.parametrize(("depth", "passing"), [(2, 0.5), (3, NormalDist().cdf(-1 / math.sqrt(2 * math.pi)))])
def test_the_identity_of_relu_between_normalizations_lets_few_units_through(depth, passing, normalization):
    """Those above 0, and above the mean E[relu(z)] = 1/sqrt(2π) of their layer: S = 1/share - 1."""
    found = outlook(uniform(depth, 64, "relu", "identity", normalization=normalization))
    assert found.unevenness == pytest.approx(2 * math.log10(1 + (1 / passing - 1) / UNEVEN), abs=0.01)
    assert outlook(uniform(depth, 64, "relu", "identity")).unevenness == 0


def test_the_identity_between_normalizations_of_which_every_unit_ends_flat_has_no_outlook():
    p = uniform(100, 64, "max(0,min(z,1))", "identity", normalization="layer")
    assert outlook(p).unevenness == math.inf
    assert outlook(replace(p, widths=(64,) * 3)).unevenness < 1


def test_two_outputs_of_a_last_layer_do_not_decide_on_the_identity():
    """Normalized they are ±1 whatever comes, and no gradient passes; nets are trained without that."""
    wide, two = (outlook(ProbeParams((64, *(32,) * 7, last), "elu", "identity", normalization="layer"))
                 for last in (32, 2))
    assert two == pytest.approx(wide, abs=1e-9)
    assert two.gradient < 1


def test_batch_normalization_of_two_inputs_is_judged_as_that_of_many():
    p = uniform(20, 64, "relu", "he_normal", normalization="batch", batch=2)
    assert outlook(p) == outlook(replace(p, batch=64))
