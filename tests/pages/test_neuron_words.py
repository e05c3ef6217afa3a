"""Verdicts of the single neuron: a factor that is shown as 1, ½ or 2 has its word."""

import re

import pytest

from pages.parts.views.neuron_variance import neuron_view
from vgdash.activations import ACTIVATIONS
from vgdash.single_neuron import NeuronParams


@pytest.mark.parametrize("n", [10, 30, 100, 300])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_no_verdict_multiplies_by_a_number_that_has_a_word(activation, n):
    verdict = neuron_view(NeuronParams(n=n, activation=activation, samples=2_000)).verdict
    assert not re.search(r"multiplies the mean square by (1\.00|0\.50|2\.00)\b", verdict)


def test_selu_keeps_the_mean_square_as_relu_does_with_its_own_rule():
    for n in (100, 300):
        assert "keeps the mean square" in neuron_view(
            NeuronParams(n=n, activation="selu", rule="1/n", samples=2_000)).verdict
