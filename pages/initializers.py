"""Initializers. Does the signal survive fifty layers? And the way back?"""

import streamlit as st

from pages.parts import charts, draw, frame, lecture, results
from pages.parts.controls import Controls
from pages.parts.stage import Stage
from pages.parts.views.initializers import STATISTICS, WHY
from vgdash.network import CompareParams, compare
from vgdash.params import Choice

BESIDE = {"statistic": (Choice(tuple(STATISTICS)), "dead")}
DEPTHS = [2, 3, 5, 8, 10, 15, 20, 30, 40, 50, 64, 80, 100, 128, 152, 200, 256]
WIDTHS = [2, 4, 8, 16, 32, 64, 100, 128, 200, 256, 384, 512, 1024, 2048]


def page() -> None:
    Controls("initializers", CompareParams, BESIDE).read_address()
    view()


@st.fragment
def view() -> None:
    controls = Controls("initializers", CompareParams, BESIDE)
    stage = Stage("Does the signal survive fifty layers? And the way back?", controls)
    with stage.controls():
        depth, activation, initializers, more = st.columns([3, 2, 5, 2], vertical_alignment="bottom")
        with depth:
            controls.steps("depth", "depth L", DEPTHS)
        with activation:
            controls.select("activation", "activation")
        with initializers:
            controls.several("initializers", "initializers")
        with more, st.popover("More", width="stretch"):
            _more(controls)
    below = st.container()
    p = controls.params()
    if not stage.ready(controls, p):
        return
    shown = results.comparison(p)
    stage.verdict(shown.verdict)
    stage.beside(lambda params, side: _main(results.comparison(params), side), controls, p)
    if lecture.presenting():
        return
    with below:
        left, right = st.columns(2)
        with left:
            st.markdown(shown.numbers)
            if shown.remarks:
                st.caption(shown.remarks)
            draw.why(WHY)
        with right:
            controls.segments("statistic", "also by layer")
            name = controls.chosen("statistic")
            draw.chart(shown.shares[name], charts.curves("layer", STATISTICS[name], decades=False, height=260), f"share {name}",
                       f"{STATISTICS[name]} by layer, for each initializer")
        draw.table_and_download(lambda: compare(p).frame(), f"initializers-{p.activation}-{p.depth}-layers-seed{p.seed}", "comparison")


def _main(shown, side: str) -> None:
    forward, backward = st.columns(1 if side else 2) * (2 if side else 1)
    with forward:
        draw.chart(shown.forward, charts.curves("layer", "E[z²], the signal →"), f"forward{side}",
                   "Mean square of the pre-activations by layer: predicted lines, measured points, log axis")
    with backward:
        draw.chart(shown.backward, charts.curves("layer", "← E[δ²], the gradient", mirrored=True), f"backward{side}",
                   "Mean square of the gradient by layer: predicted lines, measured points, log axis")


def _more(controls: Controls) -> None:
    controls.steps("width", "width n of every layer", WIDTHS)
    controls.typed("widths", "or your own widths, input first", "784-512-256-10")
    controls.real("gamma", "γ, multiplies the weights")
    controls.real("sigma_b2", "σ_b², variance of the biases")
    controls.steps("batch", "inputs in the batch", [2, 8, 16, 32, 64, 128, 256, 512])
    controls.steps("seeds", "nets of each (seeds)", [1, 2, 3, 4, 6, 8, 12, 16, 24, 32])
    controls.whole("seed", "seed")
    controls.select("normalization", "normalization")
    controls.select("residual", "residual branches")
    controls.slider("keep", "dropout keeps", 0.01)
    controls.select("rescale", "data-dependent rescaling")


frame.show(page)
