"""Results, remembered per parameter set and bounded in entries and bytes. The only place where pages meet computation."""

from __future__ import annotations

from functools import partial

import streamlit as st

from pages.parts.views import initializers as initializer_views
from pages.parts.views import linear_chain as chain_views
from pages.parts.views import neuron_variance as neuron_views
from pages.parts.views import trainable_depth as phase_views

ENTRIES = 400  # per kind of result
MEGABYTES = 24

remembered = partial(st.cache_data, show_spinner=False, max_entries=ENTRIES, max_size=f"{MEGABYTES}mb")


@remembered
def chain(p: chain_views.ChainParams, learning_rate: float) -> chain_views.ChainView:
    return chain_views.chain_view(p, learning_rate)


@remembered
def neuron(p: neuron_views.NeuronParams) -> neuron_views.NeuronView:
    return neuron_views.neuron_view(p)


@remembered
def comparison(p: initializer_views.CompareParams) -> initializer_views.ComparisonView:
    return initializer_views.comparison_view(p)


@remembered
def phases(p: phase_views.PhaseParams) -> phase_views.PhaseView:
    return phase_views.phase_view(p)
