"""What is said where a better start has no other faults than the present one, only smaller ones."""

import re

import pytest

from vgdash.diagnosis.recommendation import recommend
from vgdash.probe.probe import ProbeParams


@pytest.mark.parametrize("p", [
    ProbeParams.uniform(50, 100, "relu", "he_normal", normalization="batch"),
    ProbeParams.uniform(10, 128, "relu", "lecun_normal", normalization="layer"),
    ProbeParams.uniform(10, 128, "sigmoid", "he_normal", residual="plain"),
    ProbeParams.uniform(5, 128, "softplus", "lecun_normal", residual="plain"),
    ProbeParams.uniform(5, 128, "sigmoid", "pytorch_default", residual="scaled")], ids=str)
def test_two_starts_of_which_the_same_is_said_have_a_figure_that_decides(p):
    found = recommend(p)
    assert found.change
    said = [one.split(": ", 1)[1] for one in found.why if ": " in one]
    assert len(said) == len(set(said))
    (present,) = (one for one in said if one.startswith("the same. What decides is "))
    ours, theirs = map(float, re.findall(r"(\d+\.\d+) (?:factors of ten in the way )?with ", present))
    assert ours > theirs
    figures = zip(found.present[2:], found.outlook[2:], strict=True)
    assert any((ours, theirs) == pytest.approx(pair, abs=0.051) for pair in figures)
