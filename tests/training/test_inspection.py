"""Snapshots of the inside of nets against the same nets built again, layer by layer, from their weights."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.special

from tests.training.parameters import biases_of, weights_of
from vgdash.activations import ACTIVATIONS
from vgdash.layers import AXES, Net, Tape, forward, residual_factors
from vgdash.training.inspection import BINS, GRID, MARGIN, REACH, _histograms, spread
from vgdash.training.trainer import Trainer, TrainParams, train


def small(depth=5, width=16, **rest):
    settings = {"steps": 30, "snapshots": 3, "seeds": 2, "batch": 16,
                "initializers": ("lecun_normal", "he_normal"), "activation": "tanh", "learning_rate": 0.1}
    return TrainParams.uniform(depth, width, **settings | rest)


def finished(p):
    """Trainer, its weights at the start, and its snapshots, all in float64."""
    trainer = Trainer(p, dtype=np.float64)
    before = [weights_of(trainer, layer) for layer in range(1, p.depth + 1)]
    return trainer, before, list(trainer)


def hidden(trainer, which, seed, x):
    """Slope and activation ``(rows, units)`` of each hidden layer of a net now; the shares of the classes."""
    p = trainer.params
    weights, biases = ([get(trainer, layer)[which, seed] for layer in range(1, p.depth + 1)]
                       for get in (weights_of, biases_of))
    net = Net(ACTIVATIONS[p.activation], weights[:-1], [1.0] * (p.depth - 1),
              residual_factors(p.widths[:-1], p.residual), biases[:-1], AXES[p.normalization])
    tape = Tape(p.widths[:-1], len(x), np.float64)
    found = [(step.slope.copy(), step.a.copy()) for step in forward(net, x, tape)]
    return found, scipy.special.softmax(tape.a[-1] @ weights[-1].T + biases[-1], axis=1)


@pytest.mark.parametrize("rest", [
    {}, {"activation": "relu", "gamma": 0.5, "sigma_b2": 0.1}, {"activation": "gelu", "residual": "scaled"},
    {"normalization": "layer", "residual": "plain", "activation": "sigmoid", "gamma": 6.0}])
def test_units_and_histograms_are_those_of_the_first_held_out_examples(rest):
    p = small(**rest)
    trainer, _, shots = finished(p)
    last, threshold, flat_somewhere = shots[-1], ACTIVATIONS[p.activation].saturation_slope, False
    for which in range(2):
        for seed in range(2):
            layers, _ = hidden(trainer, which, seed, p.data.x_test[:p.batch])
            for layer, (slope, a) in enumerate(layers, 1):
                flat = np.abs(slope) < threshold
                flat_somewhere |= flat.any()
                assert last.saturated[which, seed, layer - 1] == pytest.approx(flat.mean(), rel=1e-6)
                assert last.dead[which, seed, layer - 1] == pytest.approx(flat.all(axis=0).mean(), rel=1e-6)
                at, rms = p.histogram_layers.index(layer), np.sqrt((a * a).mean())
                assert last.rms[which, seed, at] == pytest.approx(rms, rel=1e-6)
                counts, _ = np.histogram(np.clip(a / rms, -REACH, REACH),
                                         np.linspace(-REACH, REACH, BINS + 1))
                assert last.histogram[which, seed, at].sum() == a.size
                # one number on an edge
                assert np.abs(last.histogram[which, seed, at].astype(int) - counts).sum() <= 2
            assert last.saturated[which, seed, -1] == last.dead[which, seed, -1] == 0
    assert flat_somewhere or p.activation in ("tanh", "gelu")


def test_relu_units_without_any_input_above_0_are_dead():
    p = small(depth=3, width=64, activation="relu", initializers=("identity",), seeds=1, steps=1, snapshots=1,
              gamma=0.0, sigma_b2=1.0)
    trainer = Trainer(p)
    first = next(iter(trainer))
    for layer in (1, 2):  # z = b for every example
        negative = (biases_of(trainer, layer)[0, 0] <= 0).mean()
        assert first.dead[0, 0, layer - 1] == pytest.approx(negative, rel=1e-6)
        assert first.saturated[0, 0, layer - 1] == first.dead[0, 0, layer - 1]
        assert 0.2 < negative < 0.8


def test_histograms_hold_at_most_2048_numbers():
    p = TrainParams((64, 64, 64, 10), initializers=("identity",), activation="linear", batch=128, steps=1,
                    snapshots=1)
    first = next(train(p))
    x = p.data.x_test[:2048 // 64]  # the identity hands the picture on
    rms = np.sqrt((p.data.x_test[:128].astype(float) ** 2).mean())
    counts, _ = np.histogram(x / rms, np.linspace(-REACH, REACH, BINS + 1))
    for i in range(2):
        assert np.abs(first.histogram[0, 0, i].astype(int) - counts).sum() <= 2
        assert first.histogram[0, 0, i].sum() == 2048


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_histograms_have_open_ends_and_one_shape_at_any_scale(scale):
    numbers = np.random.default_rng(0).standard_cauchy((2, 30, 40)).astype(np.float32)
    rms, counts = _histograms(numbers * np.float32(scale))
    np.testing.assert_allclose(rms, scale * np.sqrt((numbers.astype(float) ** 2).mean(axis=(1, 2))),
                               rtol=1e-6)
    for net in range(2):
        unit = numbers[net] / np.sqrt((numbers[net].astype(float) ** 2).mean())
        expected, _ = np.histogram(np.clip(unit, -REACH, REACH), np.linspace(-REACH, REACH, BINS + 1))
        assert expected[[0, -1]].sum() >= (np.abs(unit) > REACH).sum() > 0
        assert np.abs(counts[net] - expected).sum() <= 2
    rms, counts = _histograms(np.zeros((1, 3, 4), np.float32))
    assert (rms[0], counts[0, BINS // 2]) == (0, 12)


def test_drift_is_the_distance_from_the_start_in_units_of_the_start():
    p = small()
    trainer, before, shots = finished(p)
    assert not shots[0].drift.any()
    for layer, start in enumerate(before, 1):
        moved = np.linalg.norm(weights_of(trainer, layer) - start, axis=(2, 3))
        moved /= np.linalg.norm(start, axis=(2, 3))
        np.testing.assert_allclose(shots[-1].drift[..., layer - 1], moved, rtol=1e-6)
    assert shots[-1].drift.min() > 1e-3


def test_weights_that_start_at_0_drift_infinitely_far_or_not_at_all():
    p = small(initializers=("zeros",), residual="zero", depth=4)
    assert not list(train(p))[-1].drift.any()  # nothing but the last bias gets a gradient
    last = list(train(small(initializers=("he_normal",), residual="zero", depth=4)))[-1]
    assert np.isinf(last.drift[0, :, 1:3]).all()
    assert np.isfinite(last.drift[0, :, [0, 3]]).all()


@pytest.mark.parametrize(("dataset", "classes"), [("moons", 2), ("gaussians", 4)])
@pytest.mark.parametrize("residual", ["none", "plain"])
def test_the_decision_grid_is_what_the_net_of_seed_0_says(dataset, classes, residual):
    p = small(depth=3, dataset=dataset, residual=residual, batch=100)
    trainer, _, shots = finished(p)
    last = shots[-1]
    assert last.decision.shape == (2, GRID, GRID)
    low, high = p.data.x_train.min(axis=0), p.data.x_train.max(axis=0)
    for feature in range(2):
        room = MARGIN * (high - low)[feature]
        np.testing.assert_allclose(p.decision_axes[feature],
                                   np.linspace(low[feature] - room, high[feature] + room, GRID), rtol=1e-6)
    for which, name in enumerate(p.initializers):
        points = np.array([[x1, x2] for x2 in p.decision_axes[1] for x1 in p.decision_axes[0]])
        _, shares = hidden(trainer, which, 0, points)
        said = last.decision[which].ravel()
        if classes == 2:
            assert np.abs(said - 255 * shares[:, 1]).max() <= 0.5 + 1e-6
            assert said.max() - said.min() > 25
        else:
            assert np.array_equal(said, shares.argmax(axis=1))
        table = last.decision_frame()
        table = table[table["initializer"] == name]
        np.testing.assert_allclose(table[["x1", "x2"]], points)
        assert np.array_equal(table["value"], said)


def test_grids_are_at_the_first_and_last_step_and_take_a_twentieth_of_the_run():
    p = TrainParams.uniform(8, 32, dataset="spirals")
    shots = {s.step: s for s in train(replace(p, steps=90, snapshots=9))}
    decided = replace(p, steps=90, snapshots=9).decision_steps
    assert [step for step, s in shots.items() if s.decision is not None] == list(decided)
    assert (decided[0], decided[-1]) == (0, 90)
    assert next(train(small())).decision is None
    assert next(train(small())).decision_frame().empty
    one = 2 * p.nets * GRID * GRID * sum(n * m for n, m in zip(p.widths, p.widths[1:], strict=False))
    assert 0.03 < (len(p.decision_steps) * one) / p.flops < 0.055
    assert set(p.decision_steps) <= set(p.snapshot_steps)


def test_a_net_that_diverged_shows_nan_and_zeros_and_the_others_do_not_change():
    both = small(dataset="moons", initializers=("he_normal", "standard_normal"), activation="relu", depth=20,
                 width=64, seeds=1, steps=20)
    he = list(train(replace(both, initializers=("he_normal",))))
    for shot, alone in zip(train(both), he, strict=True):
        lost = shot.diverged[0, 0] >= 0
        assert both.initializers == ("standard_normal", "he_normal")
        assert lost == (shot.step > 0)
        for name in ("loss", "grad2", "dead", "saturated", "drift", "rms"):
            ours, his = getattr(shot, name), getattr(alone, name)[0]
            assert np.isnan(ours[0]).all() == lost
            np.testing.assert_allclose(ours[1], his, rtol=1e-5 if name == "loss" else 1e-3)
        assert shot.histogram[0].any() != lost
        if shot.decision is not None and lost:
            assert not shot.decision[0].any()
            assert shot.decision[1].any()


@pytest.mark.parametrize("rest", [
    {}, {"dataset": "gaussians", "steps": 50, "snapshots": 25}, {"depth": 1}, {"depth": 40, "width": 8}])
def test_snapshots_take_the_bytes_that_were_promised(rest):
    p = small(**rest)
    shots = list(train(p))
    assert p.snapshot_bytes == sum(s.nbytes for s in shots)
    assert shots[0].rms.shape == (2, 2, len(p.histogram_layers))
    assert len(p.histogram_layers) == min(12, p.depth - 1)


def test_spread_holds_both_ends():
    assert [spread(n, 4) for n in (0, 1, 2, 4, 10)] == [(), (0,), (0, 1), (0, 1, 2, 3), (0, 3, 6, 9)]
