"""A browser that hears only what is new shows what one shows that hears everything."""

from __future__ import annotations

import copy
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from pages.parts.news import Screen
from tests.pages.wire import Browser, state

LINE = object()
count = itertools.count()


def message(kind, run, fragments=(), status=0):
    made = ForwardMsg()
    made.metadata.run.script_run_id = run
    made.metadata.run.fragment_ids.extend(fragments)
    if kind == "script_finished":
        made.script_finished = status
    else:
        made.new_session.SetInParent()
    return made


def delta(place, fragment, what):
    """An element that says ``what``, or a block: row, or column."""
    made = ForwardMsg()
    made.metadata.delta_path.extend(place)
    made.delta.fragment_id = fragment
    if what in ("row", "column"):
        getattr(made.delta.add_block, {"row": "flex_container", "column": "column"}[what]).SetInParent()
    else:
        made.delta.new_element.markdown.body = what
    made.hash = f"hash of {what}"
    return made


def drawn(place, fragment, parts):
    """What a fragment draws: texts, and blocks that hold texts."""
    yield delta(place, fragment, "row")
    for k, part in enumerate(parts):
        if isinstance(part, str):
            yield delta((*place, k), fragment, part)
        else:
            yield delta((*place, k), fragment, part[0])
            yield from (delta((*place, k, j), fragment, text) for j, text in enumerate(part[1]))


def whole(of, status=ForwardMsg.FINISHED_SUCCESSFULLY):
    """A run of the page, with these fragments one below the other."""
    run = f"run {next(count)}"
    deltas = [found for k, (fragment, parts) in enumerate(of.items()) for found in drawn((0, k), fragment, parts)]
    return [message("new_session", run), *deltas, message("script_finished", run, status=status)]


def again(fragment, parts, status=ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY):
    """A run of one fragment, "f" above or "g" below."""
    run = f"run {next(count)}"
    return [message("new_session", run, [fragment]), *drawn((0, "fg".index(fragment)), fragment, parts),
            message("script_finished", run, [fragment], status)]


def texts(messages):
    return [m.delta.new_element.markdown.body for m in messages if m.HasField("delta")]


def shown(browser, *fragments):
    """What stands where, of these fragments alone if any are named."""
    return {place: node.drawn for place, node in browser.nodes.items() if not fragments or node.fragment in fragments}


TEXT = st.sampled_from(["a", "b", "c"])
PARTS = st.lists(TEXT | st.tuples(st.sampled_from(["row", "column"]), st.lists(TEXT, max_size=2)), max_size=3)
RUNS = st.lists(st.one_of(
    st.tuples(st.just("whole"), st.fixed_dictionaries({"f": PARTS, "g": PARTS}), st.none()),
    st.tuples(st.just("again"), st.tuples(st.sampled_from("fg"), PARTS), st.none()),
    st.tuples(st.just("cut"), st.tuples(st.sampled_from("fg"), PARTS), st.integers(1, 5)),
    st.tuples(st.just("in two breaths"), st.tuples(st.sampled_from("fg"), PARTS), st.integers(1, 5)),
    st.tuples(st.just("line lost"), st.none(), st.none())), max_size=12)


@given(RUNS)
def test_whatever_runs_follow_each_other(runs):
    screen, told, knowing, line = Screen(), Browser(), Browser(), object()
    breaths = [whole({"f": ["a", ("row", ["b"])], "g": ["a"]}), again("f", ["b", ("row", ["b"])])]
    for how, of, at in runs:
        match how:
            case "whole":
                breaths.append(whole(of))
            case "again":
                breaths.append(again(*of))
            case "cut":
                breaths.append([*again(*of)[:at], message("script_finished", "", status=ForwardMsg.FINISHED_EARLY_FOR_RERUN)])
            case "in two breaths":
                messages = again(*of)
                breaths += [messages[:at], messages[at:]]
            case "line lost":
                breaths.append(None)
    for breath in breaths:
        if breath is None:
            line = object()
            continue
        for said in copy.deepcopy(breath):
            knowing.hears(said)
        for said in screen.news(line, breath):
            told.hears(said)
        assert shown(told) == shown(knowing)


@pytest.fixture
def screen():
    """One whose browser has heard of a run of the page and one of fragment f: a, b and a row with c."""
    screen = Screen()
    screen.news(LINE, whole({"f": ["a", "b", ("row", ["c"])], "g": ["a"]}))
    screen.news(LINE, again("f", ["a", "b", ("row", ["c"])]))
    return screen


def test_only_what_is_new_is_sent_and_that_it_is_over(screen):
    told = screen.news(LINE, again("f", ["a", "x", ("row", ["c"])]))
    assert texts(told) == ["x"]
    assert [m.WhichOneof("type") for m in told] == ["delta", "script_finished"]
    assert not told[-1].metadata.HasField("run"), "a browser that knows which run is over looks for what it has left"
    assert texts(screen.news(LINE, again("f", ["a", "x", ("row", ["c"])]))) == []
    assert texts(screen.news(LINE, again("f", ["a", "b", ("row", ["c"])]))) == ["b"]


@pytest.mark.parametrize("parts", [["a", "b"], ["a", "b", ("row", ["c"]), "d"], ["a", "b", ("column", ["c"])], ["a", "b", "c"],
                                   ["a", "b", ("row", [])]])
def test_everything_is_sent_where_something_would_be_left_over(screen, parts):
    messages = again("f", parts)
    assert screen.news(LINE, messages) == messages
    assert texts(screen.news(LINE, again("f", parts))) == []


def test_everything_is_sent_after_a_run_that_was_cut_off(screen):
    screen.news(LINE, [*again("f", ["a", "x"])[:-1], message("script_finished", "", ["f"], ForwardMsg.FINISHED_EARLY_FOR_RERUN)])
    messages = again("f", ["a", "x"])
    assert screen.news(LINE, messages) == messages, "the row is left over"


def test_everything_is_sent_after_a_run_whose_end_says_nothing_of_it(screen):
    messages = again("f", ["a", "x"])
    messages[-1].metadata.ClearField("run")
    screen.news(LINE, messages)
    messages = again("f", ["a", "x"])
    assert screen.news(LINE, messages) == messages, "the row is left over"


def test_everything_is_sent_while_another_run_is_not_over(screen):
    screen.news(LINE, again("g", ["a"])[:-1])
    messages = again("f", ["a", "x", ("row", ["c"])])
    assert screen.news(LINE, messages) == messages


def test_everything_is_sent_where_a_fragment_inside_is_left_over(screen):
    inside = delta((0, 0, 3), "inside", "d")
    run = again("f", ["a", "b", ("row", ["c"])])
    screen.news(LINE, [*run[:-1], inside, run[-1]])
    messages = again("f", ["a", "b", ("row", ["c"])])
    assert screen.news(LINE, messages) == messages


def test_everything_is_sent_over_a_new_line(screen):
    messages = again("f", ["a", "x", ("row", ["c"])])
    assert screen.news(object(), messages) == messages


def test_a_browser_hears_whole_of_a_fragment_after_each_run_of_the_page(screen):
    screen.news(LINE, whole({"f": ["a"], "g": ["a"]}))
    messages = again("f", ["a"])
    assert screen.news(LINE, messages) == messages, "one that has heard of none does not ask again when its line was lost"


def test_what_acts_once_is_sent_though_it_is_the_same(screen):
    messages = again("f", ["a", "b", ("row", ["c"])])
    next(m for m in messages if m.delta.new_element.markdown.body == "b").delta.new_element.has_one_shot_effect = True
    assert texts(screen.news(LINE, messages)) == ["b"]


def test_what_streamlit_gives_no_hash_is_sent(screen):
    for _ in range(2):
        messages = again("f", ["a", "b", ("row", ["c"])])
        next(m for m in messages if m.delta.new_element.markdown.body == "b").hash = ""
        told = screen.news(LINE, messages)
    assert texts(told) == ["b"]


def test_everything_is_sent_where_something_comes_and_goes(screen):
    def waits():
        messages = again("f", ["a", "b", ("row", ["c"])])
        spinner = delta((0, 0, 3), "f", "")
        spinner.delta.new_transient.SetInParent()
        return [*messages[:-1], spinner, messages[-1]]

    screen.news(LINE, waits())
    messages = waits()
    assert screen.news(LINE, messages) == messages


def test_what_is_large_goes_first(screen):
    assert texts(screen.news(LINE, again("f", ["long", "longest", ("row", ["longer"])]))) == ["longest", "longer", "long"]


def test_what_else_is_said_is_sent_too(screen):
    messages = again("f", ["a", "x", ("row", ["c"])])
    messages.insert(2, ForwardMsg(page_info_changed={"query_string": "depth=9"}))
    assert [m.WhichOneof("type") for m in screen.news(LINE, messages)] == ["page_info_changed", "delta", "script_finished"]


@pytest.mark.parametrize(("page", "widget", "kind", "values"), [
    ("initializers", "depth", "string_array_value", [["8"], ["20"], ["8"]]),
    ("linear_chain", "factor", "double_array_value", [[1.2], [0.5], [0.9]]),
    ("neuron_variance", "n", "string_array_value", [["64"], ["4"], ["64"]]),
    ("trainable_depth", "sigma_w2", "string_array_value", [["1.5"], ["2.5"], ["1.5"]]),
])
def test_the_pages_show_what_a_run_of_the_whole_page_shows(page, widget, kind, values, visitor):
    slider = visitor.open(page).widget(widget).id
    counts = []
    for value in (*values, *values):
        visitor.socket.send(visitor.message(state(slider, kind, value)).SerializeToString())
        counts.append(sum(answer.HasField("delta") for answer in visitor.overheard()))
        asked = visitor.page.fragment  # what else stands on the page may change meanwhile, as estimates do
        told = shown(visitor.browser, asked)
        visitor.send(fragment="")
        assert len(told) > 12
        assert shown(visitor.browser, asked) == told
        visitor.send()  # the first of a fragment after a run of the page is heard whole
    assert min(counts) < len(told) / 2, counts  # of a run that takes longer its beginning is sent as it comes
