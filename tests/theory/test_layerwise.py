"""Predictions against a simulation in plain NumPy, ``probe``, closed forms and published values."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pair_quadrature import pair_mean, pair_nodes
from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.probe.probe import ProbeParams, probe
from vgdash.quadrature import MASSES, NODES
from vgdash.theory.layerwise import PREDICTED, predict

LN10 = math.log(10)
SEEDS = 200


def simulate(p, sigma_w2, rng):
    """q and grad2 ``(SEEDS, depth)`` of float64 nets with N(0, sigma_w2/fan_in) weights, by definition."""
    a, rng = ACTIVATIONS[p.activation], np.random.default_rng(rng)
    x = p.input_mean + p.input_scale * rng.standard_normal((SEEDS, p.batch, p.widths[0]))
    weights, zs = [], []
    for fan_in, fan_out in zip(p.widths[:-1], p.widths[1:], strict=True):
        weights.append(rng.standard_normal((SEEDS, fan_out, fan_in)) * math.sqrt(sigma_w2 / fan_in))
        bias = math.sqrt(p.sigma_b2) * rng.standard_normal((SEEDS, 1, fan_out))
        zs.append(x @ weights[-1].transpose(0, 2, 1) + bias)
        x = a.f(zs[-1])
    gradients = [rng.standard_normal(zs[-1].shape)]
    for w, z in zip(weights[:0:-1], zs[-2::-1], strict=True):
        gradients.append(gradients[-1] @ w * a.df(z))
    return {"q": np.stack([(z**2).mean((1, 2)) for z in zs], 1),
            "grad2": np.stack([(g**2).mean((1, 2)) for g in gradients[::-1]], 1)}


def assert_bands_hold(p, sigma_w2, rng=0):
    prediction = predict(p)
    for name, values in simulate(p, sigma_w2, rng).items():
        centre, band = getattr(prediction, f"log10_{name}") * LN10, getattr(prediction, f"band_{name}")
        logs = np.log(values)
        away = np.abs(logs.mean(0) - centre - band.mean)
        np.testing.assert_array_less(away, 4 * np.sqrt(band.variance / SEEDS), err_msg=name)
        # variance of n normal draws: relative error √(2/n)
        away = np.abs(logs.var(0) / band.variance - 1)
        np.testing.assert_array_less(away, 4 * math.sqrt(2 / SEEDS), err_msg=name)
        low, high = prediction.interval(name, 0.9)
        inside = ((logs >= low * LN10) & (logs <= high * LN10)).mean(0)
        np.testing.assert_array_less(np.abs(inside - 0.9), 4 * math.sqrt(0.9 * 0.1 / SEEDS), err_msg=name)


@pytest.mark.parametrize("strength", [0.6, 1.0, 1.5], ids=["ordered", "critical", "chaotic"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_two_hundred_random_nets_scatter_around_the_prediction_as_the_band_says(name, strength):
    """sigma_w2 relative to the one that keeps gradients at unit variance; 5·depth/width = 0.47."""
    sigma_w2 = strength / (MASSES @ ACTIVATIONS[name].df(NODES) ** 2)
    p = ProbeParams.uniform(6, 64, name, "lecun_normal", gamma=math.sqrt(sigma_w2), sigma_b2=0.05, batch=4)
    assert_bands_hold(p, sigma_w2)


@pytest.mark.parametrize(("name", "gain2"), [("relu", 2.0), ("linear", 1.0), ("tanh", 1.0)])
def test_the_band_holds_for_a_larger_batch_and_for_widths_that_change(name, gain2):
    p = ProbeParams((96, 64, 128, 64, 96, 80), name, "lecun_normal", gamma=math.sqrt(gain2), batch=16)
    assert_bands_hold(p, gain2, rng=1)


@pytest.mark.parametrize(("mean", "scale"), [(0.7, 1.0), (2.0, 0.5), (0.0, 3.0)])
@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_the_band_holds_for_inputs_with_a_mean_and_a_scale(name, mean, scale):
    p = ProbeParams((12, 128, 128, 128), name, "lecun_normal", gamma=1.2, batch=2, input_mean=mean,
                    input_scale=scale)  # few features: most of the scatter is theirs
    assert_bands_hold(p, 1.44, rng=2)


@pytest.mark.parametrize(("name", "noise"), [("relu", 5), ("linear", 2)])
def test_the_band_of_one_layer_more_is_that_of_hanin_and_nica(name, noise):
    """A batch of 2 unrelated inputs halves the noise of one; the rest is known for ReLU's first layer."""
    p = ProbeParams.uniform(2, 2500, name, "he_normal" if name == "relu" else "lecun_normal", batch=2)
    prediction = predict(p)
    step = prediction.band_grad2.variance[0] - prediction.band_grad2.variance[1]
    assert step == pytest.approx(noise / 2 / 2500, rel=0.01)
    half = prediction.band_grad2.variance[0] / 2
    assert prediction.band_grad2.mean[0] == pytest.approx(-half, rel=1e-6)


@pytest.mark.parametrize(("activation", "initializer", "rest"), [
    ("relu", "he_normal", {"keep": 0.7}),
    ("tanh", "orthogonal", {"gamma": 1.3, "sigma_b2": 0.1}),
    ("gelu", "pytorch_default", {"gamma": 2.0}),
    ("selu", "glorot_uniform", {}),
    ("relu", "he_normal", {"residual": "plain", "sigma_b2": 0.2}),
    ("silu", "lecun_uniform", {"residual": "scaled", "keep": 0.9}),
    ("elu", "he_uniform", {"residual": "zero", "sigma_b2": 0.2}),
    ("tanh", "he_normal", {"normalization": "layer", "sigma_b2": 0.3}),
    ("relu", "he_normal", {"normalization": "layer", "residual": "plain"}),
    ("relu", "he_normal", {"normalization": "batch"}),
    ("silu", "small_normal", {"normalization": "batch", "residual": "plain", "keep": 0.8}),
    ("sigmoid", "glorot_normal", {"rescale": "lsuv", "sigma_b2": 0.1}),
    ("relu", "playground_default", {"gamma": 0.2}),
    ("gelu", "playground_default", {"gamma": 0.2, "residual": "plain", "keep": 0.9}),
    ("sigmoid", "playground_default", {"gamma": 0.1, "normalization": "layer"}),
    ("relu", "pytorch_default", {"input_scale": 79.0, "input_mean": 33.0}),
    ("tanh", "he_normal", {"input_mean": -2.0, "normalization": "layer", "norm_scale": 0.4}),
    ("gelu", "he_normal", {"input_mean": 1.0, "normalization": "batch", "norm_scale": 0.5}),
    ("relu", "he_normal", {"normalization": "layer", "norm_scale": 0.3, "residual": "scaled"}),
    ("relu", "he_normal", {"normalization": "batch", "norm_scale": 0.0, "residual": "plain"}),
    ("silu", "he_normal", {"last_scale": 0.1, "last_bias": -0.5}),
    ("tanh", "lecun_normal", {"last_scale": 0.0, "residual": "plain"}),
], ids=str)
def test_every_statistic_of_a_wide_probe_is_the_predicted_one(activation, initializer, rest):
    """Width 256, depth 5: finite width shifts a mean by the order depth/width, batch norm by depth/batch."""
    p = ProbeParams((300, *(256,) * 5), activation, initializer, batch=128, seeds=8, **rest)
    measured, prediction = probe(p), predict(p)
    for name in PREDICTED:
        ours, theirs = getattr(prediction, name), getattr(measured, name)
        error = 4.5 * theirs.std(0, ddof=1) / math.sqrt(p.seeds)
        finite = 5 * p.depth / 256 if name in ("q", "a2", "grad2", "dw2") else 0.5 * p.depth / 256
        scale = np.abs(ours) if name in ("q", "a2", "grad2", "dw2") else 1.0
        np.testing.assert_array_less(np.abs(theirs.mean(0) - ours), error + finite * scale + 1e-12,
                                     err_msg=name)


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


@pytest.mark.parametrize("keep", [0.5, 0.9, 1.0])
def test_he_keeps_relu_over_fifty_layers_and_dropout_moves_the_critical_point_to_two_keep(keep):
    """E[a²] and the gradient both gain 1/keep, so sigma_w2 = 2·keep is what keeps them."""
    prediction = predict(ProbeParams.uniform(51, 64, "relu", "he_normal", gamma=math.sqrt(keep), keep=keep))
    for values, expected in ((prediction.q, 2 * keep), (prediction.a2, 1), (prediction.grad2, 1)):
        np.testing.assert_allclose(values, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["relu", "elu", "linear", "gelu"])
def test_nothing_overflows_where_q_passes_ten_to_the_eight_hundred(name):
    prediction = predict(ProbeParams.uniform(256, 64, name, "standard_normal", gamma=8.0))
    growth = math.log10(64 * 8**2 / (1 if name == "linear" else 2))
    assert prediction.log10_q[-1] > 800
    assert prediction.log10_q[-1] - prediction.log10_q[-2] == pytest.approx(growth, abs=1e-9)
    assert prediction.log10_grad2[-3] == pytest.approx(2 * growth, abs=1e-9)
    assert prediction.q[-1] == math.inf
    assert prediction.a_mean[-1] == (0 if name == "linear" else math.inf)
    assert np.isfinite(prediction.log10_a2).all()
    assert np.isfinite(prediction.interval("grad2")).all()


@pytest.mark.parametrize("name", ["relu", "tanh", "silu"])
def test_a_signal_that_vanishes_is_carried_below_the_smallest_float(name):
    prediction = predict(ProbeParams.uniform(256, 8, name, "small_normal"))
    growth = math.log10(8e-4 * {"relu": 0.5, "tanh": 1.0, "silu": 0.25}[name])
    assert prediction.q[-1] == 0
    assert prediction.log10_q[-1] - prediction.log10_q[-2] == pytest.approx(growth, abs=1e-9)
    assert prediction.log10_grad2[-2] == pytest.approx(growth, abs=1e-9)


def layer_by_layer(name, sigma_w2, sigma_b2, depth):
    """ln q, the correlation of two inputs and ln grad2 by layer, every layer by quadrature of its own."""
    a, log_q, log_slope = ACTIVATIONS[name], [math.log(sigma_w2 + sigma_b2)], []
    correlation = [sigma_b2 / (sigma_w2 + sigma_b2)]
    for _ in range(depth):
        s = math.exp(log_q[-1] / 2)
        moment, slope = (float(MASSES @ f(s * NODES) ** 2) for f in (a.f, a.df))
        u, v, *weights = pair_nodes(correlation[-1], s)
        q = sigma_w2 * moment + sigma_b2
        correlation.append((sigma_w2 * float(pair_mean(a.f(u) * a.f(v), *weights)) + sigma_b2) / q)
        log_q.append(math.log(q))
        log_slope.append(math.log(sigma_w2 * slope))
    return log_q[:depth], correlation[:depth], np.append(np.cumsum(log_slope[:depth - 1][::-1])[::-1], 0.0)


@pytest.mark.parametrize("strength", [0.7, 1.0, 1.4], ids=["ordered", "critical", "chaotic"])
@pytest.mark.parametrize("name",
                         ["elu", "selu", "gelu", "silu", "mish", "softplus", "tanh", "sigmoid", "leaky_relu"])
def test_a_prediction_is_what_quadrature_layer_by_layer_gives_to_eight_digits(name, strength):
    """sigma_w2 relative to the one that keeps gradients at unit variance."""
    sigma_w2, depth = strength / float(MASSES @ ACTIVATIONS[name].df(NODES) ** 2), 24
    for sigma_b2 in (0.0, 0.2):
        log_q, correlation, log_grad2 = layer_by_layer(name, sigma_w2, sigma_b2, depth)
        prediction = predict(ProbeParams.uniform(depth, 64, name, "lecun_normal", gamma=math.sqrt(sigma_w2),
                                                 sigma_b2=sigma_b2))
        np.testing.assert_allclose(prediction.log10_q * LN10, log_q, atol=1e-8)
        np.testing.assert_allclose(prediction.correlation, correlation, atol=1e-8)
        np.testing.assert_allclose(prediction.log10_grad2 * LN10, log_grad2, atol=1e-8)


@pytest.mark.parametrize(("name", "edge"), [("tanh", lambda slope: math.atanh(math.sqrt(1 - slope))),
                                            ("softsign", lambda slope: 1 / math.sqrt(slope) - 1)])
def test_the_saturated_share_is_the_gaussian_tail_beyond_the_point_where_the_slope_is_too_small(name, edge):
    prediction = predict(ProbeParams.uniform(4, 64, name, "he_normal", gamma=1.5))
    z = edge(ACTIVATIONS[name].saturation_slope)
    np.testing.assert_allclose(prediction.saturated, [math.erfc(z / math.sqrt(2 * q)) for q in prediction.q],
                               rtol=1e-9)


@pytest.mark.parametrize("gamma", [1.0, 0.01])
def test_half_of_relus_units_are_saturated_at_every_scale(gamma):
    p = ProbeParams.uniform(60, 64, "relu", "he_normal", gamma=gamma)
    np.testing.assert_array_equal(predict(p).saturated, 0.5)


def test_zero_weights_pass_nothing_and_the_logarithms_say_so():
    prediction = predict(ProbeParams.uniform(4, 16, "relu", "zeros", sigma_b2=0.0))
    assert (prediction.q == 0).all()
    assert (prediction.log10_q == -np.inf).all()
    assert prediction.grad2.tolist() == [0, 0, 0, 1]
    assert np.isnan(prediction.correlation).all()
    assert "weights of 0" in prediction.reason


@pytest.mark.parametrize("name", ["identity", "constant"])
def test_what_is_not_random_gets_no_theory_and_a_reason(name):
    prediction = predict(ProbeParams.uniform(5, 16, "tanh", name))
    assert all(np.isnan(getattr(prediction, name)).all() for name in PREDICTED)
    assert np.isnan(prediction.interval("q")).all()
    assert prediction.reason.startswith("no theory is drawn")


@given(
    widths=st.lists(st.sampled_from([1, 2, 7, 64, 300]), min_size=2, max_size=8),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    initializer=st.sampled_from(sorted({*INITIALIZERS} - {"identity", "constant"})),
    gamma=st.sampled_from([0.0, 0.1, 1.0, 100.0]), sigma_b2=st.sampled_from([0.0, 0.1, 100.0]),
    batch=st.sampled_from([2, 4, 64]), keep=st.sampled_from([0.01, 0.5, 1.0]),
    normalization=st.sampled_from(["none", "batch", "layer"]),
    residual=st.sampled_from(["none", "plain", "scaled"]),
    rescale=st.sampled_from(["none", "lsuv"]),
)
@settings(max_examples=40, deadline=None)
def test_whatever_is_not_a_number_has_its_reason(**fields):
    prediction = predict(ProbeParams(**fields))
    for name in ("log10_q", "log10_a2", "a_mean", "saturated"):
        assert not np.isnan(getattr(prediction, name)).any(), name
    assert (np.isnan(prediction.correlation) == (prediction.log10_q == -np.inf)).all()
    assert prediction.reason or not np.isnan(prediction.log10_grad2).any()
    low, high = prediction.interval("grad2")
    assert prediction.reason or (low <= high).all()
    assert ((prediction.saturated >= 0) & (prediction.saturated <= 1 + 1e-12)).all()


def test_the_frame_holds_one_row_a_layer():
    prediction = predict(ProbeParams.uniform(7, 16, "tanh", "lecun_normal"))
    frame = prediction.frame()
    assert frame["layer"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    np.testing.assert_array_equal(frame["log10_grad2_low"], prediction.interval("grad2")[0])
    assert not frame.isna().any().any()


@pytest.mark.parametrize(("arguments", "message"),
                         [(("a2",), "name must be q or grad2"), (("q", 1.0), "share must be between")])
def test_intervals_that_do_not_exist_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        predict(ProbeParams.uniform(3, 16)).interval(*arguments)


@pytest.mark.parametrize(("fields", "missing"), [
    ({"residual": "plain"}, "skip connections"), ({"normalization": "layer"}, "normalization"),
    ({"initializer": "zeros"}, "weights of 0"), ({"rescale": "lsuv"}, "rescaling"), ({}, "")])
def test_what_has_no_band_names_what_takes_it_away_and_nothing_else(fields, missing):
    reason = predict(ProbeParams((8,) * 4, **fields)).reason
    assert reason == (f"no shaded band is drawn, because the theory of narrow nets does not cover {missing}"
                      if missing else "")
