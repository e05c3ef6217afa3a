"""The plane of variances against published depth scales, fixed points, draws and real networks."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.probe.probe import ProbeParams
from vgdash.theory.fixed_points import critical_sigma_w2, fixed_point
from vgdash.theory.layerwise import predict
from vgdash.theory.phase_diagram import STARTS, PhaseParams, landmarks, phase_map, plane, profile

SAMPLE = 60  # points of each plane


# ---- the plane

@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_plane_is_made_of_the_fixed_points(activation):
    found = plane(activation)
    places = np.random.default_rng(3).choice(found.xi_c.size, SAMPLE, replace=False)
    for row, column in zip(*np.unravel_index(places, found.xi_c.shape), strict=True):
        at = fixed_point(activation, found.sigma_w2[column], found.sigma_b2[row])
        for name in ("q_star", "chi_1", "c_star", "xi_c"):
            ours, single = getattr(found, name)[row, column], getattr(at, name)
            assert ours == pytest.approx(single, rel=1e-9, nan_ok=True), name
        assert found.phase[row, column] == ("none" if math.isinf(at.q_star) else at.phase)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_plane_shows_the_whole_critical_line_and_the_line_parts_the_phases(activation):
    found = plane(activation)
    there = np.isfinite(found.critical_sigma_w2)
    assert (found.critical_sigma_w2[there] < found.sigma_w2[-1]).all()
    for w, b in zip(found.critical_sigma_w2[there], found.critical_sigma_b2[there], strict=True):
        assert fixed_point(activation, w, b).chi_1 == pytest.approx(1, abs=1e-8)
    for row, b in enumerate(found.sigma_b2):
        edge = critical_sigma_w2(activation, b)
        if math.isfinite(edge):
            assert set(found.phase[row, found.sigma_w2 < edge - 1e-9]) <= {"ordered"}
            assert "ordered" not in found.phase[row, found.sigma_w2 > edge + 1e-9]


def test_relu_is_ordered_left_of_two_and_has_no_fixed_point_right_of_it():
    found = plane("relu")
    left, right = found.sigma_w2 < 2, found.sigma_w2 > 2
    assert set(found.phase[:, left].ravel()) == {"ordered"}
    for row in found.xi_c:
        np.testing.assert_allclose(row[left], -1 / np.log(found.sigma_w2[left] / 2), rtol=1e-9)
    assert set(found.phase[:, right].ravel()) == {"none"}
    assert found.phase[0, found.sigma_w2 == 2] == "critical"
    assert np.isinf(found.xi_c[0, found.sigma_w2 == 2])


# ---- the initializers

@pytest.mark.parametrize("name", sorted(INITIALIZERS))
@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_an_initializer_stands_where_its_draws_are(name, gamma):
    fan_in = 300
    mark = next(mark for mark in landmarks("tanh", fan_in, gamma) if mark.name == name)
    w = INITIALIZERS[name].draw(fan_in, fan_in, 0, gamma, np.float64)
    assert mark.sigma_w2 == pytest.approx(fan_in * w.var(), rel=5 * math.sqrt(2 / w.size), abs=1e-12)


def test_frameworks_start_where_their_own_layers_do():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer = torch.nn.Linear(512, 512)
    mark = next(mark for mark in landmarks("relu", 512) if mark.name == "pytorch_default")
    assert mark.sigma_w2 == pytest.approx(512 * float(layer.weight.detach().var()),
                                          rel=5 * math.sqrt(2 / 512**2))
    assert mark.sigma_b2 == pytest.approx(float(layer.bias.detach().var()), rel=5 * math.sqrt(2 / 512))
    assert mark.sigma_b2 == pytest.approx(1 / (3 * 512), rel=1e-5)


def test_the_keras_default_is_glorot_and_the_playground_is_far_off_in_a_wide_layer():
    marks = {mark.name: mark for mark in landmarks("tanh", 256)}
    assert (marks["keras_default"].sigma_w2, marks["keras_default"].sigma_b2) == (1.0, 0.0)
    assert marks["playground_default"].sigma_w2 == pytest.approx(256 / 12, rel=1e-5)
    assert marks["playground_default"].sigma_b2 == pytest.approx(0.01)
    assert marks["playground_default"].sigma_w2 > plane("tanh").sigma_w2[-1]
    assert {mark.name for mark in marks.values()} == {*INITIALIZERS}


def test_every_landmark_knows_its_own_fixed_point():
    for mark in landmarks("selu", 64):
        assert mark.at == fixed_point("selu", mark.sigma_w2, mark.sigma_b2)


# ---- the profile

@pytest.mark.parametrize(("activation", "sigma_w2", "sigma_b2"), [
    ("tanh", 1.5, 0.05), ("tanh", 2.5, 0.05), ("relu", 3.0, 0.1),
    ("gelu", 2.0, 0.0), ("mish", 4.0, 0.0), ("sigmoid", 110.0, 0.0)])
def test_uncorrelated_inputs_go_where_the_prediction_of_whole_networks_goes(activation, sigma_w2, sigma_b2):
    p = PhaseParams(activation, sigma_w2, sigma_b2, depth=40)
    theory = predict(ProbeParams.uniform(40, 64, activation, "lecun_normal", gamma=math.sqrt(sigma_w2),
                                         sigma_b2=sigma_b2))
    found = profile(p)
    np.testing.assert_allclose(found.log10_q, theory.log10_q, atol=1e-6)
    np.testing.assert_allclose(found.correlation[0], theory.correlation, atol=1e-6)


@pytest.mark.parametrize("sigma_w2", [1.5, 2.0, 2.5])
def test_what_is_left_of_a_correlation_shrinks_by_e_over_xi_c_layers(sigma_w2):
    found = phase_map(PhaseParams("tanh", sigma_w2, 0.05, depth=128))
    away = np.abs(found.profile.correlation - found.opened.c_star)
    late = (away < 1e-2) & (away > 1e-4)  # the map is its tangent there, above rounding
    checked = 0
    for course, usable in zip(away, late, strict=True):
        layers = np.flatnonzero(usable)
        if len(layers) > 5:
            measured = -(layers[-1] - layers[0]) / np.log(course[layers[-1]] / course[layers[0]])
            assert measured == pytest.approx(found.opened.xi_c, rel=0.03)
            checked += 1
    assert checked


def test_related_inputs_of_a_real_wide_network_follow_the_profile():
    p, width, nets = PhaseParams("tanh", 2.5, 0.05, depth=6), 600, 6
    rng = np.random.default_rng(0)
    measured = np.empty((nets, p.depth))
    for net in range(nets):
        x = rng.standard_normal((2, width))
        a = np.stack([x[0], STARTS[1] * x[0] + math.sqrt(1 - STARTS[1]**2) * x[1]])
        for layer in range(p.depth):
            z = a @ rng.standard_normal((width, width)) * math.sqrt(p.sigma_w2 / width)
            z += rng.standard_normal(width) * math.sqrt(p.sigma_b2)
            measured[net, layer] = z[0] @ z[1] / math.sqrt((z[0] @ z[0]) * (z[1] @ z[1]))
            a = np.tanh(z)
    error = measured.std(axis=0, ddof=1) / math.sqrt(nets)
    np.testing.assert_array_less(np.abs(measured.mean(axis=0) - profile(p).correlation[1]),
                                 5 * error + p.depth / width)


def test_the_measured_networks_stand_on_the_opened_point():
    measured = profile(PhaseParams("linear", 1.21, 0.5, fan_in=400, depth=5)).measured
    q = 1.0
    spread = np.sqrt(predict(measured.params).band_q.variance)  # of ln q from net to net
    for layer in range(5):
        q = 1.21 * q + 0.5
        np.testing.assert_array_less(np.abs(np.log(measured.q[:, layer] / q)), 5 * spread[layer])


def test_weights_of_zero_and_huge_ones_have_a_profile_too():
    nothing = profile(PhaseParams("tanh", 0.0, 0.0))
    assert (nothing.log10_q == -np.inf).all()
    assert np.isnan(nothing.correlation).all()
    huge = profile(PhaseParams("relu", 1e4, 0.5, depth=128))
    np.testing.assert_allclose(np.diff(huge.log10_q), math.log10(5e3), atol=1e-3)
    only_bias = profile(PhaseParams("tanh", 0.0, 0.3))
    np.testing.assert_allclose(10**only_bias.log10_q, 0.3, rtol=1e-12)
    np.testing.assert_allclose(only_bias.correlation, 1.0)


# ---- the table

def test_the_table_has_the_opened_point_every_initializer_and_the_grid():
    found = phase_map(PhaseParams("tanh", 2.5, 0.05))
    table = found.frame()
    assert len(table) == 1 + len(found.landmarks) + found.plane.xi_c.size
    assert table.name.iloc[0] == "opened"
    assert table.xi_c.iloc[0] == found.opened.xi_c
    np.testing.assert_array_equal(table.trainable_depth[:1 + len(found.landmarks)],
                                  [found.depth, *(mark.depth for mark in found.landmarks)])
    cell = table[(table.name == "") & (table.sigma_w2 == 2.0) & (table.sigma_b2 == 0.05)]
    assert cell.xi_c.item() == found.plane.xi_c[2, 19]
    assert cell.phase.item() == "chaotic"


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(ACTIVATIONS)), st.floats(0, 1e4), st.floats(0, 0.5), st.integers(1, 2048),
       st.floats(0.1, 2))
def test_every_point_that_is_allowed_can_be_opened(activation, sigma_w2, sigma_b2, fan_in, gamma):
    p = PhaseParams(activation, sigma_w2, sigma_b2, fan_in, gamma, depth=10)
    assert PhaseParams.parse_lenient(p.to_query(), text=True) == (p, [])
    found = phase_map(p)
    assert found.profile.correlation.shape == (len(STARTS), 10)
    assert np.nanmax(np.abs(found.profile.correlation), initial=0) <= 1
