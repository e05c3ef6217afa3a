"""What is computed before it is asked for: the last steps, scenes when nobody asks, nothing in a hall."""

import threading
import time
from collections import deque
from contextlib import suppress

import pytest

from pages.parts import prefetch, results
from pages.parts.scenes import SCENES
from pages.parts.views.published import CLAIMS, CORRECTED
from tests.pages.slow import wait_for
from vgdash.linear_chain import ChainParams
from vgdash.params import Params
from vgdash.single_neuron import NeuronParams
from vgdash.training.params import TrainParams


class Bell(threading.Event):
    """An event that ends the thread which waits for it, when a test is over."""

    over = False

    def wait(self, timeout=None):
        if self.over:
            raise SystemExit
        return super().wait(0.02)


@pytest.fixture
def start(monkeypatch):
    """Start the thread with these scenes, on a server that nobody has asked for anything."""
    monkeypatch.setattr(prefetch, "QUIET", 0.2)
    monkeypatch.setattr(prefetch, "PAUSE", 0.05)
    bell, lock, work = Bell(), threading.Lock(), prefetch._work

    def until_over():
        with suppress(SystemExit):
            work()

    requests = deque([0.0], maxlen=prefetch.MANY)
    fresh = {"_steps": [], "_later": deque(), "_requests": requests, "_changed": bell, "_computing": lock}
    for name, value in {**fresh, "_work": until_over}.items():
        monkeypatch.setattr(prefetch, name, value)
    yield lambda *scenes: prefetch.start(scenes)
    bell.over = True
    if lock.locked():
        lock.release()
    for thread in threading.enumerate():
        if thread.name == "prefetch":
            thread.join(20)


def test_the_steps_that_were_scheduled_last_are_computed_and_no_earlier_ones(start):
    done = []
    start()
    for value in (1, 2, 3):
        prefetch.schedule(done.append, [(value,), (-value,)])
    wait_for(lambda: done == [3, -3])


def test_a_hall_gets_nothing_ahead_and_one_visitor_after_it_does(start):
    done = []
    for value in range(prefetch.MANY):
        prefetch.schedule(done.append, [(value,)])
    assert prefetch._steps[0][1] == (prefetch.MANY - 2,), "the request that makes it a hall schedules nothing"
    prefetch._requests.extend([time.monotonic() - 60] * prefetch.MANY)
    prefetch.schedule(done.append, [("alone",)])
    start()
    wait_for(lambda: done == ["alone"])


def test_scenes_wait_until_nobody_asks_and_one_that_fails_ends_nothing(start):
    done = []

    def fail():
        raise MemoryError

    prefetch.mark_busy()
    start((fail, ()), *((done.append, (value,)) for value in range(3)))
    for _ in range(10):
        prefetch.mark_busy()
        time.sleep(0.02)
    assert done == []
    wait_for(lambda: done == [0, 1, 2])


def test_a_server_that_ends_finishes_what_it_computes_and_begins_nothing(start):
    begun, go, done = threading.Event(), threading.Event(), []

    def slow(value):
        begun.set()
        assert go.wait(20)
        done.append(value)

    start((slow, (1,)), (slow, (2,)))
    assert begun.wait(20)
    threading.Timer(0.1, go.set).start()
    prefetch.stop()
    assert done == [1]
    time.sleep(0.1)
    assert done == [1]


def test_every_claim_and_every_scene_is_computed_ahead_that_can_be():
    ready = [given for _, (given,) in results.tasks_ahead()]
    shown = [p for scene in SCENES for p in scene.sides]
    assert ready == [*CLAIMS, *CORRECTED, *(p for p in shown if type(p) not in (TrainParams, Params))]
    assert len(shown) > len(SCENES), "an A that a scene brings along"


def test_a_page_whose_opening_fails_stops_no_server(monkeypatch):
    def fail(p):
        raise MemoryError

    opened = []
    monkeypatch.setattr(results, "OPENING", {ChainParams: fail, NeuronParams: opened.append})
    monkeypatch.setattr(results, "shipped_map", lambda: fail(None))
    results.open_pages()
    assert opened == [NeuronParams()]
