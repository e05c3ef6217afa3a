"""Histograms against the arrays of the same net, counted one by one, and against normal probabilities."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from vgdash.diagnosis.histograms import BINS, QUANTITIES, activation_histograms
from vgdash.layers import Tape, backward, forward
from vgdash.params import ParamError
from vgdash.probe.probe import ProbeParams, probe
from vgdash.probe.propagation import build
from vgdash.theory.layerwise import predict

uniform = ProbeParams.uniform


def numbers(p, layer):
    net, x, cotangent = build(p, 0)
    tape, kept = Tape(p.widths, p.batch), {}
    for step in forward(net, x, tape):
        if step.layer == layer:
            kept["z"], kept["a"] = step.z.copy(), step.a.copy()
    for step in backward(net, cotangent, tape):
        if step.layer == layer:
            kept["gradient"] = step.gradient.copy()
    return kept


@pytest.mark.parametrize("p", [
    uniform(30, 50, "tanh", "he_normal", batch=32),
    uniform(30, 50, "relu", "lecun_normal", batch=32, keep=0.8),
    uniform(30, 50, "tanh", "standard_normal", batch=32),
    ProbeParams((20, 60, 40, 10), "selu", "glorot_normal"),
    uniform(30, 50, "relu", "he_normal", normalization="batch", residual="plain"),
], ids=str)
def test_every_number_of_the_layer_is_counted_in_its_bin(p):
    found = activation_histograms(p, 4)
    assert found.layers[0] == 1
    assert found.layers[-1] == p.depth
    for row, layer in enumerate(found.layers):
        for name, values in numbers(p, layer).items():
            one = found.of[name]
            for k in (0, BINS // 2 - 1, BINS // 2, BINS // 2 + 3):
                inside = ((values >= one.edges[k]) & (values < one.edges[k + 1])).mean()
                assert one.share[row, k] == pytest.approx(inside, abs=1e-12)
            assert one.share[row].sum() + one.outside[row] == pytest.approx(1)
            assert one.rms[row] == pytest.approx(math.sqrt((values.astype(float) ** 2).mean()))


def test_it_is_the_net_that_probe_measures():
    p = uniform(20, 40, "elu", "he_normal", seeds=2)
    found, measured = activation_histograms(p, 5), probe(p)
    at = np.array(found.layers) - 1
    np.testing.assert_allclose(found.of["z"].rms ** 2, measured.q[0, at], rtol=1e-5)
    np.testing.assert_allclose(found.of["a"].rms ** 2, measured.a2[0, at], rtol=1e-5)
    np.testing.assert_allclose(found.of["gradient"].rms ** 2, measured.grad2[0, at], rtol=1e-5)


def test_z_of_a_wide_net_follows_the_predicted_gaussian():
    # a linear net of orthogonal matrices keeps lengths: its z are Gaussian as the input is, and independent
    p = uniform(4, 100, "linear", "orthogonal", batch=200)
    found = activation_histograms(p, 3).of["z"]
    error = np.sqrt(found.predicted * (1 - found.predicted) / (100 * 200))
    assert (np.abs(found.share - found.predicted) < 4.5 * error + 1e-4).all()
    np.testing.assert_allclose(found.predicted[0], np.diff(norm.cdf(found.edges)), atol=1e-12)


@pytest.mark.parametrize("p", [uniform(12, 64, "tanh", "lecun_normal", gamma=0.7), uniform(40, 64, "relu", "standard_normal")], ids=str)
def test_the_prediction_is_the_normal_probability_of_each_bin(p):
    found = activation_histograms(p, 6)
    z = found.of["z"]
    scales = np.sqrt(predict(p).q[np.array(found.layers) - 1])
    np.testing.assert_allclose(z.predicted, [np.diff(norm.cdf(z.edges / scale)) for scale in scales], atol=1e-9)


def test_bins_are_the_same_for_all_layers_and_logarithmic_only_where_layers_differ_much():
    steady, fading = (activation_histograms(uniform(40, 64, "relu", name)) for name in ("he_normal", "lecun_normal"))
    assert steady.of["z"].scale == "linear"
    np.testing.assert_allclose(np.diff(steady.of["z"].edges), np.diff(steady.of["z"].edges)[0])
    z = fading.of["z"]
    assert z.scale == "symlog"
    ratios = z.edges[BINS // 2 + 2:] / z.edges[BINS // 2 + 1:-1]
    np.testing.assert_allclose(ratios, ratios[0])
    np.testing.assert_allclose(z.edges, -z.edges[::-1])
    assert z.share[-1, BINS // 2] < 0.2  # the faintest layer is not one spike at 0


def test_an_overflow_is_named_and_leaves_no_silent_numbers():
    forwards = activation_histograms(uniform(256, 32, "relu", "standard_normal"), 16)
    assert "float32 overflows" in forwards.reason
    gone = ~np.isfinite(forwards.of["z"].rms)
    assert gone.any()
    assert not gone.all()
    assert np.isnan(forwards.of["z"].share[gone]).all()
    assert np.isnan(forwards.of["gradient"].share).all()
    backwards = activation_histograms(uniform(256, 64, "tanh", "standard_normal", batch=8), 16)
    assert np.isfinite(backwards.of["z"].share).all()
    assert "gradient overflows" in backwards.reason
    layer = probe(uniform(256, 64, "tanh", "standard_normal", batch=8, seeds=1)).overflow_backward
    np.testing.assert_array_equal(np.isnan(backwards.of["gradient"].rms), np.array(backwards.layers) < layer)
    assert activation_histograms(uniform(5, 16)).reason == ""


def test_a_net_of_zeros_is_one_spike():
    found = activation_histograms(uniform(4, 16, "relu", "zeros"))
    np.testing.assert_array_equal(found.of["z"].share[:, BINS // 2], 1)
    np.testing.assert_array_equal(found.of["z"].predicted[:, BINS // 2], 1)


def test_the_table_stays_small_and_the_arrays_read_only():
    found = activation_histograms(uniform(200, 16, batch=4), 16)
    table = found.frame()
    assert len(table) == 3 * 16 * BINS <= 2_000
    assert list(table.quantity.unique()) == list(QUANTITIES)
    for one in found.of.values():
        for array in (one.edges, one.share, one.outside, one.predicted, one.rms):
            assert not array.flags.writeable


def test_layers_can_be_chosen_and_wrong_ones_are_refused():
    p = uniform(10, 8)
    assert activation_histograms(p, (7, 3)).layers == (3, 7)
    assert activation_histograms(p, 16).layers == tuple(range(1, 11))
    assert activation_histograms(p, 1).layers == (10,)
    for wrong in (0, 17, (), (0,), (11,), range(1, 18)):
        with pytest.raises(ParamError, match="layers must be"):
            activation_histograms(p, wrong)
