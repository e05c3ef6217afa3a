"""Scripts take turns, whoever computes or waits lets others pass; and what never changes is worked out once."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from streamlit.elements import vega_charts
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests

from pages.parts import bounds, shell, turns
from pages.parts.memory import Remembered
from tests.pages.wire import Session
from tests.server import serving

VISITORS = 4 * bounds.SCRIPTS


CROWDED = """
import time
import streamlit as st
from pages.parts import turns
turns.install()

@st.cache_resource
def crowd():
    return {"inside": 0, "most": 0, "all": 0}

there = crowd()
there["inside"] += 1
there["all"] += 1
there["most"] = max(there["most"], there["inside"])
time.sleep(0.2)
there["inside"] -= 1
st.markdown(f"{there['most']} of {there['all']}")
"""


def test_no_more_scripts_run_at_once_than_there_are_places_and_all_are_run(tmp_path):
    script = tmp_path / "crowded.py"
    script.write_text(CROWDED)
    with serving(script=str(script)) as address:
        port, together = int(address.rsplit(":", 1)[1]), threading.Barrier(VISITORS)

        def visit(_):
            with Session(port) as visitor:
                together.wait()
                return visitor.open("").texts

        with Session(port) as first:
            assert first.open("").texts == ["1 of 1"]
        with ThreadPoolExecutor(VISITORS) as pool:
            assert all(list(pool.map(visit, range(VISITORS))))
        with Session(port) as last:
            assert last.open("").texts == [f"{bounds.SCRIPTS} of {VISITORS + 2}"]


def test_who_waits_for_a_computation_lets_others_pass_and_has_a_place_again_afterwards():
    done, computing, running = threading.Event(), threading.Event(), []

    def compute(key):
        computing.set()
        assert done.wait(10)
        return key

    answers = Remembered(compute, gate=lambda *key: turns.aside(), waiting=turns.aside)

    def script(_):
        with turns.turn(threading.Lock()):
            answer = answers("one key")
            running.append(1)
            most = len(running)
            time.sleep(0.01)
            running.pop()
            return answer, most

    with ThreadPoolExecutor(VISITORS) as pool:
        scripts = [pool.submit(script, i) for i in range(VISITORS)]
        assert computing.wait(10)
        passed = threading.Event()

        def other():
            with turns.turn(threading.Lock()):
                passed.set()

        threading.Thread(target=other, daemon=True).start()
        assert passed.wait(5), "all places are held by those who wait"
        done.set()
        found = [script.result(10) for script in scripts]
    assert {answer for answer, _ in found} == {"one key"}
    assert max(most for _, most in found) <= bounds.SCRIPTS


def test_a_thread_without_a_place_steps_aside_for_nobody():
    with turns.aside(), turns.turn(threading.Lock()), turns.aside(), turns.aside():
        pass
    with ThreadPoolExecutor(1) as pool:  # every place is free again
        for _ in range(2 * bounds.SCRIPTS):
            pool.submit(lambda: turns._line.acquire(timeout=5)).result()
            turns._line.release()


def test_the_theme_and_the_specifications_are_those_of_streamlit():
    assert shell.main, "which puts ours in place"
    plain = app_session._populate_theme_msg.__wrapped__
    for section in ("theme", "theme.light", "theme.dark", "theme.sidebar"):
        for _ in range(2):
            ours, theirs = CustomThemeConfig(), CustomThemeConfig()
            app_session._populate_theme_msg(ours, section)
            plain(theirs, section)
            assert ours == theirs
    spec = json.dumps({"layer": [{"name": "view_7"}], "params": [{"name": "param_9", "views": ["view_7"]}]})
    stable = vega_charts._stabilize_vega_json_spec(spec)
    assert stable == vega_charts._stabilize_vega_json_spec.__wrapped__(spec) != spec
    assert vega_charts._stabilize_vega_json_spec(spec) is stable


def test_a_script_that_was_told_to_stop_while_it_waited_is_not_begun():
    told, untold = ScriptRequests(), ScriptRequests()
    told.request_stop()
    ScriptRunner._run_script(SimpleNamespace(_requests=told, _pages_manager=SimpleNamespace()), RerunData())
    with pytest.raises(AttributeError, match="_is_in_script_thread"):  # no runner, but begun
        ScriptRunner._run_script(SimpleNamespace(_requests=untold, _pages_manager=SimpleNamespace()), RerunData())


def test_what_a_page_asks_that_its_visitor_has_left_does_not_bring_it_back(visitor):
    """A slider sends a moment later what it was set to; in between its visitor may have gone to another page."""
    assert visitor.open("neuron_variance")
    target = visitor.page_hash
    for pause in (*8 * [0.0], 0.01, 0.03, 0.1, 0.3):
        visitor.open("linear_chain")
        late = visitor.message()
        assert late.rerun_script.fragment_id
        assert visitor.page_hash not in ("", target)
        visitor.page_hash = target
        visitor.socket.send(visitor.message(fragment="").SerializeToString())
        time.sleep(pause)
        visitor.socket.send(late.SerializeToString())
        begun = [answer.new_session.page_script_hash for answer in visitor.overheard() if answer.HasField("new_session")]
        assert begun, pause
        assert set(begun) == {target}, pause


@pytest.mark.parametrize(("waiting", "page", "taken"), [("another", "one", False), ("another", "another", True), (None, "one", True),
                                                        ("another", "", True)])
def test_a_fragment_is_not_made_one_request_with_the_way_to_another_page(waiting, page, taken):
    requests = ScriptRequests()
    if waiting:
        requests.request_rerun(RerunData(page_script_hash=waiting))
    runner = SimpleNamespace(_requests=requests, _wake_parallel_join_barrier_if_waiting=lambda: None)
    assert ScriptRunner.request_rerun(runner, RerunData(page_script_hash=page, fragment_id="view"))
    assert requests._rerun_data == (RerunData(page_script_hash=waiting) if not taken else requests._rerun_data)
    assert requests._rerun_data.page_script_hash == (page if taken else waiting)


def test_a_client_that_does_not_say_which_page_it_means_is_answered(visitor):
    visitor.open("linear_chain")
    visitor.page_hash = ""
    assert visitor.send().has("factor")


def test_a_visitors_next_run_waits_for_the_one_before_unless_that_steps_aside():
    visitor, other, order = threading.Lock(), threading.Lock(), []
    begun, compute, computing, end = (threading.Event() for _ in range(4))

    def first():
        with turns.turn(visitor):
            begun.set()
            assert compute.wait(10)
            with turns.aside():
                computing.set()
                assert end.wait(10)
            order.append("first goes on")

    def run(whose, name):
        with turns.turn(whose):
            order.append(name)

    with ThreadPoolExecutor(3) as pool:
        one = pool.submit(first)
        assert begun.wait(10)
        two = pool.submit(run, visitor, "second")
        pool.submit(run, other, "another visitor").result(10)
        assert not two.done()
        compute.set()
        assert computing.wait(10)
        two.result(10)
        end.set()
        one.result(10)
    assert order == ["another visitor", "second", "first goes on"]


def test_two_runs_of_one_visitor_are_never_inside_together(tmp_path):
    script = tmp_path / "crowded.py"
    script.write_text(CROWDED)
    with serving(script=str(script)) as address, Session(int(address.rsplit(":", 1)[1])) as visitor:
        assert visitor.open("").texts == ["1 of 1"]
        for _ in range(4):
            visitor.socket.send(visitor.message().SerializeToString())
            time.sleep(0.05)  # the run has begun, and hears of the next one only when it speaks
        assert visitor.send().texts[0].startswith("1 of ")
