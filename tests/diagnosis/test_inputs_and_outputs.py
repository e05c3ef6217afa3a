"""Diagnoses of first and last layers: the inputs' size and mean, a last layer of its own, one output."""

import math
from dataclasses import astuple, replace

import numpy as np
import pytest

from vgdash.diagnosis.diagnosis import diagnose
from vgdash.probe.probe import ProbeParams

uniform = ProbeParams.uniform


def test_the_only_layer_counts_from_its_input():
    found = diagnose(ProbeParams((768, 512), "linear", "standard_normal", batch=8))
    assert (found.signal.behaviour, found.signal.worst_layer) == ("explodes", 1)
    assert found.signal.factor == pytest.approx(768)
    assert "×768 in layer 1" in found.sentence
    t5 = diagnose(ProbeParams((768, 4096), "linear", "standard_normal", batch=8, seeds=1))
    assert "the first loss is 101, not 8.32" in t5.sentence  # ln 4,096; √768 times the largest of 4,096



def said_of_inputs(**more):
    """What is said of the inputs of a small net with these settings."""
    found = diagnose(ProbeParams((64, 64, 64, 10), "relu", "he_normal", **{"batch": 8, **more}))
    return [one.text.removeprefix("the inputs have ") for one in found.troubles if one.subject == "inputs"]



def test_inputs_of_another_size_are_named_unless_something_scales_them():
    assert said_of_inputs(input_scale=10.0) == ["a mean square of 100: divide them by 10"]
    assert said_of_inputs(input_scale=10.0, normalization="layer") == []
    assert said_of_inputs(input_scale=2.0) == said_of_inputs(input_scale=0.5) == []



@pytest.mark.parametrize(("mean", "scale", "said"), [
    (5.0, 1.0, "mean 5.0: subtract it"),
    (-5.0, 1.0, "mean −5.0: subtract it"),
    (33.0, 72.0, "mean 33: subtract it, divide by 72"),
    (0.9, 0.44, "mean 0.90: subtract it, divide by 0.44")])
def test_a_mean_of_the_inputs_is_to_be_subtracted_for_no_division_takes_it_away(mean, scale, said):
    """Subtracted, it trained to 0.97 where divided inputs came to 0.76 (ReLU, He, 4 layers, the digits)."""
    assert said_of_inputs(input_mean=mean, input_scale=scale) == [said]



def test_a_mean_of_the_inputs_is_part_of_the_verdict():
    pixels = diagnose(ProbeParams((64, 128, 128, 128, 10), "relu", "he_normal", input_mean=128.0,
                                  input_scale=64.0))
    assert pixels.sentence.endswith("; the inputs have mean 128: subtract it, divide by 64.")



def test_a_mean_is_named_under_a_scale_that_leaves_it_but_not_under_one_that_subtracts_it():
    """Trained with layer normalization: 0.83 with a mean of 5, 0.97 without; with batch's: 0.97 and 0.97."""
    kept = ["mean 5.0: subtract it"]
    assert said_of_inputs(input_mean=5.0, normalization="layer") == kept
    assert said_of_inputs(input_mean=5.0, rescale="lsuv") == kept
    assert said_of_inputs(input_mean=5.0, normalization="batch") == []
    assert said_of_inputs(input_mean=0.7) == said_of_inputs(input_mean=1.0) == []  # trained as well



@pytest.mark.parametrize("scale", [0.0, 0.01])
def test_a_small_last_layer_is_no_trouble(scale):
    plain, small = (diagnose(ProbeParams((64, 64, 64, 64, 64, 10), "relu", "he_normal", last_scale=one))
                    for one in (1.0, scale))
    assert small.sentence == plain.sentence == "Signal and gradient hold."
    assert small.first_loss.excess < 0.01 < plain.first_loss.excess
    assert small.dead_nets.count == 0



@pytest.mark.parametrize("bias", [-3.0, 20.0, 100.0])
@pytest.mark.parametrize("p", [
    ProbeParams((64, 128, 128, 10), "relu", "he_normal"), ProbeParams((64, 10), "linear", "he_normal"),
    ProbeParams((64, *(64,) * 12, 10), "tanh", "small_normal"),  # its signal is far below the bias
    ProbeParams((64, 64, 64, 10), "relu", "identity"), uniform(5, 64, "relu", "he_normal", last_scale=0.1),
    uniform(8, 32, "relu", "he_normal", residual="plain")], ids=str)
def test_a_bias_that_all_classes_share_is_no_trouble(p, bias):
    """No softmax sees it: e^(z + b)/Σ e^(z + b) is e^z/Σ e^z."""
    plain, shifted = diagnose(p), diagnose(replace(p, last_bias=bias))
    assert (shifted.sentence, shifted.details) == (plain.sentence, plain.details)
    assert astuple(shifted.first_loss) == pytest.approx(astuple(plain.first_loss))
    assert (shifted.signal, shifted.gradient) == (plain.signal, plain.gradient)
    assert shifted.outlook == pytest.approx(plain.outlook)
    assert shifted.correlation == plain.correlation
    assert shifted.nets.q[0, -1] > bias**2 / 2, "the nets that are shown have their bias"



def test_inputs_are_parallel_if_a_hidden_layer_makes_them_so():
    """A bias of the last layer makes its z alike for all inputs; what hidden layers tell of them is there."""
    one_output = ProbeParams((64, 128, 128, 1), "relu", "he_normal", last_bias=20.0)
    assert not diagnose(one_output).correlation.parallel
    wide = diagnose(uniform(3, 64, "relu", "he_normal", sigma_b2=100.0, input_scale=0.1)).correlation
    assert wide.layers == 1



def test_one_output_scatters_at_any_width_so_no_wider_layers_are_advised():
    """Own nets of sigmoid units: log10 E[z²] of the output scatters alike with 32 and with 512 of them."""
    rng, spreads = np.random.default_rng(0), []
    for width in (32, 512):
        squares = []
        for _ in range(80):
            a = rng.standard_normal((8, 64))
            for n, m in ((64, width), (width, width), (width, 1)):
                z = a @ rng.standard_normal((n, m)) / math.sqrt(n)
                a = 1 / (1 + np.exp(-z))
            squares.append((z**2).mean())
        spreads.append(np.log10(squares).std())
    assert spreads[1] > 0.7 * spreads[0] > 0.35  # 2 standard deviations are beyond a factor of 10

    def wider(*widths, **more):
        found = diagnose(ProbeParams(widths, "sigmoid", "lecun_normal", batch=8, **more))
        return "wider layers" in " ".join([found.sentence, *found.details])
    assert not wider(64, 32, 32, 1)
    assert not wider(64, 512, 512, 1)
    assert not wider(64, 512, 512, 1, residual="scaled")  # without a theory of the scatter
    assert not wider(100, 1)
    relu = diagnose(ProbeParams((20, *[20] * 50, 1), "relu", "he_normal", batch=8))
    assert "Single nets stray far from this mean: take wider layers." in relu.details
