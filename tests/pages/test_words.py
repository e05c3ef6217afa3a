"""Names of files: one for each state. Numbers and sentences as people read them."""

import itertools
import math
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from pages.parts.presenter import difference
from pages.parts.scenes import SCENES
from pages.parts.text import LONGEST_NAME, escaped, file_name, number, seconds
from pages.parts.views.advice import advice_view, code_view
from pages.parts.views.initializers import comparison_view
from pages.parts.views.linear_chain import chain_view
from pages.parts.views.neuron_variance import neuron_view
from pages.parts.views.singular_values import spectrum_view
from vgdash.activations import ACTIVATIONS
from vgdash.diagnosis.diagnosis import diagnose
from vgdash.diagnosis.jacobian import jacobian_spectrum
from vgdash.diagnosis.recommendation import recommend
from vgdash.diagnosis.words import spell_power
from vgdash.initializers import INITIALIZERS
from vgdash.linear_chain import ChainParams
from vgdash.probe.probe import CompareParams, ProbeParams, compare, probe
from vgdash.single_neuron import NeuronParams
from vgdash.spelling import fraction, rate, ten_to, times


def test_every_state_of_the_lecture_has_a_file_name_of_its_own():
    states = {(scene.page, scene.params) for scene in SCENES}
    names = [file_name(page, p) for page, p in states]
    assert file_name("initializers", CompareParams()) == "initializers", "a default needs no words"
    assert len(set(names)) == len(states) > 40
    assert all(re.fullmatch(r"[\w.-]+", name) and len(name) <= LONGEST_NAME for name in names), names


@pytest.mark.parametrize("widths", [(784, 512, 10), tuple(range(2, 150))])
def test_values_behind_more_count_however_long_the_others_are(widths):
    states = [CompareParams(widths=widths, gamma=gamma) for gamma in (1.0, 1.1, 1.2)]
    names = {file_name("initializers", p) for p in states}
    assert len(names) == 3
    assert max(map(len, names)) <= LONGEST_NAME


def test_formulas_that_differ_in_a_sign_have_files_of_their_own():
    texts = "tanh(z)+0.1*z", "tanh(z)-0.1*z", "tanh(z)*0.1+z", "tanh(z)/0.1+z"
    names = {file_name("initializers", CompareParams(activation=text)) for text in texts}
    assert len(names) == len(texts)
    assert all(re.fullmatch(r"[\w.-]+", name) for name in names), names


@pytest.mark.parametrize(("write", "value", "text"), [
    *((number, *pair) for pair in (
        (-0.25, "−0.25"), (-3e-9, "−3.0·10⁻⁹"), (float("-inf"), "−∞"), (0.0, "0"), (-0.0, "0"))),
    *((seconds, *pair) for pair in ((0.0, "0.1 s"), (0.26, "0.3 s"), (12.4, "12 s"), (200, "3 min 20 s")))])
def test_a_minus_is_no_hyphen_and_a_duration_never_nothing(write, value, text):
    assert write(value) == text


@pytest.mark.parametrize(("value", "text"), [
    ("1/2", "½"), ("-1/8", "−⅛"), ("27/8", "27/8"), ("-4", "−4"), ("0", "0"), ("1/8192", "1/8,192"),
    ("1/16384", "6.1·10⁻⁵"), ("10001/3", "3,334")])
def test_a_fraction_is_written_as_one_while_its_numbers_are_short(value, text):
    assert fraction(Fraction(value)) == text
    assert fraction(Fraction(3, 2) ** 2000) == ten_to(2000 * math.log10(1.5)), "no float could hold it"


@pytest.mark.parametrize("factor", [1.00658, 1.05, 1.0854, 0.9961, 0.93, 1.00003, 1.5, 0.5, 0.031, 4e7])
def test_a_factor_a_layer_has_digits_enough_for_a_hundred_layers(factor):
    shown = rate(factor)
    value = float(shown[1:].replace("·10⁷", "e7"))
    near = abs(factor - 1) < 0.1
    assert abs(value - factor) <= 0.05 * (abs(factor - 1) if near else factor) + 1e-12
    assert re.fullmatch(r"×\d\.\d\d+|×0\.\d+|×4\.0·10⁷", shown)
    if near:
        assert shown in chain_view(ChainParams(factor=factor, depth=100), 0.01).verdict


def test_one_number_is_spelled_one_way_however_it_was_computed():
    assert times(1.1 * 1.1 * 0.5) == times(0.605) == times(np.nextafter(0.605, 0)) == times(1.21 / 2)
    p = CompareParams.uniform(50, 64, "relu", ("lecun_normal",), gamma=1.1, batch=8)
    found = probe(p.probes[0])
    factor = re.search(r"×[\d.]+ a layer", comparison_view([found]).verdict)[0].removesuffix(" a layer")
    assert advice_view(found).balance.count(f"**{factor}**") == 2


@pytest.mark.parametrize(("activation", "initializer", "more", "settles", "gamma"), [
    ("relu", "lecun_normal", {}, "tends to 0", 2**0.5), ("relu", "he_normal", {}, None, 1),
    ("relu", "he_normal", {"gamma": 1.1}, "grows without end", 1),
    ("tanh", "he_normal", {}, "settles at 0.618", None), ("tanh", "lecun_normal", {}, "tends to 0", None),
    ("relu", "lecun_normal", {"sigma_b2": 0.1}, "settles at 0.200", 2**0.5),
    ("relu", "he_normal", {"normalization": "batch"}, None, ...)])
def test_the_balance_says_where_its_factors_hold(activation, initializer, more, settles, gamma):
    p = ProbeParams(activation=activation, initializer=initializer, widths=(16,) * 4, batch=8, **more)
    words = advice_view(probe(p)).balance
    assert (f"Deep inside, where E[z²] {settles}, a layer" if settles else "Deep inside, a layer") in words
    assert ("γ" in words) == (gamma is not ...)
    assert not isinstance(gamma, (int, float)) or f"γ = {gamma:.3g}" in words


@pytest.mark.parametrize(("widths", "initializer", "forward", "backward"), [
    ((784, 512, 256, 10), "lecun_normal", "0.50", "0.25"),
    ((784, 512, 256, 10), "glorot_normal", "0.67", "0.33"),
    ((16, 32, 16, 32, 16), "he_normal", "1.00", "0.50")])
def test_the_balance_of_unequal_widths_is_that_of_one_matrix(widths, initializer, forward, backward):
    p = ProbeParams(widths=widths, initializer=initializer, batch=8)
    words = advice_view(probe(p)).balance
    fan_in, fan_out = map(int, re.match(r"From (\d+) to (\d+) units, a layer passes", words).groups())
    assert (fan_in, fan_out) in list(itertools.pairwise(widths))[1:]
    assert f"**×{forward}** forward and **×{backward}** backward" in words
    half = INITIALIZERS[initializer].variance(fan_in, fan_out) / 2
    assert (float(forward), float(backward)) == pytest.approx((fan_in * half, fan_out * half), abs=0.005)


@pytest.mark.parametrize(("more", "named"), [
    ({}, ""), ({"residual": "plain", "keep": 0.5}, "plain skip connections and dropout that keeps 50%"),
    ({"normalization": "batch"}, "batch normalization"), ({"rescale": "lsuv"}, "LSUV rescaling")])
def test_code_to_paste_says_what_it_leaves_out(more, named):
    for code in code_view(ProbeParams(widths=(16,) * 4, batch=8, **more), "pytorch"):
        first = code.build.splitlines()[0]
        assert first.startswith("# The choice holds for the net with") == bool(named)
        assert named in first
        assert ("expected = {}" in code.again) == bool(named)
        assert named.partition(" and ")[0] in code.again
        for text in (code.build, code.again):
            compile(text, "pasted", "exec")


@pytest.mark.parametrize(("start", "titles"), [
    ("he_normal", {"He · 2/n: keep it": "he_normal"}),
    ("small_normal", {"Chosen: too small · 0.01²": "small_normal", "Recommended: He · 2/n": "he_normal"})])
def test_the_code_of_the_choice_stands_beside_that_of_the_advice(start, titles):
    codes = code_view(ProbeParams((784, 512, 10), initializer=start), "numpy")
    assert [code.title for code in codes] == list(titles)
    for code, name in zip(codes, titles.values(), strict=True):
        assert code.build.startswith(f"# {name} and relu.")
        assert code.again.startswith(f"# {name} and relu.")


def test_a_start_that_does_not_learn_is_never_to_be_kept():
    small = {"batch": 8, "seeds": 2}
    starts = [ProbeParams.uniform(40, 16, "relu", "constant", **small),
              ProbeParams.uniform(5, 16, "relu", "he_normal", **small),
              ProbeParams.uniform(10, 2, "relu", "he_normal", **small)]  # nets this narrow die
    hard = recommend(ProbeParams.uniform(300, 16, "sigmoid", "glorot_uniform", **small)).choice
    said = []
    for found in map(probe, (*starts, hard)):
        learns, words = diagnose(found.params, found).learns, advice_view(found).choice
        said.append((learns, words.split(" ")[0]))
    assert said == [(False, "Choose"), (True, "Keep"), (False, "**Other"), (False, "**Other")]


@pytest.mark.parametrize("more", [
    {"residual": "plain"}, {"rescale": "lsuv"}, {"keep": 0.9}, {"normalization": "batch", "batch": 2},
    {"widths": (16, 16)}, {"widths": (16, 32, 16), "activation": "tanh"},
    *({"widths": (64,) * 31, "activation": name, "initializer": "lecun_normal", "gamma": gamma, "batch": 16}
      for name, gamma in (("gelu", 1.5), ("silu", 1.6)))], ids=str)  # which the signal never comes to
def test_there_is_no_balance_where_more_than_weights_and_activation_decide(more):
    found = probe(ProbeParams(**{"widths": (16,) * 4, "batch": 8, **more}))
    assert advice_view(found).balance == ""
    assert "gamma" not in more or re.search("grows|explodes", comparison_view([found]).verdict)


@pytest.mark.parametrize(("depth", "digits", "zero"), [(50, 33, 39), (36, 33, None)])
def test_lost_digits_are_not_called_zero_and_float64_does_not_end_where_float32_does(depth, digits, zero):
    found = probe(ProbeParams.uniform(depth, 100, "relu", "small_normal"))
    verdict, formats = comparison_view([found]).verdict, advice_view(found).formats
    assert "0.01² vanishes, ×0.0050 a layer" in verdict
    assert found.q[0, digits - 1] > 0
    assert zero is None or found.q[0, zero - 1] == 0 < found.q[0, zero - 2]
    rows = {line.split("|")[1].strip(): line for line in formats.splitlines() if line.startswith("| ")}
    assert "layer" not in rows["float64"]  # theory knows that 10^-95 is no trouble there


def test_a_net_as_it_is_used_holds_though_the_mean_gradient_falls_with_the_widths():
    names = ("lecun_normal", "he_normal", "small_normal")
    probes = compare(CompareParams((784, 512, 256, 10), initializers=names)).probes
    view = comparison_view([*probes.values()])
    found = probes["he_normal"].log10("grad2").mean(axis=0)
    assert found[0] - found[-1] < -1 < found[0] + math.log10(512) - found[-1] - math.log10(10)
    assert "LeCun and He hold." in view.verdict
    assert "0.01² shrinks" in view.verdict
    assert "or its sum" in view.remarks
    assert "The charts draw means. The table takes the one that holds." in view.remarks
    assert "or its sum" not in comparison_view([probe(ProbeParams.uniform(3, 8))]).remarks


def test_nets_that_leave_the_interval_of_a_steady_theory_at_the_end_of_their_way_do_not_hold_on_average():
    found = probe(ProbeParams.uniform(100, 20, "relu", "he_normal", seeds=8))
    assert "holds on average" in comparison_view([found]).verdict
    way = np.linspace(0, 1, 100)
    for name, factor in (("q", 10 ** (-30 * way)), ("grad2", 10 ** (-30 * way[::-1]))):
        fallen = replace(found, **{name: getattr(found, name) * factor})
        assert "vanishes" in comparison_view([fallen]).verdict


@pytest.mark.parametrize(("depth", "width", "vanish"), [(300, 16, True), (50, 100, False), (5, 16, False)])
def test_a_mean_that_holds_is_not_all_where_narrow_nets_vanish(depth, width, vanish):
    found = probe(ProbeParams.uniform(depth, width, "relu", "he_normal", seeds=8))
    lost = np.median([found.log10(name)[:, end] for name, end in (("q", -1), ("grad2", 0))], axis=1)
    assert (lost.max() < -3) == vanish
    said = comparison_view([found]).verdict
    assert (re.search(r"He holds on average; nets this narrow (vanish|shrink), ×0\.\d+ a layer", said)
            is not None) == vanish


def test_what_comes_out_in_all_is_the_typical_net_with_the_range_of_all():
    found = probe(ProbeParams.uniform(50, 100, "relu", "he_normal"))
    (row,) = (line for line in comparison_view([found]).numbers.splitlines() if line.startswith("| He"))
    both = found.q[:, -1], found.grad2[:, 0] / found.grad2[:, -1]
    for cell, ends in zip(row.split("|")[2:4], both, strict=True):
        typical, low, high = map(float, re.findall(r"×([\d.]+)", cell)[1:])
        assert (low, high) == pytest.approx((ends.min(), ends.max()), abs=0.006)
        assert typical == pytest.approx(math.exp(np.log(ends).mean()), abs=0.006)


@pytest.mark.parametrize(("widths", "activation", "initializer"), [
    ((256,) * 4, "relu", "uniform"), ((784, 512, 256, 1), "sigmoid", "lecun_normal"),
    ((100,) * 51, "tanh", "pytorch_default"), ((100,) * 51, "gelu", "he_normal"),
    ((100,) * 21, "selu", "he_normal")], ids=str)
def test_what_theory_says_and_what_nets_do_have_one_unit(widths, activation, initializer):
    found = probe(ProbeParams(widths, activation, initializer, batch=8))
    (row,) = comparison_view([found]).numbers.splitlines()[2:]
    for cell in row.split("|")[2:4]:
        rate, total = (sum(one in side for side in cell.replace("±", " a layer").split(" / "))
                       for one in (" a layer", " in all"))
        assert 2 in (rate, total), cell


@pytest.mark.parametrize(("scale", "drawn"), [(0.0, "all 0"), (0.01, "×0.010"), (1.0, None)])
def test_a_last_layer_of_its_own_is_said_to_be_judged_as_one_like_the_others(scale, drawn):
    found = compare(CompareParams((784, 512, 256, 10), "relu", ("he_normal", "identity"), last_scale=scale))
    probes = tuple(found.probes.values())
    view = comparison_view(probes)
    said = ("He: verdict and table count the last layer as one like the others. "
            f"The charts draw it as it is, {drawn}.")
    assert (said in view.remarks) == (scale != 1)
    assert ("like the others" in view.remarks) == (scale != 1)
    first_step = "At the first step only the last layer learns." in advice_view(probes[0]).failure
    assert first_step == (scale == 0)
    signal, gradient = (cell.split(" / ")[1].strip() for cell in view.numbers.splitlines()[2].split("|")[2:4])
    assert (gradient == "–") == (scale == 0)  # the nets give 0 here: theory's figure is no measured one
    if scale == 0:  # of the lower of two nets, before a layer that keeps it in theory
        assert float(signal.split()[0][1:]) == pytest.approx(probes[0].q[:, 1].min(), abs=0.006)


def test_the_table_has_the_figures_of_the_verdict_and_what_the_nets_do():
    found = probe(ProbeParams.uniform(30, 50, "relu", "lecun_normal", seeds=4))
    view = comparison_view([found])
    (row,) = (line for line in view.numbers.splitlines() if line.startswith("| LeCun"))
    for cell, name, way in zip(row.split("|")[2:4], ("q", "grad2"), ((0, -1), (-1, 0)), strict=True):
        predicted, seen = re.findall(r"×([\d.]+)", cell)
        values = found.log10(name)
        assert float(predicted) == 0.5
        change = (values[:, way[1]] - values[:, way[0]]).mean()
        assert float(seen) == pytest.approx(10 ** (change / 29), rel=0.01)
    assert "×0.50 a layer" in view.verdict


@pytest.mark.parametrize("p", [
    CompareParams.uniform(40, 30, "tanh", ("lecun_normal", "standard_normal", "zeros", "identity"), batch=8),
    CompareParams((30, 200, 27), "tanh", ("standard_normal", "he_normal", "small_normal")),
    CompareParams.uniform(50, 8, "relu", ("he_normal",), seeds=32),
    CompareParams((784, 1), "linear", ("standard_normal", "lecun_normal")),
    CompareParams.uniform(100, 64, "selu", ("glorot_normal", "orthogonal"), gamma=0.75, batch=8),
    CompareParams.uniform(30, 64, "gelu", ("he_normal", "pytorch_default"), batch=8, normalization="layer",
                          residual="plain")], ids=str)
def test_the_verdict_has_no_number_that_the_table_does_not_hold(p):
    view = comparison_view([*compare(p).probes.values()])
    said = re.findall(r"[\d.]*\d(?:·10[⁻⁰-⁹]+)?", view.verdict.removeprefix(f"{p.depth} layer"))
    table = view.numbers + " 0 " + str(p.depth)  # "every z is 0"
    assert not [number for number in said if number not in table], view.verdict
    assert "nan" not in view.numbers + view.verdict


@pytest.mark.parametrize(("more", "words"), [
    ({}, ""), ({"mean": 1.0}, "m"), ({"correlation": 0.3}, "C"), ({"mean": 1.0, "correlation": 0.3}, "mC"),
    ({"distribution": "uniform", "activation": "tanh"}, "o"),
    ({"distribution": "uniform", "activation": "linear"}, "")])
def test_the_neuron_says_what_is_not_as_simple_as_it_looks_and_nothing_else(more, words):
    remarks = neuron_view(NeuronParams(n=20, samples=2_000, **more)).remarks
    for letter, said in (("m", "Inputs with a mean"), ("C", "Correlated inputs"), ("o", "off by about 1/n")):
        assert (said in remarks) == (letter in words), remarks
    assert "mean" not in more or re.search(r"(\d+)% of Var\(z\)", remarks).group(1) == "50"


@pytest.mark.parametrize(("values", "near_0"), [
    ({"rule": "2/n", "activation": "relu"}, None), ({"rule": "1/n", "activation": "relu"}, None),
    ({"rule": "1/n", "activation": "tanh"}, True), ({"rule": "2/n", "activation": "tanh"}, False),
    ({"rule": "1/n", "activation": "sigmoid"}, False)])
def test_the_neuron_names_the_mean_square_that_is_kept_and_what_smaller_ones_do(values, near_0):
    p = NeuronParams(n=100, samples=2_000, **values)
    view, x = neuron_view(p), np.random.default_rng(0).standard_normal((20_000, 2, 100))
    f = ACTIVATIONS[p.activation].f
    variance = {"1/n": 0.01, "2/n": 0.02}[p.rule]
    squares = [np.mean(f(size * (x[:, 0] * x[:, 1] * variance**0.5).sum(axis=1)) ** 2) / size**2
               for size in (1, 0.01)]
    assert float(re.search(r"E\[a²\] = ([\d.]+)\. ", view.verdict)[1]) == pytest.approx(squares[0], rel=0.06)
    said = "Near 0 a layer keeps the mean square" in view.remarks
    assert said == bool(near_0)
    assert not said or squares[1] == pytest.approx(1, rel=0.06)


@pytest.mark.parametrize(("value", "text"), [
    (0.99999, "1.00"), (0.9949, "0.995"), (9.996, "10.0"), (1.0, "1.00")])
def test_a_number_just_below_a_power_of_ten_has_no_digit_more(value, text):
    assert number(value, 2) == text


@pytest.mark.parametrize(("power", "text"), [(1.5, "depth¹·⁵"), (-1.5, "1/depth¹·⁵"), (0.5, "√depth")])
def test_a_power_of_the_depth_has_its_number_above(power, text):
    assert spell_power(power) == text


@pytest.mark.parametrize(("depth", "initializer"), [
    (50, "he_normal"), (5, "he_normal"), (50, "identity"), (50, "zeros")])
def test_a_spectrum_says_when_its_lower_end_is_cut_and_is_a_sentence(depth, initializer):
    view = spectrum_view(ProbeParams.uniform(depth, 64, "relu", initializer))
    table = view.table.to_pandas()
    lowest = table.low[table.part == "bar"].min() if len(table) else 0
    found = jacobian_spectrum(ProbeParams.uniform(depth, 64, "relu", initializer)).log10_s
    finite = found[np.isfinite(found)]
    cut = len(table) > 0 and lowest > finite.min() + 0.5
    assert not cut or finite.max() - lowest == pytest.approx(12, abs=0.5)
    assert ("The chart shows the upper" in view.words) == cut == (depth == 50 and initializer == "he_normal")
    assert not re.search(r"\. [a-z]", view.words)
    assert view.words.endswith(".")
    assert ("mark" in set(table.part)) == (initializer == "he_normal")


def test_a_and_b_are_told_apart_as_they_are_written():
    rules = [NeuronParams(n=512, n_out=10, rule=rule) for rule in ("1/n", "2/(n_in+n_out)", "0.01^2")]
    shown = [re.sub(r"\\(.)", r"\1", difference(one, rules[i - 1])) for i, one in enumerate(rules)]
    assert shown == ["rule 1/n · LeCun (the lecture's Xavier)", "rule 2/(nᵢₙ+nₒᵤₜ) · Glorot/Xavier",
                     "rule 0.01²"]
    deep, shallow = CompareParams.uniform(100, 64), CompareParams.uniform(10, 64)
    assert (difference(deep, shallow), difference(shallow, deep)) == ("depth 100", "depth 10")
    assert difference(CompareParams((8, 16, 8)), CompareParams.uniform(10, 8)) == "widths 8-16-8"
    assert difference(CompareParams.uniform(10, 8), CompareParams((8, 16, 8))) == "depth 10; width 8"


@pytest.mark.parametrize("text", ["a*b_c", "[x](y)", "<b>", "`x`", "x^2~y$z|w", "#1", "\\"])
def test_our_own_words_stand_as_they_are_in_markdown(text):
    assert re.sub(r"\\(.)", r"\1", escaped(text)) == text
    assert not re.search(r"(?<!\\)[*_`\[\]<>~$|^#]", escaped(text))
