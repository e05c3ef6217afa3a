"""What is computed before it is asked for: when nobody waits, the last wish only, and nothing in a hall."""

import threading
import time

import pytest

from pages.parts import prefetch, results
from pages.parts.controls import Controls
from pages.parts.scenes import SCENES
from pages.parts.views.published import CLAIMS, CORRECTED
from vgdash.linear_chain import ChainParams
from vgdash.params import Params
from vgdash.single_neuron import NeuronParams
from vgdash.training.trainer import TrainParams


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.setattr(prefetch, "QUIET", 0.2)
    time.sleep(prefetch.PAUSE)
    quiet()
    prefetch._later.clear()


def quiet():
    """As if nobody had asked for anything lately."""
    prefetch._made.extend([time.monotonic() - 60] * prefetch.MANY)
    prefetch._asked = time.monotonic() - 60


class Computed:
    """A computation that takes notes."""

    def __init__(self):
        self.seen, self._more = [], threading.Condition()

    def __call__(self, value):
        if value == "wrong":
            raise ValueError(value)
        with self._more:
            self.seen.append(value)
            self._more.notify_all()

    def wait(self, *values, seconds=20):
        with self._more:
            assert self._more.wait_for(lambda: self.seen == list(values), seconds), self.seen


def test_the_last_wish_is_computed_and_no_earlier_one():
    compute = Computed()
    for value in (1, 2, 3):
        prefetch.wish(compute, [(value,), (-value,)])
    compute.wait(3, -3)


def test_a_hall_gets_nothing_ahead():
    compute = Computed()
    for value in range(prefetch.MANY):
        prefetch.wish(compute, [(value,)])
    quiet()
    prefetch.wish(compute, [("alone",)])
    compute.wait("alone")


def test_nothing_is_prepared_while_somebody_is_here():
    compute = Computed()
    for value in range(3):
        prefetch.put_off()
        prefetch.prepare(compute, [(value,)])
        time.sleep(0.1)
    assert compute.seen == []
    compute.wait(0, 1, 2)


def test_an_error_ends_nothing():
    compute = Computed()
    prefetch.prepare(compute, [("wrong",), (1,), (2,)])
    compute.wait(1, 2)


def test_every_scene_is_made_ready(monkeypatch):
    wanted = {}
    monkeypatch.setattr(prefetch, "prepare", lambda compute, arguments: wanted.update(dict.fromkeys(arguments, compute)))
    results.prepare()
    ready = {argument for arguments in wanted for argument in arguments}
    assert ready >= {scene.params for scene in SCENES if type(scene.params) not in (TrainParams, Params)}
    scene = next(scene.params for scene in SCENES if type(scene.params) is ChainParams)
    wanted[scene,](scene)
    assert (scene, 0.01) in results.chain._kept


def test_a_page_whose_opening_fails_stops_no_server(monkeypatch):
    def fail(p):
        raise MemoryError

    opened = []
    monkeypatch.setattr(results, "OPENING", {ChainParams: fail, NeuronParams: opened.append})
    monkeypatch.setattr(results, "shipped_map", lambda: fail(None))
    for name in ("claim", "mistake"):
        monkeypatch.setattr(results, name, opened.append)
    results.open_pages()
    assert opened == [NeuronParams(), *CLAIMS, *CORRECTED]


def test_a_server_that_ends_finishes_what_it_computes_and_begins_nothing(monkeypatch):
    monkeypatch.setattr(prefetch, "_stopped", False)
    begun, go, done = threading.Event(), threading.Event(), []

    def slow(value):
        begun.set()
        assert go.wait(20)
        done.append(value)

    prefetch.prepare(slow, [(1,), (2,)])
    assert begun.wait(20)
    threading.Timer(0.2, go.set).start()
    prefetch.stop()
    assert done == [1]
    quiet()
    time.sleep(0.3)
    assert done == [1]


def test_the_next_step_is_one_further_on_the_slider_that_moved():
    controls = Controls("linear_chain", ChainParams)
    controls.values, controls.beside = {"factor": 1.52, "depth": 150}, {"factor": lambda v: (round(v - 0.01, 10), round(v + 0.01, 10)),
                                                                        "depth": lambda v: (v - 1, v + 1)}
    controls.before = {"factor": 1.51, "depth": 150}
    assert [p.factor for p in controls.next_steps()] == [1.53]
    controls.before = {"factor": 1.53, "depth": 150}
    assert [p.factor for p in controls.next_steps()] == [1.51]
    controls.before = {}
    assert [p.factor for p in controls.next_steps()] == [1.51, 1.53]
    controls.before = {"factor": 1.0, "depth": 9}
    assert list(controls.next_steps()) == [], "a scene, no slider"
