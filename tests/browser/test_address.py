"""The address is the state: what is set stands in it, and opening it anywhere gives the very same page."""

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from pages.parts import shell
from pages.parts.controls import COMMON
from pages.parts.scenes import KINDS, of_page
from tests.browser.conftest import Visitor
from tests.browser.states import STATES, link, page_of, same_value, texts
from vgdash.linear_chain import linear_chain
from vgdash.probe.probe import CompareParams, compare
from vgdash.single_neuron import neuron_variance
from vgdash.theory.phase_diagram import phase_map

COMPUTE = {"linear_chain": linear_chain, "neuron_variance": neuron_variance, "initializers": compare, "trainable_depth": phase_map}
SLIDERS = {"linear_chain": "factor", "neuron_variance": "n", "initializers": "depth", "training": "depth", "trainable_depth": "fan_in"}
ALL_STATES = [pytest.param(stem, states[-1], id=stem) for stem, states in STATES.items()]
PAGES_WITH_SCENES = [stem for stem in KINDS if len(of_page(stem)) > 1]


@pytest.fixture
def colleague(browser, address):
    """Another person on another machine: a tab that shares nothing with the first but the server."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    yield Visitor(page, address)
    page.close()


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
        p, _ = KINDS[stem].parse_lenient(texts(state), text=True)
        assert table == COMPUTE[stem](p).frame().to_csv(index=False)


@pytest.mark.parametrize("stem", ["linear_chain", "initializers", "trainable_depth"])
def test_a_moved_slider_stands_in_the_address_and_comes_back_from_there(visitor, colleague, stem):
    visitor.open(stem)
    assert visitor.query() == {}, "defaults need no address"
    key = SLIDERS[stem]
    before = visitor.controls()[key]
    visitor.press(key, times=2)
    after = visitor.controls()
    assert after[key] != before
    assert visitor.query() == {key: [after[key].rstrip("0").rstrip(".") if "." in after[key] else after[key]]}

    colleague.open(visitor.page.url.removeprefix(visitor.address))
    assert colleague.controls() == after
    assert colleague.verdict() == visitor.verdict()


def test_what_is_typed_and_picked_by_hand_stands_in_the_address_and_comes_back(visitor, colleague):
    visitor.open("initializers")
    visitor.page.get_by_role("button", name="Remove lecun_normal").last.click()
    visitor.settle()
    visitor.more()
    for key, text in (("widths", "100-50x3-10"), ("gamma", "1.125"), ("seed", "7")):
        field = visitor.control(key).locator("input")
        field.fill(text)
        field.press("Enter")
        visitor.settle()
    visitor.page.keyboard.press("Escape")
    assert visitor.query() == {"initializers": ["glorot_normal", "he_normal"], "widths": ["100-50x3-10"], "gamma": ["1.125"], "seed": ["7"]}

    colleague.open(visitor.page.url.removeprefix(visitor.address))
    assert colleague.controls() == visitor.controls()
    assert colleague.verdict() == visitor.verdict()
    expected = CompareParams(widths=(100, 50, 50, 50, 10), initializers=("glorot_normal", "he_normal"), gamma=1.125, seed=7)
    assert colleague.csv() == visitor.csv() == compare(expected).frame().to_csv(index=False)


@pytest.mark.parametrize("stem", PAGES_WITH_SCENES)
def test_a_scenes_name_alone_is_its_address(visitor, colleague, stem):
    scene = of_page(stem)[-1]
    visitor.open(stem, quiet=False).enter(scene.name, quiet=False)
    assert visitor.query() == {"scene": [scene.name]}
    colleague.open(link(stem, {"scene": scene.name}), quiet=False)
    expect(colleague.page.locator("[data-testid=stMain] h1")).to_have_text(scene.say)
    assert colleague.agree()["controls"] == visitor.agree()["controls"]


REFUSED = [
    pytest.param("linear_chain", "factor", "0.9", {"depth": "99999"}, "depth", id="out of range"),
    pytest.param("linear_chain", "factor", "0.9", {"depth": "many"}, "depth", id="nonsense"),
    pytest.param("neuron_variance", "n", "7", {"gamma": "1e999"}, "gamma", id="overflows"),
    pytest.param("initializers", "depth", "7", {"widths": "10x999999999"}, "widths", id="a bomb of widths"),
    pytest.param("training", "depth", "3", {"optimizer": "luck", "steps": "5"}, "optimizer", id="training"),
]


@pytest.mark.parametrize(("stem", "good", "value", "bad", "named"), REFUSED)
def test_a_value_that_is_refused_is_said_in_one_sentence_and_the_rest_still_counts(visitor, stem, good, value, bad, named):
    visitor.open(link(stem, {good: value, **bad}), quiet=stem != "training")
    (sentence,) = visitor.notices()
    assert named in sentence
    assert "left out" in sentence
    assert visitor.controls()[good] == value
    assert visitor.query()[good] == [value]


INJECTIONS = ("<script>window.__hacked = 1</script>", "<img src=x onerror='window.__hacked = 1'>", "![](http://127.0.0.1:9/x.png)",
              "[a](javascript:window.__hacked=1)", "[a](http://127.0.0.1:9/)", "**bold** # h `c` $x^2$ :red[x] :material/bug_report:")


@pytest.mark.parametrize("where", ["a value", "a key"])
def test_nothing_from_an_address_becomes_html_or_markdown(visitor, where):
    for text in INJECTIONS:
        query = {"x1": text} if where == "a value" else {text: "1"}
        visitor.open(link("linear_chain", {**query, "factor": "0.9"}))
        (box,) = visitor.page.locator("[data-testid=stAlertContentWarning]").all()
        assert box.locator("a, img, script, code, strong, h1, .katex, [style*=color] span").count() == 0, box.inner_html()
        assert box.locator("[data-testid=stIconMaterial], [data-testid=stAlertDynamicIcon]").count() <= 1, "the box has its own icon only"
        assert not visitor.page.evaluate("'__hacked' in window")
        assert visitor.controls()["factor"] == "0.9"


def inert(visitor):
    """No box, heading or text of the page holds what an injected text would have become; the page's own icons and links are known."""
    main = visitor.page.locator("[data-testid=stMain]")
    scripts = main.locator("script").evaluate_all("found => found.map(script => script.outerHTML)")
    assert set(scripts) <= {shell.KEYBOARD}
    assert main.locator("img[src='x'], img[src*='127.0.0.1:9'], a[href^='javascript'], a[href*='127.0.0.1:9']").count() == 0
    boxes = main.locator("[data-testid=stAlertContentWarning]")
    assert boxes.locator("a, img, script, code, strong, em, h1, .katex, [style*=color] span").count() == 0, boxes.all_inner_texts()
    assert not visitor.page.evaluate("'__hacked' in window")


ALL_OF_THEM = "".join(INJECTIONS)


@pytest.mark.parametrize("stem", ["initializers"])  # all other pages read their addresses with the same code
def test_no_key_of_a_page_lets_an_injected_text_through(visitor, stem):
    """Five at a time: so many notices a page shows. Short texts, so that none is cut."""
    keys = [*page_of(stem)[1], *COMMON, "scene"]
    for first in range(0, len(keys), 5):
        some = keys[first:first + 5]
        injected = {key: INJECTIONS[(first + i) % len(INJECTIONS)] for i, key in enumerate(some)}
        visitor.open(link(stem, injected), quiet=False)
        inert(visitor)
        assert visitor.main().count("left out") + ("held" in some) >= len(some), "each is named, as text"


def test_a_text_kept_as_a_and_a_text_that_is_typed_stay_text(visitor):
    held = urlencode({"factor": "0.9", "kind": ALL_OF_THEM, ALL_OF_THEM: "1"})
    visitor.open(link("linear_chain", {"held": held}), quiet=False)
    inert(visitor)
    visitor.open("initializers")
    visitor.more()
    for text in INJECTIONS:
        field = visitor.control("widths").locator("input")
        field.fill(text)
        field.press("Enter")
        visitor.page.locator("[data-testid=stAlertContentWarning]").get_by_text("left out").first.wait_for()
        visitor.settle(quiet=False)
        inert(visitor)


def test_a_notice_goes_away_once_another_state_is_chosen(visitor):
    visitor.open("linear_chain?depth=99999")
    assert len(visitor.notices()) == 1
    visitor.press("depth")
    assert not visitor.notices()
