"""Linear chain. Multiply by W a hundred times: what is left?"""

import streamlit as st

from pages.parts import charts, elements, page, prefetch, results, shell, text
from pages.parts.controls import Controls
from pages.parts.presenter import presenting
from pages.parts.views.linear_chain import WHY, WHY_RANDOM
from vgdash.chain_learning import DescentParams
from vgdash.linear_chain import ChainParams
from vgdash.params import Choice

RATES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
BESIDE = {
    "scale": (Choice(("log", "linear")), "log"),
    "learning_rate": (DescentParams.rules()["learning_rate"], 0.01),
}


def draw() -> None:
    controls = Controls("linear_chain", ChainParams, BESIDE, linked=("kind",))

    def row() -> None:
        random = controls.value("kind") == "gaussian"
        controls.slider("factor", "factor c, for learning only" if random else "factor c of each layer", 0.01)
        controls.slider("depth", "depth L")
        controls.segments("scale", "axis")

    def more() -> None:
        controls.select("kind", "matrices")
        controls.slider("factor2", "second factor, of diag(c, c₂)", 0.01)
        controls.number("x1", "start vector, x₁")
        controls.number("x2", "start vector, x₂")
        controls.steps("width", "size n of the random matrices", [2, 3, 4, 6, 8, 12, 16, 24, 32])
        controls.number("sigma2", "σ² of the random matrices, entries N(0, σ²/n)")
        controls.steps("seeds", "random chains", [2, 5, 10, 20, 50, 100, 200])
        controls.number("seed", "seed")
        controls.steps("learning_rate", "step size η of gradient descent", RATES)

    page.show(controls, "Multiply by W a hundred times: what is left?", _results, row, more)


def _results(shown: page.Results) -> None:
    p, rate, scale = shown.p, shown.value("learning_rate"), shown.value("scale")
    found = results.chain(p, rate)
    prefetch.schedule(results.chain, ((q, rate) for q in shown.controls.next_params()))
    shown.verdict(found.verdict)
    shown.beside(lambda params, side, other: _main(
        results.chain(params, rate), scale, params.kind, side, other and results.chain(other, rate)))
    if presenting():
        return
    left, right = st.columns(2, border=True)
    with left:
        # An element of its own: the browser typesets its formulas once.
        st.markdown(WHY + (WHY_RANDOM if p.kind == "gaussian" else ""))
        st.markdown("**Where each number format gives up**, found by multiplying in that format, "
                    f"layer by layer:\n\n{found.formats}")
    with right:
        st.markdown("**And learning?**")
        spec = charts.curves("depth", "steps to learn", height=190, fine=True, parts="limit line point")
        elements.chart(found.steps, spec, "steps",
                       "Steps of gradient descent until the chain has learned, by depth")
        st.markdown(found.learning)  # below the chart: its length changes, and the chart must not jump
    elements.table_and_download(lambda: results.table(p), text.file_name("linear-chain", p), "chain", p)


def _main(shown, scale: str, kind: str, side: str, other) -> None:
    extent = "extent " if other else ""
    if scale == "log":
        band = "band " if kind == "gaussian" else ""
        table = charts.with_extent_of(shown.sizes, other and other.sizes)
        spec = charts.curves("layer", "size", parts=f"{extent}limit {band}line point label")
        elements.chart(table, spec, f"sizes{side}", "Size of activations and gradients by layer, log axis")
        return
    table = charts.with_extent_of(shown.linear, other and other.linear)
    spec = charts.curves("layer", "size", decades=False, parts=f"{extent}line point label")
    elements.chart(table, spec, f"linear{side}", "Size of activations and gradients by layer, linear axis")
    if shown.beyond_float64:
        st.caption("What is beyond 10³⁰⁰ is left out: a linear axis counts in float64, which ends at "
                   "1.8·10³⁰⁸. The log axis shows all.")


shell.show(draw)
