"""A typed formula on the pages: in the control, in the address, in the sentences."""

import urllib.parse

import pytest

from tests.pages.wire import state

PAGES = ("initializers", "training", "trainable_depth", "neuron_variance")
TYPED = "tanh(z)+0.1*z"


@pytest.mark.parametrize("stem", PAGES)
def test_a_formula_in_the_address_is_that_of_the_page(visitor, stem):
    query = urllib.parse.urlencode({"activation": "where(z>0,z,0.2*z)-0.1*sin(3*z)"})
    page = visitor.open(stem, f"{query}&depth=5" if stem != "neuron_variance" else query)
    assert not page.exceptions
    assert not page.warnings
    assert page.verdict
    assert page.widget("activation").options[-1] == "where(z>0,z,0.2*z)-0.1*sin(3*z)"


@pytest.mark.parametrize("stem", PAGES)
def test_a_formula_is_typed_into_the_control_and_stands_in_the_address(visitor, stem):
    widget = visitor.open(stem).widget("activation").id
    visitor.send(state(widget, "string_value", "tanh(z) + 0.1 * z"))
    page = visitor.rest()
    assert not page.exceptions + page.warnings
    assert urllib.parse.parse_qs(visitor.query)["activation"] == [TYPED]
    again = visitor.open(stem, visitor.query)
    assert again.verdict == page.verdict


def test_what_is_refused_is_said_with_its_place_and_the_page_goes_on(visitor):
    widget = visitor.open("initializers", "depth=5").widget("activation").id
    for typed, said in (("z*tanh(", "Column 7"), ("exp(z)", "grows faster"), ("snake", "Known names"),
                        ("swish", "Did you mean silu?")):
        page = visitor.send(state(widget, "string_value", typed))
        assert not page.exceptions
        assert len(page.warnings) == 1
        assert said in page.warnings[0]
        assert page.verdict
    page = visitor.send(state(widget, "string_value", "tanh"))
    assert not page.warnings


def test_a_sentence_shows_the_formula_as_code(visitor):
    page = visitor.open("trainable_depth", "activation=z*sigmoid(2*z)")
    assert "`z*sigmoid(2*z)` nets train" in page.verdict
