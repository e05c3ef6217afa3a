"""Trainable depth. How deep can it go?"""

from collections.abc import Iterable

import streamlit as st

from pages.parts import charts, elements, prefetch, presenter, results, shell, text, told, training_panel
from pages.parts.controls import NARROW, WIDE, Controls
from pages.parts.page import Stage, top
from pages.parts.views import trainability_map
from pages.parts.views.phase_point import WHY
from vgdash.params import ParamError
from vgdash.theory.phase_diagram import HIGHEST_BIAS, ROWS, PhaseParams, phase_map, plane

BIASES = [round(HIGHEST_BIAS * k / (ROWS - 1), 10) for k in range(ROWS)]
CLICKS = 500  # that one visitor makes on one plane, at most
FANS = [2, 4, 8, 16, 32, 64, 100, 128, 256, 512, 784, 1024, 2048]


def page() -> None:
    controls = Controls("trainable_depth", PhaseParams)
    if "plane" not in st.session_state:  # the plane is drawn anew, and nothing is picked on it
        st.session_state.pop("picked before", None)
    controls.read_address()
    top("How deep can it go?", controls)
    view()
    if not presenter.presenting():
        _measured()


@st.fragment
def view() -> None:
    controls = Controls("trainable_depth", PhaseParams)
    stage = Stage(controls)
    with stage.controls():
        controls.select("activation", "activation", width=NARROW)
        controls.steps("sigma_w2", "σ_w² = fan_in · Var(w)", _and_current("sigma_w2", plane(controls.chosen("activation")).sigma_w2))
        controls.steps("sigma_b2", "σ_b² = Var(b)", _and_current("sigma_b2", BIASES))
        controls.steps("fan_in", "fan-in", FANS, width=WIDE)
        with controls.more():
            controls.real("gamma", "γ, multiplies every initializer's weights")
            controls.slider("depth", "layers shown")
    p = controls.params()
    if not stage.ready(controls, p):
        return
    shown = results.phases(p)
    prefetch.wish(results.phases, ((q,) for q in controls.next_steps()))
    stage.verdict(shown.verdict)
    left, right = st.columns([3, 2])
    with left:
        elements.chart(shown.plane, charts.phase_plane(shown.right, HIGHEST_BIAS, shown.cell), "plane",
                   "Depth scale over the variances of weights and biases, the edge of chaos as a line, every initializer as a "
                   "point. The two sliders open any point too.", 420, on_select=_open)
    with right:
        elements.chart(shown.course, charts.depth_profiles(shown.decades), "course",
                   "By layer: above, the correlation of two inputs, predicted from three starts and measured from 0; below, the mean "
                   "square of the signal, predicted and measured", 420)
    if presenter.presenting():
        return
    st.markdown(f"Click a point or any place on the plane to open it. {shown.numbers} {shown.remarks} {shown.links}")
    st.markdown(shown.landmarks)
    elements.table_and_download(lambda: phase_map(p).frame(), text.file_name("trainable-depth", p), "phases")


def _measured() -> None:
    """Which depths really train: the map that ships with the package, and one that the visitor may compute."""
    st.markdown("### Measured: which depths really train", anchors=False)
    left, right = st.columns(2)
    with left:
        said, table = results.shipped_map()
        elements.chart(table, charts.measured_map(), "shipped", "Accuracy of trained nets over σ_w² and depth, with the line of 6 ξ_c")
        st.caption(said + " Computed once; it ships with vgdash.")
    with right:
        training_panel.ticking(sweep)
        st.markdown(WHY)


def sweep() -> None:
    controls = Controls("trainable_depth", PhaseParams)
    told.insist(controls.page)
    found = training_panel.sweep(trainability_map.small_sweep(controls.chosen("activation"), controls.chosen("sigma_b2")))
    if found is not None:
        elements.chart(trainability_map.map_table(found), charts.measured_map(), "swept", "Accuracy of the nets trained here, by σ_w² and depth")
        st.caption(trainability_map.describe_map(found))


def _and_current(key: str, usual: Iterable[float]) -> list[float]:
    """The usual options and the value that is set now: an initializer stands where it stands, not on the grid."""
    return sorted({*usual, *([st.session_state[key]] if key in st.session_state else [])})


def _open() -> None:
    """Open the place that was clicked: the one that is picked now and was not before, or the other way round."""
    try:
        points = st.session_state["plane"]["selection"]["picked"]  # {} when nothing is picked any more
        picked = [(point["sigma_w2"], point["sigma_b2"]) for point in list(points)[:CLICKS]]
        before = st.session_state.get("picked before", [])
        st.session_state["picked before"] = picked
        place = next(place for place in (*reversed(picked), *before) if (place in picked) != (place in before))
        values = {key: PhaseParams.rules()[key].check(key, value) for key, value in zip(("sigma_w2", "sigma_b2"), place, strict=True)}
    except (LookupError, TypeError, StopIteration, ParamError):  # it was no browser that spoke
        return
    for key, value in values.items():
        told.tell("trainable_depth", key, value)


shell.show(page)
