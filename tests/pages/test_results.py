"""The door to computation: results are remembered for everybody, and limits hold on what runs at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pyarrow as pa
import pytest
import streamlit as st

from pages.parts import concurrency, results
from pages.parts.state import Session
from vgdash.linear_chain import ChainParams


def together(count, work):
    """Run ``work(index)`` in that many threads, and return what each returned."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


# ---- what is remembered

def test_a_result_is_the_same_object_for_everybody_also_after_the_caches_of_streamlit_were_cleared():
    p = ChainParams(factor=1.37)
    found = results.chain(p, 0.01)
    assert results.chain(ChainParams(factor=1.37), 0.01) is found
    st.cache_resource.clear()
    st.cache_data.clear()
    assert results.chain(p, 0.01) is found
    results.chain.forget()
    assert results.chain(p, 0.01) is not found


def test_what_many_ask_for_at_once_is_computed_once_and_an_error_is_not_remembered():
    calls, broken = [], [True]

    @results.remembered(5)
    def compute(value):
        time.sleep(0.05)
        calls.append(value)
        if value == "wrong" and broken:
            raise ValueError(value)
        return value, pd.DataFrame({"x": [1.0]})

    found = together(8, lambda i: compute("ab"[i % 2]))
    assert sorted(calls) == ["a", "b"]
    assert len({id(one) for one in found}) == 2
    assert isinstance(found[0][1], pa.Table), "a table that nobody can change"
    with pytest.raises(ValueError, match="wrong"):
        compute("wrong")
    broken.clear()
    assert compute("wrong")[0] == "wrong"


# ---- limits

class Most:
    """Counts how many are inside at once."""

    def __init__(self):
        self.inside, self.most, self._lock = 0, 0, threading.Lock()

    def stay(self, seconds=0.03):
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        time.sleep(seconds)
        with self._lock:
            self.inside -= 1


def test_few_scripts_run_at_once_and_a_fragment_inside_of_one_needs_no_second_place():
    scripts = Most()

    def script(_):
        with concurrency.script_slot():
            with concurrency.script_slot():
                scripts.stay()
            assert concurrency.in_script()
        assert not concurrency.in_script()

    together(8, script)
    assert scripts.most == concurrency.SCRIPTS == 2


def test_a_script_that_fails_leaves_its_place():
    for _ in range(2 * concurrency.SCRIPTS):
        with pytest.raises(KeyError), concurrency.script_slot():
            raise KeyError
    assert concurrency._scripts._value == concurrency.SCRIPTS


def test_a_script_that_waits_lets_others_pass_and_goes_on_with_a_place():
    go, scripts = threading.Event(), Most()

    def waiting(_):
        with concurrency.script_slot():
            with concurrency.released_slot():
                assert not concurrency.in_script()
                assert go.wait(5)
            scripts.stay()
            return concurrency.in_script()

    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(waiting, i) for i in range(4)]
        with concurrency.script_slot():
            go.set()
            scripts.stay(0.1)
        assert all(script.result(20) for script in found)
    assert scripts.most == concurrency.SCRIPTS
    assert concurrency._scripts._value == concurrency.SCRIPTS
    with concurrency.released_slot():  # nothing to release outside of a script
        assert concurrency._scripts._value == concurrency.SCRIPTS


@pytest.fixture
def sessions(monkeypatch):
    """Give each thread the session that it names, and note who waits for long work or does it."""
    class Noted(Most):
        def __enter__(self):
            with self._lock:
                waiting[self.who()] = waiting.get(self.who(), 0) + 1
                self.worst = max(getattr(self, "worst", 0), waiting[self.who()])
            work.acquire()

        def __exit__(self, *_):
            work.release()
            with self._lock:
                waiting[self.who()] -= 1

        @staticmethod
        def who():
            return threading.current_thread().name

    waiting, work, noted = {}, threading.Lock(), Noted()
    mine = {name: Session() for name in "ab"}
    monkeypatch.setattr(results, "session", lambda: mine[Noted.who()])
    monkeypatch.setattr(concurrency, "long_work", lambda: noted)
    return noted


def test_long_work_is_done_one_at_a_time_a_session_waits_with_one_only_and_short_work_passes(sessions):
    inside, short_is_done, in_time = Most(), threading.Event(), []

    @results.remembered(20, long=lambda value: value >= 0)
    def compute(value):
        if value >= 0:
            assert not concurrency.in_script(), "others have its place meanwhile"
            in_time.append(short_is_done.wait(5))
            inside.stay()
        return value

    def script(value):
        with concurrency.script_slot():
            compute(value)

    threads = [threading.Thread(target=script, args=(i,), name="ab"[i % 2]) for i in range(8)]
    for thread in threads:
        thread.start()
    script(-1)
    short_is_done.set()
    for thread in threads:
        thread.join(20)
    assert in_time == [True] * 8, "a short one waits for none of the long ones"
    assert inside.most == 1
    assert sessions.worst == 1
