"""One net is run for all whose weights are multiples of its own: each is as if it were run by itself."""

import numpy as np
import pytest

from vgdash.initializers import INITIALIZERS
from vgdash.probe import moments, propagation
from vgdash.probe.params import CompareParams, ProbeParams
from vgdash.probe.probe import compare, probe
from vgdash.probe.propagation import STATISTICS, measure


@pytest.fixture
def runs(monkeypatch):
    """The inputs of all nets that have been run."""
    counted, run = [], propagation._run_stack

    def counting(net, x, *rest):
        counted.extend(x)
        return run(net, x, *rest)

    monkeypatch.setattr(propagation, "_run_stack", counting)
    return counted


def alone(nets, monkeypatch):
    """The same nets, every one run by itself."""
    with monkeypatch.context() as patch:
        patch.setattr(propagation, "_factors", lambda p: None)
        return measure(nets)


@pytest.mark.parametrize(("activation", "keep"), [
    ("relu", 1.0), ("leaky_relu", 1.0), ("linear", 1.0), ("relu", 0.8)])
def test_a_multiple_has_the_statistics_of_the_net_itself(activation, keep, runs, monkeypatch):
    names = ("lecun_normal", "he_normal", "keras_default", "lecun_uniform", "glorot_uniform", "he_uniform",
             "glorot_normal", "orthogonal")
    p = CompareParams((40, 60, 60, 30, 50), activation, names, gamma=1.3, keep=keep, batch=24, seeds=3,
                      seed=5)
    found = measure(p.probes)
    assert len(runs) == 4 * 3  # normal, uniform, truncated, orthogonal
    for one, other in zip(found, alone(p.probes, monkeypatch), strict=True):
        for name in STATISTICS:
            np.testing.assert_allclose(one[name], other[name], rtol=3e-5,
                                       atol=1e-6 * np.abs(other[name]).max(), err_msg=name)


def test_a_net_that_leaves_float32_is_run_and_stands_beside_those_that_do_not(runs, monkeypatch):
    names = ("small_normal", "standard_normal", "lecun_normal", "he_normal")
    p = CompareParams.uniform(60, 128, initializers=names, batch=16, seeds=2)
    found = compare(p)
    assert len(runs) == 2 * 3  # one for the last two
    for one, other in zip(found.probes.values(), alone(p.probes, monkeypatch), strict=True):
        assert (one.q == 0).any() == (other["q"] == 0).any()
        for name in STATISTICS:
            np.testing.assert_allclose(getattr(one, name), other[name], rtol=1e-4, atol=1e-6, err_msg=name)
    assert found.probes["standard_normal"].overflow
    assert found.probes["small_normal"].underflow


def test_a_net_that_wanders_out_of_range_by_chance_is_run(runs):
    p = ProbeParams.uniform(200, 2, "linear", "lecun_normal", gamma=1.25, batch=4, seeds=8)
    (found,) = measure((p,))
    assert len(runs) > 8  # some draws of two units shrink by far more than their law says
    with np.errstate(all="ignore"):
        expected = np.stack([forward_q(p, draw) for draw in range(p.seeds)])
    np.testing.assert_array_equal(found["q"] == 0, expected == 0)


def forward_q(p, draw):
    """The mean square of every z in a plain float32 pass."""
    net, a, _ = propagation.build(p, draw)
    found = []
    for weights, scale in zip(net.weights, net.scales, strict=True):
        a = (a * np.float32(scale)) @ weights.T
        found.append(np.square(a, dtype=float).mean())
    return np.array(found)


@pytest.mark.parametrize("change", [
    {"sigma_b2": 0.1}, {"normalization": "batch"}, {"residual": "plain"}, {"rescale": "lsuv"},
    {"activation": "tanh"}])
def test_every_net_is_run_where_something_else_stands_between_two_layers(change, runs):
    p = CompareParams((30,) * 6, **{"initializers": ("lecun_normal", "he_normal"), "seeds": 2, **change})
    compare(p)
    assert len(runs) == 4


def test_what_is_not_drawn_is_run_as_it_is(runs, monkeypatch):
    p = CompareParams((30, 30, 20, 20), initializers=("identity", "zeros"), seeds=1)
    assert not any(propagation._factors(one) for one in p.probes)
    for one, other in zip(measure(p.probes), alone(p.probes, monkeypatch), strict=True):
        for name in STATISTICS:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    drawn = {name for name, one in INITIALIZERS.items() if one.bias.law == "zeros"} - {
        "identity", "zeros", "constant"}
    assert all(propagation._factors(ProbeParams((30, 30, 20, 20), "relu", name)) for name in drawn)


def test_of_a_net_that_shrinks_no_square_needs_care(monkeypatch):
    def fail(*_):
        raise AssertionError("divided before squaring")

    monkeypatch.setattr(moments, "_divided", fail)
    found = probe(ProbeParams.uniform(100, 64, "relu", "glorot_normal", seeds=1))
    assert 0 < found.q[0, -1] < 1e-20
