"""Histograms of one initializer's signal or gradient by layer, as a table with one frame a layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from pages.parts import charts, names
from pages.parts.text import number
from vgdash.diagnosis.histograms import layer_histograms
from vgdash.probe.probe import ProbeParams

LAYERS = 10  # frames of the slider in the chart


@dataclass(frozen=True)
class HistogramsView:
    table: pa.Table  # without rows where no layer has numbers; the words say why
    last: int  # index of the last layer
    base: int | None  # power of ten that the axis counts from, where bins are logarithmic on both sides of 0
    words: str


def histograms_view(p: ProbeParams, of: str) -> HistogramsView:
    """Show histograms of the "signal" z or the "gradient" ∂C/∂z by layer; column ``k`` numbers the layers."""
    found = layer_histograms(p, LAYERS, of)
    last = len(found.layers) - 1
    if not np.isfinite(found.rms).any():
        return HistogramsView(pa.table({}), last, None, f"**{names.short(p.initializer)}**: {found.reason}")
    base = None if found.scale == "linear" else round(math.log10(np.abs(found.edges).min())) - 1
    frames = [pd.DataFrame({
        "k": k, "x": found.edges[:-1], "x2": found.edges[1:],
        "y": found.share[k], "predicted": found.predicted[k],
        "text": f"layer {layer}: root mean square {number(float(found.rms[k]))}"})
        for k, layer in enumerate(found.layers) if np.isfinite(found.share[k]).any()]
    scale = "" if base is None else (
        " The axis is logarithmic on both sides of 0, since the layers differ by more than a factor of ten;"
        " one bin around 0 holds what is smaller.")
    words = (f"**{names.short(p.initializer)}**: drag through the layers; "
             f"the line is the Gaussian that theory predicts.{scale} {found.reason}")
    table = pa.Table.from_pandas(pd.concat(frames), preserve_index=False)
    return HistogramsView(table, last, base, words)


def share_axes(shown: HistogramsView, other: HistogramsView | None) -> tuple[pa.Table, int | None]:
    """Table and axis base for the chart of ``shown``, with room for ``other`` if its bins are alike."""
    if other is None or not other.table.num_rows or (shown.base is None) != (other.base is None):
        return charts.on_decades(shown.table, shown.base), shown.base
    base = None if shown.base is None else min(shown.base, other.base)
    return charts.with_extent_of_layers(*(charts.on_decades(one.table, base) for one in (shown, other))), base
