"""Trainable depth. How deep can it go?"""

import streamlit as st

from pages.parts import charts, draw, frame, results
from pages.parts.controls import Controls
from pages.parts.stage import Stage
from pages.parts.views.trainable_depth import PRESETS, WHY
from vgdash.phases import HIGHEST_BIAS, ROWS, PhaseParams, phase_map, plane

BIASES = [round(HIGHEST_BIAS * k / (ROWS - 1), 10) for k in range(ROWS)]
FANS = [2, 4, 8, 16, 32, 64, 100, 128, 256, 512, 784, 1024, 2048]


def page() -> None:
    Controls(PhaseParams).read_address()
    view()


@st.fragment
def view() -> None:
    controls = Controls(PhaseParams)
    stage = Stage("How deep can it go?")
    with stage.controls():
        controls.presets(PRESETS)
        activation, weights, biases, fan_in, more = st.columns([2, 4, 4, 2, 2], vertical_alignment="bottom")
        with activation:
            controls.select("activation", "activation")
        with weights:
            controls.steps("sigma_w2", "σ_w² = fan_in · Var(w)", _with_current("sigma_w2", plane(controls.chosen("activation")).sigma_w2))
        with biases:
            controls.steps("sigma_b2", "σ_b² = Var(b)", _with_current("sigma_b2", BIASES))
        with fan_in:
            controls.steps("fan_in", "fan-in", FANS)
        with more, st.popover("More", width="stretch"):
            controls.real("gamma", "γ, multiplies every initializer's weights")
            controls.slider("depth", "layers in the profile")
    p = controls.params()
    shown = results.phases(p)
    stage.verdict(shown.verdict)
    stage.notice(controls.notices())

    with stage.main():
        left, right = st.columns([3, 2])
        with left:
            st.vega_lite_chart(shown.plane, charts.phase_plane(), key="plane", on_select=_open, width="stretch", height=420,
                               alt="Depth scale over weight and bias variance, with the edge of chaos and every initializer as a point")
        with right:
            draw.chart(shown.correlation, charts.depth_profile("correlation c"), "correlation",
                       "Correlation of two inputs by layer: predicted lines, measured points")
            draw.chart(shown.moment, charts.depth_profile("E[z²], q", shown.decades), "moment", "Mean square of the signal by layer")


def _with_current(key, usual):
    return sorted({*usual, st.session_state.get(key, usual[0])})


def _open():
    picked = st.session_state["plane"]["selection"]["picked"]
    print(picked)


frame.show(page)
