"""Any set that an address can spell has a view of its own: no error, and no "nan" in its words.

``VGDASH_ANY_SETS=1000`` tries that many of each kind, new ones each time.
"""

import dataclasses
import os
import re

import pyarrow as pa
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from pages.parts.results import to_arrow
from pages.parts.views.advice import advice_view
from pages.parts.views.chain_steps import LAST_STEP, steps_view
from pages.parts.views.histograms import histograms_view, share_axes
from pages.parts.views.initializers import HISTOGRAMS, STATISTICS, comparison_view, shares_view
from pages.parts.views.linear_chain import chain_view
from pages.parts.views.neuron_variance import neuron_view
from pages.parts.views.phase_point import phase_view
from pages.parts.views.singular_values import spectrum_view
from pages.parts.views.training import LOOKS_AT, training_view
from tests.test_params_from_addresses import spelled
from vgdash.linear_chain import ChainParams
from vgdash.probe.probe import CompareParams, compare
from vgdash.single_neuron import NeuronParams
from vgdash.theory.phase_diagram import PhaseParams
from vgdash.training.params import TrainParams
from vgdash.training.trainer import train

MANY = int(os.environ.get("VGDASH_ANY_SETS", "0"))
MOST = 3e8  # operations of the nets of a set, some milliseconds
FORMULAS = ("sin(30*z)", "max(0,min(z,1))", "tanh(z)+0.1*z", "abs(z)", "z*sigmoid(1.702*z)")
NO_NUMBER = re.compile(r"(?<!\w)(NaN|nan|inf|None)(?!\w)")


def sets(kind):
    """Sets of a kind from texts that its rules allow; too much together is left out, as a page does."""
    texts = {key: spelled(rule) for key, rule in kind.keys().items()}
    if "activation" in texts:
        texts["activation"] |= st.sampled_from(FORMULAS)
    return st.fixed_dictionaries({}, optional=texts).map(
        lambda query: kind.parse_lenient({key: [text] for key, text in query.items()}, text=True)[0])


def words(view):
    """All texts of a view, those of its tables too."""
    if isinstance(view, str):
        return [view]
    if isinstance(view, pa.Table):
        texts = [column for column in view.columns if pa.types.is_string(column.type)]
        return [text for column in texts for text in column.to_pylist() if text]
    if isinstance(view, dict):
        return words(tuple(view.values()))
    if dataclasses.is_dataclass(view):
        return words(tuple(getattr(view, field.name) for field in dataclasses.fields(view)))
    return [text for part in view for text in words(part)] if isinstance(view, tuple) else []


def compared(p):
    """Views of Initializers."""
    probes = tuple(compare(p).probes.values())
    one = probes[0].params
    histograms = [histograms_view(one, of) for _, of in HISTOGRAMS.values()]
    for shown in histograms:
        assert shown.words
        if shown.table.num_rows:
            share_axes(shown, histograms[0])
    return (comparison_view(probes), advice_view(probes[0]), *histograms, spectrum_view(one),
            *(shares_view(probes, name) for name in STATISTICS))


def trained(p):
    """Views of a run, and of its first snapshot."""
    snapshots = list(train(p))
    return tuple(training_view(p, some, look, p.initializers[0], "grad2", 0.9, some is snapshots)
                 for look in LOOKS_AT for some in (snapshots, snapshots[:1]))


def has_words(view):
    found = words(to_arrow(view))
    assert found
    assert [text for text in found if NO_NUMBER.search(text)] == []


alike = settings(deadline=None, derandomize=not MANY, max_examples=MANY or 10,
                 suppress_health_check=list(HealthCheck))


@alike
@given(sets(ChainParams), st.floats(1e-6, 10.0), st.integers(0, LAST_STEP))
@example(ChainParams(0.5367999999999999, 9), 0.1, LAST_STEP)  # powers beyond 2⁶³
def test_any_chain(p, rate, step):
    has_words((chain_view(p, rate), steps_view(p, step)))


@alike
@given(sets(NeuronParams))
def test_any_neuron(p):
    has_words(neuron_view(p))


@alike
@given(sets(PhaseParams))
def test_any_point_of_the_plane(p):
    has_words(phase_view(p))


@alike
@given(sets(CompareParams))
@example(CompareParams.uniform(40, 256, initializers=("standard_normal",), seeds=1, batch=8))  # overflow
@example(CompareParams.uniform(8, 10, activation="sin(30*z)"))  # endless difficulty
@example(CompareParams((1, 1), batch=2, normalization="batch", norm_scale=2.2e-311))  # 10⁻⁶²¹ a layer
def test_any_comparison(p):
    assume(p.work < MOST)
    has_words(compared(p))


@alike
@given(sets(TrainParams))
def test_any_run(p):
    assume(p.effort < 3 * MOST)
    has_words(trained(p))
