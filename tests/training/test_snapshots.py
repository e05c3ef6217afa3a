"""When a run is looked at, and who came first."""

import gc
import itertools
import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from vgdash.initializers import INITIALIZERS
from vgdash.params import ParamError
from vgdash.training.snapshots import steps_to
from vgdash.training.trainer import TrainParams, train


def test_a_long_run_has_so_many_looks_that_it_can_be_watched_and_few_of_them_answer_all_held_out_examples():
    p = TrainParams.uniform(100, 64, steps=2500)
    assert len(TrainParams().snapshot_steps) == 51
    assert len(p.snapshot_steps) > 100
    assert p.flops / len(p.snapshot_steps) == pytest.approx(6e9, rel=0.1)
    assert (len(p.held_out_steps), p.held_out_steps[0], p.held_out_steps[-1]) == (51, 0, 2500)
    assert set(p.held_out_steps) < set(p.snapshot_steps)
    rows = math.ceil(len(p.data.x_test) / p.batch) * p.batch
    one = 2 * p.nets * rows * sum(n * m for n, m in itertools.pairwise(p.widths))
    longer = TrainParams.uniform(100, 64, steps=20_000)
    assert 0.04 < len(longer.held_out_steps) * one / longer.flops < 0.05
    assert len(longer.snapshot_steps) == 401
    assert len(TrainParams(steps=20_000, snapshots=7).snapshot_steps) == 8
    most = TrainParams((64, *(8,) * 255, 10), seeds=8, initializers=tuple(INITIALIZERS)[:8])
    assert 1 < len(most.snapshot_steps) < 50
    assert 0.9 * 24e6 - 2e6 < most.snapshot_bytes < 24e6


def test_snapshots_of_small_nets_say_how_much_memory_they_take():
    p = TrainParams(widths=(2, 16, 16, 2), dataset="spirals", steps=200)
    list(train(p))  # what is computed once
    tracemalloc.start()
    try:
        kept = list(train(p))
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(snapshot.nbytes for snapshot in kept) == pytest.approx(taken, rel=0.1)
    assert all(array.base is None for array in vars(kept[-1]).values() if isinstance(array, np.ndarray))


def test_held_out_examples_are_answered_at_the_steps_that_say_so():
    p = TrainParams.uniform(2, 8, initializers=("he_normal",), steps=120, snapshots=120)
    seen = list(train(p))
    assert [s.step for s in seen if np.isfinite(s.held_out).all()] == list(p.held_out_steps)
    assert all(np.isfinite(s.loss).all() for s in seen)
    assert len(p.held_out_steps) < len(seen)
    reached = next(s for s in seen if s.held_out[0, 0] >= 0.2)
    assert steps_to(seen, 0.2).steps[0, 0] == reached.step


def test_the_ranking_says_who_came_first_and_who_never_came():
    p = TrainParams.uniform(5, 16, initializers=("lecun_normal", "he_normal", "orthogonal"), steps=30,
                            snapshots=3, seeds=2, batch=16)
    shots = list(train(p))
    courses = np.array([[[.1, .1], [.2, .1], [.1, .1]], [[.5, .5], [.9, .1], [.1, .1]],
                        [[.6, .7], [.8, .9], [.4, .3]], [[.95, .9], [.8, .9], [np.nan, .2]]])
    shots = [replace(shot, held_out=course) for shot, course in zip(shots, courses, strict=True)]
    found = steps_to(shots, 0.9)
    assert found.steps.tolist() == [[30, 30], [10, 20], [-1, -1]]
    assert found.order == ("he_normal", "lecun_normal", "orthogonal")
    table = found.frame()
    assert table["initializer"].tolist() == ["he_normal"] * 2 + ["lecun_normal"] * 2 + ["orthogonal"] * 2
    assert table["rank"].tolist() == [1, 1, 2, 2, 3, 3]
    assert table["steps"].fillna(-1).tolist() == [10, 20, 30, 30, -1, -1]
    assert table["best"].tolist() == [.9, .9, .95, .9, .4, .3]
    # nobody: by the highest accuracy
    assert steps_to(shots, 0.97).order == ("lecun_normal", "he_normal", "orthogonal")


@pytest.mark.parametrize("accuracy", [-0.1, 1.1, float("nan"), "most"])
def test_an_accuracy_that_cannot_be_is_refused(accuracy):
    with pytest.raises(ParamError, match="accuracy"):
        steps_to([], accuracy)
    with pytest.raises(ParamError, match="snapshots must be at least one"):
        steps_to([], 0.5)
