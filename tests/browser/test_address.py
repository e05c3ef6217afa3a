"""The address is the state: what is set stands in it, and opening it anywhere gives the very same page."""

import re
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import TimeoutError, expect

from pages.parts import keyboard
from pages.parts.controls import COMMON
from pages.parts.scenes import KINDS, SCENES, of_page
from tests.browser.conftest import Visitor, query_of
from tests.browser.states import STATES, link, texts
from vgdash.linear_chain import linear_chain
from vgdash.probe.probe import CompareParams, compare
from vgdash.single_neuron import neuron_variance
from vgdash.theory.phase_diagram import phase_map

COMPUTE = {"linear_chain": linear_chain, "neuron_variance": neuron_variance, "initializers": compare, "trainable_depth": phase_map}
SLIDERS = {"linear_chain": "factor", "neuron_variance": "n", "initializers": "depth", "training": "depth", "trainable_depth": "fan_in"}
ALL_STATES = [pytest.param(stem, states[-1], id=stem) for stem, states in STATES.items()]
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
    except (TypeError, ValueError):
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
        p, _ = KINDS[stem].parse_lenient(texts(state), text=True)
        assert table == COMPUTE[stem](p).frame().to_csv(index=False)


@pytest.mark.parametrize("stem", ["linear_chain", "initializers", "trainable_depth"])
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

    colleague.open(visitor.page.url.removeprefix(visitor.address))
    assert colleague.controls() == after
    assert colleague.verdict() == visitor.verdict()


def test_what_is_typed_and_picked_by_hand_stands_in_the_address_and_comes_back(visitor, colleague):
    visitor.open("initializers")
    visitor.page.get_by_role("button", name="Remove lecun_normal").last.click()
    visitor.settle()
    visitor.page.get_by_role("button", name="More", exact=True).click()
    for key, text in (("widths", "100-50x3-10"), ("gamma", "1.125"), ("seed", "7")):
        field = visitor.page.locator(f".st-key-{key} input")
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


def says(scene):
    """Whether an address holds the values of the scene, its name, and nothing else."""
    kind = KINDS[scene.page]
    beside = {key: [str(value)] for key, value in {**scene.values, "scene": scene.name}.items() if key not in kind.keys()}  # noqa: SIM118

    def does(url):
        query = query_of(url)
        own = {key: value for key, value in query.items() if key not in beside}
        return all(query.get(key) == value for key, value in beside.items()) and set(own) <= set(kind.keys()) \
            and kind.parse_lenient(own, text=True) == (scene.params, [])
    return does


@pytest.mark.parametrize("stem", PAGES_WITH_SCENES)
def test_every_scene_writes_its_values_into_the_address_and_no_others(visitor, stem):
    visitor.open(stem, quiet=False)
    for scene in of_page(stem):
        visitor.enter(scene.name, quiet=False)
        try:
            visitor.page.wait_for_url(says(scene), timeout=10_000)
        except TimeoutError:
            pytest.fail(f"{scene.name} sets {scene.values}, the address says {visitor.page.url}")


@pytest.mark.parametrize("stem", PAGES_WITH_SCENES)
def test_a_scenes_name_alone_is_a_link_to_it(visitor, colleague, stem):
    scene = of_page(stem)[-1]
    visitor.open(stem).enter(scene.name, quiet=False)
    visitor.page.wait_for_url(says(scene))
    colleague.open(link(stem, {"scene": scene.name}), quiet=False)
    expect(colleague.page.locator("[data-testid=stMain] h1")).to_have_text(visitor.title())
    first = ".st-key-controls input[type=range]"
    expect(colleague.page.locator(first).first).to_have_value(visitor.page.locator(first).first.input_value())
    assert colleague.controls() == visitor.controls()


def test_the_walk_leads_through_all_pages_and_back(visitor):
    """The buttons beside the title (keys P and N), across the border between two pages too."""
    border = next(i for i in range(1, len(SCENES)) if SCENES[i].page != SCENES[i - 1].page)
    visitor.open(link(SCENES[border - 2].page, {"scene": SCENES[border - 2].name}))
    walk = [(+1, border - 1), (+1, border), (+1, border + 1), (-1, border), (-1, border - 1)]
    for step, at in walk:
        visitor.page.locator(f".st-key-{'next' if step > 0 else 'previous'}-scene button").first.click()
        expect(visitor.page.locator("[data-testid=stMain] h1")).to_have_text(SCENES[at].say)
        visitor.settle()
        assert urlsplit(visitor.page.url).path == f"/{SCENES[at].page}"
        assert visitor.query()["scene"] == [SCENES[at].name]
        found, _ = KINDS[SCENES[at].page].parse_lenient({key: [value] for key, value in visitor.controls().items() if key in SLIDERS.values()},
                                                   text=True)
        key = SLIDERS[SCENES[at].page]
        assert getattr(found, key, None) == getattr(SCENES[at].params, key, None)


def shown_as_spelled(visitor):
    """Whether the page's controls say what its address says, soon."""
    for _ in range(3):
        stem = urlsplit(visitor.page.url).path.strip("/")
        controls, query = visitor.controls(), visitor.query()
        if all(same_value(controls.get(key), query.get(key, [str(getattr(KINDS[stem](), key))])[-1]) for key in (SLIDERS[stem], "seed")):
            return True
        visitor.settle()
    return False


def travel(visitor, move):
    """Back or forward, until the page is there. A hand takes longer than what it did before."""
    visitor.settle()
    move()
    visitor.settle()


def test_back_and_forward_lead_through_the_pages_and_each_shows_what_its_address_says(visitor):
    visitor.open("linear_chain?factor=0.9&seed=3").press("factor", times=3)
    left_behind, verdict = visitor.page.url, visitor.verdict()
    visitor.go("Single neuron").press("n", times=2)
    neuron, neuron_verdict = visitor.page.url, visitor.verdict()

    for _ in range(8):  # Streamlit leaves entries of its own between the two
        if visitor.page.url == left_behind:
            break
        travel(visitor, visitor.page.go_back)
        assert shown_as_spelled(visitor)
    assert visitor.page.url == left_behind
    assert visitor.verdict() == verdict
    for _ in range(8):
        if visitor.page.url == neuron:
            break
        travel(visitor, visitor.page.go_forward)
        assert shown_as_spelled(visitor)
    assert visitor.page.url == neuron
    assert visitor.verdict() == neuron_verdict


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
    assert set(scripts) <= {keyboard.INTO_POPOVER, keyboard.SCENES_KEYS}
    assert main.locator("img[src='x'], img[src*='127.0.0.1:9'], a[href^='javascript'], a[href*='127.0.0.1:9']").count() == 0
    boxes = main.locator("[data-testid=stAlertContentWarning]")
    assert boxes.locator("a, img, script, code, strong, em, h1, .katex, [style*=color] span").count() == 0, boxes.all_inner_texts()
    assert not visitor.page.evaluate("'__hacked' in window")


ALL_OF_THEM = "".join(INJECTIONS)
BESIDE = {"linear_chain": ("scale", "learning_rate"), "initializers": ("look", "of", "framework"),
          "training": ("look", "of", "statistic", "goal")}


@pytest.mark.parametrize("stem", ["initializers"])  # all other pages read their addresses with the same code
def test_no_key_of_a_page_lets_an_injected_text_through(visitor, stem):
    """Five at a time: so many notices a page shows. Short texts, so that none is cut."""
    keys = [*KINDS[stem].keys(), *COMMON, "scene", *BESIDE.get(stem, ())]
    short = {"steps": "20", "depth": "3"} if stem == "training" else {}  # a link starts a run
    for first in range(0, len(keys), 5):
        some = keys[first:first + 5]
        injected = {key: INJECTIONS[(first + i) % len(INJECTIONS)] for i, key in enumerate(some)}
        visitor.open(link(stem, short | injected), quiet=False)
        inert(visitor)
        assert visitor.main().count("left out") + ("held" in some) >= len(some), "each is named, as text"


def test_a_text_kept_as_a_and_a_text_that_is_typed_stay_text(visitor):
    held = urlencode({"factor": "0.9", "kind": ALL_OF_THEM, ALL_OF_THEM: "1"})
    visitor.open(link("linear_chain", {"held": held}), quiet=False)
    inert(visitor)
    visitor.open("initializers")
    visitor.page.get_by_role("button", name="More", exact=True).click()
    for text in INJECTIONS:
        field = visitor.page.locator(".st-key-widths input")
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
