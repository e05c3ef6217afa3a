"""Singular values of one initializer's input-output Jacobian, as a sentence and a table."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pages.parts import charts, names
from pages.parts.text import ten_to
from vgdash.diagnosis.jacobian import jacobian_spectrum
from vgdash.params import ParamError
from vgdash.probe.probe import ProbeParams

MOST_DECADES = 12.0  # a wider spectrum is cut at its lower end


@dataclass(frozen=True)
class SpectrumView:
    table: pa.Table
    words: str


def spectrum_view(p: ProbeParams) -> SpectrumView:
    """Show log10 s as a histogram with the mean that theory predicts, or explain why there is none."""
    try:
        found = jacobian_spectrum(p)
    except ParamError as error:
        reason = f"No singular values: {error.field} must be {error.rule}. {error.instead}"
        return SpectrumView(charts.table([]), reason)
    finite = found.log10_s[np.isfinite(found.log10_s)]
    reason = f" {found.reason[0].upper()}{found.reason[1:]}." if found.reason else ""
    if not finite.size:
        words = f"All singular values are 0: nothing of the input reaches layer {p.depth}.{reason}"
        return SpectrumView(charts.table([]), words)
    low = max(found.edges[0], finite.max() - MOST_DECADES)
    shown = found.edges[1:] > low
    left, right, share = found.edges[:-1][shown], found.edges[1:][shown], found.share[shown]
    parts = [charts.rows("bar", "sampled", (left + right) / 2, share / (right - left), left, right)]
    zeros = f", {found.zeros:.0%} are exactly 0" if found.zeros else ""
    ends, mean = f"{ten_to(finite.min())} to {ten_to(finite.max())}", ten_to(float(np.mean(found.log10_mean)))
    words = (f"The Jacobian ∂z[{p.depth}]/∂x says how each output answers to each input. Its singular values "
             "are the factors by which it stretches or shrinks directions. "
             f"**{names.short(p.initializer)}**: they run from {ends}{zeros}. Mean of s²: {mean} measured")
    if math.isfinite(found.predicted_log10_mean):
        words += f", {ten_to(found.predicted_log10_mean)} predicted"
        parts.append(charts.rows("mark", "predicted", [found.predicted_log10_mean / 2], [0],
                                 text=["│ predicted √mean s²"]))
    cut = f" The chart shows the upper {MOST_DECADES:.0f} powers of ten." if low > found.edges[0] else ""
    return SpectrumView(charts.table(parts), f"{words}.{cut}{reason}")
