"""Recommendations against ``predict``, brute force, closed forms and measured nets."""

import math
from dataclasses import replace

import numpy as np
import pytest

from vgdash.diagnosis.recommendation import EQUAL, STEADY, TUNED, TUNING_COST, recommend
from vgdash.initializers import INITIALIZERS
from vgdash.probe.probe import ProbeParams, probe
from vgdash.theory.layerwise import predict
from vgdash.training.trainer import TrainParams, train

uniform = ProbeParams.uniform


def worst(p):
    """Largest distance in decades between two layers by ``predict``, of means or of sums: the smaller one."""
    theory, units = predict(p), np.log10(p.widths[1:])
    return max(min(np.ptp(values), np.ptp(values + units)) for values in (theory.log10_q, theory.log10_grad2))


@pytest.mark.parametrize(("activation", "present", "initializer"), [
    ("relu", "lecun_normal", "he_normal"),
    ("relu", "zeros", "he_normal"),
    ("leaky_relu", "glorot_uniform", "he_normal"),
    ("linear", "he_normal", "lecun_normal"),
    ("selu", "he_normal", "lecun_normal"),
])
def test_the_textbook_choice_comes_out_of_the_computation(activation, present, initializer):
    found = recommend(uniform(50, 256, activation, present))
    assert (found.initializer, found.gamma, found.choice.sigma_b2) == (initializer, 1.0, 0.0)
    assert found.change
    assert found.choice == replace(found.params, initializer=initializer)


@pytest.mark.parametrize("present", ["he_normal", "he_uniform"])
def test_what_is_right_stays(present):
    found = recommend(uniform(50, 256, "relu", present))
    assert not found.change
    assert found.steady
    assert found.drift.worst == pytest.approx(0, abs=1e-9)
    assert found.drift == pytest.approx(found.present, abs=1e-6)


def test_the_present_drift_of_relu_with_lecun_is_a_half_a_layer():
    found = recommend(uniform(50, 256, "relu", "lecun_normal"))
    decades = 49 * math.log10(2)
    assert found.present == pytest.approx((-decades, -decades, decades), abs=1e-6)


def test_tanh_in_a_deep_net_gets_a_gamma_just_above_its_critical_line():
    found = recommend(uniform(50, 256, "tanh", "lecun_normal"))
    assert found.initializer == TUNED
    assert 1 < found.gamma < 5 / 3  # critical is 1, the frameworks' gain 5/3
    brute = {gamma: worst(replace(found.choice, gamma=gamma)) for gamma in np.arange(0.9, 1.7, 0.02)}
    best = min(brute, key=brute.get)
    assert abs(found.gamma - best) < 0.02
    assert found.drift.worst < min(brute.values()) + 0.01
    assert found.drift.worst < worst(found.params) - TUNING_COST


def test_the_measured_net_follows_the_recommendation():
    p = uniform(50, 256, "tanh", "standard_normal", seeds=6, batch=16)
    found = recommend(p)
    before, after = probe(p), probe(found.choice)
    drift = after.log10("grad2")[:, 0] - after.log10("grad2")[:, -1]
    spread = found.scatter / 1.96
    assert np.abs(drift - found.drift.backward).max() < 4.5 * spread + 0.05
    assert np.abs(before.log10("grad2")[:, 0]).min() > 30 > 3 > np.abs(drift).max()


def test_sigmoid_is_told_the_price_of_the_only_scale_that_holds():
    found = recommend(uniform(50, 256, "sigmoid", "glorot_uniform"))
    assert found.present.backward < -60
    named = found.frame().query("gamma == 1")
    assert named.worst.min() > 5  # no named scale keeps both directions
    assert any("No named initializer is steady" in text for text in found.why)
    assert any("saturated" in text for text in found.why)
    assert found.gamma > 9


def test_batch_normalization_and_relu_have_no_remedy_among_initializers():
    found = recommend(uniform(50, 256, "relu", "he_normal", normalization="batch", batch=256))
    assert not found.change
    assert not found.steady
    assert found.drift.worst > STEADY
    decades = 49 * math.log10(math.pi / (math.pi - 1))  # REFERENCES row 13
    assert found.drift.backward == pytest.approx(decades, rel=0.02)
    assert any("Not even the best choice" in text for text in found.why)
    assert math.isfinite(recommend(replace(found.params, batch=2)).drift.worst)


def test_unequal_widths_are_ranked_by_both_directions():
    p = ProbeParams((784, 512, 256, 10), "relu", "glorot_normal")
    found = recommend(p)
    names = set(INITIALIZERS) - {"identity", "zeros"}
    expected = {name: worst(replace(p, initializer=name)) for name in names}
    assert expected[found.initializer] == pytest.approx(min(expected.values()), abs=EQUAL)
    # He: fan_out·(2/fan_in)/2 a layer back: 10/256 and 256/512, and the sum over the units is always the same
    assert found.drift == pytest.approx((0, math.log10(10 / 256 * 256 / 512), 0), abs=1e-9)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("widths", [(64, 512, 256, 10), (64, 128, 64, 10)])
def test_what_is_recommended_for_a_net_that_tapers_learns_as_well_as_any(widths, activation):
    found = recommend(ProbeParams(widths, activation, "glorot_normal"))
    assert found.gamma == 1
    others = ("glorot_normal", "lecun_normal", "he_normal", "standard_normal")
    names = tuple(dict.fromkeys((found.initializer, *others)))
    p = TrainParams(widths, activation, names, learning_rate=0.05, steps=300, seeds=1, snapshots=2)
    *_, last = train(p)
    learned = dict(zip(last.params.initializers, last.held_out[:, 0], strict=True))
    assert learned[found.initializer] > max(learned.values()) - 0.03 > 0.5, learned


@pytest.mark.parametrize(("more", "wants"), [
    ({}, "relu wants n_in·Var(w) = 2 "), ({"keep": 0.9}, "90% of its units kept wants n_in·Var(w) = 1.8 "),
    ({"residual": "plain"}, ""), ({"rescale": "lsuv"}, ""), ({"normalization": "layer"}, "")])
def test_what_an_activation_wants_is_said_if_nothing_else_is_between_layers_and_is_the_choice(more, wants):
    found = recommend(uniform(50, 256, "relu", "lecun_normal", **more))
    said = " ".join(found.why)
    assert ("wants" in said) == bool(wants)
    assert wants in said
    if wants:
        chosen = found.gamma**2 * 256 * INITIALIZERS[found.initializer].variance(256, 256)
        assert f"{chosen:.2g}" == wants.split("= ")[1].strip()


def test_the_identity_is_measured_because_there_is_no_theory():
    found = recommend(uniform(30, 64, "relu", "identity"))
    assert found.measured
    # the first ReLU halves, the others change nothing
    assert found.present.worst == pytest.approx(math.log10(2), abs=0.1)
    assert "identity" not in found.names


@pytest.mark.parametrize("p", [
    uniform(40, 100, "relu", "he_normal", residual="plain"),
    uniform(40, 100, "gelu", "lecun_normal", residual="scaled", sigma_b2=0.1, gamma=1.3),
    uniform(40, 100, "tanh", "orthogonal", residual="zero", gamma=1.3),
    uniform(40, 100, "tanh", "standard_normal", normalization="layer", sigma_b2=0.5),
    uniform(40, 100, "relu", "glorot_normal", normalization="batch"),
    uniform(40, 100, "silu", "he_uniform", rescale="lsuv", sigma_b2=0.1),
    uniform(40, 100, "elu", "he_uniform", keep=0.8),
    uniform(200, 100, "relu", "standard_normal", gamma=100.0),
    uniform(200, 100, "softplus", "standard_normal", gamma=3.0),
    uniform(200, 100, "tanh", "small_normal", gamma=0.1),
    uniform(200, 100, "selu", "lecun_normal", sigma_b2=0.3),
    ProbeParams((784, 512, 512, 256, 10), "softsign", "glorot_uniform", gamma=2.0),
], ids=str)
def test_the_drift_is_that_of_predict(p):
    theory = predict(p)
    expected = (theory.log10_q[-1] - theory.log10_q[0], theory.log10_grad2[0], worst(p))
    assert recommend(p).present == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("p", [uniform(40, 100, "tanh", "he_normal", sigma_b2=0.1),
                               uniform(3, 8, "relu", "zeros"), uniform(1, 4)], ids=str)
def test_the_ranking_is_sorted_and_its_numbers_are_those_of_predict(p):
    table = recommend(p).frame()
    finite = table.worst[np.isfinite(table.worst)]
    assert table.worst.is_monotonic_increasing or np.diff(finite).min() > -EQUAL
    assert set(table.initializer) == set(INITIALIZERS) - {"identity"}
    assert len(table) == len(INITIALIZERS) - 1 + len({0.0, p.sigma_b2})
    for row in table[np.isfinite(table.worst)].itertuples():
        candidate = replace(p, initializer=row.initializer, gamma=row.gamma, sigma_b2=row.sigma_b2)
        assert row.worst == pytest.approx(worst(candidate), abs=1e-9)
    assert math.isinf(table.set_index("initializer").worst["zeros"])


def test_orthogonal_weights_are_mentioned_where_they_only_scatter_less():
    found = recommend(uniform(50, 64, "linear", "lecun_normal"))
    assert any("Orthogonal" in text for text in found.why)
    # ln q scatters with variance 2/n a layer over the seeds (Hanin & Nica), a little less over a batch
    assert 0.5 < found.scatter / (1.96 * math.sqrt(2 * 50 / 64) / math.log(10)) <= 1
