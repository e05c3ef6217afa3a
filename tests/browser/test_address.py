"""The address is the state: what is set stands in it, and opening it anywhere gives the very same page."""

from urllib.parse import urlencode

import pytest

from pages.parts import shell
from pages.parts.controls import COMMON
from pages.parts.scenes import KINDS
from tests.browser.states import STATES, as_shown, link, page_of, same_value, texts
from vgdash.linear_chain import linear_chain
from vgdash.probe.probe import compare
from vgdash.single_neuron import neuron_variance
from vgdash.theory.phase_diagram import phase_map

COMPUTE = {"linear_chain": linear_chain, "neuron_variance": neuron_variance, "initializers": compare,
           "trainable_depth": phase_map}
ALL_STATES = [pytest.param(stem, states[-1], id=stem) for stem, states in STATES.items()]


@pytest.mark.parametrize(("stem", "state"), ALL_STATES)
def test_a_copied_address_gives_every_control_the_verdict_and_the_table_exactly(visitor, fresh, stem, state):
    visitor.open_ended(link(stem, state))
    controls = visitor.controls()
    for key, asked in texts(state).items():
        assert same_value(controls[key], as_shown(key, asked)), key
    assert not visitor.notices()
    assert visitor.query() == texts(state)

    fresh.open_ended(visitor.page.url.removeprefix(visitor.address))
    assert fresh.page.url == visitor.page.url
    assert fresh.controls() == controls
    assert fresh.verdict() == visitor.verdict() != ""
    table = visitor.csv()
    assert fresh.csv() == table
    if stem in COMPUTE:
        p, _ = KINDS[stem].parse_lenient(texts(state), text=True)
        assert table == COMPUTE[stem](p).frame().to_csv(index=False)


def test_what_is_typed_and_picked_by_hand_stands_in_the_address(visitor):
    visitor.open("initializers")
    visitor.page.get_by_role("button", name="Remove LeCun · 1/n").last.click()
    visitor.settle().more()
    for key, text in (("widths", "100-50x3-10"), ("gamma", "1.125"), ("seed", "7")):
        visitor.type(key, text)
    visitor.page.keyboard.press("Escape")
    assert visitor.query() == {"initializers": ["glorot_normal", "he_normal"], "widths": ["100-50x3-10"],
                               "gamma": ["1.125"], "seed": ["7"]}
    visitor.agree()


INJECTIONS = (
    "<script>window.__hacked = 1</script>", "<img src=x onerror='window.__hacked = 1'>",
    "![](http://127.0.0.1:9/x.png)", "[a](javascript:window.__hacked=1)", "[a](http://127.0.0.1:9/)",
    "**bold** # h `c` $x^2$ :red[x] :material/bug_report:")
LINKS = "img[src='x'], img[src*='127.0.0.1:9'], a[href^='javascript'], a[href*='127.0.0.1:9']"
MARKUP = "a, img, script, code, strong, em, h1, .katex, [style*=color] span"
ICONS = "[data-testid=stIconMaterial], [data-testid=stAlertDynamicIcon]"


def inert(visitor):
    """Nothing on the page is what an injected text would have become."""
    main = visitor.page.locator("[data-testid=stMain]")
    scripts = main.locator("script").evaluate_all("found => found.map(script => script.outerHTML)")
    assert set(scripts) <= {shell.KEYBOARD}
    assert main.locator(LINKS).count() == 0
    for box in main.locator("[data-testid=stAlertContentWarning]").all():
        assert box.locator(MARKUP).count() == 0, box.inner_html()
        assert box.locator(ICONS).count() <= 1, "the box has its own icon only"
    assert not visitor.page.evaluate("'__hacked' in window")


def test_no_key_and_no_value_lets_an_injected_text_through(visitor):
    """Five at a time: so many notices a page shows. All pages read their addresses with the same code."""
    keys = [*page_of("initializers")[1], *COMMON, "scene"]
    pairs = [(key, INJECTIONS[i % len(INJECTIONS)]) for i, key in enumerate(keys)]
    pairs += [(text, "1") for text in INJECTIONS]
    for first in range(0, len(pairs), 5):
        some = dict(pairs[first:first + 5])
        visitor.open(link("initializers", some), quiet=False)
        inert(visitor)
        assert visitor.main().count("left out") + ("held" in some) >= len(some), "each is named, as text"


def test_a_text_kept_as_a_and_a_text_that_is_typed_stay_text(visitor):
    whole = "".join(INJECTIONS)
    held = urlencode({"factor": "0.9", "kind": whole, whole: "1"})
    visitor.open(link("linear_chain", {"held": held}), quiet=False)
    inert(visitor)
    visitor.open("initializers")
    visitor.more()
    for text in INJECTIONS:
        visitor.type("widths", text, quiet=False)
        notices = visitor.page.locator("[data-testid=stAlertContentWarning]")
        notices.get_by_text("left out").first.wait_for()
        visitor.settle(quiet=False)
        inert(visitor)
