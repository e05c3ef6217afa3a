"""Trainable depth. How deep can it go?"""

from contextlib import suppress

import streamlit as st

from pages.parts import charts, elements, page, prefetch, results, shell, text, training_panel
from pages.parts.controls import NARROW, WIDE, Controls
from pages.parts.presenter import presenting
from pages.parts.views import trainability_map
from pages.parts.views.phase_point import WHY
from vgdash.params import ParamError
from vgdash.theory.phase_diagram import HIGHEST_BIAS, ROWS, PhaseParams

BIASES = [round(HIGHEST_BIAS * k / (ROWS - 1), 10) for k in range(ROWS)]
FANS = [2, 4, 8, 16, 32, 64, 100, 128, 256, 512, 784, 1024, 2048]


def draw() -> None:
    controls = Controls("trainable_depth", PhaseParams, linked=("activation",))

    def row() -> None:
        controls.select("activation", "activation", width=NARROW)
        controls.steps("sigma_w2", "σw² = n · Var(w)", results.slopes(controls.value("activation")))
        controls.steps("sigma_b2", "σb² = Var(b)", BIASES)
        controls.steps("fan_in", "fan-in n", FANS, width=WIDE)

    def more() -> None:
        controls.number("gamma", "γ, multiplies every initializer's weights")
        controls.slider("depth", "layers to plot")

    if page.show(controls, "How deep can it go?", _results, row, more):
        _measured(controls)


def _results(shown: page.Results) -> None:
    p, found = shown.p, results.phases(shown.p)
    prefetch.schedule(results.phases, ((q,) for q in shown.controls.next_params()))
    shown.verdict(found.verdict)
    left, right = page.stage().columns([3, 2])
    with left:
        elements.chart(found.plane, charts.phase_plane(found.right, HIGHEST_BIAS, found.cell), "plane",
                       "Depth scale over the variances of weights and biases, the edge of chaos as a line, "
                       "every initializer as a point. The two sliders open any point too.",
                       390, on_select=lambda: _open(shown.controls))
    with right:
        elements.chart(found.course, charts.depth_profiles(found.decades), "course",
                       "By layer: above, the correlation of two inputs, predicted from three starts and "
                       "measured from 0; below, the mean square of the signal, predicted and measured", 390)
    st.markdown(found.legend)
    if presenting():
        return
    st.markdown(f"{found.remarks}\n\n{found.links} Or click any place on the plane.\n\n{found.numbers}")
    st.markdown(found.landmarks)
    elements.table_and_download(lambda: results.table(p), text.file_name("trainable-depth", p), "phases")


def _open(controls: Controls) -> None:
    """Set σw² and σb² to the place on the plane that the last click added or took away."""
    keys, rules = ("sigma_w2", "sigma_b2"), PhaseParams.rules()
    place = elements.toggled("plane", controls.here, keys)
    if place is not None:
        with suppress(ParamError):  # a forged message
            controls.set({key: rules[key].check(key, value) for key, value in zip(keys, place, strict=True)})


def _measured(controls: Controls) -> None:
    """Draw the measured maps: the one that ships with vgdash, and one that the visitor may compute."""
    st.markdown("### Measured: which depths really train", anchors=False)
    left, right = st.columns(2)
    with left:
        said, table = results.shipped_map()
        elements.chart(table, charts.measured_map(), "shipped",
                       "Accuracy of trained nets over σw² and depth, with the line of 6 ξc")
        st.caption(said + " It was computed once, and ships with vgdash.")
    with right:
        page.fragment(controls.page, "map-button", lambda: training_panel.sweep_button(
            trainability_map.small_sweep(controls.value("activation"), controls.value("sigma_b2"))))
        page.ticking(controls.page, "map", _map, lambda: training_panel.interval(training_panel.SWEEP))
        st.markdown(WHY)


def _map() -> None:
    run, found = training_panel.watched(training_panel.SWEEP), training_panel.measured_map()
    if run is not None and not run.over:
        st.markdown(training_panel.progress(run, run.params))
    if found is not None:
        elements.chart(trainability_map.map_table(found), charts.measured_map(), "swept",
                       "Accuracy of the nets trained here, by σw² and depth")
        st.caption(trainability_map.describe_map(found))


shell.show(draw)
