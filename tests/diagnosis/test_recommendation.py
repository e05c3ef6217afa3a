"""Recommendations against the public cases, brute force, and training."""

import math
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from vgdash.diagnosis.diagnosis import diagnose
from vgdash.diagnosis.outlook import outlooks
from vgdash.diagnosis.recommendation import CHANGE, EASY, HARD, NAMED, TUNED, WINS, recommend
from vgdash.initializers import INITIALIZERS
from vgdash.params import ParamError
from vgdash.probe.probe import ProbeParams
from vgdash.training.data import load
from vgdash.training.trainer import TrainParams, train

uniform = ProbeParams.uniform


def difficulty(p):
    return outlooks([p])[0].difficulty


@pytest.mark.parametrize(("depth", "activation", "present", "initializer"), [
    (3, "relu", "lecun_normal", "he_normal"),
    (3, "relu", "zeros", "he_normal"),
    (4, "leaky_relu", "standard_normal", "he_normal"),
    (2, "linear", "standard_normal", "lecun_normal"),
    (2, "selu", "standard_normal", "lecun_normal"),
    (50, "linear", "he_normal", "orthogonal"),  # Saxe et al. 2014
    (50, "relu", "lecun_normal", "identity"),  # Le et al. 2015: beside it orthogonal weights, then He's
])
def test_the_textbook_choice_comes_out_of_the_computation(depth, activation, present, initializer):
    found = recommend(uniform(depth, 256, activation, present))
    assert (found.initializer, found.gamma, found.choice.sigma_b2) == (initializer, 1.0, 0.0)
    assert found.change
    assert found.choice == replace(found.params, initializer=initializer)


@pytest.mark.parametrize("p", [
    uniform(4, 256, "relu", "he_uniform"), uniform(64, 256, "relu", "he_normal", residual="scaled"),
    ProbeParams((64, 10), "linear", "zeros"), uniform(1, 4, "relu", "small_normal")], ids=str)
def test_what_is_right_stays(p):
    """Cases 50 (the best of all shuts the branches) and 36 (one layer has no symmetry to break)."""
    found = recommend(p)
    assert not found.change
    assert found.outlook == found.present
    assert not found.remedies


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_a_bias_that_all_classes_share_changes_no_advice(activation):
    p = ProbeParams((64, 128, 128, 10), activation, "he_normal")
    plain, shifted = recommend(p), recommend(replace(p, last_bias=20.0))
    assert (shifted.initializer, shifted.gamma) == (plain.initializer, plain.gamma)
    assert [one for one in shifted.why if "he last layer starts" in one] == []
    assert shifted.outlooks == pytest.approx(plain.outlooks)


@pytest.mark.parametrize("widths", [(64, 128, 128, 10), (784, 512, 512, 10), (64, 100, 100, 100, 10)])
def test_a_sigmoid_is_given_four_times_glorots_scale_and_not_a_standard_normal(widths):
    found = recommend(ProbeParams(widths, "sigmoid", "glorot_uniform"))
    w = found.gamma**2 * INITIALIZERS[found.initializer].variance(*widths[1:3])
    glorot = INITIALIZERS["glorot_normal"].variance(*widths[1:3])
    assert 2 < math.sqrt(w / glorot) < 9
    assert found.outlook.difficulty < found.present.difficulty - 1


def test_the_recommended_sigmoid_learns_faster_than_glorots():
    found = recommend(ProbeParams((64, 128, 128, 10), "sigmoid", "glorot_uniform"))
    learned = []
    for start in (found.params, found.choice):
        *_, last = train(TrainParams(start.widths, "sigmoid", (start.initializer,), gamma=start.gamma,
                                     learning_rate=0.1, steps=200, seeds=2, snapshots=2))
        learned.append(last.held_out.mean())
    assert learned[1] > learned[0] + 0.05
    assert learned[1] > 0.9


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("widths", [(64, 512, 256, 10), (64, 128, 64, 10)])
def test_what_is_recommended_for_a_net_that_tapers_learns_as_well_as_any(widths, activation):
    found = recommend(ProbeParams(widths, activation, "small_normal"))
    others = ("glorot_normal", "lecun_normal", "he_normal", "standard_normal")
    names = tuple(dict.fromkeys((found.initializer, *others)))
    p = TrainParams(widths, activation, names, learning_rate=0.05, steps=300, seeds=1, snapshots=2)
    *_, last = train(p)
    learned = dict(zip(last.params.initializers, last.held_out[:, 0], strict=True))
    assert learned[found.initializer] > max(learned.values()) - 0.03 > 0.5, learned


def test_a_tuned_gamma_is_the_nearest_to_1_of_those_that_learn_alike():
    found = recommend(uniform(50, 256, "tanh", "standard_normal"))
    assert (found.initializer, found.change) == ("orthogonal", True)
    brute = {gamma: difficulty(replace(found.choice, gamma=gamma)) for gamma in np.arange(0.9, 1.7, 0.02)}
    alike = [gamma for gamma, decades in brute.items() if decades <= min(brute.values()) + CHANGE]
    assert abs(found.gamma - min(alike)) < 0.02
    assert min(alike) > 1


@pytest.mark.parametrize("p", [uniform(40, 100, "tanh", "he_normal", sigma_b2=0.1),
                               uniform(3, 8, "relu", "zeros"), uniform(1, 4)], ids=str)
def test_the_ranking_is_that_of_the_difficulty_but_for_prices(p):
    found = recommend(p)
    table = found.frame()
    assert set(table.initializer) - {"identity"} == set(NAMED)
    measured = "identity" in set(table.initializer)
    assert len(table) == len(NAMED) + len(TUNED) * len({0.0, p.sigma_b2}) + measured
    for row in table.itertuples():
        candidate = replace(p, initializer=row.initializer, gamma=row.gamma, sigma_b2=row.sigma_b2)
        assert row.difficulty == pytest.approx(difficulty(candidate), abs=1e-9)
    priced = table.difficulty + 0.2 * (table.gamma != 1) + table.initializer.map(
        {"orthogonal": 0.1, "identity": 0.5}).fillna(0)
    assert priced[1:].is_monotonic_increasing
    assert priced[0] <= priced[1] + CHANGE  # its gamma is as usual as that allows


@pytest.mark.parametrize("sigma_b2", [0.0, 0.1])
@pytest.mark.parametrize("name", ["lecun_normal", "he_normal", "pytorch_default", "identity", "zeros"])
def test_a_change_saves_what_it_must_and_an_easy_start_stays(name, sigma_b2):
    for depth in (2, 5, 20):
        found = recommend(uniform(depth, 64, "gelu", name, sigma_b2=sigma_b2))
        if found.change:
            assert found.present.difficulty > EASY
            assert found.outlook.difficulty < found.present.difficulty - CHANGE


def test_a_hard_net_is_offered_what_wins():
    found = recommend(uniform(50, 256, "sigmoid", "glorot_uniform"))
    assert found.outlook.difficulty > HARD
    assert {one.name for one in found.remedies} == {"skip connections", "batch normalization",
                                                    "tanh in place of sigmoid"}
    for one in found.remedies:
        assert one.outlook == pytest.approx(outlooks([one.choice])[0])
        assert one.outlook.difficulty < found.outlook.difficulty - WINS
        assert f"With {one.name}" in found.why[0]
        assert f": {one.outlook.difficulty:.2g}." in found.why[0] or one.outlook.difficulty >= 1
    assert f"Difficulty with these weights: {found.outlook.difficulty:.1f}." in found.why[0]


def test_a_sine_of_high_frequency_that_learns_from_few_features_keeps_its_place():
    """SIREN: no usual activation draws what it draws (Sitzmann et al. 2020); sin(z) and what fails may go."""
    def offered(widths, activation, **more):
        remedies = recommend(ProbeParams(widths, activation, "lecun_normal", **more)).remedies
        return any("in place of" in one.name for one in remedies)
    assert not offered((2, 64, 2), "sin(20*z)", normalization="layer")
    assert not offered((1, 64, 1), "sin(10*z)", normalization="batch")
    assert offered((2, 64, 64, 64, 2), "sin(20*z)", normalization="layer")
    assert offered((2, 64, 2), "sin(z)", normalization="batch")


@pytest.mark.parametrize("residual", ["none", "plain", "scaled"])
def test_skip_connections_that_few_layers_could_have_come_with_equal_widths(residual):
    """Every other layer of these has none."""
    found = recommend(ProbeParams((64, *(64, 64, 32, 32) * 25, 10), "softsign", residual=residual))
    one = {one.name: one for one in found.remedies}["equal widths and skip connections around every layer"]
    assert one.choice.widths == (64, *(64,) * 100, 10)
    assert one.choice.residual == "scaled"
    assert not any(remedy.name.startswith("skip") for remedy in found.remedies)


def test_branches_of_plain_skip_connections_are_to_be_scaled():
    found = recommend(uniform(100, 64, "elu", "he_normal", residual="plain", normalization="layer"))
    assert "skip connections with branches scaled by 1/√L" in {one.name for one in found.remedies}


def test_nets_that_die_are_offered_wider_layers_and_shares():
    found = recommend(ProbeParams((2, *(8,) * 49, 2), "relu", "he_normal"))
    wider = {one.name: one for one in found.remedies}["wider layers"]
    assert wider.choice.widths == (2, *(32,) * 49, 2)
    assert wider.figure.startswith("0% of the nets are dead")


@pytest.mark.parametrize(("more", "wants"), [
    ({}, "ReLU needs Var(w) = 2/n in both"), ({"keep": 0.9}, "90% of its units kept needs Var(w) = 1.8/n in"),
    ({"residual": "plain"}, ""), ({"rescale": "lsuv"}, ""), ({"normalization": "layer"}, "")])
def test_what_an_activation_wants_is_said_if_nothing_else_is_between_layers(more, wants):
    said = " ".join(recommend(uniform(5, 256, "relu", "lecun_normal", **more)).why)
    assert ("needs Var(w)" in said) == bool(wants)
    assert wants in said


@pytest.mark.parametrize("activation", ["relu", "linear", "leaky_relu", "tanh"])
@pytest.mark.parametrize(("depth", "widths"), [(5, None), (50, None), (3, (784, 512, 256, 10))])
def test_a_variance_that_fixes_both_is_a_reason_for_weights_that_have_it(activation, depth, widths):
    found = recommend(ProbeParams(widths or (256,) * (depth + 1), activation, "lecun_normal"))
    said = [one for one in found.why if "one choice fixes both" in one or "They agree" in one]
    if said:
        wanted = float(re.search(r"Var\(w\) = ([\d.]+)/n", said[0])[1])
        rule = INITIALIZERS[found.initializer]
        assert found.gamma**2 * rule.variance(100, 100) * 100 == pytest.approx(wanted, rel=0.1)
    else:
        assert activation == "tanh" or found.initializer == "identity"
    assert found.why[0].startswith(INITIALIZERS[found.initializer].short), "the first reason is the choice's"


@pytest.mark.parametrize(("depth", "gamma"), [(2, 1.0), (2, 0.1), (12, 1.0), (50, 1.0)])
def test_equal_weights_are_never_kept(depth, gamma):
    """At 50 layers their numbers overflow, which no difficulty may call unknown."""
    present = uniform(depth, 16, "relu", "constant", gamma=gamma)
    found = recommend(present)
    assert found.initializer in (*NAMED, "identity")
    assert not math.isnan(found.present.difficulty)
    assert any(said.endswith("all units of a layer are equal, and training keeps them so.")
               for said in found.why if said.startswith("constant"))
    overflow = recommend(replace(present, sigma_b2=0.1)).why  # random biases tell units apart
    assert any(said.endswith("the numbers overflow.") for said in overflow) == (depth == 50)


def test_no_layer_of_the_identity_is_half_empty():
    assert "identity" in recommend(ProbeParams((64, *(128,) * 20, 10), "relu", "zeros")).names
    assert "identity" not in recommend(ProbeParams((2, *(128,) * 20, 10), "relu", "zeros")).names


def test_the_identity_is_no_candidate_where_usual_weights_learn():
    for depth in (6, 10):
        found = recommend(uniform(depth, 1024, "relu", "he_normal"))
        assert found.present.difficulty > EASY
        assert "identity" not in found.names


def test_the_identity_is_not_advised_where_it_hides_the_inputs_that_matter():
    """Digits in the middle of 32 x 32 pixels: the first 100 are margin, as in many pictures."""
    he = ProbeParams((1024, *(100,) * 11, 10), "relu", "he_normal")
    identity = replace(he, initializer="identity")
    assert accuracy_with_margin(he) > 0.7
    assert accuracy_with_margin(identity) < 0.2
    assert "identity" not in (recommend(he).initializer, recommend(identity).initializer)
    hides = "W = I hands on only the first 100 of 1,024 inputs"
    assert hides in diagnose(identity).sentence
    assert f"identity: {hides}." in recommend(identity).why
    whole = recommend(ProbeParams((1024, *(1024,) * 19, 10), "relu", "he_normal"))
    assert whole.initializer == "identity"
    assert any("every layer hands on what it gets" in said for said in whole.why)


def accuracy_with_margin(p):
    """Train as PyTorch does from the weights that vgdash draws; the better of two rates."""
    torch = pytest.importorskip("torch")
    data = load("digits", seed=0)

    def pictures(x):
        middle = np.pad(np.kron(x.reshape(-1, 8, 8), np.ones((1, 3, 3))), ((0, 0), (4, 4), (4, 4)),
                        constant_values=x.min())
        return torch.tensor(middle.reshape(len(x), -1), dtype=torch.float32)

    x, y, found = pictures(data.x_train), torch.tensor(data.y_train), []
    for rate in (0.003, 0.01):
        layers = [torch.nn.Linear(*fans) for fans in pairwise(p.widths)]
        for k, layer in enumerate(layers):
            drawn = INITIALIZERS[p.initializer].draw(layer.in_features, layer.out_features, rng=k)
            layer.weight.data, layer.bias.data = torch.tensor(drawn), torch.zeros(layer.out_features)
        model = torch.nn.Sequential(*[part for layer in layers for part in (layer, torch.nn.ReLU())][:-1])
        optimizer, order = torch.optim.SGD(model.parameters(), rate), np.random.default_rng(0)
        for rows in order.integers(len(x), size=(300, 16)):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        hits = model(pictures(data.x_test)).argmax(1) == torch.tensor(data.y_test)
        found.append(hits.float().mean().item())
    return max(found)


def test_a_start_whose_draw_would_take_too_long_is_no_candidate():
    large = ProbeParams.uniform(50, 512, "relu", "pytorch_default")
    with pytest.raises(ParamError, match="operations"):
        replace(large, initializer="orthogonal")
    found = recommend(large)
    assert "orthogonal" not in found.names
    assert {"he_normal", "identity"} <= set(found.names)


def test_residual_nets_without_two_equal_layers_are_plain_nets():
    widths = (64, *(64, 32) * 25, 10)
    plain, residual = (recommend(ProbeParams(widths, "leaky_relu", residual=kind)) for kind in
                       ("none", "plain"))
    assert (plain.initializer, plain.outlook) == (residual.initializer, residual.outlook)
