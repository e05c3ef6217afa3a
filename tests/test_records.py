"""Results are records whose arrays cannot be written, so that they can be cached and shared."""

from dataclasses import fields, is_dataclass

import numpy as np
import pytest

import vgdash
from vgdash.diagnosis.histograms import layer_histograms
from vgdash.params import Params
from vgdash.single_neuron import variance_against_n

PROBE = vgdash.ProbeParams.uniform(3, 8)
TRAINING = {"depth": 3, "width": 8, "dataset": "moons", "initializers": ("he_normal",), "steps": 10}
RESULTS = {
    "linear_chain": lambda: vgdash.linear_chain(vgdash.ChainParams(kind="gaussian", depth=3)),
    "descent": lambda: vgdash.descent(vgdash.DescentParams(depth=3)),
    "neuron_variance": lambda: vgdash.neuron_variance(vgdash.NeuronParams()),
    "variance_against_n": lambda: variance_against_n(vgdash.NeuronParams()),
    "probe": lambda: vgdash.probe(PROBE),
    "predict": lambda: vgdash.predict(PROBE),
    "phase_map": lambda: vgdash.phase_map(vgdash.PhaseParams()),
    "recommend": lambda: vgdash.recommend(PROBE),
    "jacobian_spectrum": lambda: vgdash.jacobian_spectrum(PROBE),
    "histograms": lambda: layer_histograms(PROBE, 3),
    "load": lambda: vgdash.load("moons"),
    "train": lambda: list(vgdash.train(vgdash.TrainParams.uniform(**TRAINING)))[-1],
    "steps_to": lambda: vgdash.steps_to(list(vgdash.train(vgdash.TrainParams.uniform(**TRAINING))), 0.9),
    "find_rate": lambda: vgdash.find_rate(vgdash.RateParams.uniform(**TRAINING)),
    "trainability": lambda: vgdash.trainability(vgdash.SweepParams(
        depths=(1,), sigma_w2_count=2, width=4, steps=1), workers=1),
    "mistakes": lambda: vgdash.MISTAKES[0].curves(),
}


def arrays(value):
    """All arrays in a record and in the records, sequences and mappings that it holds."""
    if isinstance(value, np.ndarray):
        yield value
    elif is_dataclass(value) and not isinstance(value, Params):
        for field in fields(value):
            yield from arrays(getattr(value, field.name))
    elif isinstance(value, tuple | list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from arrays(one)


@pytest.mark.parametrize("name", RESULTS)
def test_no_array_of_a_result_can_be_written(name):
    found = list(arrays(RESULTS[name]()))
    assert found
    assert not any(array.flags.writeable for array in found)
