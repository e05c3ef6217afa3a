"""Linear chain: its verdict in words, and the tables of its charts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pages.parts import charts
from pages.parts.series_style import GLYPHS, SERIES_STYLES
from pages.parts.text import count, markdown_table, ten_to, times
from vgdash.chain_learning import OUTCOMES, Descent, DescentParams, descent
from vgdash.linear_chain import Chain, ChainParams, linear_chain
from vgdash.number_formats import FORMATS

MOST_STEPS = 1_000  # of gradient descent
DEEPEST_TO_TRAIN = 60  # layers; deeper chains only add points at the cap
VERBS = {"overflow": ("overflows", "overflow"), "zero": ("reaches zero", "reach zero"),
         "stuck": ("sticks at a subnormal", "stick at a subnormal")}
MOST_DECADES = 300  # that a linear axis of float64 numbers can hold
FORMATS_HEADER = "| number format | activations, at layer | gradients, at layer |\n|---|---|---|"

WHY = r"""
**Why.** With $g(z) = z$ and $b = 0$ a network is a product of matrices,
$\hat y = W^{[L]} W^{[L-1]} \cdots W^{[1]} x$. For $W^{[l]} = c\,I$ each layer multiplies by $c$:

$$a^{[l]} = c^{\,l} x \quad\Rightarrow\quad \log |a^{[l]}| = l \cdot \log c + \log |x|$$

a straight line on a log axis, and every slope but 0 is fatal. The gradient is the same line read from the
other end:

$$\frac{\partial \hat y}{\partial a^{[l]}} = c^{\,L-l}$$

so the first layers learn least (or are thrown furthest), and a step of gradient descent is $\eta$ times that.
"""
WHY_RANDOM = r"""
**Random matrices.** With entries $N(0, \sigma^2/n)$ the mean of $|a|^2$ grows by $\sigma^2$ a layer, but rare
huge draws carry that mean. What you typically see is the Lyapunov exponent,
$\tfrac12\left(\ln\tfrac{2\sigma^2}{n} + \psi(\tfrac n2)\right)$ a layer.

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
    """Show the chain ``p``, and gradient descent on chains whose weights start at its factor."""
    chain = linear_chain(p)
    linear, beyond = _linear(chain)
    trained = descent(DescentParams(p.factor, min(p.depth, DEEPEST_TO_TRAIN), learning_rate=learning_rate,
                                    cap=MOST_STEPS))
    return ChainView(_verdict(chain), _sizes(chain), linear, beyond, _format_table(chain), _learning(trained),
                     _steps(trained))


def _verdict(chain: Chain) -> str:
    p = chain.params
    if p.kind == "gaussian":
        typical, rms = 10**chain.log10_factor, 10**chain.log10_factor_rms
        growth = (f"**Typically {times(typical)} a layer** "
                  f"(measured {times(10**chain.log10_factor_measured)}), "
                  f"while the root mean square grows {times(rms)}")
    else:
        growth = f"**{times(10**chain.log10_factor)} a layer**"
    size = ten_to(chain.log10_activation[-1])
    return f"{growth}: after {count(p.depth, 'layer')} {size}. {_formats(chain)}"


def _formats(chain: Chain) -> str:
    """Name the layers where number formats end: "float16 overflows at layer 28, float32 at 219"."""
    now, later = [], []
    for name, found in chain.continued.items():
        end = next((end for end in VERBS if getattr(found, end) is not None), None)
        if end and name != "bfloat16":  # float32's range; the table has its layers
            layer = getattr(found, end)
            (now if layer <= chain.params.depth else later).append((name, end, layer))
    if not now and not later:
        return "Every number format holds it."
    words = []
    for i, (name, end, layer) in enumerate(now):
        again = i > 0 and now[i - 1][1] == end
        words.append(f"{name} at {layer:,}" if again else f"{name} {VERBS[end][0]} at layer {layer:,}")
    parts = [", ".join(words) or "Every number format holds it so far"]
    if later:
        name, end, layer = later[0]
        parts.append(f"{name} would {VERBS[end][1]} at {layer:,}")
    return "; ".join(parts) + "."


def _format_table(chain: Chain) -> str:
    """Markdown: for each number format, the layers at which activations and gradients break."""
    def layers(found) -> str:
        events = (("loses digits", found.subnormal), ("is zero", found.zero), ("overflows", found.overflow))
        return ", ".join(f"{layer:,} {event}" for event, layer in events if layer is not None) or "–"

    return markdown_table(FORMATS_HEADER, (
        [name, layers(chain.forward[name]), layers(chain.backward_layers[name])] for name in FORMATS))


def _learning(trained: Descent) -> str:
    """Describe gradient descent from this factor: each outcome with its marker and its depths."""
    p, parts = trained.params, []
    if trained.reached.any():
        deepest = int(trained.depths[trained.reached].max())
        steps = int(trained.steps[deepest - 1])
        need = f"{deepest} layer{'s need' if deepest > 1 else ' needs'} {count(steps, 'step')}"
        parts.append(f"{_marker('reached')} {need}")
    for outcome in ("capped", "frozen", "diverged"):
        if (there := trained.outcome == outcome).any():
            cap = f" of {p.cap:,} steps" if outcome == "capped" else ""
            depths = _where(trained.depths[there], p.depth)
            parts.append(f"{_marker(outcome)} {depths} {OUTCOMES[outcome]}{cap}")
    line = " The line is the limit of small steps, gradient flow." if _flow(trained)[0].size > 1 else ""
    return f"Weights start at {p.factor:g}, step size {p.learning_rate:g}: {'; '.join(parts)}.{line}"


def _where(depths: np.ndarray, deepest: int) -> str:
    """Depths in words: "from 8 layers on", "at 7 layers", "at 3 to 5 layers", "at some of 3 to 54 layers"."""
    first, last = int(depths.min()), int(depths.max())
    if last - first + 1 > len(depths):
        return f"at some of {first} to {last} layers"
    if last == deepest:
        return f"from {count(first, 'layer')} on"
    return f"at {count(first, 'layer')}" if first == last else f"at {first} to {last} layers"


def _marker(outcome: str) -> str:
    return GLYPHS[SERIES_STYLES[outcome].marker]


def _flow(trained: Descent) -> tuple[np.ndarray, np.ndarray]:
    """Depths, and log10 of the steps in the limit of small ones, within the range of the chart."""
    steps = trained.log10_flow_steps
    shown = (steps > 0) & (steps < np.log10(trained.params.cap) + 3)
    return trained.depths[shown], steps[shown]


def _steps(trained: Descent) -> pa.Table:
    """Steps by depth, as log10: the limit of small steps as a line, and a point for each depth."""
    cap, log10_steps = trained.params.cap, np.log10(np.maximum(trained.steps, 1))
    limit = charts.rows("limit", "", [trained.depths.mean()], [np.log10(cap)], text=[f"cap of {cap:,} steps"])
    parts = [limit, charts.rows("line", "small steps", *_flow(trained))]
    for outcome in OUTCOMES:
        there = trained.outcome == outcome
        depths, steps = trained.depths[there], trained.steps[there]
        parts.append(charts.rows("point", outcome, depths, log10_steps[there], text=[
            f"{depth} layers: {OUTCOMES[outcome]} ({number:,} steps)"
            for depth, number in zip(depths, steps, strict=True)]))
    return charts.table(parts)


def _sizes(chain: Chain) -> pa.Table:
    """Sizes by layer, as log10: theory as lines, the chain as points, and the limits of number formats."""
    p = chain.params
    low = min(chain.log10_activation.min(), chain.log10_gradient.min(), -1)
    high = max(chain.log10_activation.max(), chain.log10_gradient.max(), 1)
    parts, ends = _limits(low, high, p.depth), {}
    along, dots = charts.evenly_spaced(p.depth + 1, 60), charts.evenly_spaced(p.depth + 1, 26)
    for series in ("activation", "gradient"):
        measured, theory, seeds = (getattr(chain, f"log10_{series}{kind}")
                                   for kind in ("", "_theory", "_seeds"))
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
    """Limits of number formats within the chart, each with a name beside the lines of sizes.

    bfloat16 has float32's range and shares its lines.
    """
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
    """Sizes on a linear axis as far as float64 reaches, and True if some are beyond."""
    depth = chain.params.depth
    along, dots = charts.evenly_spaced(depth + 1, 200), charts.evenly_spaced(depth + 1, 26)
    parts, ends, beyond = [], {}, False
    for series, sizes in (("activation", chain.log10_activation), ("gradient", chain.log10_gradient)):
        held = np.where(sizes < MOST_DECADES, sizes, np.nan)
        beyond |= bool(np.isnan(held).any())
        values = 10**held
        parts += [charts.rows("line", series, along, values[along]),
                  _points(series, dots, values[dots], sizes[dots])]
        if len(shown := along[np.isfinite(values[along])]):
            ends[series] = (shown[-1], values[shown[-1]])
    return charts.table([*parts, *charts.end_labels(ends)]), beyond
