"""Single neuron: its verdict in words, and the tables of its charts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pages.parts import charts
from pages.parts.text import markdown_table, measured, number, times
from vgdash.single_neuron import (
    NeuronParams,
    NeuronVariance,
    VarianceSweep,
    neuron_variance,
    variance_against_n,
)

WHY = r"""
**Why.** $z = \sum_{i=1}^{n} w_i x_i$ has $n$ uncorrelated terms with mean 0, so variances add:

$$\mathrm{Var}(z) = n \cdot \mathrm{Var}(w) \cdot E[x^2]$$

Keep the size, $\mathrm{Var}(z) = E[x^2]$: $\mathrm{Var}(w) = \frac1n$, in code
`randn(shape) * sqrt(1/n[l-1])`.

ReLU throws half of $E[z^2]$ away, $E[a^2] = \tfrac12 \mathrm{Var}(z)$: so $\mathrm{Var}(w) = \frac2n$,
`randn(shape) * sqrt(2/n[l-1])`.

“Xavier” names two formulas: $\frac1{n_{in}}$ in the lecture, $\frac2{n_{in}+n_{out}}$ in the frameworks.
$\gamma$ multiplies the weights, so variances gain $\gamma^2$.

Over $n$, lines are this theory; points are sampled, with two standard errors.
"""
NUMBERS_HEADER = """\
| quantity | predicted | measured | apart, in standard errors |
|---|--:|--:|--:|"""


@dataclass(frozen=True)
class NeuronView:
    verdict: str
    histogram: pa.Table
    against_n: pa.Table
    numbers: str
    remarks: str


def neuron_view(p: NeuronParams) -> NeuronView:
    """Show the neuron ``p``, and neurons of other n."""
    found = neuron_variance(p)
    return NeuronView(_verdict(found), _histogram(found), _against_n(variance_against_n(p)), _numbers(found),
                      _remarks(found))


def _verdict(found: NeuronVariance) -> str:
    p = found.params
    factor = found.predicted_a2 / p.x2
    a2 = f"; after {p.activation} E[a²] = {number(found.predicted_a2, 2)}"
    after = "" if p.activation == "linear" else a2
    seen = measured(found.measured, found.stderr)
    return (f"Var(z) = {number(found.predicted, 2)} predicted, {seen} measured{after}. "
            f"**A layer of these multiplies E[x²] by {times(factor).removeprefix('×')}.**")


def _histogram(found: NeuronVariance) -> pa.Table:
    middle = (found.edges[1:] + found.edges[:-1]) / 2
    top = max(found.density.max(), found.predicted_density.max())
    parts = [charts.rows("bar", "sampled", middle, found.density, found.edges[:-1], found.edges[1:]),
             charts.rows("line", "predicted", middle, found.predicted_density),
             charts.rows("line", "Gaussian", middle, found.gaussian_density)]
    for i, text in enumerate(("▮ sampled", "━ predicted", "┅ Gaussian limit")):
        parts.append(charts.rows("label", text.split()[1], [found.edges[-1] * 0.42], [top * (1 - 0.09 * i)],
                                 text=[text]))
    return charts.table(parts)


def _against_n(sweep: VarianceSweep) -> pa.Table:
    parts, ends = [], {}
    rows = zip(sweep.rules, sweep.predicted, sweep.measured, sweep.stderr, strict=True)
    for rule, predicted, values, error in rows:
        y = np.log10(predicted)
        low, high = np.log10(np.maximum(values - 2 * error, values / 10)), np.log10(values + 2 * error)
        parts += [charts.rows("line", rule, sweep.n, y),
                  charts.rows("point", rule, sweep.n, np.log10(values), low, high, text=[
                      f"n = {n:,}, rule {rule}: {measured(v, e)}"
                      for n, v, e in zip(sweep.n, values, error, strict=True)])]
        ends[rule] = (sweep.n[-1], y[-1])
    return charts.table([*parts, *charts.end_labels(ends)])


def _numbers(found: NeuronVariance) -> str:
    """Markdown: predicted against measured, and their difference in standard errors."""
    within = "Var(z) over inputs, weights fixed"
    rows = []
    for name, predicted, value, error in (
            ("Var(z)", found.predicted, found.measured, found.stderr),
            ("E[a²]", found.predicted_a2, found.measured_a2, found.stderr_a2),
            (within, found.predicted_within, found.measured_within, found.stderr_within)):
        apart = f"{(value - predicted) / error:+.1f}".replace("-", "−") if error else "–"
        rows.append([name, number(predicted, 2), measured(value, error), apart])
    return markdown_table(NUMBERS_HEADER, rows)


def _remarks(found: NeuronVariance) -> str:
    """Explain what differs from the simple formula, for these parameters."""
    p, said = found.params, []
    if found.samples < p.samples:
        said.append(f"{found.samples:,} samples were drawn instead of {p.samples:,}: "
                    f"with {p.n:,} {p.distribution} weights each, more would take too long.")
    if not found.a2_exact:
        said.append("The prediction of E[a²] is the one for normal weights, off by about 1/n.")
    if p.mean:
        share = f"{found.shared:.{0 if found.shared < 0.99 else 2}%}"
        said.append("Inputs with a mean count through E[x²] = mean² + std²; "
                    f"{share} of Var(z) is then the same for every input.")
    if p.correlation:
        said.append("Correlated inputs leave Var(z) alone, but make neurons unequal: "
                    "z is no longer Gaussian, however large n is.")
    if found.outside > 0.001:
        said.append(f"{found.outside:.1%} of the samples lie outside the histogram: z has heavy tails.")
    return " ".join(said)
