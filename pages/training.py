"""Training curves. Who learns, who stands still, who blows up?"""

import streamlit as st

from pages.parts import charts, draw, frame, lecture, live
from pages.parts.controls import Controls
from pages.parts.stage import Stage
from pages.parts.views.training import WHY
from vgdash.initializers import INITIALIZERS
from vgdash.params import Choice
from vgdash.training import TrainParams

BESIDE = {"of": (Choice(tuple(INITIALIZERS)), "he_normal")}
DEPTHS = [2, 3, 5, 8, 10, 15, 20, 30, 40, 50, 64, 80, 100, 128, 152, 200, 256]
RATES = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0, 10.0]


def page() -> None:
    asked = bool(st.query_params)
    Controls("training", TrainParams, BESIDE).read_address()
    if asked and "run" not in st.session_state:
        live.start_when_ready()
    st.fragment(view, run_every=live.interval())()


def view() -> None:
    controls = Controls("training", TrainParams, BESIDE)
    stage = Stage("Who learns, who stands still, who blows up?", controls, then=live.start_when_ready)
    with stage.controls():
        dataset, depth, activation, rate, more = st.columns([2, 3, 2, 3, 2], vertical_alignment="bottom")
        with dataset:
            controls.select("dataset", "data")
        with depth:
            controls.steps("depth", "depth L", DEPTHS)
        with activation:
            controls.select("activation", "activation")
        with rate:
            controls.steps("learning_rate", "learning rate η", RATES)
        with more, st.popover("More", width="stretch"):
            _more(controls)
        p = controls.params()
        run, shown = live.run_bar(p)
    if not stage.ready(controls, p):
        return
    if shown is None:
        stage.verdict(f"{len(p.initializers)} initializers, {p.depth} layers, the same data and the same draw: press **Run**.")
        draw.why(WHY)
        return
    stage.verdict(shown.verdict)
    with stage.main():
        loss, accuracy = st.columns(2)
        with loss:
            draw.chart(shown.loss, charts.curves("step", "training loss", height=270, fine=True), "loss", "Training loss by step, log axis")
        with accuracy:
            draw.chart(shown.accuracy, charts.curves("step", "held-out accuracy", decades=False, height=270), "accuracy",
                       "Share of held-out examples that are classified right, by step")
    if lecture.presenting():
        return
    left, right = st.columns(2)
    with left:
        controls.select("of", "gradient by layer and step, of")
        name = controls.chosen("of") if controls.chosen("of") in run.params.initializers else run.params.initializers[-1]
        draw.chart(shown.gradients[name], charts.heat_map("step", "layer", "size"), "heat", "Size of the gradient by layer and step")
        st.caption(f"{name}: a layer whose row is dark learns nothing.")
    with right:
        draw.chart(shown.updates, charts.curves("step", "update : weight", height=260), "updates",
                   "Update divided by weight, median layer, by step, log axis")
        st.caption("How far a step moves the weights of the median layer. Below a millionth nothing learns, above a tenth little survives.")
    draw.why(WHY)
    draw.table_and_download(lambda: live.table(run), f"training-{p.dataset}-{p.depth}-layers-seed{p.seed}", "training")


def _more(controls: Controls) -> None:
    controls.several("initializers", "initializers")
    controls.steps("width", "width of the hidden layers", [2, 4, 8, 16, 32, 64, 100, 128, 256, 512])
    controls.select("optimizer", "optimizer")
    controls.real("gamma", "γ, multiplies the first weights")
    controls.steps("batch", "batch", [8, 16, 32, 64, 128, 256])
    controls.steps("steps", "steps", [50, 100, 200, 400, 600, 1000, 2000, 5000, 10000])
    controls.steps("seeds", "nets of each (seeds)", [1, 2, 3, 5, 8])
    controls.whole("seed", "seed")
    controls.real("clip", "clip the gradient's norm (0: off)")
    controls.slider("label_noise", "wrong labels, share", 0.05)


frame.show(page)
