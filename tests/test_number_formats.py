"""Number formats against their bit patterns, NumPy's finfo and published layers where a chain breaks."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgdash.number_formats import FORMATS, Breaks, breaks_of, iterate, powers, round_to

PATTERNS = np.arange(0x8000, dtype=np.uint32)
# every positive finite number of the two 16-bit formats and infinity, in order, from the bit patterns
ALL_NUMBERS = {
    "float16": PATTERNS[:0x7C01].astype(np.uint16).view(np.float16).astype(np.float64),
    "bfloat16": (PATTERNS[:0x7F81] << np.uint32(16)).view(np.float32).astype(np.float64),
}


def nearest_by_search(value: float, name: str) -> float:
    numbers = ALL_NUMBERS[name].copy()
    numbers[-1] = 2 * numbers[-2] - numbers[-3]  # where infinity begins: the number that would come next
    above = int(np.searchsorted(numbers, abs(value)))
    if above == len(numbers):
        return math.copysign(math.inf, value)
    below = max(above - 1, 0)
    down, up = abs(value) - numbers[below], numbers[above] - abs(value)
    even = below if below % 2 == 0 else above
    index = below if down < up else above if up < down else even
    return math.copysign(ALL_NUMBERS[name][index], value)


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_limits_are_those_of_numpy(name):
    form, truth = FORMATS[name], np.finfo(name)
    limits = (form.largest, form.smallest_normal, form.smallest_subnormal)
    assert limits == (truth.max, truth.smallest_normal, truth.smallest_subnormal)


@pytest.mark.parametrize("name", ALL_NUMBERS)
def test_limits_are_those_of_the_bit_patterns(name):
    form, numbers = FORMATS[name], ALL_NUMBERS[name]
    normal = 1 << (form.digits - 1)
    truth = numbers[[-2, normal, 1]]
    assert (form.largest, form.smallest_normal, form.smallest_subnormal) == tuple(truth)
    logs = (form.log10_largest, form.log10_smallest_normal, form.log10_smallest_subnormal)
    assert logs == pytest.approx(np.log10(truth), abs=1e-12)


@pytest.mark.parametrize("name", ALL_NUMBERS)
def test_every_number_of_a_format_rounds_to_itself(name):
    assert np.array_equal(round_to(ALL_NUMBERS[name], name).astype(np.float64), ALL_NUMBERS[name])


@pytest.mark.parametrize("name", ALL_NUMBERS)
def test_halfway_rounds_to_the_even_pattern(name):
    numbers = ALL_NUMBERS[name][:-1]
    halfway = (numbers[:-1] + numbers[1:]) / 2
    even = np.where(np.arange(len(halfway)) % 2 == 0, numbers[:-1], numbers[1:])
    assert np.array_equal(round_to(halfway, name).astype(np.float64), even)


@pytest.mark.parametrize("name", ALL_NUMBERS)
@settings(max_examples=300, deadline=None)
@given(mantissa=st.floats(-2, 2), exponent=st.integers(-140, 130),
       nudge=st.sampled_from([0, 2.0**-45, -(2.0**-45)]))
def test_rounding_finds_the_nearest_number(name, mantissa, exponent, nudge):
    # often halfway between two numbers; the nudge is lost if float32 comes in between
    coarse = round(mantissa * 512) / 512
    for value in (math.ldexp(mantissa, exponent), math.ldexp(coarse * (1 + nudge), exponent)):
        assert round_to(value, name) == nearest_by_search(value, name)


@pytest.mark.parametrize("name", FORMATS)
def test_beyond_the_largest_is_infinite_and_a_nan_stays_one(name):
    form = FORMATS[name]
    values = round_to([-np.inf, np.nan, form.largest, -form.largest], name)
    assert values[0] == -np.inf
    assert np.isnan(values[1])
    assert values[2] == -values[3] == form.largest
    if name != "float64":
        assert round_to(-form.largest * (1 + 2.0**-form.digits), name) == -np.inf


@pytest.mark.parametrize(("name", "overflow", "subnormal", "zero"), [
    ("float16", 16, 15, 25), ("bfloat16", 128, 127, 134), ("float32", 128, 127, 150),
    ("float64", 1024, 1023, 1075),
])
def test_powers_of_two_break_where_the_exponent_bits_end(name, overflow, subnormal, zero):
    assert breaks_of(powers(1.0, 2.0, name, 1100), name) == Breaks(overflow=overflow)
    assert breaks_of(powers(1.0, 0.5, name, 1100), name) == Breaks(subnormal=subnormal, zero=zero)


def test_bfloat16_rounds_one_and_a_half_down_and_overflows_later_than_arithmetic_says():
    arithmetic = math.ceil(FORMATS["bfloat16"].log10_largest / math.log10(1.5))
    value, layer = 1.0, 0
    while math.isfinite(value):
        value, layer = nearest_by_search(1.5 * value, "bfloat16"), layer + 1
    assert (arithmetic, layer) == (219, 220)
    assert breaks_of(powers(1.0, 1.5, "bfloat16", 300), "bfloat16").overflow == layer


@pytest.mark.parametrize("name", ["float16", "float32"])
def test_nine_tenths_sticks_at_a_subnormal_and_never_reaches_zero(name):
    real = np.dtype(name).type
    value, layer = real(1), 0
    while real(value * real(0.9)) != value:
        value, layer = real(value * real(0.9)), layer + 1
    found = breaks_of(powers(1.0, 0.9, name, 2000), name)
    assert 0 < value < FORMATS[name].smallest_normal
    assert (found.zero, found.first, found.stuck) == (None, None, layer)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40, deadline=None)
@given(start=st.floats(-100, 100), factor=st.floats(0.01, 10))
def test_powers_are_what_iterating_layer_by_layer_gives(name, start, factor):
    rounded = round_to(factor, name)
    one_by_one = iterate(lambda layer, a: a * rounded, [start], name, 150)
    assert np.array_equal(powers([start], factor, name, 150), one_by_one, equal_nan=True)


def test_iterating_numbers_layers_from_one_and_rounds_the_start():
    values = iterate(lambda layer, a: a + layer, 1 / 3, "bfloat16", 3)
    assert values.tolist() == [0.333984375, 1.3359375, 3.34375, 6.34375]


def test_chains_side_by_side_go_on_by_themselves():
    values = iterate(lambda layer, a: a * np.float16([0.5, 1.5, 1.0]), [1, 1, 1], "float16", 100)
    assert values[-1].tolist() == [0, np.inf, 1]


def test_breaks_count_a_nan_as_overflow_and_turn_into_layer_numbers():
    found = breaks_of([1.0, 1e-7, math.nan, 0.0, 0.0], "float16")
    assert found == Breaks(overflow=2, subnormal=1, zero=3)
    assert found.first == 2
    assert found.from_below(10) == Breaks(overflow=8, subnormal=9, zero=7)
    assert Breaks().first is None


def test_an_unknown_format_is_refused_by_name():
    with pytest.raises(ValueError, match="float16, bfloat16, float32, float64, received 'float8'"):
        round_to(1.0, "float8")
    with pytest.raises(ValueError, match="received 'float8'"):
        breaks_of([1.0], "float8")
