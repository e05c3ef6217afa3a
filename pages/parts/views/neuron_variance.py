"""Single neuron: its verdict in words, and the tables of its charts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pages.parts import charts, names
from pages.parts.charts.drawings import neuron
from pages.parts.text import count, markdown_table, measured, number, times
from vgdash.activations import ACTIVATIONS
from vgdash.single_neuron import (
    NeuronParams,
    NeuronVariance,
    VarianceSweep,
    example,
    neuron_variance,
    variance_against_n,
)

WHY = r"""
**Why.** $z = \sum_{i=1}^{n} w_i x_i$ has $n$ uncorrelated terms with mean 0. So their variances add:

$$\mathrm{Var}(z) = n \cdot \mathrm{Var}(w) \cdot E[x^2]$$

$E[x^2]$ is the mean square of an input. Keep the size, $\mathrm{Var}(z) = E[x^2]$: then
$\mathrm{Var}(w) = \frac1n$, in code `randn(shape) * sqrt(1/n[l-1])`.

ReLU sets all negative $z$ to 0. It keeps half of the mean square, $E[a^2] = \tfrac12 \mathrm{Var}(z)$.
So $\mathrm{Var}(w) = \frac2n$, `randn(shape) * sqrt(2/n[l-1])`.

“Xavier” names two formulas: $\frac1{n_{in}}$ in the lecture, $\frac2{n_{in}+n_{out}}$ in the frameworks.
$\gamma$ multiplies the weights, so it multiplies variances by $\gamma^2$.

Chart of $\mathrm{Var}(z)$ against $n$: lines are theory, points are simulated neurons (± 2 standard errors:
19 of 20 lie within). The ring is your neuron.
"""
NUMBERS_HEADER = """\
| quantity | predicted | measured | difference (in standard errors) |
|---|--:|--:|--:|"""
LEGEND = ('<div class="legend"><span>▮ sampled</span><span>━ predicted</span>'
          '<span>┅ Gaussian limit</span></div>')
SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SEEN = 0.005  # share of samples that a bar of its own is worth
STEADY = 0.02  # of a factor: 1 within what the lecture's rules mean
DRAWN = 4  # inputs of the neuron in the picture
SIMPLE = {"×1.00": "keeps", "×0.50": "halves", "×2.00": "doubles"}  # factors that have a word


@dataclass(frozen=True)
class NeuronView:
    verdict: str
    drawing: str
    histogram: pa.Table
    activated: pa.Table
    against_n: pa.Table
    numbers: str
    remarks: str


def neuron_view(p: NeuronParams) -> NeuronView:
    """Show the neuron ``p``, and neurons of other n."""
    found = neuron_variance(p)
    return NeuronView(_verdict(found), _drawing(p), _histogram(found), _activated(found),
                      _against_n(variance_against_n(p), found), _numbers(found), _remarks(found))


def _verdict(found: NeuronVariance) -> str:
    p = found.params
    factor = times(found.predicted_a2 / p.x2)
    word = SIMPLE.get(factor)
    does = f"{word} the mean square" if word else f"multiplies the mean square by {factor[1:]}"
    seen = measured(found.measured, found.stderr)
    return (f"**A layer of such neurons {does}:** E[x²] = {number(p.x2, 2)} → E[a²] = "
            f"{number(found.predicted_a2, 2)}. Var(z) = {number(found.predicted, 2)} predicted, {seen} "
            "measured.")


def _drawing(p: NeuronParams) -> str:
    """Draw one neuron with the numbers of one draw: its first inputs, and the last."""
    one = example(p)
    drawn = [*range(min(p.n, DRAWN) - 1), p.n - 1]
    inputs = [(f"x{str(i + 1).translate(SUBSCRIPT)}", number(one.x[i], 1), f"× {number(one.w[i], 1)}")
              for i in drawn]
    z, a = number(one.z, 1), number(one.a, 1)
    activation = ACTIVATIONS[p.activation]
    f = "g" if activation.tree else activation.title
    words = f"One neuron with {count(p.n, 'input')}: z = {z}, a = {f}(z) = {a}"
    return neuron(inputs, z, a, f, p.n > DRAWN, words)


def _histogram(found: NeuronVariance) -> pa.Table:
    middle = (found.edges[1:] + found.edges[:-1]) / 2
    parts = [charts.rows("bar", "sampled", middle, found.density, found.edges[:-1], found.edges[1:]),
             charts.rows("line", "predicted", middle, found.predicted_density),
             charts.rows("line", "Gaussian", middle, found.gaussian_density)]
    return charts.table(parts)


def _activated(found: NeuronVariance) -> pa.Table:
    """Show the distribution of a = g(z). What is exactly 0 has no density: a full bar, and its share."""
    edges = found.edges_a
    middle = (edges[1:] + edges[:-1]) / 2
    density, predicted = found.density_a, found.predicted_density_a
    top = max(density.max(), predicted.max(), 1e-9)
    parts = [charts.rows("bar", "sampled", middle, density, edges[:-1], edges[1:]),
             charts.rows("line", "predicted", middle[predicted > 0], predicted[predicted > 0])]
    if found.predicted_zero_a > SEEN:
        zero = int(np.clip(np.searchsorted(edges, 0, "right") - 1, 0, len(middle) - 1))
        parts += [charts.rows("bar", "sampled", [0.0], [top], edges[zero], edges[zero + 1]),
                  charts.rows("label", "sampled", edges[:1], [0.9 * top], text=[
                      f"{found.zero_a:.0%} are 0"])]
    return charts.table(parts)


def _against_n(sweep: VarianceSweep, found: NeuronVariance) -> pa.Table:
    """Show Var(z) over n for every rule, and a ring at the neuron of the page."""
    p, parts, ends = found.params, [], {}
    rows = zip(sweep.rules, sweep.predicted, sweep.measured, sweep.stderr, strict=True)
    for rule, predicted, values, error in rows:
        y = np.log10(predicted)
        low, high = np.log10(np.maximum(values - 2 * error, values / 10)), np.log10(values + 2 * error)
        parts += [charts.rows("line", rule, sweep.n, y),
                  charts.rows("point", rule, sweep.n, np.log10(values), low, high, text=[
                      f"n = {n:,}, {names.short(rule)}: {measured(v, e)}"
                      for n, v, e in zip(sweep.n, values, error, strict=True)])]
        ends[rule] = charts.rows("label", rule, [sweep.n[-1]], [y[-1]], text=names.short(rule))
    here = charts.rows("mark", p.rule, [p.n], [np.log10(found.predicted)], text=[
        f"your neuron: n = {p.n:,}, {names.short(p.rule)}, Var(z) = {number(found.predicted, 2)}"])
    return charts.table([*parts, here, *ends.values()])


def _numbers(found: NeuronVariance) -> str:
    """Markdown: predicted against measured, and their difference in standard errors."""
    within = "Var(z) for one fixed set of weights"
    share = found.predicted_zero_a
    zeros = [("share of a = 0", share, found.zero_a, (share * (1 - share) / found.samples) ** 0.5)]
    rows = []
    for name, predicted, value, error in (
            ("Var(z)", found.predicted, found.measured, found.stderr),
            ("E[a²]", found.predicted_a2, found.measured_a2, found.stderr_a2),
            (within, found.predicted_within, found.measured_within, found.stderr_within),
            *(zeros if share > SEEN else ())):
        apart = f"{(value - predicted) / error:+z.1f}".replace("-", "−") if error else "–"
        rows.append([name, number(predicted, 2), measured(value, error), apart])
    return markdown_table(NUMBERS_HEADER, rows)


def _remarks(found: NeuronVariance) -> str:
    """Explain what differs from the simple formula, for these parameters."""
    p, said = found.params, []
    if found.samples < p.samples:
        said.append(f"{found.samples:,} samples were drawn instead of {p.samples:,}: "
                    f"with {p.n:,} {p.distribution} weights each, more would take too long.")
    if not found.a2_exact:
        said.append("The prediction of E[a²] is the one for normal weights: it is off by about 1/n.")
    small = found.predicted / p.x2 * float(ACTIVATIONS[p.activation].df(np.zeros(1))[0]) ** 2
    if abs(small - 1) < STEADY < 1 - found.predicted_a2 / p.x2:
        said.append("Deeper in a net this fades: the smaller z gets, the straighter is "
                    f"{ACTIVATIONS[p.activation].said}. Near 0 a layer keeps the mean square.")
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
