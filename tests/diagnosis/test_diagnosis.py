"""Diagnoses of public cases against values found without vgdash: PyTorch, NumPy, SciPy and closed forms."""

import math
from dataclasses import replace

import numpy as np
import pytest

from vgdash.diagnosis.diagnosis import diagnose
from vgdash.diagnosis.record import LONGEST
from vgdash.probe.probe import ProbeParams, probe
from vgdash.theory.layerwise import predict

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
    assert found.sentence == "Signal and gradient fall only like 1/depth."


def test_the_only_layer_counts_from_its_input():
    found = diagnose(ProbeParams((768, 512), "linear", "standard_normal", batch=8))
    assert (found.signal.behaviour, found.signal.worst_layer) == ("explodes", 1)
    assert found.signal.factor == pytest.approx(768)
    assert "×768 in layer 1" in found.sentence


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
    error = math.sqrt(0.128 * 0.872 * (1 / 2000 + 1 / 400))
    assert dead.expected == pytest.approx(0.128, abs=4 * error)  # 2,000 nets in NumPy
    assert diagnose(uniform(50, 64, "relu", "he_normal", batch=8)).dead_nets.expected == 0
    assert diagnose(uniform(50, 8, "tanh", "lecun_normal", batch=8)).dead_nets.expected == 0


def test_relu_and_he_make_inputs_parallel_and_selu_does_not():
    widths = (64, *[100] * 100, 10)
    found = diagnose(ProbeParams(widths, "relu", "he_normal", batch=8))
    assert found.correlation.parallel
    assert found.correlation.last > 0.99
    assert f"parallel within {found.correlation.layers} layers" in found.sentence
    other = diagnose(ProbeParams(widths, "selu", "lecun_normal", batch=8))
    assert not other.correlation.parallel
    assert other.learns
    assert not found.learns


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


def test_zeros_are_a_good_start_of_one_layer_and_of_no_more():
    one = diagnose(ProbeParams((64, 10), "linear", "zeros"))
    assert one.learns
    assert "good start" in one.sentence
    two = diagnose(ProbeParams((64, 10, 10), "linear", "zeros"))
    assert two.signal.behaviour == "dies"
    assert not two.learns
    assert two.dead_nets.count == 0  # that is another trouble


def test_nets_that_overflow_before_a_gradient_is_sent_are_judged_by_theory():
    found = diagnose(uniform(200, 32, "linear", "standard_normal", batch=4))
    assert found.gradients.measured is None
    assert found.signal.factor == found.gradient.factor == pytest.approx(32)


def test_nets_outweigh_a_theory_that_they_do_not_follow():
    p = uniform(20, 64, "relu", "he_normal", batch=8)
    seen, theory = probe(p), predict(p)
    assert diagnose(p, seen, theory).signal.behaviour == "holds"
    fallen = diagnose(p, replace(seen, q=seen.q * 0.3 ** np.arange(20)), theory)
    assert fallen.signal.behaviour == "vanishes"
    assert fallen.signal.factor == pytest.approx(0.3, rel=0.2)


@pytest.mark.parametrize("p", [
    uniform(1, 1, "relu", "he_normal"), uniform(2, 1, "tanh", "zeros"), uniform(5, 16, "relu", "identity"),
    uniform(100, 64, "linear", "identity", gamma=100.0), uniform(256, 16, "sigmoid", "glorot_uniform"),
    uniform(50, 32, "relu", "he_normal", normalization="batch", batch=2),
    uniform(30, 32, "tanh", "he_normal", rescale="lsuv"), uniform(30, 32, "mish", "orthogonal", keep=0.5),
    uniform(30, 32, "relu", "small_normal", residual="zero"), uniform(6, 16, "gelu", "he_normal", gamma=0.0),
    ProbeParams((2, 64, 64, 3), "softplus", "playground_default"), uniform(4, 8, "elu", "standard_normal"),
], ids=str)
def test_every_net_has_a_short_sentence_without_riddles(p):
    found = diagnose(p)
    for text in (found.sentence, *found.details):
        assert len(text) <= LONGEST
        assert text[0].isupper() or text[0].isdigit() or text.startswith("float16 ")
        assert text.endswith(".")
        assert not any(word in text for word in ("nan", "inf", "None", "_", "e-0", "e+"))
