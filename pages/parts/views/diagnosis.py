"""A closer look at one initializer: where its numbers lie, its Jacobian, what fails first, and what to choose instead."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
import pyarrow as pa

from pages.parts import charts
from pages.parts.text import count, listed, number, ten_to, times
from vgdash.activations import ACTIVATIONS
from vgdash.codegen.export import export
from vgdash.diagnosis.balance import BalanceParams, balance
from vgdash.diagnosis.first_failure import first_trouble
from vgdash.diagnosis.histograms import activation_histograms
from vgdash.diagnosis.jacobian import jacobian_spectrum
from vgdash.diagnosis.recommendation import FEW, Recommendation, recommend
from vgdash.number_formats import FORMATS
from vgdash.params import ParamError
from vgdash.probe.probe import Probe, ProbeParams

LAYERS = 10  # to scrub through
QUANTITY = "z"
BEYOND = 12.0  # decades; a spectrum wider than that is cut at its lower end


@dataclass(frozen=True)
class Scrubbing:
    table: pa.Table
    last: int  # index of the last layer to scrub to
    base: int | None  # the power of ten that the axis counts from, where bins are logarithmic on both sides of 0
    words: str


@dataclass(frozen=True)
class Spectrum:
    table: pd.DataFrame
    words: str


@dataclass(frozen=True)
class Advice:
    trouble: str
    formats: str
    choice: str
    ranking: str
    balance: str
    code: str


def histograms_view(p: ProbeParams) -> Scrubbing:
    """Histograms of z by layer, over the Gaussian that theory predicts; ``k`` numbers the layers."""
    found = activation_histograms(p, LAYERS)
    one = found.of[QUANTITY]
    base = None if one.scale == "linear" else round(math.log10(np.abs(one.edges).min())) - 1
    tables = []
    for k, layer in enumerate(found.layers):
        if not np.isfinite(one.share[k]).any():
            continue
        tables.append(pd.DataFrame({
            "k": k, "x": one.edges[:-1], "x2": one.edges[1:], "y": one.share[k], "predicted": one.predicted[k],
            "text": f"layer {layer}: root mean square {number(float(one.rms[k]))}"}))
    scale = "" if base is None else (" The axis is logarithmic on both sides of 0, since the layers differ by more than a factor of ten;"
                                     " one bin around 0 holds what is smaller.")
    words = f"**{p.initializer}**: drag through the layers; the line is the Gaussian that theory predicts.{scale} {found.reason}"
    return Scrubbing(pa.Table.from_pandas(pd.concat(tables), preserve_index=False), len(found.layers) - 1, base, words)


def on_one_axis(shown: Scrubbing, other: Scrubbing | None) -> tuple[pa.Table, int | None]:
    """The table of the chart of ``shown`` and the base of its axis: the axes of ``other``'s chart, where both have bins of one kind."""
    if other is None or (shown.base is None) != (other.base is None):
        return charts.on_decades(shown.table, shown.base), shown.base
    base = None if shown.base is None else min(shown.base, other.base)
    return charts.with_extent_of_layers(*(charts.on_decades(one.table, base) for one in (shown, other))), base


def spectrum_view(p: ProbeParams) -> Spectrum:
    """Histogram of log10 s of the input-output Jacobian, with the moments that theory predicts; or why there is none."""
    try:
        found = jacobian_spectrum(p)
    except ParamError as error:
        return Spectrum(charts.table([]), f"No singular values: {error.field} must be {error.rule}. {error.instead}")
    finite = found.log10_s[np.isfinite(found.log10_s)]
    reason = f" {_sentence(found.reason)}" if found.reason else ""
    if not finite.size:
        return Spectrum(charts.table([]), f"All singular values are 0: nothing of the input reaches layer {p.depth}.{reason}")
    width = np.diff(found.edges)
    low = max(found.edges[0], finite.max() - BEYOND)
    shown = found.edges[1:] > low
    parts = [charts.rows("bar", "sampled", *(values[shown] for values in (
        (found.edges[:-1] + found.edges[1:]) / 2, found.share / width, found.edges[:-1], found.edges[1:])))]
    measured_mean = float(np.mean(found.log10_mean))
    if math.isfinite(found.predicted_log10_mean):
        parts.append(charts.rows("mark", "predicted", [found.predicted_log10_mean / 2], [0], text=["│ predicted √mean s²"]))
    cut = f" The chart shows the upper {BEYOND:.0f} decades." if low > found.edges[0] else ""
    words = (f"**{p.initializer}**: singular values of ∂z[{p.depth}]/∂x run from {ten_to(finite.min())} to {ten_to(finite.max())}"
             f"{f', {found.zeros:.0%} are exactly 0' if found.zeros else ''}. Mean of s²: {ten_to(measured_mean)} measured"
             + (f", {ten_to(found.predicted_log10_mean)} predicted" if math.isfinite(found.predicted_log10_mean) else "")
             + f".{cut}{reason}")
    return Spectrum(charts.table(parts), words)


@lru_cache(250)
def _recommended(p: ProbeParams) -> Recommendation:
    return recommend(p)


def advice_view(seen: Probe, framework: str) -> Advice:
    """What fails first in these nets, what to choose instead and why, and the code for it."""
    p, trouble = seen.params, first_trouble(seen)
    found = _recommended(replace(p, seed=0, seeds=1))  # theory knows no seeds
    tuned = f"γ = {found.gamma:.3g}" if found.gamma != 1 or p.gamma != 1 else ""
    bias = f"σ_b² = {found.choice.sigma_b2:.3g}" if found.choice.sigma_b2 else "no bias" if p.sigma_b2 else ""
    with_ = f" with {listed(there)}" if (there := [what for what in (tuned, bias) if what]) else ""
    head = f"Choose **{found.initializer}**{with_}." if found.change else f"**{p.initializer}** is the best there is here: keep it."
    choice = f"{head} {' '.join(found.why)}"
    code = export(found.initializer, p.activation, framework, p.widths, found.gamma, found.choice.sigma_b2)
    if left_out := _beside_weights(p):
        code = f"# The choice holds for the net with {listed(left_out)}, which this code leaves to you.\n{code}"
    return Advice(f"{p.initializer}: {trouble.sentence[0].lower()}{trouble.sentence[1:]}", _formats(trouble), choice, _ranking(found),
                  _balance(p), code)


def _beside_weights(p: ProbeParams) -> list[str]:
    """What a net has besides weights, biases and activation."""
    return [name for name, there in (
        (f"{p.normalization} normalization", p.normalization != "none"), (f"{p.residual} skip connections", p.residual != "none"),
        (f"dropout that keeps {p.keep:.0%}", p.keep < 1), ("LSUV rescaling", p.rescale != "none")) if there]


def _formats(trouble) -> str:
    lines = ["| number format | signal: digits lost | zero | overflow | gradient: digits lost | zero | overflow |",
             "|---|--:|--:|--:|--:|--:|--:|"]
    last = trouble.formats[-1]  # float64: whatever ends there has ended in float32
    for one in trouble.formats:
        cells = (one.subnormal, one.zero, one.overflow, one.gradient_subnormal, one.gradient_zero, one.gradient_overflow)
        end = "\\*" if one is last else ""
        lines.append(f"| {one.name} | " + " | ".join("–" if layer is None else f"layer {layer}{end}" for layer in cells) + " |")
    assert len(trouble.formats) == len(FORMATS)
    ended = any((last.zero, last.overflow, last.gradient_zero, last.gradient_overflow))
    if ended:
        lines += ["", f"\\* The nets are computed in float32. Where that ends, nothing is known of {last.name}."]
    return "\n".join(lines)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def _ranking(found) -> str:
    lines = ["| choice | γ | signal, in all | gradient, in all |", "|---|--:|--:|--:|"]
    for name, gamma, (forward, backward, _) in list(zip(found.names, found.gammas, found.drifts, strict=True))[:6]:
        lines.append(f"| {name} | {gamma:.3g} | ×{ten_to(forward)} | ×{ten_to(backward)} |")
    return "\n".join(lines)


def _balance(p: ProbeParams) -> str:
    """The forward and the backward factor of one layer deep inside, in words; nothing where more than weights and f decide on them."""
    if p.residual != "none" or p.rescale != "none" or p.keep < 1 or p.depth < 2 or (p.normalization == "batch" and p.batch <= FEW):
        return ""
    middle = max(2, len(p.widths) // 2)
    fan_in, fan_out = p.widths[middle - 1:middle + 1]
    if fan_in != fan_out and not (ACTIVATIONS[p.activation].homogeneous and p.normalization == "none" and not p.sigma_b2):
        return ""  # the factors depend on E[z²], which settles nowhere
    try:
        found = balance(BalanceParams(p.activation, p.initializer, p.gamma, p.sigma_b2, fan_in, fan_out, p.normalization))
    except ParamError:
        return ""
    if not (math.isfinite(found.forward) and math.isfinite(found.backward)):
        return ""
    if (found.forward_first - 1) * (found.q_star - found.q_first) < 0:
        return ""  # the first layer lies beyond an unstable point, and E[z²] never comes to where it would settle from 1
    settles = {0.0: "tends to 0", math.inf: "grows without end"}.get(found.q_star, f"settles at {number(found.q_star, 2)}")
    where = "Deep inside" if math.isnan(found.q_star) or p.normalization != "none" else f"Deep inside, where E[z²] {settles}"
    if fan_in != fan_out:
        where = f"From {fan_in:,} to {count(fan_out, 'unit')}"
    words = (f"{where}, a layer passes **{times(found.forward)}** forward and **{times(found.backward)}** backward "
             "of the mean square.")
    if abs(math.log(max(found.forward, 1e-300))) < 0.005 < abs(math.log(max(found.backward, 1e-300))):
        words += " The signal is balanced, the gradient is not."
    if math.isfinite(found.gamma_forward):
        signal, gradient = f"{found.gamma_forward:.3g}", f"{found.gamma_backward:.3g}"
        verb = "balances" if signal == f"{p.gamma:.3g}" else "would balance"
        at = "At E[z²] = 1" + (" and without biases" if p.sigma_b2 else "")
        words += f" {at}, γ = {signal} {verb} {'both' if signal == gradient else f'the signal, γ = {gradient} the gradient'}."
    return words
