"""What a linear chain says: its verdict in words, and the tables of its charts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pages.parts import charts
from pages.parts.series_style import GLYPHS, SERIES_STYLES
from pages.parts.text import count, ten_to, times
from vgdash.chain_learning import OUTCOMES, Descent, DescentParams, descent
from vgdash.linear_chain import Chain, ChainParams, linear_chain
from vgdash.number_formats import FORMATS

PATIENCE = 1_000  # steps of gradient descent
DEEPEST_TO_TRAIN = 60  # layers; deeper chains only add points at the cap
INFINITIVE = {"overflows": "overflow", "reaches zero": "reach zero", "sticks at a subnormal": "stick at a subnormal"}
MOST_LINEAR = 300  # decades that a linear axis of float64 numbers can hold

WHY = r"""
**Why.** With $g(z) = z$ and $b = 0$ a network is a product of matrices, $\hat y = W^{[L]} W^{[L-1]} \cdots W^{[1]} x$.
For $W^{[l]} = c\,I$ each layer multiplies by $c$:

$$a^{[l]} = c^{\,l} x \quad\Rightarrow\quad \log |a^{[l]}| = l \cdot \log c + \log |x|$$

a straight line on a log axis, and every slope but 0 is fatal. The gradient is the same line read from the other end:

$$\frac{\partial \hat y}{\partial a^{[l]}} = c^{\,L-l}$$

so the first layers learn least (or are thrown furthest), and a step of gradient descent is $\eta$ times that.
"""
WHY_RANDOM = r"""
**Random matrices.** With entries $N(0, \sigma^2/n)$ the mean of $|a|^2$ grows by $\sigma^2$ a layer, but rare huge draws carry that mean.
What you typically see is the Lyapunov exponent, $\tfrac12\left(\ln\tfrac{2\sigma^2}{n} + \psi(\tfrac n2)\right)$ a layer.

Lines are this exponent; points are the median of the chains drawn, and the band holds 8 of 10 of them.
"""


@dataclass(frozen=True)
class ChainView:
    verdict: str
    sizes: pa.Table
    linear: pa.Table
    beyond_float64: bool
    formats: str
    learning: str
    steps: pa.Table


def chain_view(p: ChainParams, learning_rate: float) -> ChainView:
    """Everything that the page shows of the chain ``p``, and of gradient descent on chains that start at its factor."""
    chain = linear_chain(p)
    linear, beyond = _linear(chain)
    learned = descent(DescentParams(p.factor, min(p.depth, DEEPEST_TO_TRAIN), learning_rate=learning_rate, cap=PATIENCE))
    return ChainView(_verdict(chain), _sizes(chain), linear, beyond, _format_table(chain), _learning(learned), _steps(learned))


def _verdict(chain: Chain) -> str:
    p = chain.params
    end = chain.log10_activation[-1]
    if p.kind == "gaussian":
        typical, rms = 10**chain.log10_factor, 10**chain.log10_factor_rms
        growth = (f"**Typically {times(typical)} a layer** (measured {times(10**chain.log10_factor_measured)}), "
                  f"while the root mean square grows {times(rms)}")
    else:
        growth = f"**{times(10**chain.log10_factor)} a layer**"
    return f"{growth}: after {count(p.depth, 'layer')} {ten_to(end)}. {_formats(chain)}"


def _formats(chain: Chain) -> str:
    """Where the number formats give up, those within the depth first."""
    said, later = [], []
    for name, found in chain.continued.items():
        if name == "bfloat16":  # float32's range; the table has its layers
            continue
        if found.overflow is not None:
            happening, layer = "overflows", found.overflow
        elif found.zero is not None:
            happening, layer = "reaches zero", found.zero
        elif found.stuck is not None:
            happening, layer = "sticks at a subnormal", found.stuck
        else:
            continue
        (said if layer <= chain.params.depth else later).append((name, happening, layer))
    if not said and not later:
        return "Every number format holds it."
    parts = [_at(said) if said else "Every number format holds it so far"]
    if later:
        name, happening, layer = later[0]
        parts.append(f"{name} would {INFINITIVE[happening]} at {layer:,}")
    return "; ".join(parts) + "."


def _at(said: list[tuple[str, str, int]]) -> str:
    """ "float16 overflows at layer 28, float32 at 219" """
    words, last = [], ""
    for name, happening, layer in said:
        words.append(f"{name} {happening} at layer {layer:,}" if happening != last else f"{name} at {layer:,}")
        last = happening
    return ", ".join(words)


def _format_table(chain: Chain) -> str:
    """Markdown: for each number format, the layer at which activations and gradients break."""
    lines = ["| number format | activations, at layer | gradients, at layer |", "|---|---|---|"]
    for name in FORMATS:
        cells = [", ".join(f"{layer:,} {happening}" for happening, layer in (
            ("loses digits", found.subnormal), ("is zero", found.zero), ("overflows", found.overflow)) if layer is not None)
            for found in (chain.forward[name], chain.backward_layers[name])]
        lines.append(f"| {name} | {' | '.join(cell or '–' for cell in cells)} |")
    return "\n".join(lines)


def _learning(learned: Descent) -> str:
    """What gradient descent makes of chains that start at this factor, in words, each outcome after the marker that the chart gives it."""
    p = learned.params
    parts = []
    if learned.reached.any():
        deepest = int(learned.depths[learned.reached].max())
        steps = int(learned.steps[deepest - 1])
        parts.append(f"{_marker('reached')} {deepest} layer{'s need' if deepest > 1 else ' needs'} {steps:,} step{'s' * (steps != 1)}")
    for outcome in ("capped", "frozen", "diverged"):
        if (there := learned.outcome == outcome).any():
            cap = f" of {p.cap:,} steps" if outcome == "capped" else ""
            parts.append(f"{_marker(outcome)} {_where(learned.depths[there], p.depth)} {OUTCOMES[outcome]}{cap}")
    line = " The line is the limit of small steps, gradient flow." if _flow(learned)[0].size > 1 else ""
    return f"Weights start at {p.factor:g}, step size {p.learning_rate:g}: {'; '.join(parts)}.{line}"


def _where(depths: np.ndarray, deepest: int) -> str:
    """Which depths, in words: "from 8 layers on", "at 7 layers", "at 3 to 5 layers", "at some of 3 to 54 layers"."""
    first, last = int(depths.min()), int(depths.max())
    if last - first + 1 > len(depths):
        return f"at some of {first} to {last} layers"
    if last == deepest:
        return f"from {first} layer{'s' * (first > 1)} on"
    return f"at {first} layer{'s' * (first > 1)}" if first == last else f"at {first} to {last} layers"


def _marker(outcome: str) -> str:
    return GLYPHS[SERIES_STYLES[outcome].marker]


def _flow(learned: Descent) -> tuple[np.ndarray, np.ndarray]:
    """Depths, and log10 of the steps in the limit of small ones, as far as the chart shows them."""
    steps = learned.log10_flow_steps
    shown = (steps > 0) & (steps < np.log10(learned.params.cap) + 3)
    return learned.depths[shown], steps[shown]


def _steps(learned: Descent) -> pa.Table:
    p = learned.params
    log10_steps = np.log10(np.maximum(learned.steps, 1))
    parts = [charts.rows("limit", "", [learned.depths.mean()], [np.log10(p.cap)], text=[f"cap of {p.cap:,} steps"])]
    parts.append(charts.rows("line", "small steps", *_flow(learned)))
    for outcome in OUTCOMES:
        there = learned.outcome == outcome
        parts.append(charts.rows("point", outcome, learned.depths[there], log10_steps[there], text=[
            f"{depth} layers: {OUTCOMES[outcome]} ({steps:,} steps)"
            for depth, steps in zip(learned.depths[there], learned.steps[there], strict=True)]))
    return charts.table(parts)


def _sizes(chain: Chain) -> pa.Table:
    p = chain.params
    low = min(chain.log10_activation.min(), chain.log10_gradient.min(), -1)
    high = max(chain.log10_activation.max(), chain.log10_gradient.max(), 1)
    parts, ends = _limits(low, high, p.depth), {}
    along, dots = charts.evenly_spaced(p.depth + 1, 60), charts.evenly_spaced(p.depth + 1, 26)
    for series, measured, theory, seeds in (
            ("activation", chain.log10_activation, chain.log10_activation_theory, chain.log10_activation_seeds),
            ("gradient", chain.log10_gradient, chain.log10_gradient_theory, chain.log10_gradient_seeds)):
        band = np.quantile(seeds[:, along], (0.1, 0.9), axis=0) if p.kind == "gaussian" else ()
        parts.append(charts.rows("line", series, along, theory[along], *band))
        parts.append(_points(series, dots, measured[dots], measured[dots]))
        ends[series] = (p.depth, theory[-1])
    if p.kind == "gaussian":
        rms = chain.log10_activation_theory[0] + along * chain.log10_factor_rms
        parts.append(charts.rows("line", "root mean square", along, rms))
        ends["root mean square"] = (p.depth, rms[-1])
    return charts.table([*parts, *charts.end_labels(ends)])


def _limits(low: float, high: float, depth: int) -> list[charts.Rows]:
    """Where the number formats end, as far as the chart reaches; their names where the lines are not, those of neighbours apart. bfloat16
    has float32's range, so it shares its lines."""
    def place(name: str, happening: str) -> float:
        return depth * (0.65 if name.endswith("float16") and happening == "reaches zero" else 0.35)

    return [charts.rows("limit", "", [place(name, happening)], [level], text=[f"{name} {happening}"])
            for name, form in FORMATS.items() for level, happening in (
                (form.log10_largest, "overflows"), (form.log10_smallest_normal, "loses digits"),
                (form.log10_smallest_subnormal, "reaches zero"))
            if low <= level <= high and (name != "bfloat16" or happening == "reaches zero")]


def _points(series: str, layers: np.ndarray, values: np.ndarray, log10_sizes: np.ndarray) -> charts.Rows:
    return charts.rows("point", series, layers, values, text=[
        f"layer {layer}: {series} {ten_to(size)}" for layer, size in zip(layers, log10_sizes, strict=True)])


def _linear(chain: Chain) -> tuple[pa.Table, bool]:
    """The same on a linear axis, as far as a float64 reaches; True when something is beyond it."""
    depth = chain.params.depth
    along, dots = charts.evenly_spaced(depth + 1, 200), charts.evenly_spaced(depth + 1, 26)
    parts, ends, beyond = [], {}, False
    for series, sizes in (("activation", chain.log10_activation), ("gradient", chain.log10_gradient)):
        held = np.where(sizes < MOST_LINEAR, sizes, np.nan)
        beyond |= bool(np.isnan(held).any())
        values = 10**held
        parts += [charts.rows("line", series, along, values[along]), _points(series, dots, values[dots], sizes[dots])]
        if len(shown := along[np.isfinite(values[along])]):
            ends[series] = (shown[-1], values[shown[-1]])
    return charts.table([*parts, *charts.end_labels(ends)]), beyond
