"""Single neuron. How large may a weight be?"""

import streamlit as st

from pages.parts import charts, elements, page, prefetch, results, shell, text
from pages.parts.controls import NARROW, Controls
from pages.parts.presenter import presenting
from pages.parts.views.neuron_variance import LEGEND, WHY
from vgdash.single_neuron import NeuronParams

INPUTS = [1, 2, 3, 4, 6, 8, 10, 16, 32, 64, 100, 128, 256, 512,
          1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000]
RULE_WIDTH = 290  # pixels: the names of the rules are long


def draw() -> None:
    controls = Controls("neuron_variance", NeuronParams)

    def row() -> None:
        controls.steps("n", "inputs n of the neuron", INPUTS)
        controls.select("rule", "rule for Var(w)", width=RULE_WIDTH)
        controls.select("activation", "activation g", width=NARROW)

    def more() -> None:
        controls.number("gamma", "γ (multiplies the weights)")
        controls.steps("n_out", "neurons in the layer, nₒᵤₜ (used by Glorot's rule)", INPUTS)
        controls.segments("distribution", "distribution of the weights")
        controls.number("mean", "mean of the inputs")
        controls.number("std", "standard deviation of the inputs")
        controls.slider("correlation", "correlation of the inputs", 0.05)
        controls.steps("samples", "neurons simulated", [100, 1_000, 5_000, 20_000, 50_000, 100_000, 200_000])
        controls.number("seed", "seed of the random numbers")

    page.show(controls, "How large may a weight be?", _results, row, more)


def _results(shown: page.Results) -> None:
    p, found = shown.p, results.neuron(shown.p)
    prefetch.schedule(results.neuron, ((q,) for q in shown.controls.next_params()))
    shown.verdict(found.verdict)
    shown.beside(lambda params, side, other: _main(
        results.neuron(params), side, other and results.neuron(other)))
    if presenting():
        return
    if found.remarks:
        st.info(found.remarks, icon=":material/lightbulb:")
    left, right = st.columns(2)
    left.markdown(WHY)
    right.markdown(found.numbers)
    elements.table_and_download(lambda: results.table(p), text.file_name("neuron-variance", p), "neuron", p)


def _main(shown, side: str, other) -> None:
    if side:
        _distributions(shown, side, other)
        _against_n(shown, side, other)
        return
    left, right = st.columns(2)
    with left:
        elements.drawing(shown.drawing)
        _distributions(shown, side, other)
    with right:
        _against_n(shown, side, other)


def _distributions(shown, side: str, other) -> None:
    elements.drawing(LEGEND)
    tables = (("histogram", "z"), ("activated", "a = g(z)"))
    for column, (name, quantity) in zip(st.columns(2), tables, strict=True):
        table = getattr(shown, name)
        with column:
            elements.chart(charts.with_extent_of(table, other and getattr(other, name)),
                           charts.histogram(quantity, "density", other is not None, 120), f"{name}{side}",
                           f"Histogram of {quantity} over its predicted density")


def _against_n(shown, side: str, other) -> None:
    parts = ("extent " if other else "") + "line interval point mark label"
    elements.chart(charts.with_extent_of(shown.against_n, other and other.against_n),
                   charts.curves("n, inputs", "Var(z)", log_x=True, parts=parts), f"against_n{side}",
                   "Variance of z against the number of inputs, for each rule, log axes: predicted lines, "
                   "measured points, a ring at the chosen neuron")


shell.show(draw)
