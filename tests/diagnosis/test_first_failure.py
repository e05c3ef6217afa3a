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


LARGEST = 2  # log2 of the largest of 1,024 Gaussian entries over their root mean square: 1.8 and more


def test_a_net_that_halves_leaves_each_format_where_the_powers_of_two_end():
    # linear, gamma just below 1/2: the root mean square of z[l] is just below 2^-l, of the gradient 2^-(L-l)
    depth = 200
    p = uniform(depth, 512, "linear", "lecun_normal", gamma=0.4999, batch=2, seeds=1)
    found = first_failure(predict(p))
    assert (found.vanishes, found.explodes) == (10, None)  # 2^-10 < 0.001
    assert found.gradient_vanishes == depth - 10
    for name, one in formats(found).items():
        form = FORMATS[name]
        normal, least = round(math.log2(form.smallest_normal)), round(math.log2(form.smallest_subnormal))
        for steps, layer, back in ((-normal + LARGEST, one.subnormal, one.gradient_subnormal),
                                   (1 - least + LARGEST, one.zero, one.gradient_zero)):
            assert (layer is None) == (back is None) == (steps >= depth), name
            assert layer is None or abs(layer - steps) <= 1 >= abs(depth - back - steps), name
        assert one.overflow is one.gradient_overflow is None
        assert one.survives == (one.zero is None)


def test_a_net_that_doubles_overflows_each_format_where_its_largest_entry_does():
    depth = 256
    p = uniform(depth, 512, "linear", "lecun_normal", gamma=2.0, batch=2, seeds=1)
    found = first_failure(predict(p))
    assert (found.vanishes, found.explodes, found.gradient_explodes) == (None, 10, depth - 10)
    for name, one in formats(found).items():
        steps = FORMATS[name].top + 1 - LARGEST
        assert (one.overflow is None) == (steps > depth), name
        assert one.overflow is None or abs(one.overflow - steps) <= 1 >= abs(
            depth - one.gradient_overflow - steps)


@pytest.mark.parametrize(("p", "layers"), [  # nine nets in NumPy: 14 seven times, 15 twice; and 4
    (uniform(30, 256, "linear", "lecun_normal", gamma=2.0, batch=32, seeds=9), {14, 15}),
    (uniform(10, 256, "linear", "standard_normal", batch=16, seeds=2), {4})])
def test_float16_ends_where_its_first_entry_overflows(p, layers):
    seen = probe(p)
    with np.errstate(over="ignore"):
        each = {int(np.isinf(net.astype(np.float16)).argmax()) + 1 for net in seen.largest}
    assert each <= layers
    assert {formats(first_failure(one))["float16"].overflow for one in (seen, predict(p))} == {min(layers)}


def test_beyond_float32_theory_tells():
    one = formats(first_failure(probe(uniform(200, 256, "linear", "standard_normal", batch=4, seeds=1))))
    assert one["float64"].survives  # the 256th layer is 10^(256·2.408/2) = 10^308
    assert one["float32"].overflow == pytest.approx(32, abs=1)
    assert one["float32"].gradient_overflow == pytest.approx(200 - 32, abs=1)
    deep = formats(first_failure(predict(uniform(256, 256, "linear", "standard_normal", batch=4))))
    assert deep["float64"].overflow == pytest.approx(256, abs=1)


def test_the_probe_confirms_the_overflow_of_float32_and_the_layers_before():
    p = uniform(120, 64, "linear", "lecun_normal", gamma=4.0, seeds=3, batch=8)
    predicted, measured = first_failure(predict(p)), first_failure(probe(p))
    assert (predicted.measured, measured.measured) == (False, True)
    assert abs(predicted.explodes - measured.explodes) <= 1
    assert abs(formats(predicted)["float32"].overflow - formats(measured)["float32"].overflow) <= 2
    assert formats(measured)["float32"].overflow == pytest.approx(63, abs=2)
    assert measured.gradient_explodes == predicted.gradient_explodes  # none was sent: theory's


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
    assert first_failure(predict(uniform(20, 256, "gelu", "standard_normal"))).saturates is None  # half off


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
        sizes = np.array([[nan, inf, 1], other, [1, 1, 1]])
        one = formats(first_failure(replace(found, largest_gradient=sizes)))["float32"]
        assert (one.gradient_overflow, one.survives) == (layer, layer is None)


def test_the_table_has_a_row_a_format_and_whole_layers():
    table = first_failure(predict(uniform(50, 64, "relu", "small_normal"))).frame()
    assert list(table.format) == list(FORMATS)
    assert table.zero.dtype == "Int64"


def test_a_prediction_without_theory_asks_for_a_probe():
    with pytest.raises(ValueError, match="probe"):
        first_failure(predict(uniform(5, 16, "relu", "identity")))
