"""Diagnoses of public cases against values found without vgdash: PyTorch, NumPy, SciPy and closed forms."""

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from vgdash.activations import ACTIVATIONS
from vgdash.diagnosis.diagnosis import diagnose
from vgdash.diagnosis.first_failure import first_failure
from vgdash.diagnosis.nets import dead_nets, expected_dead
from vgdash.diagnosis.record import LONGEST
from vgdash.layers import normalize
from vgdash.probe.probe import ProbeParams, probe
from vgdash.theory.layerwise import predict
from vgdash.training.trainer import TrainParams, train

uniform = ProbeParams.uniform


@pytest.mark.parametrize("depth", [100, 200])
def test_a_net_that_settles_has_a_limit_and_no_rate(depth):
    found = diagnose(uniform(depth, 256, "selu", "glorot_normal", gamma=0.75, batch=8))
    assert (found.signal.behaviour, found.signal.factor) == ("settles", None)
    assert found.signal.limit == pytest.approx(0.0230, abs=2e-4)  # SciPy
    assert found.gradient.behaviour in ("settles", "holds")
    assert "settles" in found.sentence
    assert "gradients keep their size" in found.sentence


@pytest.mark.parametrize("depth", [16, 64, 128])
def test_growth_like_the_depth_is_no_explosion(depth):
    found = diagnose(uniform(depth, 256, "gelu", "small_normal", gamma=2.0, normalization="layer",
                             residual="plain", batch=8))
    assert (found.signal.behaviour, found.signal.factor) == ("power_law", None)
    assert found.signal.power == pytest.approx(1.0, abs=0.05)  # PyTorch: 16.1 at 16, 59.8 at 64
    assert found.learns
    assert "grow only like the depth" in found.sentence
    assert "×" not in found.sentence


def test_tanh_at_its_edge_falls_by_a_power_and_has_no_rate():
    found = diagnose(uniform(100, 256, "tanh", "lecun_normal", batch=8))
    assert found.signal.power == pytest.approx(-1.0, abs=0.05)  # E[z²] ~ 1/(2l)
    assert found.gradient.behaviour == "power_law"
    assert found.sentence == "Signal and gradient fall only like 1/depth. SGD may train this net; Adam can."


def test_what_settles_in_deep_nets_is_no_power_of_the_depth_in_short_ones():
    said = [diagnose(ProbeParams((784, *[100] * (depth - 1), 10), "tanh", "pytorch_default")).sentence
            for depth in (5, 6, 7, 8, 10, 21)]
    assert not any("depth" in one or "only" in one for one in said)
    assert said[1].startswith("The signal shrinks, ×0.0056 in all")
    assert all(one.startswith("The signal settles at 0.0050") for one in said[4:])


def test_makemores_first_loss_and_saturation_are_said():
    found = diagnose(ProbeParams((30, 200, 27), "tanh", "standard_normal"))
    assert found.signal.behaviour == "explodes"
    assert found.signal.factor is None  # ×30, then ×5.7
    assert found.sentence == ("The signal grows, ×30.00 in layer 1; 68% of its units are saturated; "
                              "the first loss is 26.2, not 3.30.")
    assert "SGD still trains this net." in found.details  # as its author does, once the loss has come down
    he = diagnose(ProbeParams((64, 64, 10), "relu", "he_normal"))
    assert "The first loss is 3.10, not 2.30." in he.details  # PyTorch: 3.18


def test_pytorchs_default_settles_with_its_biases():
    found = diagnose(uniform(50, 512, "relu", "pytorch_default", batch=8))
    assert found.signal.limit == pytest.approx(7.8e-4, rel=0.02)  # 1/(3n) / (1 - 1/6); PyTorch 7.7e-4
    assert found.gradient.factor == pytest.approx(1 / 6, rel=0.01)
    assert not any(one.zero for one in found.number_formats)
    layer = found.number_formats[0].gradient_zero
    assert f"float16: its gradient ends at layer {layer}." in found.details
    assert not found.learns


def test_scaled_branches_hold_with_he():
    found = diagnose(uniform(64, 256, "relu", "he_normal", residual="scaled", batch=8))
    assert found.sentence == "Signal and gradient hold."
    assert found.signal.total == pytest.approx(math.log10(2 * (1 + 1 / 63) ** 63), abs=0.01)  # of at most 2e


@pytest.mark.parametrize("p", [
    uniform(30, 64, "relu", "lecun_normal", batch=8), uniform(40, 64, "tanh", "standard_normal", batch=8),
    uniform(60, 64, "linear", "standard_normal", batch=8), ProbeParams((64, 32, 16, 10), "gelu", "he_normal"),
    uniform(30, 64, "relu", "identity", gamma=1.5, batch=8)], ids=str)
def test_the_first_failure_is_that_of_the_diagnosis(p):
    seen = probe(p)
    found, failure = diagnose(p, seen), first_failure(seen)
    assert failure.formats == found.number_formats
    for way, lost in ((found.signal, (failure.vanishes, failure.explodes)),
                      (found.gradient, (failure.gradient_vanishes, failure.gradient_explodes))):
        first = next((layer for layer in lost if layer), None)
        assert (first is None) == (way.first_layer is None)
        assert first is None or abs(first - way.first_layer) <= 2


@pytest.mark.parametrize("inputs", [100, 64])
def test_a_third_a_layer_does_not_hold(inputs):
    found = diagnose(ProbeParams((inputs, 256, 256, 1), "silu", "lecun_normal", batch=8))
    assert found.signal.behaviour == "vanishes"
    assert found.signal.factor == pytest.approx(0.33, abs=0.01)


def test_one_dead_net_is_a_share_however_many_nets_are_drawn():
    p = uniform(50, 8, "relu", "he_normal", batch=32)
    said = [diagnose(replace(p, seeds=seeds)) for seeds in (2, 8, 32)]
    assert {found.signal.behaviour for found in said} == {"holds"}
    dead = said[-1].dead_nets
    assert (dead.count, dead.of) == (4, 32)
    assert "4 of 32 nets are dead" in said[-1].sentence
    error = math.sqrt(0.128 * 0.872 * (1 / 2000 + 1 / 1000))
    assert dead.expected == pytest.approx(0.128, abs=4 * error)  # 2,000 nets in NumPy
    assert diagnose(uniform(50, 64, "relu", "he_normal", batch=8)).dead_nets.expected == 0
    assert diagnose(uniform(50, 8, "tanh", "lecun_normal", batch=8)).dead_nets.expected == 0


@pytest.mark.parametrize("p", [
    uniform(30, 8, "relu", "he_normal", batch=16, input_mean=3.0),
    uniform(6, 24, "relu(z-1)", "he_normal", gamma=1.25, batch=16),
    uniform(12, 5, "relu(z+0.5)", "he_normal", batch=16),
    uniform(12, 4, "max(0,z)", "he_normal", keep=0.7, batch=4)], ids=str)
def test_the_expected_share_of_dead_nets_is_that_of_many_nets(p):
    """Inputs with a mean are alike and die together; a ramp that begins right of 0 dies more easily."""
    drawn, expected = 256, expected_dead(p)
    found = [dead_nets(probe(replace(p, seeds=32, seed=seed))) for seed in range(0, drawn, 32)]
    dead = np.mean(found)
    assert 0.005 < expected < 0.9
    assert dead == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) * (1 / drawn + 1e-3)))


def test_relu_and_he_make_inputs_parallel_and_selu_does_not():
    widths = (64, *[100] * 100, 10)
    found = diagnose(ProbeParams(widths, "relu", "he_normal", batch=8))
    assert found.correlation.parallel
    assert found.correlation.last > 0.99
    assert f"parallel within {found.correlation.layers} layers" in found.sentence
    other = diagnose(ProbeParams(widths, "selu", "lecun_normal", batch=8))
    assert not other.correlation.parallel
    assert not found.learns


def test_a_net_that_only_adam_trains_is_named_and_one_that_learns_all_the_same():
    fading = diagnose(uniform(12, 256, "tanh", "orthogonal", gamma=0.3, batch=8))
    assert fading.learns is False
    assert fading.sentence.startswith("Signal and gradient vanish")
    assert fading.sentence.endswith(". Adam can still train this net; SGD cannot.")
    mild = diagnose(uniform(6, 256, "relu", "lecun_normal", batch=8))
    assert mild.learns
    assert mild.gradient.behaviour == "vanishes"
    assert mild.sentence == "Signal and gradient shrink, ×0.50 a layer. SGD still trains this net."
    assert not any("SGD trains" in text for text in mild.details)


def test_a_signal_vanishes_only_below_the_scale_at_which_the_activation_bends():
    """At E[z²] = 1/200 sin(150 z) runs through periods; this net fails by chaos."""
    p = ProbeParams((64, 64, 64, 10), "sin(150*z)", "siren")
    found = diagnose(p)
    assert found.signal.behaviour == "vanishes"
    assert found.learns is False
    assert "shrinks" in found.sentence
    assert "vanish" not in found.sentence
    small = ProbeParams((64, *(128,) * 30, 10), "tanh(10*z)", "lecun_normal", gamma=0.03)  # tanh with 0.3
    assert "vanish" in diagnose(small).sentence


def test_what_normalization_hides_of_two_features_is_said_and_biases_show_lengths():
    two = ProbeParams((2, *[32] * 12, 2), "tanh", "he_normal", batch=16, normalization="batch")
    assert diagnose(two).learns is None
    assert "normalization hides what x and −x share" in diagnose(two).sentence
    assert diagnose(replace(two, activation="relu")).outlook.hidden == 0
    assert diagnose(replace(two, widths=(64, *two.widths[1:]))).outlook.hidden == 0
    layer = replace(two, normalization="layer", activation="elu", widths=(2, *[32] * 24, 2))
    assert "normalization hides the length of the inputs" in diagnose(layer).sentence
    assert diagnose(replace(layer, initializer="pytorch_default")).outlook.hidden == 0
    assert diagnose(replace(layer, sigma_b2=0.1)).outlook.hidden == 0


@pytest.mark.parametrize(("depth", "residual"), [(4, "none"), (10, "none"), (50, "none"), (50, "scaled")])
def test_a_batch_of_two_leaves_signs_and_one_sentence_for_all_widths(depth, residual):
    """Normalized over two inputs every unit is 1 and -1: (u - v)/|u - v|. The gradient has no mean."""
    rng = np.random.default_rng(0)
    assert np.abs(normalize(1e3 * rng.standard_normal((2, 64)), 0)[0]) == pytest.approx(1, abs=1e-3)
    said = {(found.sentence, found.details) for width in (32, 64, 128) for found in [
        diagnose(ProbeParams((64, *(width,) * (depth - 1), 1), "relu", "he_normal", normalization="batch",
                             residual=residual, batch=2))]}
    (sentence, details), = said
    assert sentence.startswith("Batches of 2 leave only the sign of each unit: take at least 8 inputs")
    assert not any("gradient" in text or "×" in text for text in (sentence, *details))
    assert "still" not in sentence
    wider = diagnose(ProbeParams((64, *(32,) * (depth - 1), 1), "relu", "he_normal", normalization="batch",
                                 residual=residual, batch=8))
    assert "sign of" not in wider.sentence


def test_nets_that_see_signs_only_learn_less_than_the_same_with_eight_inputs():
    right = {}
    for batch in (2, 8):
        p = TrainParams((64, *(32,) * 9, 10), "relu", ("he_normal",), normalization="batch", batch=batch,
                        learning_rate=0.01, steps=600, seeds=1, snapshots=2)
        *_, last = train(p)
        right[batch] = last.held_out.mean()
        assert diagnose(ProbeParams(p.widths, "relu", "he_normal", normalization="batch",
                                    batch=batch)).learns is (True if batch == 8 else None)
    assert right[2] < 0.3 < 0.6 < right[8]


@pytest.mark.parametrize(("normalization", "activation", "factor"),
                         [("layer", "elu", 3), ("batch", "tanh", -1)])
def test_a_normalized_net_without_biases_is_blind_to_lengths_or_odd(normalization, activation, factor):
    """What ``hidden`` counts, measured: z of c x is that of x; z of -x is that of x with its sign changed."""
    axis, rng = {"layer": -1, "batch": -2}[normalization], np.random.default_rng(0)
    x, weights = rng.standard_normal((8, 2)), [rng.standard_normal((16, n)) for n in (2, 16, 16)]
    x = np.concatenate([x, -x])

    def last(a):
        for w in weights:
            z = normalize(a @ w.T, axis)[0]
            a = ACTIVATIONS[activation].f(z)
        return z
    np.testing.assert_allclose(last(factor * x), np.sign(factor) * last(x), atol=1e-3)


def test_half_of_a_one_sided_function_is_off_and_not_saturated():
    gelu = diagnose(uniform(32, 256, "gelu", "small_normal", gamma=2.0, normalization="layer",
                            residual="plain", batch=8))
    assert gelu.saturated == 0
    assert gelu.off == pytest.approx(0.45, abs=0.1)  # E[z²] = 32; 49 % at 64 in NumPy
    relu = diagnose(uniform(10, 256, "relu", "he_normal", batch=8))
    assert relu.off == pytest.approx(0.5, abs=0.05)
    tanh = diagnose(ProbeParams((30, 200, 27), "tanh", "standard_normal"))
    assert tanh.saturated == pytest.approx(0.70, abs=0.03)  # PyTorch: |tanh| > 0.97
    assert tanh.off == 0
    clipped = [diagnose(uniform(10, 256, f"max(0,min(z,{top}))", "he_normal", batch=8)) for top in (6, 0.5)]
    assert [one.off for one in clipped] == pytest.approx([0.5, 0.5], abs=0.05)
    assert clipped[0].saturated < 0.05  # beyond 6 lie 0.001 of N(0, 2)
    assert clipped[1].saturated == pytest.approx(NormalDist(0, 2**0.5).cdf(-0.5), abs=0.05)  # of layer 1


def test_zeros_are_a_good_start_of_one_layer_and_of_no_more():
    one = diagnose(ProbeParams((64, 10), "linear", "zeros"))
    assert one.learns
    assert "good start" in one.sentence
    two = diagnose(ProbeParams((64, 10, 10), "linear", "zeros"))
    assert two.signal.behaviour == "dies"
    assert not two.learns
    assert two.dead_nets.count == 0  # that is another trouble


@pytest.mark.parametrize(("initializer", "rest", "said"), [
    ("constant", {}, True), ("constant", {"sigma_b2": 0.1}, False), ("lecun_normal", {}, False)])
def test_equal_weights_are_said_to_keep_all_units_equal(initializer, rest, said):
    found = diagnose(uniform(5, 32, "tanh", initializer, gamma=0.02, **rest))
    assert any("keeps them so" in one.text for one in found.clauses) is said


def test_nets_that_overflow_before_a_gradient_is_sent_are_judged_by_theory():
    found = diagnose(uniform(200, 32, "linear", "standard_normal", batch=4))
    assert found.gradients.measured is None
    assert found.number_formats[-1].survives  # float64, in theory
    assert found.signal.factor == found.gradient.factor == pytest.approx(32)


def test_nets_outweigh_a_theory_that_they_do_not_follow():
    p = uniform(20, 64, "relu", "he_normal", batch=8)
    seen, theory = probe(p), predict(p)
    assert diagnose(p, seen, theory).signal.behaviour == "holds"
    fallen = diagnose(p, replace(seen, q=seen.q * 0.3 ** np.arange(20)), theory)
    assert fallen.signal.behaviour == "vanishes"
    assert fallen.signal.factor == pytest.approx(0.3, rel=0.2)
    assert fallen.sentence.endswith("SGD cannot train this net; nor can Adam.")  # whatever theory says


@pytest.mark.parametrize("p", [
    uniform(1, 1, "relu", "he_normal"), uniform(2, 1, "tanh", "zeros"), uniform(5, 16, "relu", "identity"),
    uniform(100, 64, "linear", "identity", gamma=100.0), uniform(256, 16, "sigmoid", "glorot_uniform"),
    uniform(50, 32, "relu", "he_normal", normalization="batch", batch=2),
    uniform(30, 32, "tanh", "he_normal", rescale="lsuv"), uniform(30, 32, "mish", "orthogonal", keep=0.5),
    uniform(30, 32, "relu", "small_normal", residual="zero"), uniform(6, 16, "gelu", "he_normal", gamma=0.0),
    uniform(9, 3, "elu", "lecun_normal", gamma=1e-162), uniform(9, 3, "relu", "he_normal", gamma=1e-160),
    ProbeParams((2, 64, 64, 3), "softplus", "playground_default"), uniform(4, 8, "elu", "standard_normal"),
], ids=str)
def test_every_net_has_a_short_sentence_without_riddles(p):
    found = diagnose(p)
    for text in (found.sentence, *found.details):
        assert len(text) <= LONGEST
        assert text[0].isupper() or text[0].isdigit() or text.startswith("float16")
        assert text.endswith(".")
        assert not any(word in text for word in ("nan", "inf", "None", "_", "e-0", "e+"))


def test_an_outcome_that_was_cut_goes_on_at_once_and_is_not_said_twice():
    found = diagnose(ProbeParams.uniform(50, 3, "relu", "he_normal"))
    assert found.sentence.endswith("SGD cannot train this net.")
    assert found.details[0] == "Nor can Adam."
    assert not [one for one in found.details if "SGD cannot" in one]
