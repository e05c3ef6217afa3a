"""How a session talks with its browser: a short run in one burst, a long one as it goes; ticks that say nothing of widgets."""

import statistics
import time
from urllib.parse import parse_qs, quote

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from pages.parts.presenter import LARGE
from pages.parts.scenes import of_page
from tests.pages.wire import Session, state
from tests.server import ROOT, serving
from vgdash.single_neuron import NeuronParams

SCRIPT = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
import streamlit as st
from pages.parts import session
session.install()
st.markdown("first")
time.sleep(float(st.query_params["pause"]))
st.markdown("second")

@st.fragment
def part():
    st.button("again")
    time.sleep(float(st.query_params["pause"]))

part()
"""


def heard(visitor, pause):
    """Seconds from hearing "first" to hearing "second"."""
    visitor.query = f"pause={pause}"
    visitor.socket.send(visitor.message(fragment="").SerializeToString())
    at = {}
    while True:
        answer = ForwardMsg()
        answer.ParseFromString(visitor.socket.recv(timeout=30))
        if answer.WhichOneof("type") == "delta":
            at[answer.delta.new_element.markdown.body] = time.perf_counter()
        elif answer.WhichOneof("type") == "script_finished":
            return at["second"] - at["first"]


@pytest.fixture(scope="module")
def scripted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("script")
    (folder / "script.py").write_text(SCRIPT)
    with serving(script="script.py", folder=folder) as address, Session(int(address.rsplit(":", 1)[1])) as session:
        session.open("", "pause=0")
        yield session


def test_what_a_short_run_says_is_heard_at_once(scripted):
    assert statistics.median(heard(scripted, 0.025) for _ in range(9)) < 0.01


def test_a_long_run_shows_its_beginning_before_it_ends(scripted):
    assert heard(scripted, 1) > 0.7


def said_to_run(visitor, pause, **more):
    """What is said of whether the script runs."""
    visitor.query = f"pause={pause}"
    visitor.socket.send(visitor.message(**more).SerializeToString())
    return [answer.session_status_changed.script_is_running for answer in visitor.overheard() if answer.HasField("session_status_changed")]


def test_that_a_fragment_runs_is_said_only_where_it_still_does(scripted):
    assert said_to_run(scripted, 0, fragment="")[-2:] == [True, False], "a browser that has just come waits for it"
    assert said_to_run(scripted, 0) == []
    assert said_to_run(scripted, 0.3) == [True, False]


def test_a_tick_that_left_the_browser_before_it_heard_of_a_scene_does_not_undo_it(visitor):
    dataset = visitor.open("training", "scene=spirals").widget("dataset")
    assert dataset.raw_value == "spirals"
    stale = visitor.message(state(dataset.id, "string_value", "digits"))
    stale.rerun_script.is_auto_rerun = True
    time.sleep(0.5)  # a tick that comes while a run goes on is dropped
    again = visitor.exchange(stale).widget("dataset")
    assert (again.raw_value, again.set_value) == ("spirals", True), "the browser must be told once more"
    assert visitor.send(state(dataset.id, "string_value", "digits")).widget("dataset").raw_value != "spirals", "a visitor may leave"


def pills_of(page):
    """The id of the row of scenes."""
    (found,) = (group.id for group in page.of("button_group") if group.id.count("-") == 2 and group.id.endswith("-scene"))
    return found


def test_a_scene_that_a_tick_brings_before_its_click_does_is_entered_by_the_click_and_whole(visitor):
    """A browser notes a click first, and sends it a moment later: a tick may come between."""
    old, new = (next(scene for scene in of_page("training") if scene.name == name) for name in ("a step that saves", "BatchNorm rescues"))
    before, after = old.params, new.params
    page = visitor.open("training", "scene=a+step+that+saves")
    pills = pills_of(page)
    stale = {pills: "BatchNorm rescues", **{page.widget(key).id: str(getattr(before, key)) for key in ("depth", "learning_rate")}}
    states = [state(widget, "string_array_value", [value]) for widget, value in stale.items()]
    tick, click = visitor.message(*states), visitor.message(*states, fragment="")
    tick.rerun_script.is_auto_rerun = True
    time.sleep(0.5)  # a tick that comes while a run goes on is dropped
    assert {title.body for title in visitor.exchange(tick).of("heading")} <= {old.say}, "nothing was entered"
    now = visitor.exchange(click)
    for key in ("depth", "learning_rate"):
        assert getattr(before, key) != getattr(after, key)
        assert list(now.widget(key).raw_value) == [str(getattr(after, key))], key


def test_a_slider_that_is_moved_while_a_run_goes_on_stays_where_it_is_though_a_tick_comes_first(visitor):
    depth = visitor.open("training", "scene=spirals").widget("depth")
    time.sleep(0.5)  # what comes while a run goes on counts as late
    visitor.send()  # whatever the visitor does: the browser has heard of the scene by then
    tick = visitor.message(state(depth.id, "string_array_value", ["5"]))
    tick.rerun_script.is_auto_rerun = True
    time.sleep(0.5)  # a tick that comes while a run goes on is dropped
    again = visitor.exchange(tick).widget("depth")
    assert not again.set_value, "it would jump back in the visitor's hand"
    assert visitor.send(state(depth.id, "string_array_value", ["5"])).widget("depth").set_value is False


def test_a_link_that_changes_a_scene_opens_with_the_change_and_the_rest_of_the_scene(visitor):
    page = visitor.open("training", "scene=spirals&depth=5")
    assert not page.exceptions
    assert not page.warnings
    assert page.widget("dataset").raw_value == "spirals"
    assert list(page.widget("depth").raw_value) == ["5"]
    assert "Two features, two classes." not in " ".join(title.body for title in page.of("heading")), "it is no scene any more"


def addresses(answers):
    """What the server wrote into the address, one after the other."""
    return [parse_qs(answer.page_info_changed.query_string) for answer in answers if answer.HasField("page_info_changed")]


def together(visitor, first, late):
    """Both in one packet: the server gets the second while it answers the first."""
    visitor.send_together(first, late)
    return visitor.overheard()


def verdicts(texts):
    return [text.body for text in texts if text.body.startswith("## ")]


def verdict_of(port, query):
    """What a visitor sees who opens the linear chain there."""
    with Session(port) as other:
        return verdicts(other.open("linear_chain", query).of("markdown"))[-1]


def last_verdict(answers):
    return verdicts(answer.delta.new_element.markdown for answer in answers)[-1]


@pytest.mark.parametrize("query", ["factor=0.8&depth=7", "depth=7"], ids=["a value", "a default"])
def test_what_a_fragment_asked_for_before_the_answer_does_not_undo_the_way_back(query, port):
    wanted = verdict_of(port, query)
    with Session(port) as visitor:
        page = visitor.open("linear_chain", "factor=0.9&seed=3")
        stale = [state(page.widget(key).id, "double_array_value", [value]) for key, value in (("factor", 0.9), ("depth", 150))]
        visitor.query = query
        back = visitor.message(*stale, fragment="")
        back.rerun_script.is_history_navigation = True
        answers = together(visitor, back, visitor.message(*stale))
        assert last_verdict(answers) == wanted
        assert all(written == parse_qs(query) for written in addresses(answers))


def more_of(visitor):
    """The id of the list behind More."""
    visitor.socket.send(visitor.message().SerializeToString())
    blocks = [answer.delta.add_block for answer in visitor.overheard() if answer.HasField("delta")]
    (found,) = (block.popover.id for block in blocks if block.popover.id.endswith("-more"))
    return found


@pytest.mark.parametrize("query", ["", "seed=5"])
def test_nor_does_what_stood_behind_more_when_it_was_left(query, visitor):
    visitor.open("linear_chain", "seed=3")
    more = more_of(visitor)
    seed = visitor.send(state(more, "bool_value", True)).widget("seed")
    stale = [state(more, "bool_value", False), state(seed.id, "double_value", 3)]
    visitor.query = query
    back = visitor.message(fragment="")
    back.rerun_script.is_history_navigation = True
    assert all(written == parse_qs(query) for written in addresses(together(visitor, back, visitor.message(*stale))))
    again = visitor.send(state(more, "bool_value", True)).widget("seed")
    assert (again.value if again.set_value else again.default) == float(parse_qs(query).get("seed", [0])[0])


def test_more_closed_and_opened_again_before_the_browser_heard_shows_what_was_set_there(visitor):
    """It still knows the value as it asks, then hears of the run without the widget and forgets it; a new one would show its default."""
    visitor.open("linear_chain", "seed=3")
    more = more_of(visitor)
    seed = visitor.send(state(more, "bool_value", True)).widget("seed")
    assert (seed.set_value, seed.value) == (True, 3)
    typed = state(seed.id, "double_value", 4)
    assert not visitor.send(state(more, "bool_value", True), typed).widget("seed").set_value, "nothing is set in the visitor's hand"
    assert not visitor.send(state(more, "bool_value", False), typed).has("seed")
    again = visitor.send(state(more, "bool_value", True), typed).widget("seed")
    assert (again.set_value, again.value) == (True, 4)


def test_the_way_back_closes_more(visitor):
    """A browser takes no values for what it does not show, and More may have been closed on the way."""
    visitor.open("linear_chain", "seed=3")
    more = more_of(visitor)
    assert visitor.send(state(more, "bool_value", True)).has("seed")
    visitor.query = ""
    back = visitor.message(fragment="")
    back.rerun_script.is_history_navigation = True
    assert not visitor.exchange(back).has("seed")


def test_what_a_fragment_asked_for_before_the_answer_does_not_undo_a_scene(visitor):
    old, new = of_page("linear_chain")[:2]
    page = visitor.open("linear_chain", f"scene={quote(old.name)}")
    key = next(key for key in ("factor", "depth") if getattr(old.params, key) != getattr(new.params, key))
    stale = state(page.widget(key).id, "double_array_value", [getattr(old.params, key)])
    pills = state(pills_of(page), "string_array_value", [new.name])
    last = addresses(together(visitor, visitor.message(pills, stale, fragment=""), visitor.message(pills, stale)))[-1]
    assert last["scene"] == [new.name]
    assert float(last[key][0]) == getattr(new.params, key)


def test_what_a_fragment_asked_for_while_the_answer_was_on_its_way_does_not_undo_a_scene(visitor):
    """Far from the server a key to the next scene and one for the slider are 0.1 s apart, and the answer takes longer."""
    new = of_page("linear_chain")[0]
    page = visitor.open("linear_chain", "seed=3")
    late = visitor.message(state(page.widget("factor").id, "double_array_value", [1.01]))
    visitor.send(state(page.widget("next-scene").id, "trigger_value", True), fragment="")
    visitor.socket.send(late.SerializeToString())
    answers = visitor.overheard()
    assert not [title for answer in answers if (title := answer.delta.new_element.heading.body)], "the title stands"
    assert all(written["scene"] == [new.name] for written in addresses(answers))
    sliders = [answer.delta.new_element.slider for answer in answers if answer.delta.new_element.WhichOneof("type") == "slider"]
    assert [list(slider.value) for slider in sliders if slider.id.endswith("-factor")] == [[new.params.factor]]


def test_the_way_to_another_page_is_gone_though_a_fragment_asks_for_it_that_brings_old_values(visitor):
    last, first = of_page("linear_chain")[-1], of_page("neuron_variance")[0]
    page = visitor.open("linear_chain", f"scene={quote(last.name)}")
    stale = [state(page.widget("depth").id, "double_array_value", [last.params.depth])]
    go = state(page.widget("next-scene").id, "trigger_value", True)
    answers = together(visitor, visitor.message(*stale, fragment=""), visitor.message(*stale, go))
    elements = [answer.delta.new_element for answer in answers if answer.HasField("delta")]
    assert not [element for element in elements if element.WhichOneof("type") == "exception"]
    assert first.say in [element.heading.body for element in elements]
    assert addresses(answers)[-1]["scene"] == [first.name]


def test_the_way_back_to_what_a_control_cannot_read_says_so(visitor):
    visitor.open("neuron_variance", "activation=relu")
    visitor.query = "activation=nonsense"
    back = visitor.message(fragment="")
    back.rerun_script.is_history_navigation = True
    page = visitor.exchange(back)
    assert not page.exceptions
    assert "nonsense" in page.warnings[0]
    assert page.widget("activation").set_value
    assert page.widget("activation").raw_value == NeuronParams().activation


def test_what_a_run_of_the_whole_page_said_is_sent_though_a_fragment_asks_for_more(visitor):
    visitor.open("linear_chain")
    for _ in range(25):
        first, late = visitor.message(fragment=""), visitor.message()
        visitor.socket.send(first.SerializeToString())
        visitor.socket.send(late.SerializeToString())
        begun = [answer.metadata.run.fragment_ids for answer in visitor.overheard(0.3) if answer.HasField("new_session")]
        assert not begun[0], "the title is not drawn"


def test_a_slider_that_is_moved_while_the_whole_page_is_drawn_counts(port):
    wanted = verdict_of(port, "factor=1.2")
    with Session(port) as visitor:
        page = visitor.open("linear_chain")
        present = state(page.widget("present").id, "bool_value", True)
        moved = state(page.widget("factor").id, "double_array_value", [1.2])
        answers = together(visitor, visitor.message(present, fragment=""), visitor.message(present, moved))
        assert last_verdict(answers) == wanted != verdicts(page.of("markdown"))[-1]


def test_a_browser_is_sent_whole_messages_whatever_it_says_it_still_has(visitor):
    """It may have dropped them by the time that the answer comes, and would give up."""
    visitor.open("linear_chain")
    first = visitor.message(fragment="")
    visitor.socket.send(first.SerializeToString())
    had = [answer.hash for answer in visitor.overheard() if answer.HasField("delta")]
    first.rerun_script.cached_message_hashes.extend(had)
    visitor.socket.send(first.SerializeToString())
    again = visitor.overheard()
    assert not [answer for answer in again if answer.HasField("ref_hash")]
    assert max(answer.ByteSize() for answer in again) > 10_000, "of a size for which Streamlit sends a reference"


@pytest.mark.parametrize(("key", "kind", "pressed", "drawn"), [
    ("next-scene", "trigger_value", True, lambda page: of_page("linear_chain")[0].say in [title.body for title in page.of("heading")]),
    ("keep-a", "trigger_value", True, lambda page: page.widget("keep-a").label == "Forget A"),
    ("present", "bool_value", True, lambda page: LARGE.strip() in [html.body.strip() for html in page.of("html")]),
])
def test_what_is_pressed_above_shows_there_though_a_browser_asks_for_the_fragment_alone(key, kind, pressed, drawn, visitor):
    """A browser makes one request of what happens within 20 ms: More closed by Escape and then a key are one for the fragment."""
    page = visitor.open("linear_chain", "factor=1.53")
    assert not drawn(page)
    assert drawn(visitor.send(state(page.widget(key).id, kind, pressed)))
