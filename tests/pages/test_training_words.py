"""Sentences about a training run agree with the run and with the diagnosis of the very same nets."""

from dataclasses import replace

import numpy as np
import pytest

from pages.parts.results import foreseen
from pages.parts.views import same_net
from pages.parts.views.training import why
from pages.parts.views.training_words import opening, ranking, verdict
from vgdash.diagnosis.diagnosis import diagnose
from vgdash.initializers import INITIALIZERS
from vgdash.probe.probe import compare
from vgdash.training.trainer import TrainParams, train

SMALL = TrainParams.uniform(12, 32, learning_rate=0.05, steps=200, snapshots=8)
SETS = {
    "depth": replace(SMALL, initializers=("zeros", "small_normal", "lecun_normal", "he_normal")),
    "too large a step": replace(SMALL, learning_rate=10.0, initializers=("standard_normal", "he_normal")),
    "batch normalization": replace(SMALL, normalization="batch", initializers=("small_normal", "he_normal")),
    "skip connections": TrainParams.uniform(20, 32, residual="scaled", initializers=("lecun_normal",),
                                            steps=200, learning_rate=0.05, snapshots=8),
    "adam": replace(SMALL, optimizer="adam", learning_rate=0.001, initializers=("lecun_normal", "he_normal")),
    "sigmoid": replace(SMALL, activation="sigmoid", initializers=("glorot_normal", "identity")),
    "narrow": TrainParams.uniform(30, 4, initializers=("he_normal",), steps=50, snapshots=4),
    "wide": TrainParams((64, 256, 300, 10), "relu", ("small_normal", "lecun_normal", "he_normal"), steps=20),
    "points": TrainParams.uniform(4, 16, dataset="spirals", activation="tanh", steps=200, snapshots=8,
                                  initializers=("small_normal", "lecun_normal")),
    "numbers": TrainParams.uniform(3, 64, dataset="wave", steps=100, snapshots=8,
                                   initializers=("zeros", "small_normal", "he_normal")),
    "numbers that blow up": TrainParams.uniform(3, 64, dataset="wave", steps=50, snapshots=50,
                                                learning_rate=10.0, initializers=("zeros", "he_normal")),
}


@pytest.fixture(scope="module", params=SETS, ids=str)
def run(request):
    p = SETS[request.param]
    return p, list(train(p))


def test_theory_expects_on_training_what_the_diagnosis_says_of_these_nets_on_initializers(run):
    p, _ = run
    nets = compare(same_net.comparison(p)).probes
    for name, learns in zip(p.initializers, foreseen(p), strict=True):
        said = diagnose(nets[name].params, nets[name])
        assert learns == (said.adam_learns if p.optimizer == "adam" else said.learns), name


def ends(p, snapshots):
    """Return of each initializer whether it learned (True), not at all (False), or a little (None)."""
    last, found = snapshots[-1], []
    for i in range(len(p.initializers)):
        share = (np.nan_to_num(last.held_out[i]).mean() - p.guess_accuracy) / (1 - p.guess_accuracy)
        gone = (last.diverged[i] >= 0).all()
        flat = abs(share if p.regression else last.loss[i].mean() / p.guess_loss - 1) < 0.03
        still = gone or (share < 0.2 and flat)
        found.append(False if still else True if share > 0.5 else None)
    return found


def test_a_verdict_says_where_theory_was_right_and_where_it_was_not(run):
    p, snapshots = run
    said = verdict(p, snapshots, foreseen(p), True)
    both = list(zip(foreseen(p), ends(p, snapshots), strict=True))
    failed = [expected for expected, learned in both if learned is False]
    assert "as theory predicted" not in said or False in failed
    assert "as theory predicted" in said or not failed or set(failed) != {False}
    assert ("Theory expected" in said) == (True in failed)
    assert "Theory did not expect" in said or (False, True) not in both
    assert len(said) <= 200, "two lines of a projector"


def test_a_run_that_goes_on_is_not_judged_yet():
    p = replace(SMALL, initializers=("he_normal",), steps=2000)
    first = [next(iter(train(p)))]
    assert foreseen(p) == (True,)
    assert "Theory" not in verdict(p, first, foreseen(p), False)
    assert "Theory expected He to learn: try more steps" in verdict(p, first, foreseen(p), True)


def test_what_learns_though_theory_did_not_expect_it_is_not_passed_over():
    p = replace(SMALL, initializers=("zeros", "he_normal"))
    said = verdict(p, list(train(p)), (False, False), True)
    assert "zeros still guesses (loss 2.303 = ln 10), as theory predicted." in said
    assert said.endswith("Theory did not expect He to learn.")


def test_before_a_run_each_net_is_named_with_what_theory_expects_of_it(run):
    p, _ = run
    words = {True: "Theory expects {} to learn", False: "Theory does not expect {} to learn",
             None: "may or may not learn"}
    for learns, sentence in words.items():
        there = [INITIALIZERS[name].short
                 for name, found in zip(p.initializers, foreseen(p), strict=True) if found is learns]
        assert (sentence.split("{}")[0] in opening(p, foreseen(p))) == bool(there)
        assert all(name in opening(p, foreseen(p)) for name in there)


def test_the_table_has_a_row_for_each_initializer_with_what_theory_expects(run):
    p, snapshots = run
    rows = [[cell.strip() for cell in line.split("|")[1:-1]]
            for line in ranking(p, snapshots, 0.5, foreseen(p), True).splitlines()[2:]]
    expected = {INITIALIZERS[name].short: learns
                for name, learns in zip(p.initializers, foreseen(p), strict=True)}
    words = {True: "learns", False: "does not learn", None: "may or may not learn"}
    assert {row[1]: row[4] for row in rows} == {name: words[learns] for name, learns in expected.items()}


def test_places_go_to_nets_that_move_and_blown_up_nets_have_none(run):
    p, snapshots = run
    rows = [[cell.strip() for cell in line.split("|")[1:-1]]
            for line in ranking(p, snapshots, 0.5, foreseen(p), True).splitlines()[2:]]
    ended = dict(zip((INITIALIZERS[name].short for name in p.initializers), ends(p, snapshots), strict=True))
    gone = dict(zip(ended, (snapshots[-1].diverged >= 0).all(axis=1), strict=True))
    places = [place for place, name, *_ in rows if not gone[name]]
    assert [place for place, *_ in rows] == places + ["–"] * sum(gone.values())
    assert places == sorted(places)
    assert len({place for place, name, *_ in rows if ended[name] is False and not gone[name]}) <= 1
    assert "-" not in verdict(p, snapshots, foreseen(p), True) + "".join(row[3] for row in rows)
    assert "−0.00" not in verdict(p, snapshots, foreseen(p), True)


@pytest.mark.parametrize(("more", "words"), [
    ({}, "2.303 for 10 classes"), ({"dataset": "moons"}, "0.693 for 2 classes"),
    ({"loss": "squared_error"}, "1/K)$: 0.450 for 10 classes"), ({"dataset": "wave"}, "variance: 0.500")])
def test_why_has_the_loss_of_guessing_on_the_data_of_the_page(more, words):
    p = TrainParams.uniform(3, 8, **more)
    assert words in why(p)
    labels = np.eye(p.widths[-1])[p.data.y_train.astype(int)] if not p.regression else p.data.y_train
    if p.squared:
        spread = 0.5 * ((labels - labels.mean(axis=0)) ** 2).reshape(len(labels), -1).sum(axis=1).mean()
        assert spread == pytest.approx(p.guess_loss, rel=0.02)
