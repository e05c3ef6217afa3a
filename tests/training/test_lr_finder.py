"""The learning-rate finder: each cell is the run of ``train`` at that rate; the best has the lowest loss."""

from dataclasses import replace

import numpy as np
import pytest

from vgdash.training.lr_finder import RateParams, _best, find_rate
from vgdash.training.trainer import TrainParams, train


def small(**rest):
    return RateParams.uniform(4, 16, **{"steps": 50, "batch": 16, "rates_tried": 5, "lowest": 0.01,
                                        "highest": 1.0, "initializers": ("lecun_normal", "he_normal")} | rest)


@pytest.mark.parametrize("rest", [
    {}, {"optimizer": "adam", "seeds": 2}, {"normalization": "layer", "residual": "scaled", "clip": 1.0}])
def test_every_cell_is_the_run_at_that_rate(rest):
    p = small(**rest)
    found = find_rate(p)
    np.testing.assert_allclose(found.rates, [0.01, 10**-1.5, 0.1, 10**-0.5, 1], rtol=1e-12)
    assert found.loss.shape == (2, 5, p.seeds)
    common = {name: getattr(p, name) for name in TrainParams.rules()
              if name not in ("learning_rate", "snapshots")}
    for i, rate in enumerate(found.rates):
        # the last interval is steps 41 to 50
        shots = list(train(TrainParams(learning_rate=rate, snapshots=5, **common)))
        np.testing.assert_allclose(found.loss[:, i], shots[-1].loss, rtol=1e-4)
        np.testing.assert_allclose(found.start, shots[0].loss, rtol=1e-6)
        assert np.array_equal(found.diverged[:, i], shots[-1].diverged)


def test_the_best_rate_has_the_lowest_loss_and_nets_that_do_not_learn_have_none():
    p = small(initializers=("zeros", "lecun_normal", "he_normal"), highest=100.0, rates_tried=9)
    found = find_rate(p)
    assert np.isnan(found.best[0])
    for which in (1, 2):
        mean = found.loss[which].mean(axis=1)
        assert found.best[which] == found.rates[np.nanargmin(mean)]
        assert np.nanmin(mean) < 1.5
        assert (found.diverged[which] >= 0).any()
        assert np.isnan(found.loss[which][found.diverged[which] >= 0]).all()
    table = found.frame()
    assert len(table) == 27
    assert set(table.query("best")["initializer"]) == {"lecun_normal", "he_normal"}
    row = table.query("initializer == 'he_normal' and best").iloc[0]
    assert (row["learning_rate"], row["loss"]) == (found.best[2], np.nanmin(found.loss[2]))


def test_a_rate_at_which_one_seed_diverges_is_not_the_best():
    loss = np.array([[[2.0, 2.0], [1.5, 0.9], [0.1, np.nan]],
                     [[2.25, 2.25], [2.26, 2.22], [np.nan, np.nan]],  # 2.24 is more than 97 % of ln 10
                     [[np.nan, 1.0], [np.nan, np.nan], [1.0, np.nan]]])
    np.testing.assert_array_equal(_best(np.array([0.1, 1, 10]), loss, np.log(10)), [1, np.nan, np.nan])


def test_adam_wants_a_smaller_rate_than_plain_descent():
    """Its steps have the size of the rate whatever the gradient: 0.001 is common, 0.1 for sgd."""
    best = {name: find_rate(small(optimizer=name, lowest=1e-4, highest=10.0, rates_tried=11,
                                  initializers=("he_normal",))).best[0]
            for name in ("sgd", "adam")}
    assert best["adam"] < best["sgd"] / 3


def test_a_training_run_hands_on_its_nets_but_not_its_rate():
    p = TrainParams.uniform(6, 20, dataset="moons", activation="tanh", gamma=1.5, normalization="batch",
                            steps=700, seeds=3)
    q = RateParams.of(p)
    for name in ("widths", "activation", "dataset", "gamma", "normalization"):
        assert getattr(q, name) == getattr(p, name)
    assert (q.steps, q.seeds) == (100, 1)
    assert q == RateParams.of(replace(p, learning_rate=3.0, snapshots=7))
    assert RateParams.of(p, steps=40, seeds=2).steps == 40
    assert q.nets == 4 * 16
