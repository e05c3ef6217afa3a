"""The only door from pages to computation: results, computed once for all sessions, by parameter set."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import lru_cache, partial, wraps
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from pages.parts import concurrency, questions
from pages.parts.scenes import SCENES
from pages.parts.state import session
from pages.parts.views import advice as advice_views
from pages.parts.views import (
    chain_steps,
    own_files,
    same_net,
    singular_values,
    spirals,
    trainability_map,
    training_words,
)
from pages.parts.views import histograms as histogram_views
from pages.parts.views import initializers as initializer_views
from pages.parts.views import linear_chain as chain_views
from pages.parts.views import neuron_variance as neuron_views
from pages.parts.views import phase_point as phase_views
from pages.parts.views import published as published_views
from pages.parts.views import your_network as network_views
from vgdash.chain_learning import DescentParams
from vgdash.diagnosis.outlook import outlooks
from vgdash.linear_chain import ChainParams, linear_chain
from vgdash.models.examples import example as shipped_report
from vgdash.models.report import Report
from vgdash.params import Params
from vgdash.probe.probe import CompareParams, Probe, ProbeParams, compare
from vgdash.published.records import Outcome, check
from vgdash.single_neuron import NeuronParams, neuron_variance
from vgdash.sweep import shipped
from vgdash.theory.phase_diagram import PhaseParams, phase_map, plane
from vgdash.training.params import TrainParams

PARAMS = (ChainParams, NeuronParams, CompareParams, ProbeParams, PhaseParams, TrainParams)
RECOMPUTING = 15.0  # seconds between two recomputations of the claims: every student in a hall has the button
WIDE = 256  # units from which nets do as theory says, and their weights would take memory from a run
LONG_WORK, LONG_MEMORY = 1e10, 50e6  # operations (a tenth of a second), bytes: above, a computation is long
Function = Callable[..., Any]


def is_long(p: Any = None, *rest: Any) -> bool:
    """Return True if a computation for ``p`` takes more than about a tenth of a second."""
    return isinstance(p, (ProbeParams, CompareParams)) and (p.work > LONG_WORK or p.memory > LONG_MEMORY)


def remembered(max_entries: int, long: Callable[..., bool] = is_long) -> Callable[[Function], Function]:
    """Cache the last results of a function for all sessions; simultaneous requests for one compute it once.

    ``st.cache_resource`` has a lock for each result. But any client can make Streamlit clear its caches, so
    ``lru_cache`` holds the same results too. Computations with ``long(*arguments)`` run one at a time.
    """
    def decorate(compute: Function) -> Function:
        @lru_cache(max_entries)
        def computed(*arguments: Any) -> Any:
            with concurrency.long_work() if long(*arguments) else nullcontext():
                return to_arrow(compute(*arguments))

        @st.cache_resource(max_entries=max_entries, show_spinner=False,
                           hash_funcs=dict.fromkeys(PARAMS, hash))
        @wraps(compute)
        def shared(*arguments: Any) -> Any:
            return computed(*arguments)

        @wraps(compute)
        def result(*arguments: Any) -> Any:
            if not (long(*arguments) and concurrency.in_script()):
                return shared(*arguments)
            with concurrency.released_slot(), session().long_work:
                return shared(*arguments)

        def forget() -> None:
            shared.clear()
            computed.cache_clear()

        result.forget = forget
        return result
    return decorate


def to_arrow(value: Any) -> Any:
    """Convert every table in a value, record, tuple or dictionary to an Arrow table, which cannot change."""
    if isinstance(value, pd.DataFrame):
        return pa.Table.from_pandas(value, preserve_index=False)
    if isinstance(value, dict):
        return {key: to_arrow(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(to_arrow(part) for part in value)
    if dataclasses.is_dataclass(type(value)) and type(value).__module__.startswith("pages."):
        changed = {field.name: to_arrow(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **changed)
    return value


@remembered(150)
def chain(p: ChainParams, learning_rate: float) -> chain_views.ChainView:
    return chain_views.chain_view(p, learning_rate)


@remembered(100)
def chain_step(p: ChainParams, step: int) -> str:
    return chain_steps.steps_view(p, step)


@remembered(150)
def neuron(p: NeuronParams) -> neuron_views.NeuronView:
    return neuron_views.neuron_view(p)


@remembered(60)  # a quarter of a megabyte each; what is shown of them is remembered below
def compared(p: CompareParams) -> tuple[Probe, ...]:
    return tuple(compare(p).probes.values())


@remembered(200)
def comparison(p: CompareParams) -> initializer_views.ComparisonView:
    return initializer_views.comparison_view(compared(p))


@remembered(200)
def shares(p: CompareParams, statistic: str) -> pa.Table:
    return initializer_views.shares_view(compared(p), statistic)


@remembered(200)
def advice(p: CompareParams, initializer: str) -> advice_views.AdviceView:
    return advice_views.advice_view(compared(p)[p.initializers.index(initializer)])


@remembered(100, long=lambda *_: False)
def code(p: ProbeParams, framework: str) -> tuple[advice_views.Code, ...]:
    return advice_views.code_view(p, framework)


def foreseen(p: TrainParams) -> training_words.Foreseen:
    """Return for each initializer if theory expects it to learn; nothing if the nets cannot be measured."""
    nets = same_net.comparison(p)
    return () if isinstance(nets, str) else _foreseen(nets, p.optimizer)


@remembered(100)
def _foreseen(nets: CompareParams, optimizer: str) -> training_words.Foreseen:
    if min(nets.widths[1:-1], default=0) >= WIDE:
        return training_words.foresee(outlooks(nets.probes), optimizer)
    return training_words.foresee(map(initializer_views.cached_diagnosis, compared(nets)), optimizer)


@remembered(50)
def histograms(p: ProbeParams, of: str) -> histogram_views.HistogramsView:
    return histogram_views.histograms_view(p, of)


@remembered(50, long=lambda p: True)
def spectrum(p: ProbeParams) -> singular_values.SpectrumView:
    return singular_values.spectrum_view(p)


@remembered(100)
def phases(p: PhaseParams) -> phase_views.PhaseView:
    return phase_views.phase_view(p)


@remembered(4)
def example(name: str) -> Report:
    return shipped_report(name)


@remembered(100)
def _shown_example(name: str, place: int, initializer: str) -> network_views.NetworkView:
    return network_views.network_view(example(name), place, initializer, name)


@remembered(100)
def _example_plane(name: str, place: int) -> network_views.PlaneView | None:
    return network_views.plane_view(example(name), place)


def network(name: str, place: int, initializer: str, own: Report | None) -> network_views.NetworkView:
    """Show an example, or a visitor's own report, which no cache holds."""
    if own is None:
        return _shown_example(name, place, initializer)
    with concurrency.released_slot(), concurrency.long_work():
        return network_views.network_view(own, place, initializer)


def layer_plane(name: str, place: int, own: Report | None) -> network_views.PlaneView | None:
    """Show the layers of a report on the plane of variances, if an activation is known."""
    return _example_plane(name, place) if own is None else network_views.plane_view(own, place)


def read_file(sent: Any, activation: str) -> Report:
    """Read the file that a browser has sent. Raises ``ParamError``; keeps nothing of it but the report."""
    with concurrency.released_slot(), concurrency.long_work():
        return own_files.read(sent, activation)


def with_activation(own: Report, activation: str) -> Report:
    """Return a report on weights alone as theory has it with another activation; others stay."""
    return own_files.with_activation(own, activation)


@remembered(1)
def shipped_map() -> tuple[str, pa.Table]:
    found = shipped()
    return trainability_map.describe_map(found), trainability_map.map_table(found)


@remembered(1)
def film() -> dict[str, Any]:
    return spirals.film_view()


@remembered(100, long=lambda question, p: isinstance(p, TrainParams))
def reveal(question: str, p: Params) -> questions.Reveal:
    """Compute the truth of a question for the parameter set of its scene."""
    return questions.reveal(question, p)


@remembered(100)
def claim(key: str) -> Outcome:
    return check(published_views.CLAIMS[key])


@remembered(20)
def mistake(key: str) -> published_views.MistakeView:
    return published_views.mistake_view(published_views.CORRECTED[key])


_recomputed = {"at": -RECOMPUTING}  # time of the last ``recompute`` of any session


def recompute() -> None:
    """Forget all claims and mistakes, so that they are computed again; once in ``RECOMPUTING`` seconds."""
    if time.monotonic() - _recomputed["at"] >= RECOMPUTING:
        _recomputed["at"] = time.monotonic()
        claim.forget()
        mistake.forget()


def slopes(activation: str) -> tuple[float, ...]:
    """Return the values of sigma_w2 on the plane of an activation."""
    return tuple(plane(activation).sigma_w2)


# ---- downloads, computed on demand and not cached

TABLES: dict[type[Params], Callable[[Any], pd.DataFrame]] = {
    ChainParams: lambda p: linear_chain(p).frame(),
    NeuronParams: lambda p: neuron_variance(p).frame(),
    CompareParams: lambda p: compare(p).frame(),
    PhaseParams: lambda p: phase_map(p).frame(),
}


def table(p: Params) -> pd.DataFrame:
    """Compute the numbers behind the charts of ``p``."""
    with concurrency.released_slot(), concurrency.long_work():
        return TABLES[type(p)](p)


# ---- results computed ahead

OPENING: dict[type[Params], Callable[..., Any]] = {
    ChainParams: lambda p: chain(p, DescentParams().learning_rate),
    NeuronParams: neuron,
    CompareParams: lambda p: (comparison(p), advice(p, p.initializers[0])),
    PhaseParams: phases,
}


def opening(p: Params) -> None:
    """Compute the results that a page shows first for ``p``."""
    OPENING[type(p)](p)


def open_pages() -> None:
    """Compute the first results of every page. The page itself reports an error."""
    first = next(iter(network_views.EXAMPLES)), 0
    own = partial(network, *first, network_views.AS_THEY_ARE, None), partial(layer_plane, *first, None)
    for compute in (*(partial(opening, kind()) for kind in OPENING), shipped_map, *own):
        with suppress(Exception):
            compute()


def tasks_ahead() -> list[tuple[Callable[..., Any], tuple]]:
    """List what a server that is quiet computes: published claims, then the scenes."""
    return [*((claim, (key,)) for key in published_views.CLAIMS),
            *((mistake, (key,)) for key in published_views.CORRECTED),
            *((opening, (p,)) for scene in SCENES for p in scene.sides if type(p) in OPENING)]
