"""Histograms against the arrays of the same net, counted one by one, and against normal probabilities."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from vgdash.diagnosis.histograms import BINS, layer_histograms
from vgdash.layers import Tape, forward
from vgdash.probe.probe import ProbeParams, probe
from vgdash.probe.propagation import build
from vgdash.theory.layerwise import predict

uniform = ProbeParams.uniform


def preactivations(p, layer):
    net, x, _ = build(p, 0)
    return next(step.z for step in forward(net, x, Tape(p.widths, p.batch)) if step.layer == layer)


@pytest.mark.parametrize("p", [
    uniform(30, 50, "tanh", "he_normal", batch=32),
    uniform(30, 50, "relu", "lecun_normal", batch=32, keep=0.8),
    uniform(30, 50, "tanh", "standard_normal", batch=32),
    ProbeParams((20, 60, 40, 10), "selu", "glorot_normal"),
    uniform(30, 50, "relu", "he_normal", normalization="batch", residual="plain"),
], ids=str)
def test_every_number_of_the_layer_is_counted_in_its_bin(p):
    found = layer_histograms(p, 4)
    assert found.layers[0] == 1
    assert found.layers[-1] == p.depth
    for row, layer in enumerate(found.layers):
        z = preactivations(p, layer)
        for k in (0, BINS // 2 - 1, BINS // 2, BINS // 2 + 3):
            inside = ((z >= found.edges[k]) & (z < found.edges[k + 1])).mean()
            assert found.share[row, k] == pytest.approx(inside, abs=1e-12)
        assert found.share[row].sum() + found.outside[row] == pytest.approx(1)
        assert found.rms[row] == pytest.approx(math.sqrt((z.astype(float) ** 2).mean()))


@pytest.mark.parametrize(("of", "statistic"), [("signal", "q"), ("gradient", "grad2")])
def test_it_is_the_net_that_probe_measures(of, statistic):
    p = uniform(20, 40, "elu", "he_normal", seeds=2, residual="plain", normalization="batch")
    found = layer_histograms(p, 5, of)
    measured = getattr(probe(p), statistic)[0, np.array(found.layers) - 1]
    np.testing.assert_allclose(found.rms**2, measured, rtol=1e-5)


def test_gradients_are_counted_in_their_bins():
    p = ProbeParams((30, 50, 40, 20), "tanh", "standard_normal", batch=16)
    found, (net, x, gradient) = layer_histograms(p, 3, "gradient"), build(p, 0)
    zs = [x]
    for weights, scale in zip(net.weights, net.scales, strict=True):
        zs.append((np.tanh(zs[-1]) if len(zs) > 1 else x) @ (scale * weights).T)
    for layer in (3, 2, 1):
        counts = np.histogram(gradient, found.edges)[0] / gradient.size
        np.testing.assert_allclose(found.share[layer - 1], counts, atol=3 / gradient.size)
        if layer > 1:
            back = gradient @ (net.scales[layer - 1] * net.weights[layer - 1])
            gradient = back * (1 - np.tanh(zs[layer - 1]) ** 2)
    with pytest.raises(ValueError, match=r"of must be one of signal, gradient, received 'w'"):
        layer_histograms(p, 3, "w")


def test_z_of_a_wide_net_follows_the_predicted_gaussian():
    # a linear net of orthogonal matrices keeps lengths: its z are Gaussian as the input is, and independent
    found = layer_histograms(uniform(4, 100, "linear", "orthogonal", batch=200), 3)
    error = np.sqrt(found.predicted * (1 - found.predicted) / (100 * 200))
    assert (np.abs(found.share - found.predicted) < 4.5 * error + 1e-4).all()
    np.testing.assert_allclose(found.predicted[0], np.diff(norm.cdf(found.edges)), atol=1e-12)


@pytest.mark.parametrize("p", [
    uniform(12, 64, "tanh", "lecun_normal", gamma=0.7), uniform(40, 64, "relu", "standard_normal")], ids=str)
def test_the_prediction_is_the_normal_probability_of_each_bin(p):
    found = layer_histograms(p, 6)
    scales = np.sqrt(predict(p).q[np.array(found.layers) - 1])
    np.testing.assert_allclose(
        found.predicted, [np.diff(norm.cdf(found.edges / scale)) for scale in scales], atol=1e-9)


def test_bins_are_the_same_for_all_layers_and_logarithmic_only_where_layers_differ_much():
    steady, fading = (layer_histograms(uniform(40, 64, "relu", name), 8)
                      for name in ("he_normal", "lecun_normal"))
    assert steady.scale == "linear"
    np.testing.assert_allclose(np.diff(steady.edges), np.diff(steady.edges)[0])
    assert fading.scale == "symlog"
    ratios = fading.edges[BINS // 2 + 2:] / fading.edges[BINS // 2 + 1:-1]
    np.testing.assert_allclose(ratios, ratios[0])
    np.testing.assert_allclose(fading.edges, -fading.edges[::-1])
    assert fading.share[-1, BINS // 2] < 0.2  # the faintest layer is not one spike at 0


def test_an_overflow_is_named_and_leaves_no_silent_numbers():
    found = layer_histograms(uniform(256, 32, "relu", "standard_normal"), 16)
    assert "float32 overflows" in found.reason
    gone = ~np.isfinite(found.rms)
    assert gone.any()
    assert not gone.all()
    assert np.isnan(found.share[gone]).all()
    back = layer_histograms(found.params, 16, "gradient")
    assert "no gradient comes back" in back.reason
    assert np.isnan(back.share).all()
    exploding = layer_histograms(uniform(60, 32, "tanh", "zeros", gamma=0.0), 16, "gradient")
    assert (exploding.rms[:-1] == 0).all()


def test_at_most_as_many_layers_as_the_net_has():
    found = layer_histograms(uniform(10, 8), 16)
    assert found.layers == tuple(range(1, 11))
