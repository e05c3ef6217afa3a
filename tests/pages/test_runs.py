"""Shared runs: one computation for all with the same parameters, a line for the others, a bounded store."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from pages.parts.training_runs import Full, Store, trainer
from tests.opened import ROOT
from tests.pages.slow import SMALL, wait_for


def test_looking_and_asking_again_keep_the_place_in_line_and_a_stopped_run_goes_to_its_end(slow):
    store = Store(running=1, make=slow)
    sets = [replace(SMALL, seed=i) for i in range(5)]
    runs = [store.ask(p, f"visitor {p.seed}") for p in sets]
    assert store.place(runs[-1])[1] >= store.place(runs[1])[1] >= 0
    for p in (sets[1], sets[1], sets[3]):
        store.look(p, f"visitor {p.seed}")
        store.ask(p, "another")
    assert [store.place(run)[0] for run in runs[1:]] == [1, 2, 3, 4]
    store.leave(sets[2], "visitor 2")
    again = store.ask(sets[2], "visitor 2")
    assert [store.place(run)[0] for run in (runs[1], runs[3], runs[4], again)] == [1, 2, 3, 4]


def test_stop_leaves_the_run_to_others_and_ends_it_for_the_last(slow):
    store = Store(make=slow)
    run = store.ask(SMALL, "first")
    store.ask(SMALL, "second")
    store.leave(SMALL, "first")
    assert run.state == "running"
    store.leave(SMALL, "second")
    assert run.state == "stopped"
    wait_for(lambda: run.trainer is None, 2)
    assert store.ask(SMALL, "third") is not run


def test_finished_runs_stay_within_the_bytes_that_are_kept():
    store = Store(kept_bytes=3 * 12_000)
    for seed in range(8):
        p = replace(SMALL, seed=seed)
        store.ask(p, "visitor")
        wait_for(lambda p=p: store.look(p, "visitor").over)
    kept = [p for p in (replace(SMALL, seed=s) for s in range(8)) if store._runs.get(p)]
    assert 1 <= len(kept) <= 4
    assert kept[-1].seed == 7


def test_more_waiting_runs_than_the_line_holds_are_refused(slow, monkeypatch):
    monkeypatch.setattr("pages.parts.training_runs.WAITING", 3)
    store = Store(running=1, make=slow)
    for seed in range(4):
        store.ask(replace(SMALL, seed=seed), "visitor")
    with pytest.raises(Full):
        store.ask(replace(SMALL, seed=9), "visitor")


class Paced:
    """A run of so many seconds."""

    def __init__(self, seconds: float):
        self.seconds = seconds

    def __iter__(self):
        time.sleep(self.seconds)
        yield


def test_a_short_run_measures_how_long_the_whole_one_takes_and_of_several_the_fastest_counts():
    pauses = iter([0.6, 0.05, 0.5])
    store = Store(make=lambda p: Paced(next(pauses)))
    for _ in range(3):
        store.measure_rate(SMALL)
    assert 0.05 <= store.estimate(SMALL) < 0.4, "a busy machine wakes late, but not by this much"
    whole = replace(SMALL, steps=200)
    assert store.estimate(whole) == pytest.approx(store.estimate(SMALL) * whole.effort / SMALL.effort)


def test_the_rate_is_not_measured_where_runs_have_told_it():
    made = []
    store = Store(make=lambda p: made.append(p) or trainer(p))
    before = store.rate
    run = store.ask(SMALL, "visitor")
    store.measure_rate(SMALL)
    wait_for(lambda: run.over and run.trainer is None)
    found = store.rate
    store.measure_rate(SMALL)
    assert (len(made), store.rate) == (1, found)
    assert found != before


def test_when_python_ends_no_thread_of_a_run_computes_any_more():
    """Python aborts now and then if one does: "terminate called without an active exception"."""
    program = """
import atexit, threading
atexit.register(lambda: print([thread.name for thread in threading.enumerate() if "vgdash" in thread.name]))
from pages.parts.training_panel import STORE
from vgdash.training.params import TrainParams
run = STORE.ask(TrainParams(steps=20_000), "visitor")
while not run.snapshots:
    pass
"""
    python = [sys.executable, "-c", program]
    ended = subprocess.run(python, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert (ended.returncode, ended.stdout.strip()) == (0, "[]"), ended.stderr
