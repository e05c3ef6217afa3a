"""Your network. Which layer is at fault, and why?"""

import streamlit as st

from pages.parts import charts, elements, page, results, shell, text
from pages.parts.controls import WIDE, Controls, redraw_page
from pages.parts.presenter import presenting
from pages.parts.state import session
from pages.parts.views import own_files
from pages.parts.views import your_network as views
from pages.parts.views.layer import layers_table
from vgdash.params import Choice, Integer, ParamError, Params
from vgdash.probe.probe import ProbeParams
from vgdash.theory.phase_diagram import HIGHEST_BIAS

BESIDE = {
    "example": (Choice(tuple(views.EXAMPLES)), next(iter(views.EXAMPLES))),
    "layer": (Integer(0, own_files.MOST_ITEMS), 0),  # 0: the first at fault
    "weights": (Choice(views.WHAT_IF), views.AS_THEY_ARE),
    "activation": (Choice(ProbeParams.rules()["activation"].options), "relu"),  # of weights alone
}
HEIGHT, PARTS = 215, "line extent point mark label"


def draw() -> None:
    controls = Controls("your_network", Params, BESIDE, ("example", "activation"), then=_forget)

    def row() -> None:
        own, report = session().report, _report(controls)
        if own is None:
            controls.select("example", "example", width=WIDE)
        else:
            st.button("Close my file", icon=":material/close:", key="close", on_click=_close,
                      args=(controls,))
        if report.trace.framework == "weights":
            controls.select("activation", "activation", width=WIDE)
        if (last := len(report.layers)) > 1:
            controls.place("layer", "layer", last, views.opened(report, controls.value("layer")))
        controls.select("weights", "what if the weights were", width=WIDE)
        _receive(controls, elements.file_field(own_files.LIMITS))

    if page.show(controls, "Which layer is at fault, and why?", _results, row):
        st.markdown(views.HOW.format(most=own_files.LIMITS["weights"] // 10**6))
        st.code(views.SNIPPET, language="python", wrap_lines=True)
        st.markdown(views.PRIVATE)


def _report(controls: Controls):
    """Return the report that the page shows: the visitor's own, or an example."""
    own = session().report
    return results.example(controls.value("example")) if own is None else own


# ---- files

def _receive(controls: Controls, sent) -> None:
    """Open the file that the browser has just sent, if it has."""
    if sent is None:
        return
    try:
        session().report = results.read_file(sent, controls.value("activation"))
    except ParamError as error:
        controls.here.refused = [text.refusal(error)]
        redraw_page()
    controls.set({"layer": 0})


def _close(controls: Controls) -> None:
    _forget()
    controls.set({"layer": 0})


def _forget() -> None:
    session().report = None


# ---- results

def _results(shown: page.Results) -> None:
    name, place, weights = (shown.value(key) for key in ("example", "layer", "weights"))
    own = session().report
    if own is not None:
        own = results.with_activation(own, shown.value("activation"))
    found = results.network(name, place, weights, own)
    shown.verdict(found.verdict)
    with page.stage():
        elements.chart(found.strip, charts.layer_strip(), "strip",
                       "The layers in order of use, coloured by the fate of the signal, above, and of the "
                       "gradient, below. The slider opens any layer too.",
                       on_select=lambda: _open(shown.controls, "strip", ("layer",), lambda layer: layer))
        left, right = st.columns(2)
        with left:
            spec = charts.curves("layer", "signal, E[f(z)²] →", height=HEIGHT, parts=PARTS)
            elements.chart(found.forward, spec, "forward", "Mean square of the signal after each layer: "
                           "theory as a line, measurement as points, log axis")
        with right:
            spec = charts.curves("layer", "← gradient, Σδ²", height=HEIGHT, mirrored=True, parts=PARTS)
            elements.chart(found.backward, spec, "backward", "Squared gradient at the output of each layer: "
                           "theory as a line, measurement as points, log axis")
    if presenting():
        return
    st.markdown(" ".join(filter(None, (found.remarks, found.what_if))))
    st.caption(found.legend)
    _layer(found.layer)
    _plane(shown, name, place, own)
    report = results.example(name) if own is None else own
    elements.table_and_download(lambda: layers_table(report), "your-network", "layers")


def _layer(found) -> None:
    """Draw the numbers of a layer, and what is wrong with it."""
    left, right = st.columns(2, border=True)
    with left:
        st.markdown(f"{found.head}\n\n{found.numbers}")
    with right:
        if not found.findings:
            st.markdown("**No finding names this layer.**")
        for title, evidence, code in found.findings:
            st.markdown(f"**{title}**")
            st.text(evidence)  # it may hold names from a file: no Markdown
            st.code(code, language="python", wrap_lines=True)


def _plane(shown: page.Results, name: str, place: int, own) -> None:
    found = results.layer_plane(name, place, own)
    if found is None:
        return
    st.markdown(found.words)
    elements.chart(found.tables, charts.phase_plane(found.right, HIGHEST_BIAS, found.cell), "layers-plane",
                   "Depth scale over the variances of weights and biases, every layer as a point. "
                   "The slider opens any layer too.", 330, on_select=lambda: _open(
                       shown.controls, "layers-plane", ("sigma_w2", "sigma_b2"), found.nearest))


def _open(controls: Controls, chart: str, fields: tuple[str, ...], layer) -> None:
    """Open the layer that the last click on a chart added to its selection, or took away."""
    try:
        place = elements.toggled(chart, controls.here, fields)
        if place is not None:
            controls.set({"layer": BESIDE["layer"][0].check("layer", layer(*place))})
    except (ParamError, TypeError):  # a forged message
        return


shell.show(draw)
