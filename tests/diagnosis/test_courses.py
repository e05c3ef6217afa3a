"""The words for courses against curves of closed form, in theory's and in measured nets' precision."""

import math

import numpy as np
import pytest

from vgdash.diagnosis.courses import gradient_course, signal_course

DEPTH = 100
LAYER = np.arange(1, DEPTH + 1)
EVEN = (64,) * (DEPTH + 1)
NOISE = 0.01 * np.random.default_rng(0).standard_normal(DEPTH)  # of log10, as 4 nets of width 256 have it

SHAPES = [  # E[z²] by layer, and the word with its number
    (0.5**LAYER, "vanishes", ("factor", 0.5)), (1.2**LAYER, "explodes", ("factor", 1.2)),
    (LAYER / 1.0, "power_law", ("power", 1.0)), (1 / (1 + 2 * LAYER), "power_law", ("power", -1.0)),
    (LAYER**-0.5 / 2, "power_law", ("power", -0.5)), (0.03 + 0.97 * 0.8**LAYER, "settles", ("limit", 0.03)),
    (200 - 190 * 0.5**LAYER, "settles", ("limit", 200)), (3 + np.sin(LAYER), "holds", ("factor", None)),
    (np.where(LAYER < 30, 1.0, 0.0), "dies", ("first_layer", 30)),
]


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize(("squares", "word", "value"), SHAPES)
def test_each_curve_has_its_word_and_its_number_forward_and_back(squares, word, value, noise):
    with np.errstate(divide="ignore"):
        curve = np.log10(squares) + noise * NOISE
    name, expected = value
    found = signal_course(curve, EVEN)
    assert found.behaviour == word
    seen = getattr(found, name)
    error = 4 * noise * math.sqrt(2) * 0.01 / math.log10(2)  # of the power that two layers give
    assert seen == (None if expected is None else pytest.approx(expected, rel=0.1, abs=error))
    for unsaid in {"factor", "power", "limit"} - {name}:
        assert getattr(found, unsaid) is None
    if word in ("vanishes", "explodes", "holds"):
        back = gradient_course((curve - curve[0])[::-1], EVEN)  # the same, from the last layer on
        assert back.behaviour == word


def test_a_gradient_that_falls_like_the_layer_number_is_a_power_of_the_depth():
    found = gradient_course(np.log10(LAYER / DEPTH), EVEN)
    assert (found.behaviour, found.power) == ("power_law", pytest.approx(-1.0))
    assert found.total == pytest.approx(-2.0)


@pytest.mark.parametrize("squares", [lambda layer: 1 / (1 + 2 * layer), lambda layer: 1 + 2 * layer],
                         ids=["falls", "grows"])
def test_a_power_of_the_depth_takes_ten_layers_to_see(squares):
    for depth in range(5, 20):
        layer = np.arange(1, depth + 1)
        found = signal_course(np.log10(squares(layer)), (64,) * (depth + 1))
        assert (found.power is not None) == (depth >= 10)
        assert found.factor is None
        assert found.behaviour in (("power_law",) if depth >= 10 else ("vanishes", "explodes"))
        assert 10**found.total == pytest.approx(squares(depth))


def test_the_first_layer_belongs_to_the_curve():
    found = signal_course(np.log10([768.0]), (768, 4096))
    assert (found.behaviour, found.worst_layer) == ("explodes", 1)
    assert found.factor == pytest.approx(768)
    assert 10**found.total == 10**found.worst_step == pytest.approx(768)
    assert signal_course(np.log10([300.0, 300, 300, 300, 300]), (300,) * 6).behaviour == "settles"


def test_a_rate_is_a_rate_though_two_layers_are_less_than_a_decade():
    assert signal_course(np.log10([1.0, 1 / 3, 1 / 9]), (64,) * 4).behaviour == "vanishes"
    assert signal_course(np.log10([1.0, 0.5, 0.25]), (64,) * 4).behaviour == "holds"
    halves = signal_course(np.log10([1.0, 0.5, 0.25, 0.125, 0.0625]), (64,) * 6)
    assert (halves.behaviour, halves.factor) == ("vanishes", pytest.approx(0.5))


def test_where_widths_differ_the_mean_or_the_sum_is_enough():
    widths = (1000, 100, 10)
    squares = np.array([10.0, 100.0])  # the sum over the units stays
    assert signal_course(np.log10(squares), widths).behaviour == "holds"
    assert signal_course(np.log10(squares), (100,) * 3).behaviour == "explodes"


def test_the_layer_where_the_signal_is_lost_is_a_thousand_times_off():
    quarters = 2 * math.log10(0.5)
    assert signal_course(quarters * LAYER, EVEN).first_layer == 10  # 2^-10 < 0.001
    assert gradient_course(quarters * (DEPTH - LAYER), EVEN).first_layer == DEPTH - 10
