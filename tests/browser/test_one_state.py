"""What is shown always belongs to one state: headline, pill, controls, verdict, chart and address agree."""

import re

import pytest
from playwright.sync_api import expect

from pages.parts.scenes import SCENES, of_page
from tests.browser.conftest import STEADY, Visitor
from tests.browser.slow_line import slow_line
from tests.browser.states import headline, link
from tests.server import port_of

DELAY = 0.08  # seconds each way
# of the walk
STRETCHES = {"before training": (0, 25), "training": (24, 37), "after training": (36, len(SCENES))}
MORE_EVERY = 6  # scenes: there More is opened and closed too
MARKS = """() => [...document.querySelectorAll('[data-testid=stVegaLiteChart] svg')].map(svg => ({
  labels: [...svg.querySelectorAll('.role-axis-label text')].map(label => label.textContent).sort(),
  places: [...svg.querySelectorAll('.mark-symbol path')].map(mark => {
    const box = mark.getBoundingClientRect(), frame = svg.getBoundingClientRect();
    return [box.left - frame.left, box.top - frame.top]; }).flat()}))"""


def long_run(seed):
    """A link to a run that goes on for minutes, and is no other test's."""
    nets = {"depth": "30", "width": "64", "initializers": ["he_normal", "glorot_normal"]}
    return link("training", {**nets, "steps": "20000", "seed": seed})


def begin(visitor, scene):
    """Open a scene without questions: so that every scene shows its chart."""
    return skip(visitor.open(link(scene.page, {"scene": scene.name}), quiet=scene.page != "training"))


def skip(visitor):
    button = visitor.page.get_by_role("button", name="Skip all questions")
    if button.count():
        button.click()
        visitor.settle(milliseconds=STEADY)
    return visitor


@pytest.fixture
def walker(fresh):
    """A visitor at the first scene who has skipped all questions."""
    return begin(fresh, SCENES[0])


def at_rest(visitor):
    """Wait for the last answer, also while a run ticks; return the scene that is shown."""
    visitor.settle(quiet=False)
    shown = visitor.agree(more=False)
    return next((scene for scene in SCENES if scene.say == shown["headline"]), None)


# ---- the walk

@pytest.mark.parametrize("stretch", STRETCHES)
def test_every_scene_by_n_and_back_by_p_is_one_state(fresh, stretch):
    first, last = STRETCHES[stretch]
    scenes = SCENES[first:last]
    walker, asked = begin(fresh, scenes[0]), scenes[0].question is None
    for key, way in (("n", scenes[1:]), ("p", scenes[-2::-1])):
        for place, scene in enumerate(way):
            skip(walker.walk(key, headline(scene, asked), quiet=scene.page != "training"))
            asked = asked and scene.question is None
            expect(walker.heading()).to_have_text(scene.say)
            shown = walker.agree(more=place % MORE_EVERY == 0)
            assert shown["address"].startswith(f"/{scene.page}?scene=")
            assert shown["pills"] == [scene.label]
            assert not shown["question"]


def test_the_chart_of_a_scene_that_was_walked_to_is_that_of_its_link(fresh, visitor):
    names = ("gradients too", "diagonal", "2/n", "normal or uniform", "on the edge")
    for scene in (scene for scene in SCENES if scene.name in names):
        begin(fresh, SCENES[SCENES.index(scene) - 1]).walk("n", scene.say).settle()
        visitor.open(link(scene.page, {"scene": scene.name}))
        walked, linked = fresh.page.evaluate(MARKS), visitor.page.evaluate(MARKS)
        assert [chart["labels"] for chart in walked] == [chart["labels"] for chart in linked] != []
        for one, other in zip(walked, linked, strict=True):
            assert one["places"] == pytest.approx(other["places"], abs=2)


@pytest.mark.parametrize("milliseconds", [60, 120])
def test_twenty_presses_of_n_as_fast_as_a_hand_can_end_in_one_state(walker, milliseconds):
    for _ in range(20):
        walker.page.keyboard.press("n")
        walker.page.wait_for_timeout(milliseconds)
    scene = at_rest(walker)
    assert scene is not None
    assert 2 <= SCENES.index(scene) <= 20
    walker.agree()


def ticking(visitor):
    """Wait until the run of the page ticks."""
    bar = visitor.run_bar()
    expect(bar.get_by_role("button", name="Stop")).to_be_visible(timeout=60_000)
    expect(bar).to_contain_text(re.compile(r"Step [1-9]"), timeout=60_000)
    return bar


def test_n_and_back_while_a_run_ticks(fresh):
    """Old messages of the run arrive after the scene has been entered."""
    bar = ticking(fresh.open(long_run(seed="1"), quiet=False))
    for scene in of_page("training")[:3]:  # each Back leads to the run, and N on from the scene before
        fresh.walk("n", headline(scene), quiet=False).agree(more=False)
        expect(bar).not_to_contain_text("previous settings")
        fresh.page.go_back()
        expect(fresh.heading()).not_to_have_text(headline(scene))
        assert at_rest(fresh) is None
        assert fresh.query()["seed"] == ["1"]
        ticking(fresh)
    bar.get_by_role("button", name="Stop").click()
    expect(bar).to_contain_text("Stopped")


def test_a_slider_moved_while_a_run_ticks_stays_where_it_was_put(fresh):
    bar = ticking(fresh.open(long_run(seed="2"), quiet=False))
    fresh.press("learning_rate", times=3, quiet=False)
    fresh.press("depth", "ArrowLeft", times=2, quiet=False)
    shown = fresh.agree()
    assert (shown["controls"]["learning_rate"], shown["controls"]["depth"]) == ("0.1", "15")
    assert "previous settings" in shown["bar"]
    fresh.page.wait_for_timeout(500)  # two ticks
    assert fresh.agree()["controls"] == shown["controls"]
    fresh.press("learning_rate", "ArrowLeft", times=3, quiet=False).press("depth", times=2, quiet=False)
    expect(bar).not_to_contain_text("previous settings")
    fresh.agree()
    bar.get_by_role("button", name="Stop").click()


def test_more_opened_and_closed_on_the_way(walker):
    walker.more()
    for scene in SCENES[1:4]:
        walker.walk("n", scene.say).agree()
    if not walker.page.get_by_test_id("stPopoverBody").count():
        walker.more()
    walker.press("learning_rate", times=2).agree()
    assert walker.query()["learning_rate"] == ["0.1"]
    walker.page.keyboard.press("Escape")
    walker.press("factor").agree()
    walker.walk("n", SCENES[4].say).agree()


def test_from_the_list_of_scenes_one_is_chosen_and_questions_are_left_out_and_asked_again(fresh):
    fresh.open(link("linear_chain", {"scene": SCENES[0].name, "present": "true"}))
    target = next(scene for scene in SCENES[20:] if scene.question and scene.page == "initializers")

    def listed():
        fresh.page.get_by_role("button", name=re.compile(rf"of {len(SCENES)}$")).click()
        body = fresh.page.get_by_test_id("stPopoverBody")
        expect(body.get_by_role("link")).to_have_count(len(SCENES))
        return body

    assert {scene.source for scene in SCENES} <= set(listed().locator("strong").all_inner_texts())
    entry = fresh.page.get_by_role("link", name=f"{SCENES.index(target) + 1}. {target.label}", exact=True)
    entry.click()
    expect(fresh.heading()).to_have_text(headline(target))
    assert fresh.settle().agree()["pills"] == [target.label]
    listed().get_by_role("button", name="Show scenes without their questions").click()
    expect(fresh.heading()).to_have_text(target.say)
    assert fresh.settle().charts().count()
    fresh.agree()
    if not fresh.page.get_by_test_id("stPopoverBody").count():
        listed()
    fresh.page.get_by_role("button", name="Ask the questions again").click()
    expect(fresh.heading()).to_have_text(headline(target))
    assert fresh.settle().agree()["question"]


# ---- Back and Forward

def back(visitor, **more):
    visitor.page.go_back()
    return visitor.settle(**more).agree(more=False)


def forward(visitor, **more):
    visitor.page.go_forward()
    return visitor.settle(**more).agree(more=False)


def test_back_leads_from_scene_to_scene_in_one_press_across_pages_too(fresh):
    border = next(i for i in range(1, len(SCENES)) if SCENES[i].page != SCENES[i - 1].page)
    way = SCENES[border - 3:border + 2]
    walker = begin(fresh, way[0])
    for scene in way[1:]:
        walker.walk("n", scene.say)
    for scene in way[-2::-1]:
        assert back(walker)["headline"] == scene.say
    for scene in way[1:]:
        assert forward(walker)["headline"] == scene.say


def test_back_after_slider_steps_shows_no_headline_that_the_values_contradict(walker):
    first, second = SCENES[0], SCENES[1]
    walker.walk("n", second.say)
    walker.press("factor").press("factor").press("depth", "ArrowLeft")
    assert walker.agree()["pills"] == []
    for _ in range(5):
        headline = back(walker)["headline"]
        if headline == first.say:
            break
    assert headline == first.say
    for _ in range(4):
        forward(walker)
    assert walker.agree()["controls"]["factor"] == "0.52"


def test_back_and_forward_over_pages_of_the_menu_show_what_their_address_says(fresh):
    fresh.open("linear_chain?factor=0.9&seed=3").press("factor", times=3)
    chain = fresh.agree()
    fresh.go("Single neuron").press("n", times=2)
    neuron = fresh.agree()
    for move, wanted in ((back, chain), (forward, neuron)):
        for _ in range(8):
            if move(fresh)["address"] == wanted["address"]:
                break
        assert fresh.agree() == wanted


# ---- a phone, and a slow line

def test_on_a_phone_scenes_sliders_and_back_are_one_state(browser, address):
    page = browser.new_page(viewport={"width": 390, "height": 844}, has_touch=True)
    phone = begin(Visitor(page, address), SCENES[0])
    for scene in SCENES[1:4]:
        phone.page.get_by_role("button", name=re.compile("Next$")).tap()
        expect(phone.heading()).to_have_text(scene.say)
        phone.settle(milliseconds=STEADY).agree()
    phone.press("factor").agree()
    assert back(phone)["headline"] == SCENES[3].say
    phone.enter(SCENES[6].label).agree()
    page.close()


@pytest.fixture
def remote(on, address):
    """A visitor behind a line with 160 ms there and back, at the first scene, without questions."""
    with slow_line(port_of(address), DELAY) as far:
        yield begin(on(address=far), SCENES[0])


def test_a_walk_over_a_slow_line(remote):
    for scene in SCENES[1:6]:
        remote.walk("n", scene.say).agree(more=False)
    remote.press("factor").agree()
    assert back(remote)["headline"] == SCENES[5].say
    assert back(remote)["headline"] == SCENES[4].say
    assert forward(remote)["headline"] == SCENES[5].say
    for _ in range(20):
        remote.page.keyboard.press("n")
        remote.page.wait_for_timeout(60)
    assert at_rest(remote) is not None


SECOND_ACTS = {
    "a slider": lambda visitor: visitor.slider("factor").press("ArrowRight"),
    "the axis": lambda visitor: visitor.page.get_by_role("radio", name="linear", exact=True).click(),
    "a pill": lambda visitor: visitor.page.get_by_role("radio", name="random", exact=True).click(),
    "back": lambda visitor: visitor.page.go_back(),
    "n again": lambda visitor: visitor.page.keyboard.press("n"),
}


@pytest.mark.parametrize("act", SECOND_ACTS)
def test_what_is_done_before_a_scene_has_arrived_leaves_one_state(remote, act):
    """The message about the old scene's widget comes after the new scene has been entered."""
    for scene in SCENES[1:4]:  # Back must have somewhere to lead to
        remote.walk("n", scene.say)
    for pause in (0, 40, 150):
        remote.page.keyboard.press("n")
        remote.page.wait_for_timeout(pause)
        SECOND_ACTS[act](remote)
        remote.settle().agree(more=pause == 150)
        remote.page.keyboard.press("p")
        remote.settle().agree(more=False)


def test_what_is_done_while_a_tick_is_on_its_way_leaves_one_state(remote):
    scene = of_page("training")[0]
    for pause in (0, 60, 120):
        ticking(remote.open(long_run(seed=str(pause)), quiet=False))
        remote.page.keyboard.press("n")
        remote.page.wait_for_timeout(pause)
        remote.slider("depth").press("ArrowRight")
        expect(remote.run_bar()).not_to_contain_text("20,000")
        remote.page.wait_for_timeout(500)  # a few ticks
        assert at_rest(remote) in (scene, None)
    remote.enter(scene.label, quiet=False)
    before = SCENES[SCENES.index(scene) - 1]
    for _ in range(2):
        remote.slider("depth").focus()
        for key in ("p", "ArrowRight"):  # the slider's message, 200 ms later, comes from a page that was left
            remote.page.keyboard.press(key)
        expect(remote.run_bar()).to_have_count(0, timeout=20_000)
        assert at_rest(remote) == before
        remote.walk("n", headline(scene), quiet=False)


def test_a_page_opened_before_the_last_answer_has_arrived_has_the_right_address(remote):
    for pause in (180, 230, 300):  # a slider waits 200 ms before it sends
        remote.slider("factor").press("ArrowRight")
        remote.page.wait_for_timeout(pause)
        remote.go("Single neuron").agree()
        remote.go("Linear chain").agree()
