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
