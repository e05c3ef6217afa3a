"""Training. Who learns, who stands still, who blows up?"""

import streamlit as st

from pages.parts import charts, elements, names, page, results, shell, text, training_panel
from pages.parts.controls import NARROW, WIDE, Controls
from pages.parts.net_controls import class_controls, net_controls, width_controls
from pages.parts.presenter import presenting
from pages.parts.views import same_net
from pages.parts.views.training import COURSE, DECISION, GRADIENTS, HISTOGRAMS, LAYERS, LOOKS_AT, RATES, why
from pages.parts.views.training_details import FRAMES, STATISTICS, rates
from pages.parts.views.training_words import goal_question, opening, score_name
from vgdash.initializers import INITIALIZERS
from vgdash.params import Choice, Real
from vgdash.training.params import TrainParams

BESIDE = {
    "look": (Choice(LOOKS_AT), COURSE),
    "of": (Choice(tuple(INITIALIZERS)), "he_normal"),
    "statistic": (Choice(tuple(STATISTICS)), "grad2"),
    "goal": (Real(0.1, 1.0), 0.9),
}
DEPTHS = [2, 3, 5, 8, 10, 15, 20, 30, 40, 50, 64, 80, 100, 128, 152, 200, 256]
HEIGHT = 215
PARTS = "limit extent band line point name"
WIDTHS = [2, 4, 8, 16, 32, 64, 100, 128, 256, 512]
LEARNING_RATES = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0, 10.0]


def draw() -> None:
    controls = Controls("training", TrainParams, BESIDE, ("dataset", "normalization", "look", "widths"),
                        ("looks", "buttons", "results"), training_panel.start_when_ready)
    if training_panel.watched(training_panel.RUN) is None:  # no page opens empty
        training_panel.start_when_ready()

    def row() -> None:
        controls.select("dataset", "data", width=WIDE)
        if controls.value("widths") is None:  # typed widths say how deep the net is
            controls.steps("depth", "depth L", DEPTHS)
        controls.select("activation", "activation", width=NARROW)
        controls.steps("learning_rate", "learning rate η", LEARNING_RATES)

    def more() -> None:
        controls.several("initializers", "initializers", wrap=True)
        width_controls(controls, "width of the hidden layers", WIDTHS, "64-512-256-10")
        controls.select("optimizer", "optimizer")
        controls.number("gamma", "γ, multiplies the first weights")
        controls.steps("batch", "batch size", [8, 16, 32, 64, 128, 256])
        controls.steps("steps", "steps", [50, 100, 200, 400, 600, 1000, 2000, 5000, 10000])
        controls.steps("seeds", "random nets per initializer", [1, 2, 3, 5, 8])
        controls.number("seed", "seed of the random numbers")
        controls.number("clip", "clip the gradient's norm (0: off)")
        controls.slider("keep", "dropout: share kept", 0.01)
        class_controls(controls)
        controls.select("normalization", "normalization")
        controls.select("residual", "skip connections")
        controls.number("sigma_b2", "σb², variance of the first biases (0: the initializer's own)")
        net_controls(controls, norm_reaches_last=False)

    def looks() -> None:
        controls.segments("look", "look at", label_visibility="collapsed")
        if (look := controls.value("look")) in (GRADIENTS, HISTOGRAMS):
            controls.select("of", "net", controls.params()[0].initializers, width=WIDE)
        if look == LAYERS:
            controls.select("statistic", "show", width=WIDE)

    def buttons() -> None:
        p, _ = controls.params()
        training_panel.run_buttons(p)
        if controls.value("look") == RATES:
            training_panel.rates_button(p)

    def below() -> None:
        left, right = st.columns(2)
        p, _ = controls.params()
        left.markdown(why(p))
        with right:
            controls.slider("goal", goal_question(p), 0.05)
        run = training_panel.watched(training_panel.RUN)
        if run is not None and run.snapshots:
            name = text.file_name("training", run.params)
            elements.table_and_download(lambda: training_panel.table(run), name, "training", run.params)

    if page.show(controls, "Who learns, who stands still, who blows up?", _results, row, more, looks, buttons,
                 lambda: training_panel.interval(training_panel.RUN, training_panel.RATES)):
        page.fragment(controls.page, "below", below)


def _results(shown: page.Results) -> None:
    p, value = shown.p, shown.value
    run = training_panel.watched(training_panel.RUN)
    shown.bar.markdown(training_panel.progress(run, p) or "\u00a0")
    if value("look") == RATES:
        _rates(p)
    if run is None or not run.snapshots:
        shown.verdict(opening(p, results.foreseen(p)))
        return
    found = training_panel.view(run, value("look"), value("of"), value("statistic"), value("goal"))
    shown.verdict(found.verdict)
    with page.stage():
        _main(found.tables, value("look"), found.of, value("statistic"), run)
    if not presenting():
        st.markdown(found.ranking)
        elements.net_link("initializers", "Measure these nets before training", same_net.measured(p))


def _rates(p: TrainParams) -> None:
    trying = training_panel.watched(training_panel.RATES)
    if trying is not None and not trying.over:
        st.markdown(training_panel.progress(trying, trying.params))
    found = training_panel.rates(p)
    if found is not None:
        said, table = rates(found)
        spec = charts.curves("learning rate", "loss", log_x=True, fine=True, height=HEIGHT)
        elements.chart(table, spec, "rates", "Loss after a few steps against the learning rate, log axes")
        st.caption(said)


def _main(tables, look: str, of: str, statistic: str, run) -> None:
    if look == COURSE:
        loss, accuracy = st.columns(2)
        with loss:
            spec = charts.curves("step", "training loss", height=HEIGHT, fine=True, parts=PARTS)
            elements.chart(tables["loss"], spec, "loss", "Training loss by step, log axis")
        with accuracy:
            spec = charts.curves("step", score_name(run.params), decades=False, height=HEIGHT, parts=PARTS)
            elements.chart(tables["accuracy"], spec, "accuracy", f"What is {score_name(run.params)}, by step")
    elif look == GRADIENTS:
        heat, updates = st.columns(2)
        with heat:
            spec = charts.heat_map("step", f"layer, {names.short(of)}", "size", HEIGHT)
            elements.chart(tables["gradients"], spec, "heat",
                           "Size of the gradient by layer and step. A layer of a dark row learns nothing.")
        with updates:
            spec = charts.curves("step", "update : weight", height=HEIGHT, parts=PARTS)
            elements.chart(tables["updates"], spec, "updates",
                           "Update : weight, median layer, by step, log axis. A thousandth is healthy.")
    elif look == LAYERS:
        spec = charts.scrubbed_lines(*STATISTICS[statistic], FRAMES - 1 if run.over else 0)
        elements.chart(tables["layers"], spec, f"layers {run.over}",
                       "A statistic by layer, for each initializer, at a moment of the run")
    elif look == HISTOGRAMS and not run.params.histogram_layers:
        st.info("A net of one layer has no hidden layer to draw. Take two or more layers.")
    elif look == HISTOGRAMS:
        last = len(run.params.histogram_layers) - 1
        spec = charts.scrubbed_histograms(last, "a, in units of its root mean square", "share of the units",
                                          predicted=False)
        elements.chart(tables["histograms"], spec, f"histograms {last}",
                       "Histogram of the activations of one layer, to be chosen by the slider in the chart")
    elif look == DECISION and not tables:
        st.info("This view needs data with two features: choose spirals, circles, moons or gaussians.")
    elif look == DECISION:
        for column, (name, table) in zip(st.columns(max(2, len(tables))), tables.items(), strict=False):
            with column:
                st.markdown(f"**{names.long(name)}**")
                elements.chart(table, charts.decision(), f"decision {name}",
                               f"What the net of {names.short(name)} decides on the plane, and the data")


shell.show(draw)
