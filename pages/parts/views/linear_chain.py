"""Linear chain: its verdict in words, and the tables of its charts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pages.parts import charts
from pages.parts.series_style import GLYPHS, SERIES_STYLES
from pages.parts.text import count, listed, markdown_table, percent, rate, ten_to
from pages.parts.views.chain_steps import vector
from vgdash.chain_learning import OUTCOMES, Descent, DescentParams, descent
from vgdash.linear_chain import Chain, ChainParams, before_output
from vgdash.number_formats import FORMATS
from vgdash.spelling import SUPERSCRIPT

MOST_STEPS = 2_000  # of gradient descent: 9 layers of 0.5 need 1,874
NEVER = 0.8  # decades above this limit: the strip of chains that never learn
DEEPEST_TO_TRAIN = 60  # layers; deeper chains only add points at the cap
VERBS = {"overflow": ("overflows", "overflow"), "zero": ("reaches zero", "reach zero"),
         "stuck": ("stops shrinking", "stop shrinking")}
FIRST_LAYERS = 8  # in the table of fractions
VALUES = 10  # layers of a chart that has room for their values
MEETING = 0.01  # of the range of a chart: closer curves meet
MOST_DECADES = 300  # that a linear axis of float64 numbers can hold
FORMATS_HEADER = "| number format | activations, at layer | gradients, at layer |\n|---|---|---|"

WHY = r"""
**Why.** With $g(z) = z$ and $b = 0$ a network is a product of matrices. $W^{[L]}$ has another shape,
$1 \times 2$. All others are $C$:

$$\hat y = W^{[L]} W^{[L-1]} \cdots W^{[1]} x = W^{[L]}\, C^{\,L-1} x$$

With $C = c\,I$ each layer multiplies by $c$:

$$a^{[l]} = c^{\,l} x \quad\Rightarrow\quad \log |a^{[l]}| = l \cdot \log c + \log |x|$$

On a log axis this is a straight line. Any slope other than 0 ends in overflow or zero. The gradient is
the same line, read from the other end:

$$\frac{\partial \hat y}{\partial a^{[l]}} = W^{[L]}\, c^{\,L-1-l}$$

The gradient of $W^{[l]}$ is this number times $a^{[l-1]} = c^{\,l-1} x$. So every $C$ of this chain gets the
same factor, $c^{\,L-2}$. A step of gradient descent is $\eta$ times the gradient: tiny when $c < 1$, huge
when $c > 1$.
"""
WHY_RANDOM = r"""
**Random matrices.** Here all $L$ matrices have the same shape. With entries $N(0, \sigma^2/n)$ the mean of
$|a|^2$ grows by $\sigma^2$ a layer. But a few huge draws carry that mean. The typical chain grows by less:
by the exponential of $\tfrac12\left(\ln\tfrac{2\sigma^2}{n} + \psi(\tfrac n2)\right)$ a layer, which is
called the Lyapunov exponent.

Lines: this exponent. Points: the middle one (median) of the chains drawn. Shaded: 8 of 10 chains lie here.
"""
FORMATS_NOTE = """Number formats are named after their bits: float16 and bfloat16 have 16, float32 has 32,
float64 has 64. “Loses digits”: the numbers are so small (*subnormal*) that they keep only some digits."""


@dataclass(frozen=True)
class ChainView:
    verdict: str
    sizes: pa.Table
    linear: pa.Table
    beyond_float64: bool
    first: str
    counting: str
    formats: str
    learning: str
    steps: pa.Table


def chain_view(p: ChainParams, learning_rate: float) -> ChainView:
    """Show the chain ``p``, and gradient descent on chains whose weights start at its factor."""
    chain = before_output(p)
    linear, beyond = _linear(chain)
    trained = descent(DescentParams(p.factor, min(p.depth, DEEPEST_TO_TRAIN), learning_rate=learning_rate,
                                    cap=MOST_STEPS))
    fixed = p.kind != "gaussian"
    return ChainView(_verdict(chain), _sizes(chain), linear, beyond, _first(chain) if fixed else "",
                     _counting(chain) if fixed else "", _format_table(chain), _learning(trained),
                     _steps(trained))


def _verdict(chain: Chain) -> str:
    p = chain.params
    if p.kind == "gaussian":
        typical, rms = 10**chain.log10_factor, 10**chain.log10_factor_rms
        size = ten_to(chain.log10_activation[-1])
        return (f"**Typically {rate(typical)} a layer** "
                f"(measured {rate(10**chain.log10_factor_measured)}). After {count(p.depth, 'layer')} "
                f"the size is {size}. The root mean square grows {rate(rms)} a layer. {_formats(chain)}")
    factors = listed([rate(factor) for factor in dict.fromkeys(p.factors)])
    sizes = [ten_to(size) for size in chain.log10_components[-1]] if p.kind == "diagonal" else [
        ten_to(chain.log10_activation[-1])]
    return f"**{factors} a layer**: {_power(p)}x has size {listed(sizes)}. {_formats(chain)}"


def _power(p: ChainParams) -> str:
    """Write the product of the lecture: C¹⁴⁹ for 150 layers."""
    return f"C{str(p.depth - 1).translate(SUPERSCRIPT)}"


def _counting(chain: Chain) -> str:
    """Explain the two ways of counting, with both results."""
    p = chain.params
    (less, more), slope = chain.log10_activation[[-1, -1]], chain.log10_factor
    return (f"**Two ways of counting.** The lecture counts L − 1 = {p.depth - 1:,} factors C, and leaves out "
            f"W[L]: size {ten_to(less)}. Others count all {count(p.depth, 'layer')}, as if W[L] were C too: "
            f"size {ten_to(more + slope)}. Gradients start from W[L] = (1 1).")


def _first(chain: Chain) -> str:
    """Markdown: both components of the first layers, as fractions where c is a simple one."""
    layers = range(min(len(chain.log10_activation), FIRST_LAYERS))
    header = ["layer", *map(str, layers)]
    values = [vector(chain, layer) for layer in layers]
    return markdown_table(f"| {' | '.join(header)} |\n{'|---' * len(header)}|", (
        [f"a{sign}", *(value[i] for value in values)] for i, sign in enumerate("₁₂")))


def _formats(chain: Chain) -> str:
    """Name the layers where number formats end: "float16 overflows at layer 28, float32 at 219".

    Beyond the last layer drawn they would: the lecture's W[L] has another shape, and is not one of them.
    """
    now, later, last = [], [], len(chain.log10_activation) - 1
    for name, found in chain.continued.items():
        end = next((end for end in VERBS if getattr(found, end) is not None), None)
        if end and name != "bfloat16":  # float32's range; the table has its layers
            layer = getattr(found, end)
            (now if layer <= last else later).append((name, end, layer))
    if not now and not later:
        return "Every number format holds it."
    words = []
    for i, (name, end, layer) in enumerate(now):
        again = i > 0 and now[i - 1][1] == end
        words.append(f"{name} at {layer:,}" if again else f"{name} {VERBS[end][0]} at layer {layer:,}")
    parts = [", ".join(words) or "Every number format holds it so far"]
    if later:
        name, end, layer = later[0]
        parts.append(f"{name} would {VERBS[end][1]} at layer {layer:,}")
    return ". ".join(parts) + "."


def _format_table(chain: Chain) -> str:
    """Markdown: for each number format, the layers at which activations and gradients break."""
    def layers(found) -> str:
        events = (("loses digits", found.subnormal), ("is zero", found.zero), ("overflows", found.overflow))
        return ", ".join(f"{layer:,} {event}" for event, layer in events if layer is not None) or "–"

    return markdown_table(FORMATS_HEADER, (
        [name, layers(chain.forward[name]), layers(chain.backward_layers[name])] for name in FORMATS))


def _learning(trained: Descent) -> str:
    """Describe gradient descent from this factor: each outcome with its marker and its depths."""
    p = trained.params
    parts = [f"Task: output {p.target:g} for input 1. A net has learned when it is within "
             f"{percent(math.sqrt(p.tolerance))} of that.",
             f"Weights start at {p.factor:g}, step size η = {p.learning_rate:g}."]
    if trained.reached.any():
        deepest = int(trained.depths[trained.reached].max())
        steps = int(trained.steps[deepest - 1])
        need = f"{deepest} layer{'s need' if deepest > 1 else ' needs'} {count(steps, 'step')}"
        parts.append(f"{_marker('reached')} {need}.")
    for outcome in ("capped", "frozen", "diverged"):
        if (there := trained.outcome == outcome).any():
            cap = f" after {p.cap:,} steps" if outcome == "capped" else ""
            depths = _where(trained.depths[there], p.depth)
            parts.append(f"{_marker(outcome)} {depths}: {OUTCOMES[outcome]}{cap}.")
    if _flow(trained)[0].size > 1:
        parts.append("The line: what infinitely small steps would need.")
    return " ".join(parts)


def _where(depths: np.ndarray, deepest: int) -> str:
    """Depths in words: "8 layers or more", "7 layers", "3 to 5 layers", "some of 3 to 54 layers"."""
    first, last = int(depths.min()), int(depths.max())
    if last - first + 1 > len(depths):
        return f"some of {first} to {last} layers"
    if last == deepest and first < last:
        return f"{count(first, 'layer')} or more"
    return count(first, "layer") if first == last else f"{first} to {last} layers"


def _marker(outcome: str) -> str:
    return GLYPHS[SERIES_STYLES[outcome].marker]


def _flow(trained: Descent) -> tuple[np.ndarray, np.ndarray]:
    """Depths, and log10 of the steps in the limit of small ones, within the range of the chart."""
    steps = trained.log10_flow_steps
    shown = (steps > 0) & (steps < np.log10(trained.params.cap) + NEVER)
    return trained.depths[shown], steps[shown]


def _steps(trained: Descent) -> pa.Table:
    """Steps by depth, as log10: the limit of small steps as a line, and a point for each depth."""
    cap, log10_steps = np.log10(trained.params.cap), np.log10(np.maximum(trained.steps, 1))
    never = np.isin(trained.outcome, ("frozen", "diverged"))
    heights = np.where(never, cap + NEVER, log10_steps)
    rules = {f"limit of {trained.params.cap:,} steps": cap, **({"never": cap + NEVER} if never.any() else {})}
    places = np.array(charts.free_places([*rules.values()], heights[None])) * (len(heights) - 1) + 1
    parts = [charts.rows("limit", "", places, [*rules.values()], text=[*rules]),
             charts.rows("line", "small steps", *_flow(trained))]
    for outcome in OUTCOMES:
        there = trained.outcome == outcome
        depths, steps = trained.depths[there], trained.steps[there]
        parts.append(charts.rows("point", outcome, depths, heights[there], text=[
            f"{depth} layers: {OUTCOMES[outcome]} ({number:,} steps)"
            for depth, number in zip(depths, steps, strict=True)]))
    return charts.table(parts)


def _series(chain: Chain) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return the lines to draw by name, each as measured, as theory, and by seed: log10 of sizes by layer.

    diag(c, c2) has both components, because one may explode while the other vanishes.
    """
    if chain.params.kind != "diagonal":
        return {name: tuple(getattr(chain, f"log10_{name}{kind}") for kind in ("", "_theory", "_seeds"))
                for name in ("activation", "gradient")}
    both = (("activation", chain.log10_components), ("gradient", chain.log10_gradient_components))
    return {f"{name} {i}": (size, size, size[None]) for name, components in both
            for i, size in enumerate(components.T, start=1)}


def _sizes(chain: Chain) -> pa.Table:
    """Sizes by layer, as log10: theory as lines, the chain as points, and the limits of number formats."""
    p, series = chain.params, _series(chain)
    drawn = np.concatenate([[-1, 1], *(measured[np.isfinite(measured)] for measured, *_ in series.values())])
    last = len(chain.log10_activation) - 1
    theories, ends = np.array([theory for _, theory, _ in series.values()]), {}
    parts = [_limits(drawn.min(), drawn.max(), theories)]
    along, dots = charts.evenly_spaced(last + 1, 60), charts.evenly_spaced(last + 1, 26)
    for name, (measured, theory, seeds) in series.items():
        band = np.quantile(seeds[:, along], (0.1, 0.9), axis=0) if p.kind == "gaussian" else ()
        parts.append(charts.rows("line", name, along, theory[along], *band))
        parts += [_points(name, dots, measured[dots], measured[dots]),
                  _values(chain, name, measured, theories)]
        ends[name] = (last, theory[-1])
    if p.kind == "gaussian":
        rms = chain.log10_activation_theory[0] + along * chain.log10_factor_rms
        parts.append(charts.rows("line", "root mean square", along, rms))
        ends["root mean square"] = (last, rms[-1])
    return charts.table([*parts, *charts.end_labels(ends)])


def _limits(low: float, high: float, theories: np.ndarray) -> charts.Rows:
    """Limits of number formats within the chart, each with a name above it where no line passes.

    bfloat16 has float32's range and shares its lines. A product may stick at the smallest number for ever.
    Where the rules are close, the ends of a format have names on a phone, and the others have none.
    """
    found = sorted(((level, text) for name, form in FORMATS.items() for level, text in (
        (form.log10_largest, f"{name}\noverflows"), (form.log10_smallest_normal, f"{name}\nloses digits"),
        (form.log10_smallest_subnormal, f"smallest\n{name} number"))
        if low <= level <= high and (name != "bfloat16" or text.startswith("smallest"))), reverse=True)
    levels, kept = np.array([level for level, _ in found]), []
    for level, _ in sorted(found, key=lambda one: "loses" in one[1] or "bfloat16" in one[1]):
        if not any(abs(level - other) < charts.NAME_HEIGHT * (high - low) for other in kept):
            kept.append(level)
    places = np.array(charts.free_places(levels, theories)) * (theories.shape[1] - 1)
    crowded = np.where(np.isin(levels, kept), np.nan, levels)
    return charts.rows("limit", "", places, levels, high=crowded, text=[text for _, text in found])


def _points(series: str, layers: np.ndarray, values: np.ndarray, log10_sizes: np.ndarray) -> charts.Rows:
    return charts.rows("point", series, layers, values, text=[
        f"layer {layer}: {series} {ten_to(size)}" for layer, size in zip(layers, log10_sizes, strict=True)])


def _values(chain: Chain, series: str, heights: np.ndarray, curves: np.ndarray) -> charts.Rows:
    """Write (½, ½), (¼, ¼), … beside the activations of a short fixed chain, or each component at its point.

    Where another of the ``curves`` passes through the point, the value stands above it.
    """
    name, _, component = series.partition(" ")
    layers = np.arange(len(heights) - 1)  # the last has the name of its line
    if name != "activation" or chain.params.kind == "gaussian" or len(layers) >= VALUES:
        layers = layers[:0]
    texts = [vector(chain, layer) for layer in layers]
    met = (np.abs(curves - heights) < MEETING * np.ptp(curves)).sum(axis=0)[layers] > 1
    high = np.where(met, heights[layers], np.nan)
    return charts.rows("value", series, layers, heights[layers], high=high, text=[
        text[int(component) - 1] if component else f"({', '.join(text)})" for text in texts])


def _linear(chain: Chain) -> tuple[pa.Table, bool]:
    """Sizes on a linear axis as far as float64 reaches, and True if some are beyond."""
    layers = len(chain.log10_activation)
    along, dots = charts.evenly_spaced(layers, 200), charts.evenly_spaced(layers, 26)
    parts, ends = [], {}
    sizes_of = {series: sizes for series, (sizes, *_) in _series(chain).items()}
    curves = np.array([10 ** np.where(sizes < MOST_DECADES, sizes, np.nan) for sizes in sizes_of.values()])
    for (series, sizes), values in zip(sizes_of.items(), curves, strict=True):
        parts += [charts.rows("line", series, along, values[along]),
                  _points(series, dots, values[dots], sizes[dots]),
                  _values(chain, series, values, curves)]
        if len(shown := along[np.isfinite(values[along])]):
            ends[series] = (shown[-1], values[shown[-1]])
    return charts.table([*parts, *charts.end_labels(ends)]), bool(np.isnan(curves).any())
