"""Computations wait in a fair line: bounded in all, bounded for each visitor, and nobody waits for what a greedy one has asked for."""

import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from streamlit.runtime.scriptrunner import StopException
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests

from pages.parts import bounds, results
from pages.parts.gate import Asker, Gate, Gone
from pages.parts.memory import Remembered
from vgdash.linear_chain import ChainParams
from vgdash.probe.probe import CompareParams, ProbeParams


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.002)


@dataclass
class Hall:
    """Visitors who ask for a place, hold it until they are released, and are written down in the order in which they came in."""

    places: int = 1
    came: list = field(default_factory=list)
    threads: list = field(default_factory=list)
    most: int = 0

    def __post_init__(self):
        self.here = threading.local()
        self.gate = Gate(self.places, lambda: self.here.asker)
        self.inside, self.release, self.lock = 0, {}, threading.Lock()

    def ask(self, name, gone=lambda: False):
        key = name, len(self.threads)
        self.release[key] = threading.Event()

        def run():
            self.here.asker = Asker(name, gone)
            try:
                with self.gate.place():
                    with self.lock:
                        self.came.append(key)
                        self.inside += 1
                        self.most = max(self.most, self.inside)
                    self.release[key].wait(10)
                    with self.lock:
                        self.inside -= 1
            except Gone:
                self.came.append((name, "gone"))
        waiting, came = self.gate.waiting, len(self.came)
        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()
        wait_for(lambda: self.gate.waiting != waiting or len(self.came) != came)
        return key

    def let_out(self, key):
        before = len(self.came) + self.inside, self.inside
        self.release[key].set()
        wait_for(lambda: (len(self.came) + self.inside, self.inside) != before)

    def end(self):
        for event in self.release.values():
            event.set()
        for thread in self.threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in self.threads)


def test_never_more_inside_than_there_are_places_and_all_come_in():
    hall = Hall(places=2)
    keys = [hall.ask(f"visitor {i}") for i in range(20)]
    assert len(hall.came) == 2
    assert hall.gate.waiting == 18
    hall.end()
    assert hall.most == 2
    assert hall.came == keys or sorted(hall.came) == sorted(keys)


def test_visitors_with_one_request_each_come_in_in_the_order_of_asking():
    hall = Hall()
    keys = [hall.ask(f"visitor {i}") for i in range(6)]
    for i, key in enumerate(keys[:-1]):
        hall.release[key].set()
        wait_for(lambda i=i: len(hall.came) == i + 2)
    hall.end()
    assert hall.came == keys


def test_who_asks_once_comes_before_the_second_request_of_one_who_is_inside():
    hall = Hall(places=2)
    greedy = [hall.ask("greedy") for _ in range(30)]
    modest = hall.ask("modest")
    assert hall.came == greedy[:2]
    hall.release[greedy[0]].set()
    wait_for(lambda: len(hall.came) == 3)
    assert hall.came[2] == modest, "the greedy one holds a place still, so the modest one is next"
    hall.end()


def test_requests_that_nobody_wants_any_more_leave_the_line():
    hall, left = Hall(), threading.Event()
    first = hall.ask("other")
    for _ in range(50):
        hall.ask("gone", gone=left.is_set)
    assert hall.gate.waiting == 50
    left.set()
    last = hall.ask("gone")
    assert hall.gate.waiting == 1, "only the one that is still wanted waits"
    hall.release[first].set()
    wait_for(lambda: last in hall.came)
    hall.end()
    assert hall.came.count(("gone", "gone")) == 50


def test_what_a_computation_computes_by_the_way_needs_no_place_of_its_own():
    gate = Gate(1)
    inner = Remembered(lambda x: x + 1, gate=lambda x: gate.place())
    outer = Remembered(lambda x: inner(x) * 2, gate=lambda x: gate.place())
    found = []
    threads = [threading.Thread(target=lambda f=f, x=x: found.append(f(x)), daemon=True) for x in range(20) for f in (outer, inner)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(found) == sorted([2 * x + 2 for x in range(20)] + [x + 1 for x in range(20)])


def test_a_computation_that_raises_gives_its_place_back():
    gate = Gate(1)
    broken = Remembered(lambda: 1 / 0, gate=gate.place)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            broken()
    with gate.place():
        assert gate.waiting == 0


def test_fifty_visitors_with_fifty_heavy_probes_compute_as_many_at_once_as_there_are_places():
    inside, most, lock = 0, 0, threading.Lock()

    def heavy(p):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.005)
        with lock:
            inside -= 1
        return p.seed

    compute = results.remembered(heavy)
    sets = [CompareParams.uniform(200, 256, batch=16, seed=seed) for seed in range(50)]
    threads = [threading.Thread(target=compute, args=(p,), daemon=True) for p in sets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == bounds.COMPUTING_LONG
    assert len(compute._kept) == 50


@pytest.mark.parametrize(("p", "gate"), [
    (ChainParams(depth=1000), results.short), (CompareParams(), results.short), (CompareParams.uniform(200, 256, batch=16), results.long),
    (ProbeParams.uniform(20, 1024), results.long),
])
def test_long_computations_wait_for_each_other_and_short_ones_pass_them(p, gate):
    with results.in_turn(p):
        assert len(gate._inside) == 1
        assert len(results.short._inside) + len(results.long._inside) == 1


def test_fifty_who_ask_for_the_same_get_one_computation_and_hold_no_place_while_they_wait():
    gate, made, go = Gate(2), [], threading.Event()

    def slow(x):
        made.append(x)
        go.wait(10)
        return x

    same = Remembered(slow, gate=lambda x: gate.place())
    threads = [threading.Thread(target=same, args=(1,), daemon=True) for _ in range(50)]
    for thread in threads:
        thread.start()
    wait_for(lambda: made)
    with gate.place():  # one place is free, though fifty wait
        assert made == [1]
    go.set()
    for thread in threads:
        thread.join(10)
    assert made == [1]


def test_a_script_that_streamlit_has_told_to_stop_leaves_the_line(monkeypatch):
    requests = ScriptRequests()
    context = SimpleNamespace(session_id="a session", script_requests=requests)
    asked, ended = threading.Event(), []
    monkeypatch.setattr(results, "get_script_run_ctx", lambda **_: asked.set() or context)
    monkeypatch.setattr(results.st, "stop", lambda: (_ for _ in ()).throw(StopException()))

    def script():
        try:
            with results.in_turn(CompareParams.uniform(200, 256, batch=16)):
                ended.append("computed")
        except StopException:
            ended.append("stopped")

    with results.long.place():
        asked.clear()
        thread = threading.Thread(target=script, daemon=True)
        thread.start()
        wait_for(lambda: results.long.waiting == 1)
        requests.request_stop()
    thread.join(10)
    assert ended == ["stopped"]
