"""The film of Home is what training gives, and what the scale of the weights makes one expect."""

import numpy as np
import pytest

from vgdash.initializers import INITIALIZERS
from vgdash.training.spirals import LEVELS, NETS, SCALES, params, shipped
from vgdash.training.trainer import train

TRAINED = 0.9  # share of hits of a net that has learned; one that guesses has a half


@pytest.fixture(scope="module")
def film():
    return shipped()


def test_the_film_shows_what_its_command_trains(film):
    run = [snapshot for snapshot in train(params(1.0)) if snapshot.decision is not None]
    assert [snapshot.step for snapshot in run] == list(film.steps)
    shown = film.answers[SCALES.index(1.0)].astype(int) * 256 // LEVELS
    assert np.abs(shown[:, 0] - run[0].decision.astype(int)).max() <= 256 / LEVELS, "before the first step"
    again = np.array([snapshot.accuracy[:, 0] for snapshot in run])
    found = film.accuracy[SCALES.index(1.0)].T
    clear = [NETS.index("small_normal"), NETS.index("he_normal")]  # of 1/n rounding decides
    for run_end in again[-1], found[-1]:
        assert (run_end[clear] > TRAINED).tolist() == [False, True]


def test_a_net_that_learns_is_one_whose_layers_multiply_by_about_one(film):
    """A layer of ReLU multiplies the mean square by n Var(w)/2: far from 1, 16 layers lose or burst it."""
    width, depth = 32, 16
    for i, scale in enumerate(SCALES):
        for k, name in enumerate(NETS):
            factor = (scale**2 * width * INITIALIZERS[name].variance(width, width) / 2) ** (depth - 1)
            learned = film.accuracy[i, k, -1] > TRAINED
            assert not (factor < 1e-5 and learned), (scale, name)
            assert (film.diverged[i, k] >= 0) == (factor > 200), (scale, name, factor)
            assert not (0.1 < factor < 10) or learned, (scale, name, factor)


def test_before_training_no_net_knows_and_the_points_lie_on_the_picture(film):
    assert np.abs(film.accuracy[:, :, 0] - 0.5).max() < 0.44  # five standard errors of a minibatch of 32
    assert ((film.points > 0) & (film.points < 1)).all()
    assert set(film.labels) == {0, 1}
    assert film.answers.max() < LEVELS


def test_the_picture_of_a_trained_net_has_the_colour_of_each_point(film):
    k, side = NETS.index("he_normal"), film.answers.shape[-1]
    column, row = np.rint(film.points * (side - 1)).astype(int).T
    answers = film.answers[SCALES.index(1.0), k, -1][row, column] >= LEVELS / 2
    assert (answers == film.labels).mean() > 0.95
