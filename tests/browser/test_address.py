"""The address is the state: what is set stands in it, and opening it anywhere gives the very same page."""

import re

import pytest

from pages.parts.scenes import KINDS, SCENES, of_page
from tests.browser.conftest import Visitor
from tests.browser.states import STATES, link, texts
from vgdash.chain import linear_chain
from vgdash.network import compare
from vgdash.neuron import neuron_variance
from vgdash.phases import phase_map

COMPUTE = {"linear_chain": linear_chain, "neuron_variance": neuron_variance, "initializers": compare, "trainable_depth": phase_map}
SLIDERS = {"linear_chain": "factor", "neuron_variance": "n", "initializers": "depth", "training": "depth", "trainable_depth": "fan_in"}
ALL_STATES = [pytest.param(stem, state, id=f"{stem}-{i}") for stem, states in STATES.items() for i, state in enumerate(states)]
PAGES_WITH_SCENES = sorted({scene.page for scene in SCENES if len(of_page(scene.page)) > 1})


@pytest.fixture
def colleague(browser, address):
    """Another person on another machine: a tab that shares nothing with the first but the server."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    yield Visitor(page, address)
    page.close()


def same_value(shown, spelled):
    """A control's text and an address's text, which may write one number differently."""
    try:
        return float(shown) == float(spelled)
    except ValueError:
        return shown == spelled


def ended(visitor):
    """On the training page, wait until the run that the link started is over."""
    visitor.page.locator(".st-key-run-bar").get_by_text(re.compile(r"steps in .* s\.")).wait_for(timeout=60_000)
    return visitor.settle()


@pytest.mark.parametrize(("stem", "state"), ALL_STATES)
def test_a_copied_address_gives_every_control_the_verdict_and_the_table_exactly(visitor, colleague, stem, state):
    finish = ended if stem == "training" else Visitor.settle
    finish(visitor.open(link(stem, state), quiet=stem != "training"))
    controls = visitor.controls()
    for key, asked in texts(state).items():
        assert same_value(controls[key], ",".join(asked)), f"{key} shows {controls[key]}, the address says {asked}"
    assert not visitor.notices()
    assert visitor.query() == texts(state)

    finish(colleague.open(visitor.page.url.removeprefix(visitor.address), quiet=stem != "training"))
    assert colleague.page.url == visitor.page.url
    assert colleague.controls() == controls
    assert colleague.verdict() == visitor.verdict() != ""
    table = visitor.csv()
    assert colleague.csv() == table
    if stem in COMPUTE:
        p, _ = KINDS[stem].tolerant(texts(state), text=True)
        assert table == COMPUTE[stem](p).frame().to_csv(index=False)


@pytest.mark.parametrize("stem", SLIDERS)
def test_a_moved_slider_stands_in_the_address_and_comes_back_from_there(visitor, colleague, stem):
    visitor.open(stem)
    assert visitor.query() == {}, "defaults need no address"
    entries = visitor.page.evaluate("history.length")
    key = SLIDERS[stem]
    before = visitor.controls()[key]
    visitor.press(key, times=2)
    after = visitor.controls()
    assert after[key] != before
    assert visitor.query() == {key: [after[key].rstrip("0").rstrip(".") if "." in after[key] else after[key]]}
    assert visitor.page.evaluate("history.length") == entries, "a slider must not fill the history"

    colleague.open(visitor.page.url.removeprefix(visitor.address), quiet=False)
    shown = colleague.controls()
    if stem == "training":
        shown.pop("goal", None)  # a link starts the run, and with it comes the ranking and its goal
    assert shown == after
    if stem != "training":
        assert colleague.verdict() == visitor.verdict()
