"""Names of files: one for each state, and none that a file system minds. Numbers and sentences as people read them."""

import re

import pytest

from pages.parts.looks import GLYPHS, LOOKS
from pages.parts.scenes import SCENES
from pages.parts.views.closer import advice_view
from pages.parts.views.linear_chain import chain_view
from pages.parts.words import LONGEST_NAME, file_name, number
from tests.opened import opened
from vgdash.chain import ChainParams
from vgdash.descent import OUTCOMES, DescentParams, descent
from vgdash.network import CompareParams, ProbeParams, probe


def test_every_state_of_the_lecture_has_a_file_name_of_its_own():
    states = {(scene.page, scene.params) for scene in SCENES}
    names = [file_name(page, p) for page, p in states]
    assert len(set(names)) == len(states) > 40
    assert all(re.fullmatch(r"[\w.-]+", name) and len(name) <= LONGEST_NAME for name in names), names


@pytest.mark.parametrize("widths", [(784, 512, 10), tuple(range(2, 150))])
def test_values_behind_more_count_however_long_the_others_are(widths):
    names = {file_name("initializers", CompareParams(widths=widths, gamma=gamma)) for gamma in (1.0, 1.1, 1.2)}
    assert len(names) == 3
    assert max(map(len, names)) <= LONGEST_NAME


def test_a_default_needs_no_words():
    assert file_name("initializers", CompareParams()) == "initializers"


@pytest.mark.parametrize(("value", "text"), [(-0.25, "−0.25"), (-3e-9, "−3.0·10⁻⁹"), (float("-inf"), "−∞"), (0.0, "0"), (-0.0, "0")])
def test_a_minus_is_a_minus_and_no_hyphen(value, text):
    assert number(value) == text


@pytest.mark.parametrize(("factor", "depth", "rate"), [
    (1.5, 150, 0.01), (0.5, 9, 0.01), (0.9, 152, 0.01), (1.0, 50, 0.01), (0.5, 150, 1.0), (2.0, 10, 1.0), (0.1, 60, 0.001)])
def test_the_sentence_on_learning_explains_every_mark_of_its_chart(factor, depth, rate):
    view = chain_view(ChainParams(factor=factor, depth=depth), rate)
    marks = view.steps.to_pandas()
    drawn = {GLYPHS[LOOKS[outcome].marker] for outcome in marks.series[marks.part == "point"]}
    assert {glyph for glyph in GLYPHS.values() if glyph in view.learning} == drawn
    assert ("The line" in view.learning) == (marks.part == "line").any()


def test_the_sentence_on_learning_says_at_which_depths():
    learned = descent(DescentParams(0.5, 60, learning_rate=1.0, cap=1_000))
    said = chain_view(ChainParams(factor=0.5, depth=60), 1.0).learning
    assert set(learned.outcome) == set(OUTCOMES)
    for outcome, words in (("capped", r"at some of (\d+) to (\d+) layers"), ("frozen", r"from (\d+) layers on()")):
        first, last = re.search(f"{words} {OUTCOMES[outcome]}", said).groups(default="")
        there = learned.depths[learned.outcome == outcome]
        assert (int(first), int(last or learned.params.depth)) == (there.min(), there.max())
        assert (len(there) == there.max() - there.min() + 1) == (not last)


@pytest.mark.parametrize(("activation", "initializer", "more", "settles", "gammas"), [
    ("relu", "lecun_normal", {}, "tends to 0", ("At E[z²] = 1, γ = 1.41 would balance both",)),
    ("relu", "he_normal", {}, None, ("γ = 1 balances both",)),
    ("relu", "he_normal", {"gamma": 1.1}, "grows without end", ("γ = 1 would balance both",)),
    ("tanh", "he_normal", {}, "settles at 0.618", ("would balance the signal", "the gradient")),
    ("tanh", "lecun_normal", {}, "tends to 0", ("would balance the signal", "the gradient")),
    ("relu", "lecun_normal", {"sigma_b2": 0.1}, "settles at 0.200", ("At E[z²] = 1 and without biases, γ = 1.41",)),
    ("relu", "he_normal", {"normalization": "batch"}, None, ()),
])
def test_the_balance_says_where_its_factors_hold(activation, initializer, more, settles, gammas):
    p = ProbeParams(activation=activation, initializer=initializer, widths=(16,) * 4, batch=8, **more)
    words = advice_view(probe(p), "pytorch").balance
    assert (f"Deep inside, where E[z²] {settles}, a layer" if settles else "Deep inside, a layer") in words
    assert all(gamma in words for gamma in gammas)
    assert ("γ" in words) == bool(gammas)


def test_a_closer_look_says_when_it_is_not_at_the_one_that_was_asked_for():
    def said(**query):
        return " ".join(text.value for text in opened("initializers", **query).markdown)

    assert "lecun_normal is not compared here. he_normal: " in said(initializers="he_normal")
    assert "not compared here" not in said(initializers="he_normal", of="he_normal")


@pytest.mark.parametrize(("kind", "acts"), [
    ("scaled identity", "of each layer"), ("diagonal", "of each layer"), ("gaussian", "for learning only")])
def test_the_slider_of_the_factor_says_what_it_acts_on(kind, acts):
    (slider,) = (slider for slider in opened("linear_chain", kind=kind).slider if slider.key == "factor")
    assert acts in slider.label
