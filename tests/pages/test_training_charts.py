"""The charts of a training run hold the numbers of its snapshots, and the sentences say them."""

import re

import numpy as np
import pytest

from pages.parts.views.training import COURSE, GRADIENTS, LAYERS, NOTHING, training_view
from pages.parts.views.training_details import FRAMES, rates
from vgdash.training.lr_finder import RateParams, find_rate
from vgdash.training.trainer import TrainParams, train

ZEROS, HE = 0, 1  # in the order of the vocabulary


@pytest.fixture(scope="module")
def run():
    """Some snapshots of four nets: those of he_normal learn, those of zeros do not."""
    p = TrainParams.uniform(4, 16, initializers=("zeros", "he_normal"), learning_rate=0.05, batch=32,
                            steps=200, seeds=2, snapshots=8)
    return p, list(train(p))


def looked(run, look, statistic="grad2", of="he_normal", over=True):
    p, snapshots = run
    return training_view(p, snapshots, look, of, statistic, 0.9, over)


def line(table, series):
    rows = table.to_pandas() if hasattr(table, "to_pandas") else table
    return rows[(rows.part == "line") & (rows.series == series)].sort_values("x")


def test_held_out_accuracy_is_drawn_where_it_was_tested_with_the_range_of_the_seeds(run):
    p, snapshots = run
    tested = [snapshot for snapshot in snapshots if snapshot.step in p.held_out_steps]
    drawn = line(looked(run, COURSE).tables["accuracy"], "he_normal")
    seen = np.array([snapshot.held_out[HE] for snapshot in tested])
    assert list(drawn.x) == [snapshot.step for snapshot in tested]
    for column, values in (("y", seen.mean(axis=1)), ("low", seen.min(axis=1)), ("high", seen.max(axis=1))):
        np.testing.assert_allclose(drawn[column], values, rtol=1e-9)


def test_updates_are_those_of_the_median_layer_that_moves(run):
    _, snapshots = run
    drawn = line(looked(run, GRADIENTS).tables["updates"], "he_normal")
    expected = np.array([np.median(snapshot.update_ratio[HE], axis=-1).mean() for snapshot in snapshots])
    np.testing.assert_allclose(drawn.y, np.maximum(expected, NOTHING), rtol=1e-6)
    assert np.isneginf(snapshots[-1].update_ratio[ZEROS]).all()
    assert not len(line(looked(run, GRADIENTS).tables["updates"], "zeros"))


def test_the_map_of_gradients_holds_their_root_mean_squares_by_layer_and_step(run):
    p, snapshots = run
    cells = looked(run, GRADIENTS).tables["gradients"]
    assert len(cells) == len(snapshots) * p.depth
    by_step = {snapshot.step: snapshot for snapshot in snapshots}
    for cell in cells.itertuples():
        layer = round(cell.y + 0.5)
        mean_square = by_step[round(cell.x)].grad2[HE, :, layer - 1].mean()
        assert cell.value == pytest.approx(np.log10(mean_square) / 2, rel=1e-6)
        assert cell.text.startswith(f"layer {layer}, step {round(cell.x)}: ")


@pytest.mark.parametrize(("statistic", "drawn_as"), [
    ("grad2", lambda values: np.log10(values) / 2), ("update_ratio", lambda values: values),
    ("gradient_ratio", lambda values: values), ("drift", np.log10), ("dead", lambda values: values),
    ("saturated", lambda values: values)])
def test_a_statistic_by_layer_is_the_mean_over_seeds_at_moments_of_the_run(run, statistic, drawn_as):
    p, snapshots = run
    moments = (FRAMES // 2, snapshots[round((len(snapshots) - 1) / 2)]), (FRAMES - 1, snapshots[-1])
    table = looked(run, LAYERS, statistic).tables["layers"]
    assert set(table.k) <= set(range(FRAMES))
    for k, snapshot in moments:
        shown = line(table[table.k == k], "he_normal")
        assert list(shown.x) == list(range(1, p.depth + 1))
        values = drawn_as(getattr(snapshot, statistic)[HE].astype(float)).mean(axis=0)
        np.testing.assert_allclose(shown.y, values, rtol=1e-5, atol=1e-9)
        assert set(shown.text) == {f"step {snapshot.step:,}"}
    assert set(looked(run, LAYERS, statistic, over=False).tables["layers"].k) == {0}


def test_a_net_that_diverged_is_counted_and_the_others_go_on():
    p = TrainParams.uniform(5, 32, initializers=("he_normal",), learning_rate=0.7, steps=200, seeds=8,
                            snapshots=8)
    snapshots = list(train(p))
    last = snapshots[-1]
    gone = last.diverged[0] >= 0
    assert 0 < gone.sum() < gone.size
    view = training_view(p, snapshots, COURSE, "he_normal", "grad2", 0.9, True)
    assert f"{gone.sum()} of 8 nets of He blew up" in view.verdict
    assert f"{100 * np.nanmean(last.held_out[0]):.0f} % right on new digits" in view.verdict
    drawn = line(view.tables["accuracy"], "he_normal")
    assert drawn.x.iloc[-1] == p.steps, "the line of the others goes on"
    assert drawn.y.iloc[-1] == pytest.approx(np.nanmean(last.held_out[0]))


@pytest.mark.parametrize(("initializers", "to_the_end"), [
    (("standard_normal", "he_normal"), False), (("zeros", "he_normal"), True)])
def test_where_all_nets_blew_up_the_axis_ends_there(initializers, to_the_end):
    p = TrainParams.uniform(5, 32, initializers=initializers, learning_rate=10.0, steps=40)
    snapshots = list(train(p))
    view, last = training_view(p, snapshots, COURSE, "he_normal", "grad2", 0.9, True), snapshots[-1]
    assert (last.diverged[:, 0] < 0).any() == to_the_end
    for table in view.tables.values():
        drawn = table.to_pandas()
        extent = drawn[drawn.part == "extent"]
        assert extent.x.max() == (p.steps if to_the_end else last.diverged.max())
    assert view.verdict.startswith("Step 40: " if to_the_end else "Both blew up by step ")


def test_a_net_that_answers_better_than_chance_does_not_stand_still_though_wrong_labels_hold_its_loss_up():
    p = TrainParams.uniform(3, 32, dataset="moons", initializers=("zeros", "he_normal"), label_noise=0.4,
                            optimizer="adam", steps=300, seeds=1, snapshots=5)
    snapshots = list(train(p))
    last = snapshots[-1]
    assert abs(last.loss[1, 0] - np.log(2)) < 0.03 * np.log(2), "its loss has hardly moved"
    assert last.held_out[1, 0] > 0.65
    said = training_view(p, snapshots, COURSE, "he_normal", "grad2", 0.9, True).verdict
    assert f"{100 * last.held_out[1, 0]:.0f} % right on new points" in said
    assert "zeros still guesses" in said


def test_rates_are_told_and_drawn_as_found():
    found = find_rate(RateParams.uniform(4, 16, steps=50, batch=16, rates_tried=7, lowest=0.01, highest=100.0,
                                         seeds=2, initializers=("zeros", "he_normal")))
    said, table = rates(found)
    assert "**zeros** learns at no rate." in said
    best = re.search(r"\*\*He\*\* learns best at η = ([\d.]*\d)", said).group(1)
    assert float(best) == pytest.approx(found.best[1], rel=0.05)
    loss = found.loss[1].mean(axis=1)
    alive = np.isfinite(loss)
    assert not alive.all()
    drawn = line(table, "he_normal")
    np.testing.assert_allclose(drawn.x, found.rates[alive])
    np.testing.assert_allclose(drawn.y, np.log10(loss[alive]), rtol=1e-6)
    label = table.to_pandas().query("part == 'label' and series == 'he_normal'")
    assert label.x.item() == found.rates[alive][-1]
