"""First troubles against arithmetic in powers of two and against numbers iterated in each format."""

import math
from dataclasses import replace

import numpy as np
import pytest

from vgdash.diagnosis.first_failure import first_failure
from vgdash.number_formats import FORMATS
from vgdash.probe.probe import ProbeParams, probe
from vgdash.theory.layerwise import predict

uniform = ProbeParams.uniform


def formats(trouble):
    return {one.name: one for one in trouble.formats}


def test_a_net_that_halves_leaves_each_format_where_the_powers_of_two_end():
    # linear, gamma just below 1/2: the root mean square of z[l] is just below 2^-l, of the gradient 2^-(L-l)
    depth = 200
    found = first_failure(predict(uniform(depth, 64, "linear", "lecun_normal", gamma=0.4999)))
    assert (found.vanishes, found.explodes) == (10, None)  # 2^-10 < 0.001
    assert found.gradient_vanishes == depth - 10
    for name, one in formats(found).items():
        form = FORMATS[name]
        normal, least = round(math.log2(form.smallest_normal)), round(math.log2(form.smallest_subnormal))
        expected = [layer if layer <= depth else None for layer in (-normal, 1 - least)]
        assert [one.overflow, one.subnormal, one.zero] == [None, *expected], name
        assert [one.gradient_overflow, one.gradient_subnormal, one.gradient_zero] == [
            None, *(None if steps is None or steps >= depth else depth - steps for steps in expected)], name
        assert one.survives == (expected[1] is None)


def test_a_net_that_doubles_overflows_each_format_where_iterating_does():
    depth = 256
    found = first_failure(predict(uniform(depth, 64, "linear", "lecun_normal", gamma=2.0)))
    assert (found.vanishes, found.explodes, found.gradient_explodes) == (None, 10, depth - 10)
    for name, one in formats(found).items():
        steps = FORMATS[name].top + 1
        assert one.overflow == (steps if steps <= depth else None)
        assert one.gradient_overflow == (depth - steps if steps < depth else None)


def test_the_probe_confirms_the_overflow_of_float32_and_the_layers_before():
    p = uniform(120, 64, "linear", "lecun_normal", gamma=4.0, seeds=3, batch=8)
    predicted, measured = first_failure(predict(p)), first_failure(probe(p))
    assert (predicted.measured, measured.measured) == (False, True)
    assert abs(predicted.explodes - measured.explodes) <= 1
    assert abs(formats(predicted)["float32"].overflow - formats(measured)["float32"].overflow) <= 2
    assert formats(measured)["float32"].overflow == pytest.approx(64, abs=2)
    assert measured.gradient_vanishes is None  # no gradient was ever sent
    assert measured.gradient_explodes is None


def test_the_probe_confirms_a_gradient_that_vanishes_and_one_that_overflows_float32_on_its_way_back():
    p = uniform(30, 128, "sigmoid", "glorot_normal", seeds=3, batch=8)
    predicted, measured = first_failure(predict(p)), first_failure(probe(p))
    assert abs(predicted.gradient_vanishes - measured.gradient_vanishes) <= 1
    p = uniform(256, 64, "tanh", "standard_normal", seeds=1, batch=8)
    back = first_failure(probe(p))
    assert formats(back)["float32"].gradient_overflow == probe(p).overflow_backward > 100
    assert back.gradient_vanishes is None
    assert 240 < back.gradient_explodes < 256


def test_a_saturated_layer_is_named_and_relu_at_rest_is_not():
    assert first_failure(predict(uniform(20, 256, "tanh", "standard_normal"))).saturates == 1
    assert first_failure(predict(uniform(20, 256, "relu", "he_normal"))).saturates is None


def test_the_sentence_tells_all_and_nothing_when_all_is_well():
    healthy = first_failure(predict(uniform(50, 256, "relu", "he_normal")))
    assert healthy.sentence == ("No layer fails: root mean squares stay within a factor of 1,000 of 1, "
                                "and every number format holds them.")
    ill = first_failure(predict(uniform(50, 64, "relu", "standard_normal")))
    layer = formats(ill)["float16"].overflow
    assert ill.sentence.startswith(f"The signal explodes at layer {ill.explodes}; ")
    assert f"float16 overflows at layer {layer}" in ill.sentence


def test_zero_weights_are_zero_in_every_format_from_the_first_layer():
    for found in (predict, probe):
        trouble = first_failure(found(uniform(5, 16, "relu", "zeros")))
        assert trouble.vanishes == 1
        assert {(one.zero, one.gradient_zero, one.subnormal) for one in trouble.formats} == {(1, 4, None)}


def test_the_middle_seed_counts():
    found = probe(uniform(3, 16, "linear", "lecun_normal", seeds=3))
    q = found.q.copy()
    q[0, 1] = 1e20  # one wild seed
    assert first_failure(replace(found, q=q.copy())).explodes is None
    q[1:, 2] = 1e20  # two of three
    assert first_failure(replace(found, q=q)).explodes == 3
    # a seed that overflowed on its way back stays overflown below, one that sent no gradient is well
    nan, inf = math.nan, math.inf
    for other, layer in (([inf, 1, 1], 1), ([nan, nan, nan], None)):
        grad2 = [[nan, inf, 1], other, [1, 1, 1]]
        one = formats(first_failure(replace(found, grad2=np.array(grad2))))["float64"]
        assert (one.gradient_overflow, one.survives) == (layer, layer is None)


def test_the_table_has_a_row_a_format_and_whole_layers():
    table = first_failure(predict(uniform(50, 64, "relu", "small_normal"))).frame()
    assert list(table.format) == list(FORMATS)
    assert table.zero.dtype == "Int64"


def test_a_prediction_without_theory_asks_for_a_probe():
    with pytest.raises(ValueError, match="probe"):
        first_failure(predict(uniform(5, 16, "relu", "identity")))
