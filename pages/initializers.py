"""Initializers. Do signal and gradient survive a deep net?"""

import streamlit as st

from pages.parts import charts, code_drawer, elements, names, page, prefetch, results, shell, text
from pages.parts.controls import NARROW, WIDE, Controls
from pages.parts.net_controls import net_controls, width_controls
from pages.parts.presenter import presenting
from pages.parts.views import initializers as views
from pages.parts.views import same_net
from pages.parts.views.histograms import share_axes
from vgdash.codegen.export import FRAMEWORKS
from vgdash.initializers import INITIALIZERS
from vgdash.params import Choice
from vgdash.probe.probe import CompareParams, ProbeParams

QUESTION = "Do signal and gradient survive a deep net?"
BESIDE = {
    "look": (Choice(views.LOOKS_AT), views.COURSE),
    "of": (Choice(tuple(INITIALIZERS)), "lecun_normal"),
    "framework": (Choice(FRAMEWORKS), "pytorch"),
}
COURSE_HEIGHT = 262
LISTED, SHORT = 600, 185  # pixels: three long names; one beside the looks
SHARES = "line interval point label"
PARTS = f"band {SHARES}"
LIGHT = 4e6  # weights of one net that are worth computing before they are asked for
DEPTHS = [2, 3, 5, 8, 10, 15, 20, 30, 40, 50, 64, 80, 100, 128, 152, 200, 256, 500, 1000]
WIDTHS = [2, 4, 8, 16, 32, 64, 100, 128, 200, 256, 384, 512, 1024, 2048]


def draw() -> None:
    controls = Controls("initializers", CompareParams, BESIDE, ("widths", "normalization", "rescale"),
                        ("looks", "results"))

    def row() -> None:
        if controls.value("widths") is None:  # typed widths say how deep the net is
            controls.steps("depth", "depth L", DEPTHS)
        controls.select("activation", "activation", width=NARROW)
        controls.several("initializers", "initializers", width=LISTED)

    def more() -> None:
        width_controls(controls, "width n of every layer", WIDTHS, "784-512-256-10")
        controls.typed("kernels", "sides of convolutions by layer (1: dense)", "3-3-3-1")
        controls.number("gamma", "γ, multiplies the weights")
        controls.number("sigma_b2", "σb², variance of the biases (0: the initializer's own)")
        controls.steps("batch", "batch size", [2, 8, 16, 32, 64, 128, 256, 512])
        controls.steps("seeds", "random nets per initializer", [1, 2, 3, 4, 6, 8, 12, 16, 24, 32])
        controls.number("seed", "seed of the random numbers")
        controls.select("normalization", "normalization")
        controls.select("residual", "skip connections")
        controls.slider("keep", "dropout: share kept", 0.01)
        controls.select("rescale", "data-dependent rescaling")
        net_controls(controls, norm_reaches_last=True)

    def looks() -> None:
        controls.segments("look", "look at", label_visibility="collapsed")
        if controls.value("look") in views.CLOSER:
            controls.select("of", "for", controls.params()[0].initializers, width=SHORT)

    if page.show(controls, QUESTION, _results, row, more, looks):
        st.markdown(f"{views.WHY}\n\n{views.LEFT_OVER}")


def _results(shown: page.Results) -> None:
    p, look, wanted = shown.p, shown.value("look"), shown.value("of")
    found, one = results.comparison(p), _one(p, wanted)
    shown.verdict(found.verdict)
    if p.depth * p.width**2 < LIGHT:
        prefetch.schedule(_compute, ((q, one.initializer) for q in shown.controls.next_params()))
    shown.beside(lambda params, side, other: _main(params, _one(params, one.initializer), look, side, other))
    if presenting():
        return
    left, right = st.columns(2, border=True)
    with left:
        st.markdown(found.numbers)
        if found.remarks:
            st.caption(found.remarks)
    with right:
        advice = results.advice(p, one.initializer)
        if look not in views.CLOSER:
            shown.controls.select("of", "a closer look at", p.initializers, width=WIDE)
        st.markdown("**What fails first, and what to choose instead.** "
                    f"{advice.failure} {advice.balance}\n\n{advice.choice}")
        for label, query in advice.changes:
            elements.net_link("initializers", label, query)
        elements.net_link("training", "Train these very nets on the digits", same_net.trained(p))
        label = "Every initializer, and every number format"
        with elements.drawer(label, "ranking", ":material/list:") as opened:
            if opened:
                st.markdown(f"{advice.ranking}\n\n**Where each number format gives up**, "
                            f"{names.short(one.initializer)}:\n\n{advice.formats}")
    code_drawer.draw(shown.controls, one)
    elements.table_and_download(lambda: results.table(p), text.file_name("initializers", p), "comparison", p)


def _compute(p: CompareParams, name: str) -> None:
    """Compute what the page shows of ``p``."""
    results.comparison(p)
    results.advice(p, name)


def _one(p: CompareParams, name: str) -> ProbeParams:
    """Return the net of the initializer ``name``; where that one is not compared, the last."""
    return next((q for q in p.probes if q.initializer == name), p.probes[-1])


def _main(p: CompareParams, one: ProbeParams, look: str, side: str, other: CompareParams | None) -> None:
    extent = "extent " if other else ""
    if look == views.COURSE:
        _course(results.comparison(p), side, other and results.comparison(other), f"{extent}{PARTS}")
    elif look in views.HISTOGRAMS:
        letter, of = views.HISTOGRAMS[look]
        shown = results.histograms(one, of)
        if not shown.table.num_rows:
            st.info(shown.words)
            return
        table, base = share_axes(shown, other and results.histograms(_one(other, one.initializer), of))
        y_title = "density" if base is None else "share per power of ten"
        spec = charts.scrubbed_histograms(shown.last, letter, y_title, extent=other is not None, base=base)
        elements.chart(table, spec, f"{look}{side}{shown.last}{base}",
                       f"Histogram of {letter} in one layer, to be chosen by the slider in the chart, "
                       "over the predicted density")
        st.caption(shown.words)
    elif look == views.SPECTRUM:
        with st.spinner("Computing singular values …"):
            shown = results.spectrum(one)
            beside = other and results.spectrum(_one(other, one.initializer))
        table = charts.with_extent_of(shown.table, beside and beside.table)
        elements.chart(table, charts.spectrum(other is not None), f"spectrum{side}",
                       "Histogram of the singular values of the input-output Jacobian")
        st.caption(shown.words)
    else:
        table = charts.with_extent_of(results.shares(p, look), other and results.shares(other, look))
        decades = look == views.WEIGHT_GRADIENT
        spec = charts.curves("layer", views.STATISTICS[look], decades=decades, parts=f"{extent}{SHARES}")
        elements.chart(table, spec, f"{look}{side}",
                       f"{views.STATISTICS[look]} by layer, for each initializer")
        st.caption(views.MEANINGS[look])


def _course(shown, side: str, other, parts: str) -> None:
    forward, backward = st.columns(1 if side else 2) * (2 if side else 1)
    with forward:
        table = charts.with_extent_of(shown.forward, other and other.forward)
        spec = charts.curves("layer", "E[z²], the signal →", height=COURSE_HEIGHT, parts=parts)
        elements.chart(table, spec, f"forward{side}", "Mean square of the pre-activations by layer: "
                       "predicted lines, measured points, log axis")
    with backward:
        table = charts.with_extent_of(shown.backward, other and other.backward)
        spec = charts.curves("layer", "← E[δ²], the gradient", height=COURSE_HEIGHT, mirrored=True,
                             parts=parts)
        elements.chart(table, spec, f"backward{side}", "Mean square of the gradient by layer: "
                       "predicted lines, measured points, log axis")


shell.show(draw)
