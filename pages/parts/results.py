"""Results, remembered per parameter set and bounded in bytes. The only place where pages meet computation."""

from __future__ import annotations

import time

import pandas as pd
import pyarrow as pa
import streamlit as st

from pages.parts.memory import Remembered
from pages.parts.views import closer, measured_map
from pages.parts.views import initializers as initializer_views
from pages.parts.views import linear_chain as chain_views
from pages.parts.views import neuron_variance as neuron_views
from pages.parts.views import published as published_views
from pages.parts.views import trainable_depth as phase_views
from vgdash.network import CompareParams, Probe, ProbeParams, compare
from vgdash.published import Outcome, check
from vgdash.sweep import shipped

RECOMPUTING = 15.0  # seconds that published claims are kept at least: a hall of students has one button each


@Remembered
def chain(p: chain_views.ChainParams, learning_rate: float) -> chain_views.ChainView:
    return chain_views.chain_view(p, learning_rate)


@Remembered
def neuron(p: neuron_views.NeuronParams) -> neuron_views.NeuronView:
    return neuron_views.neuron_view(p)


@Remembered
def compared(p: CompareParams) -> tuple[Probe, ...]:
    return tuple(compare(p).probes.values())


@Remembered
def comparison(p: CompareParams) -> initializer_views.ComparisonView:
    return initializer_views.comparison_view(compared(p))


@Remembered
def shares(p: CompareParams, statistic: str) -> pa.Table:
    return initializer_views.shares_view(compared(p), statistic)


@Remembered
def phases(p: phase_views.PhaseParams) -> phase_views.PhaseView:
    return phase_views.phase_view(p)


@Remembered
def claim(key: str) -> Outcome:
    return check(published_views.CLAIMS[key])


@Remembered
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


@Remembered
def histograms(p: ProbeParams) -> closer.Scrubbing:
    return closer.histograms_view(p)


@Remembered
def spectrum(p: ProbeParams) -> closer.Spectrum:
    return closer.spectrum_view(p)


@Remembered
def advice(p: CompareParams, initializer: str, framework: str) -> closer.Advice:
    return closer.advice_view(compared(p)[p.initializers.index(initializer)], framework)


@Remembered
def shipped_map() -> tuple[str, pd.DataFrame]:
    found = shipped()
    return measured_map.words(found), measured_map.table(found)
