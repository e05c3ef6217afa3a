"""Linear chain. Multiply by W a hundred times: what is left?"""

import streamlit as st

from pages.parts import charts, elements, page, prefetch, results, shell, text
from pages.parts.controls import WIDE, Controls
from pages.parts.presenter import presenting
from pages.parts.views.chain_steps import LAST_STEP
from pages.parts.views.linear_chain import FORMATS_NOTE, WHY, WHY_RANDOM
from vgdash.chain_learning import DescentParams
from vgdash.linear_chain import ChainParams
from vgdash.params import Choice, Integer

RATES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
STEPS, LEARNING = "steps", "learning"  # looks beside the log and the linear axis
BESIDE = {
    "scale": (Choice(("log", "linear", STEPS, LEARNING)), "log"),
    "step": (Integer(0, LAST_STEP), 0),
    "learning_rate": (DescentParams.rules()["learning_rate"], 0.01),
}


def draw() -> None:
    controls = Controls("linear_chain", ChainParams, BESIDE, linked=("kind", "scale"), within=("step",))

    def crowded() -> bool:
        """Test if the row has no room for the depth, which then stands behind More."""
        return controls.value("kind") == "diagonal" and controls.value("scale") == STEPS

    def row() -> None:
        kind, look = controls.value("kind"), controls.value("scale")
        unused = kind == "gaussian" and look != LEARNING
        both = kind == "diagonal"
        controls.slider("factor", "factor c (used by the learning chart)" if unused else
                        f"factor c of {'the first unit' if both else 'each layer'}", 0.01)
        if both:
            controls.slider("factor2", "factor c₂ of the second unit", 0.01)
        if not crowded():
            controls.slider("depth", "depth L")
        controls.segments("scale", "show", help="log, linear: sizes by layer on that axis. steps: the net, "
                          "multiplied matrix by matrix. learning: gradient descent, by depth.")
        if look == STEPS:
            controls.number("step", "step", width=WIDE)

    def more() -> None:
        controls.select("kind", "matrices", help="scaled identity: C = c·I. diagonal: C = diag(c, c₂). "
                        "gaussian: random numbers, others in every layer.")
        if crowded():
            controls.slider("depth", "depth L")
        controls.number("x1", "start vector x, first component")
        controls.number("x2", "start vector x, second component")
        if controls.value("kind") == "gaussian":
            controls.steps("width", "size n of the random matrices", [2, 3, 4, 6, 8, 12, 16, 24, 32])
            controls.number("sigma2", "σ² of the random matrices, entries N(0, σ²/n)")
            controls.steps("seeds", "random chains", [2, 5, 10, 20, 50, 100, 200])
            controls.number("seed", "seed of the random numbers")
        controls.steps("learning_rate", "step size η of gradient descent", RATES)

    page.show(controls, "Multiply by W a hundred times: what is left?", _results, row, more)


def _results(shown: page.Results) -> None:
    p, rate, look = shown.p, shown.value("learning_rate"), shown.value("scale")
    found = results.chain(p, rate)
    prefetch.schedule(results.chain, ((q, rate) for q in shown.controls.next_params()))
    shown.verdict(found.verdict)
    shown.beside(lambda params, side, other: _main(
        results.chain(params, rate), look, params, side, other and results.chain(other, rate),
        shown.value("step")))
    if presenting():
        return
    left, right = st.columns(2, border=True)
    with left:
        # An element of its own: the browser typesets its formulas once.
        st.markdown(WHY + (WHY_RANDOM if p.kind == "gaussian" else ""))
        if found.counting:
            st.markdown(f"{found.counting}\n\n{found.first}")
    with right:
        st.markdown("**And learning?**")
        if look != LEARNING:
            _learning(found, "", 190)
        st.markdown(found.learning)  # below the chart: its length changes, and the chart must not jump
        st.markdown("**Where each number format gives up**, layer by layer in that format:\n\n"
                    f"{found.formats}")
        st.caption(FORMATS_NOTE)
    elements.table_and_download(lambda: results.table(p), text.file_name("linear-chain", p), "chain", p)


def _learning(shown, side: str, height: int) -> None:
    spec = charts.curves("depth", "steps to learn", height=height, fine=True, parts="limit line point")
    elements.chart(shown.steps, spec, f"steps{side}",
                   "Steps of gradient descent until the chain has learned, by depth")


def _main(shown, look: str, p: ChainParams, side: str, other, step: int) -> None:
    extent = "extent " if other else ""
    if look == STEPS:
        elements.drawing(results.chain_step(p, step))
        return
    if look == LEARNING:
        _learning(shown, side, charts.HEIGHT)
        return
    if look == "log":
        band = "band " if p.kind == "gaussian" else ""
        table = charts.with_extent_of(shown.sizes, other and other.sizes)
        spec = charts.curves("layer", "size", parts=f"{extent}limit {band}line point value label")
        elements.chart(table, spec, f"sizes{side}", "Size of activations and gradients by layer, log axis")
    else:
        table = charts.with_extent_of(shown.linear, other and other.linear)
        spec = charts.curves("layer", "size", decades=False, parts=f"{extent}line point value label")
        elements.chart(table, spec, f"linear{side}",
                       "Size of activations and gradients by layer, linear axis")
        if shown.beyond_float64:
            st.caption("What is beyond 10³⁰⁰ is left out: a linear axis counts in float64, which ends at "
                       "1.8·10³⁰⁸. The log axis shows all.")


shell.show(draw)
