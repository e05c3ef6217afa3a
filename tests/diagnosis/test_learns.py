"""Who is expected to learn, against who learned, on a few nets; None is no expectation."""

import numpy as np
import pytest

from vgdash.diagnosis.diagnosis import diagnose
from vgdash.probe.probe import ProbeParams
from vgdash.training.trainer import TrainParams, train

NAMES = ("small_normal", "standard_normal", "lecun_normal", "he_normal", "pytorch_default")
HALF = 0.5  # of the held-out digits, that a net which learned has right


@pytest.mark.parametrize(("activation", "depth"), [("relu", 3), ("relu", 12), ("selu", 12), ("sigmoid", 6)])
def test_nets_learn_where_the_diagnosis_expects_it(activation, depth):
    widths = (64, *[32] * (depth - 1), 10)
    p = TrainParams(widths, activation, NAMES, learning_rate=0.1 if activation != "selu" else 0.02, steps=400)
    *_, last = (shot for shot in train(p) if np.isfinite(shot.held_out).any())
    right = dict(zip(p.initializers, np.nan_to_num(last.held_out).mean(axis=1), strict=True))
    expected = {name: diagnose(ProbeParams(widths, activation, name, batch=16)).learns for name in NAMES}
    wrong = {name: right[name] for name, learns in expected.items()
             if learns is not None and learns != (right[name] > HALF)}
    assert len(wrong) <= 1, wrong


@pytest.mark.parametrize(("dataset", "activation", "initializer", "gamma", "rate"), [
    ("wave", "sin(30*z)", "siren", 1.0, 0.001), ("spirals", "sin(30*z)", "siren", 1.0, 0.01),
    ("wave", "sin(60*z)", "siren", 1.0, 0.001), ("wave", "sin(z)", "lecun_normal", 10.0, 0.1)])
def test_sines_of_high_frequency_learn_from_one_or_two_features(
        dataset, activation, initializer, gamma, rate):
    """Unrelated inputs all become alike; neighbours do not, and inputs of few features have many."""
    features = 1 if dataset == "wave" else 2
    widths = (features, 64, 64, features)
    *_, last = train(TrainParams(widths, activation, (initializer,), dataset, gamma=gamma, learning_rate=rate,
                                 steps=1000, seeds=1, snapshots=2))
    assert last.held_out.mean() > 0.9
    found = diagnose(ProbeParams(widths, activation, initializer, gamma=gamma))
    assert found.learns is not False
    assert found.adam_learns is not False
    assert "vanish" not in found.sentence
    assert found.learns or initializer != "siren"
