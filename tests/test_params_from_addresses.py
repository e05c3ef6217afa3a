"""Every parameter set, read from whatever an address may hold: a valid set, and nothing is allocated."""

import contextlib
import importlib
import pkgutil
import tracemalloc
from dataclasses import fields
from unittest.mock import ANY
from urllib.parse import parse_qs, quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vgdash
from vgdash.params import Choice, Choices, Flag, Integer, Integers, ParamError, Params, Real

alike = settings(deadline=None, derandomize=True, max_examples=40)


def all_kinds():
    for found in pkgutil.walk_packages(vgdash.__path__, "vgdash."):
        if not found.name.endswith(("__main__", "keras_trace")):  # it needs Keras
            importlib.import_module(found.name)
    waiting, kinds = [Params], []
    while waiting:
        kind = waiting.pop()
        waiting += [child for child in kind.__subclasses__() if child.__module__.startswith("vgdash.")]
        if kind.rules() and not kind.__name__.startswith("_"):
            kinds.append(kind)
    return sorted(set(kinds), key=lambda kind: kind.__name__)


KINDS = all_kinds()
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
NOISE = st.text(max_size=12) | st.binary(max_size=12).map(lambda raw: raw.decode("latin-1"))
ODD = st.sampled_from(["", "nan", "-inf", "1e400", "1e308", "-0", "9" * 400, "9" * 5000, "0x10", "1_000", "٣",
                       "²", "\x00", "\ud800", "true", "None", "10x99999999999", "1x2x3", "-", "--", ",",
                       "<script>", "784-", "4096x257", "1x257", "1e-320"])


def spelled(rule):
    """Texts that a rule may well take, up to its limits: allowed alone and too much together."""
    if isinstance(rule, Flag):
        return st.sampled_from(["true", "false"])
    if isinstance(rule, Choice):
        return st.sampled_from(rule.options)
    if isinstance(rule, Choices):
        return st.lists(st.sampled_from(rule.options), max_size=len(rule.options)).map(",".join)
    if isinstance(rule, Integer):
        ends = st.sampled_from([rule.low, rule.high, rule.low - 1, rule.high + 1])
        return (ends | st.integers(rule.low, rule.high)).map(str)
    if isinstance(rule, Real):
        return (st.sampled_from([rule.low, rule.high]) | st.floats(rule.low, rule.high)).map(repr)
    assert isinstance(rule, Integers)
    sizes = st.sampled_from([rule.low, rule.high, rule.low + 1]) | st.integers(rule.low, rule.high)
    counts = st.sampled_from([1, rule.shortest, rule.longest, rule.longest + 1])
    runs = st.tuples(sizes, counts).map(lambda run: f"{run[0]}x{run[1]}")
    return st.lists(runs, min_size=1, max_size=4).map("-".join)


def addresses(kind):
    """Raw query strings: keys of the set and others, perhaps repeated; values allowed, odd or noise."""
    def part(key):
        values = spelled(kind.keys()[key]) | ODD | NOISE if key in kind.keys() else NOISE  # noqa: SIM118
        return values.map(lambda text: f"{key}={quote(text, errors='surrogatepass')}")
    keys = st.sampled_from(sorted(kind.keys()))
    parts = keys.flatmap(part) | NOISE.map(lambda text: f"{quote(text)}=1") | NOISE
    return st.lists(parts, max_size=12).map("&".join)


def same(p):
    return type(p)(**{field.name: getattr(p, field.name) for field in fields(p)})


@every_kind
@alike
@given(st.data())
def test_any_address_gives_a_valid_set_and_names_what_it_left_out(kind, data):
    query = parse_qs(data.draw(addresses(kind)), keep_blank_values=True)
    p, refused = kind.parse_lenient(query, text=True)
    assert same(p) == p
    assert hash(same(p)) == hash(p)
    assert all(isinstance(error, ParamError) and error.rule for error in refused)
    assert kind.parse_lenient(p.to_query(), text=True) == (p, []), "and it can be written into an address"
    for key, rule in kind.keys().items():
        if key in query:
            with contextlib.suppress(ParamError):
                rule.parse(key, query[key])


@every_kind
@alike
@given(st.data())
def test_any_values_give_a_valid_set(kind, data):
    one = st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | NOISE
    anything = (one | st.binary(max_size=5) | st.lists(st.integers() | NOISE | st.none(), max_size=5)
                | st.dictionaries(NOISE, st.none(), max_size=2))
    values = data.draw(st.dictionaries(st.sampled_from(sorted(kind.keys())), anything))
    p, refused = kind.parse_lenient(values)
    assert same(p) == p
    assert all(isinstance(error, ParamError) for error in refused)


@every_kind
def test_the_largest_of_everything_is_refused_in_one_sentence_before_anything_is_allocated(kind):
    """Every number at its upper limit: that would need many times the machine, where there is a budget."""
    largest = {key: [spell(rule)] for key, rule in kind.keys().items() if (spell := LARGEST.get(type(rule)))}
    kind.parse_lenient(largest, text=True)  # tables that are made once and kept
    tracemalloc.start()
    try:
        p, refused = kind.parse_lenient({**largest, "seed": ["1"]}, text=True)
        for key, rule in kind.keys().items():
            if isinstance(rule, Integers):
                terabytes = {key: [f"{rule.low}x99999999999"]}
                assert kind.parse_lenient(terabytes, text=True) == (kind(), [ANY])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2e6
    assert same(p) == p
    assert bool(refused) == (kind.__name__ not in WITHOUT_BUDGET)
    assert all("\n" not in str(error) and len(str(error)) < 400 for error in refused)


LARGEST = {Integer: lambda rule: str(rule.high), Real: lambda rule: repr(rule.high),
           Integers: lambda rule: f"{rule.high}x{rule.longest}"}
WITHOUT_BUDGET = {"BalanceParams", "PhaseParams", "NeuronParams", "ChainParams"}
