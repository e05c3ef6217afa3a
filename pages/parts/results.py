"""Results, remembered per parameter set and bounded in bytes, computed in turn. The only place where pages meet computation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial, wraps
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType

from pages.parts import bounds, prefetch, turns
from pages.parts.gate import Asker, Gate, Gone
from pages.parts.memory import Remembered
from pages.parts.scenes import SCENES
from pages.parts.views import advice as advice_views
from pages.parts.views import histograms as histogram_views
from pages.parts.views import initializers as initializer_views
from pages.parts.views import linear_chain as chain_views
from pages.parts.views import neuron_variance as neuron_views
from pages.parts.views import phase_point as phase_views
from pages.parts.views import published as published_views
from pages.parts.views import singular_values, trainability_map
from vgdash.chain_learning import DescentParams
from vgdash.codegen.export import FRAMEWORKS
from vgdash.params import Params
from vgdash.probe.probe import CompareParams, Probe, ProbeParams, compare
from vgdash.published.records import Outcome, check
from vgdash.sweep import shipped

RECOMPUTING = 15.0  # seconds that published claims are kept at least: a hall of students has one button each


def _asker() -> Asker:
    """The session of this thread. It is gone when Streamlit has told the script to stop: another run of it is on its way, or nobody."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return Asker()
    requests = context.script_requests
    return Asker(context.session_id, lambda: requests is not None and requests._state is ScriptRequestType.STOP)


short, long = Gate(bounds.COMPUTING, _asker), Gate(bounds.COMPUTING_LONG, _asker)


@contextmanager
def in_turn(p: Any = None, *rest: Any, gate: Gate | None = None) -> Iterator[None]:
    """A place to compute something of ``p``. A script that is to stop while it waits stops there."""
    if gate is None:
        is_long = isinstance(p, (ProbeParams, CompareParams)) and (p.work > bounds.LONG_WORK or p.memory > bounds.LONG_MEMORY)
        gate = long if is_long else short
    try:
        with turns.aside(), gate.place():
            yield
    except Gone:
        st.stop()


def taking_turns(compute: Callable[[], Any]) -> Callable[[], Any]:
    """The same, in turn with the long computations: for what is not remembered, such as downloads."""
    @wraps(compute)
    def waiting() -> Any:
        with in_turn(gate=long):
            return compute()
    return waiting


def remembered(compute: Callable[..., Any]) -> Remembered:
    """Remembered, and computed in turn."""
    return Remembered(compute, gate=in_turn, waiting=turns.aside)


def remembered_long(compute: Callable[..., Any]) -> Remembered:
    """The same for what takes long whatever the parameters say."""
    return Remembered(compute, gate=partial(in_turn, gate=long), waiting=turns.aside)


@remembered
def chain(p: chain_views.ChainParams, learning_rate: float) -> chain_views.ChainView:
    return chain_views.chain_view(p, learning_rate)


@remembered
def neuron(p: neuron_views.NeuronParams) -> neuron_views.NeuronView:
    return neuron_views.neuron_view(p)


@remembered
def compared(p: CompareParams) -> tuple[Probe, ...]:
    return tuple(compare(p).probes.values())


@remembered
def comparison(p: CompareParams) -> initializer_views.ComparisonView:
    return initializer_views.comparison_view(compared(p))


@remembered
def shares(p: CompareParams, statistic: str) -> pa.Table:
    return initializer_views.shares_view(compared(p), statistic)


@remembered
def phases(p: phase_views.PhaseParams) -> phase_views.PhaseView:
    return phase_views.phase_view(p)


@remembered
def claim(key: str) -> Outcome:
    return check(published_views.CLAIMS[key])


@remembered
def mistake(key: str) -> published_views.MistakeView:
    return published_views.mistake_view(published_views.CORRECTED[key])


@st.cache_resource(show_spinner=False)
def _recomputed() -> dict[str, float]:
    """When the claims were last thrown away, for all visitors."""
    return {"at": -RECOMPUTING}


def recompute() -> None:
    """Throw all claims and mistakes away, so that they are computed anew; not again within ``RECOMPUTING`` seconds."""
    if time.monotonic() - _recomputed()["at"] >= RECOMPUTING:
        _recomputed()["at"] = time.monotonic()
        claim.clear()
        mistake.clear()


@remembered
def histograms(p: ProbeParams) -> histogram_views.HistogramsView:
    return histogram_views.histograms_view(p)


@remembered_long
def spectrum(p: ProbeParams) -> singular_values.SpectrumView:
    return singular_values.spectrum_view(p)


@remembered
def advice(p: CompareParams, initializer: str, framework: str) -> advice_views.AdviceView:
    return advice_views.advice_view(compared(p)[p.initializers.index(initializer)], framework)


@remembered
def shipped_map() -> tuple[str, pd.DataFrame]:
    found = shipped()
    return trainability_map.describe_map(found), trainability_map.map_table(found)


OPENING: dict[type[Params], Callable[..., Any]] = {  # what a page that is opened computes
    chain_views.ChainParams: lambda p: chain(p, DescentParams().learning_rate),
    neuron_views.NeuronParams: neuron,
    CompareParams: lambda p: (comparison(p), advice(p, p.initializers[0], FRAMEWORKS[0])),
    phase_views.PhaseParams: phases,
}


def open_pages() -> None:
    """Have ready what every page opens with. Where that fails, whoever opens the page will be told."""
    published = [partial(claim, key) for key in published_views.CLAIMS] + [partial(mistake, key) for key in published_views.CORRECTED]
    for compute in (*(partial(_open, kind()) for kind in OPENING), shipped_map, *published):
        with suppress(Exception):
            compute()


def prepare() -> None:
    """Have ready what all scenes show, as soon as nobody asks for anything."""
    prefetch.prepare(_open, [(scene.params,) for scene in SCENES if type(scene.params) in OPENING])


def _open(p: Params) -> None:
    OPENING[type(p)](p)
