"""Parameter sets: what they refuse and make canonical; an address gives back what it was written from."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgdash.params import Flag, Integers, ParamError, Params, choice, choices, integer, integers, real
from vgdash.probe.params import ProbeParams
from vgdash.single_neuron import NeuronParams
from vgdash.training.data import DataParams

FRUIT = ("apple", "pear", "fig", "plum")
WHOLE = 2**60
alike = settings(deadline=None, derandomize=True)  # the same examples every time, however busy the machine


@dataclass(frozen=True)
class Sample(Params):
    SHORTHAND: ClassVar = {"depth": Integers(1, 50, 1, 1)}

    count: int = integer(3, -10, WHOLE)
    rate: float = real(0.5, -1e6, 1e6)
    on: bool = field(default=False, metadata={"rule": Flag()})
    fruit: str = choice("fig", FRUIT)
    basket: tuple[str, ...] = choices(("pear",), FRUIT, at_most=3)
    widths: tuple[int, ...] = integers((4, 4, 2), 1, 1_000, shortest=1, longest=60)

    @classmethod
    def expand(cls, values):
        depth = values.pop("depth", None)
        return {**values, "widths": (7,) * depth[0]} if depth else values

    def consistent(self):
        if self.on and self.count > 100:
            raise ParamError("count", "at most 100 when on", self.count, "Switch it off.")
        if len(self.widths) == 13:
            raise ParamError("widths", "another number of layers than 13", len(self.widths))


def valid():
    widths = st.lists(st.sampled_from((1, 2, 1_000)), min_size=1, max_size=60)
    return st.builds(
        Sample, st.integers(-10, 100), st.floats(-1e6, 1e6), st.booleans(), st.sampled_from(FRUIT),
        st.lists(st.sampled_from(FRUIT), min_size=1, max_size=3), widths.filter(lambda some: len(some) != 13))


@alike
@given(valid())
def test_an_address_gives_back_the_parameter_set_it_was_written_from(p):
    again, refused = Sample.parse_lenient(p.to_query(), text=True)
    assert again == p
    assert hash(again) == hash(p)
    assert refused == []


@alike
@given(st.integers(-10, WHOLE))
def test_whole_numbers_beyond_the_precision_of_a_float_survive_the_address(count):
    assert Sample.parse_lenient(Sample(count=count).to_query(), text=True)[0].count == count


@pytest.mark.parametrize(("address", "expected", "dropped"), [
    ({"count": ["12"], "rate": ["fast"], "fruit": ["kiwi"], "on": []}, Sample(count=12), ["rate", "fruit"]),
    # the last of a repeated key counts; several values together
    ({"count": ["1", "2"], "basket": ["fig", "apple"]}, Sample(count=2, basket=("apple", "fig")), []),
    ({"count": ["500"], "on": ["true"], "rate": ["2"]}, Sample(on=True, rate=2.0), ["count"]),
    ({"depth": ["2"]}, Sample(widths=(7, 7)), []),
    ({"depth": ["13"]}, Sample(), ["widths"]),  # a contradiction that came from shorthand
    ({"widths": ["4x99999999999999"]}, Sample(), ["widths"]),  # petabytes
    ({"count": [" " * 1_000, " " * 1_000 + "5"]}, Sample(), ["count"])])  # longer than any legal text
def test_the_tolerant_reading_keeps_what_is_allowed_and_names_what_is_not(address, expected, dropped):
    p, refused = Sample.parse_lenient(address, text=True)
    assert p == expected
    assert [error.field for error in refused] == dropped


@pytest.mark.parametrize("one", [1, 1.0, np.float64(1), np.int8(1), np.uint64(1)])
def test_one_is_one_cache_key_however_it_is_written(one):
    p = Sample(count=one, rate=one)
    assert p == Sample(count=1, rate=1.0)
    assert hash(p) == hash(Sample(count=1, rate=1.0))
    assert (type(p.count), type(p.rate)) == (int, float)


def test_minus_zero_an_order_and_a_list_make_no_second_cache_key():
    p = Sample(rate=-0.0, basket=["plum", "apple", "plum"], widths=np.array([3, 4]), fruit=np.str_("pear"))
    assert p.to_query() == Sample(rate=0.0, basket=("apple", "plum"), widths=(3, 4), fruit="pear").to_query()
    assert str(p.rate) == "0.0"
    assert type(p.fruit) is str


@pytest.mark.parametrize(("field", "value"), [
    ("count", True), ("count", 1.5), ("count", "3"), ("count", -11), ("count", WHOLE + 1),
    ("count", float("nan")), ("count", None), ("rate", float("nan")), ("rate", float("inf")), ("rate", True),
    ("rate", "1"), ("rate", 2e6), ("rate", 10**400), ("rate", 1j), ("on", 1), ("on", "true"),
    ("fruit", "kiwi"), ("fruit", None), ("basket", ()), ("basket", "apple"), ("basket", ("kiwi",)),
    ("basket", FRUIT), ("widths", ()), ("widths", (0,)), ("widths", (1.5,)), ("widths", "44"),
    ("widths", (1,) * 61), ("widths", 4),
])
def test_a_value_outside_the_rule_is_refused_with_field_rule_and_value(field, value):
    with pytest.raises(ParamError) as caught:
        Sample(**{field: value})
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.field.split("[")[0] == field
    assert str(error).startswith(f"{error.field} must be {error.rule}, received {error.received}.")
    assert len(error.received) <= 60


@pytest.mark.parametrize(("values", "said"), [
    ({"count": -11}, r"a whole number from -10 to .*, received -11\. The nearest allowed value is -10\."),
    ({"rate": float("nan")}, "received nan.$"), ({"rate": float("inf")}, "received inf.$")])
def test_the_nearest_allowed_value_is_told_for_what_is_a_number(values, said):
    with pytest.raises(ParamError, match=said):
        Sample(**values)


def test_no_numbers_are_an_empty_text_where_they_may_be_none():
    rule = Integers(1, 31, 0, 1000)
    assert rule.parse("kernels", rule.to_query(())) == rule.parse("kernels", [" "]) == ()
    assert rule.parse("kernels", rule.to_query((3, 3, 1))) == (3, 3, 1)


def test_widths_are_spelled_short():
    assert Sample(widths=(784, 512, 512, 512, 10)).to_query()["widths"] == ["784-512x3-10"]


@pytest.mark.parametrize("kind", [NeuronParams, DataParams])
def test_no_option_holds_the_comma_that_separates_options(kind):
    options = [option for rule in kind.rules().values() for option in getattr(rule, "options", ())]
    assert options
    assert not [option for option in options if "," in option]


@pytest.mark.parametrize(("text", "place"), [
    ("784-5x12x-10", "place 2 of 3, after 784"), ("abc", "place 1 of 1."),
    ("784-512-", "place 3 of 3, after 512"),
])
def test_a_list_that_cannot_be_read_says_where(text, place):
    with pytest.raises(ParamError, match=place):
        Integers(1, 4096, 2, 257).parse("widths", [text])


@pytest.mark.parametrize(("field", "value", "meant"), [
    ("initializer", "kaiming_normal", "he_normal"), ("initializer", "xavier_uniform", "glorot_uniform"),
    ("activation", "LeakyReLU", "leaky_relu"), ("activation", "swish", "silu"),
    ("normalization", "BatchNorm", "batch")])
def test_a_name_in_another_spelling_is_asked_for(field, value, meant):
    with pytest.raises(ParamError, match=f"Did you mean {meant}\\?"):
        ProbeParams.uniform(10, 64, **{field: value})
    with pytest.raises(ParamError) as caught:
        ProbeParams.uniform(10, 64, **{field: "42"})
    assert "Did you mean" not in str(caught.value)
