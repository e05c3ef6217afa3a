"""The training run of one visitor: starting, watching, stopping, and saying so."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pandas as pd
import streamlit as st

from pages.parts import bounds, prefetch, text
from pages.parts.memory import as_arrow
from pages.parts.training_runs import Full, Run, Store
from pages.parts.views.training import TrainingView, training_view
from vgdash.params import ParamError
from vgdash.sweep import SweepParams, Trainability
from vgdash.training.lr_finder import RateParams, Rates, rates_from_snapshots
from vgdash.training.params import TrainParams

FASTEST = 0.2  # seconds between two looks of one visitor
BUSY = 0.02  # seconds of server time that one look may cost; many watchers look less often


@st.cache_resource(show_spinner=False)
def store() -> Store:
    """The runs of this server, shared by all visitors."""
    return Store()


def start_when_ready() -> None:
    """Start the run of the page's parameters as soon as they are known. For presets and links."""
    st.session_state["start"] = True


def interval() -> float | None:
    """Seconds between two looks while a run of the visitor goes on or is about to, else None."""
    if any(st.session_state.get(wish) for wish in ("start", "find", "measure")):
        return FASTEST
    going = [run for run in (_watched("run"), _watched("finder"), _watched("sweep")) if run is not None and not run.over]
    return max(FASTEST, BUSY * max(len(run.watchers) for run in going)) if going else None


def run_bar(p: TrainParams) -> Run | None:
    """Run, progress, Stop; the visitor's run. ``p`` are the parameters as set now."""
    too_long = _too_long(p)
    if st.session_state.pop("start", False) and not too_long:
        _start("run", p)
    run = _watched("run")
    if too_long:
        st.info(too_long, icon=":material/info:")
    with st.container(horizontal=True, vertical_alignment="center", key="run-bar"):
        again = run is not None and run.params != p
        if not too_long and (run is None or again or (run.over and run.state != "finished")):
            _run_button(p, "Run again" if again else "Run")
        if run is not None and not run.over:
            st.button("Stop", icon=":material/stop:", on_click=_stop, key="stop")
        st.markdown(_state(run, p))
    _keep_time()
    return run


def find_rates(p: TrainParams) -> Rates | None:
    """Button, progress and result of the learning-rate finder for the nets of ``p``; None while there is nothing to show."""
    try:
        q = RateParams.of(p)
    except ParamError as error:  # one net for each rate: more than one run may take
        st.session_state.pop("find", None)
        st.info(f"Too much to try many learning rates at once: {error.field} must be {error.rule}. {error.instead}", icon=":material/info:")
        return None
    if too_long := _too_long(q):
        st.session_state.pop("find", None)
        st.info(too_long, icon=":material/info:")
        return None
    if st.session_state.pop("find", False):
        _start("finder", q)
    run = _watched("finder")
    if run is None or run.params != q or run.state in ("stopped", "failed"):
        st.button(f"Try {q.rates_tried} learning rates, {q.steps} steps each (about {text.seconds(store().estimate(q))})", type="primary",
                  icon=":material/search:", key="find-rates", on_click=_ask_rates)
    elif not run.over:
        st.markdown(_state(run, q))
    _keep_time()
    finished = run is not None and run.state == "finished"
    return rates_from_snapshots(run.params, run.snapshots[0], run.snapshots[-1]) if finished else None


def _too_long(p: TrainParams) -> str:
    """What to reduce where a run would take longer here than a run may; else nothing."""
    seconds = store().estimate(p)
    if seconds <= bounds.RUN_SECONDS:
        return ""
    steps = max(1, int(p.steps * bounds.RUN_SECONDS / seconds))
    return (f"This would take about {text.seconds(seconds)}, and a run may take {text.seconds(bounds.RUN_SECONDS)} here. "
            f"About {steps:,} steps would do; or take fewer or narrower layers, fewer initializers or seeds.")


def _ask_rates() -> None:
    st.session_state["find"] = True


def sweep(p: SweepParams) -> Trainability | None:
    """Button, progress and result, as far as it is, of a small trainability map; None before it has begun."""
    if st.session_state.pop("measure", False):
        _start("sweep", p)
    run = _watched("sweep")
    with st.container(horizontal=True, vertical_alignment="center"):
        if run is None or run.params != p or run.state in ("stopped", "failed"):
            st.button(f"Measure a small map here (about {text.seconds(store().estimate(p))})", icon=":material/play_arrow:",
                      key="measure-map", on_click=_ask_sweep)
        elif not run.over:
            st.markdown(_state(run, p))
    _keep_time()
    if run is None or run.params != p or not run.snapshots:
        return None
    return Trainability.of(p, run.snapshots[-1].cells)


def _ask_sweep() -> None:
    st.session_state["measure"] = True


def ticking(view: Callable[[], None]) -> None:
    """Draw the page's fragment, with a timer while a run goes on. For a full run."""
    every = interval()
    st.session_state["timer"], st.session_state["in full run"] = every is not None, True
    try:
        st.fragment(view, run_every=every)()
    finally:
        st.session_state["in full run"] = False


def _keep_time() -> None:
    """A full run sets the timer when a run begins, and ends it when none goes on. It is asked for by a fragment's run only: a full
    run that breaks off would leave the address without what a scene has just set."""
    going = interval() is not None
    if going:
        prefetch.put_off()
    if going != st.session_state.get("timer", False) and not st.session_state.get("in full run"):
        st.rerun()


def table(run: Run) -> pd.DataFrame:
    """All numbers of the run so far."""
    return pd.concat([snapshot.frame() for snapshot in run.snapshots], ignore_index=True)


def _visitor() -> str:
    return st.session_state.setdefault("visitor", uuid.uuid4().hex)


def _watched(what: str) -> Run | None:
    if (left := st.session_state.get(f"{what} left")) is not None:
        return store().left(left)
    asked = st.session_state.get(what)
    return store().look(asked, _visitor()) if asked is not None else None


def _start(what: str, p: TrainParams) -> None:
    before = st.session_state.get(what)
    if before is not None and before != p:
        store().leave(before, _visitor())
    try:
        store().ask(p, _visitor())
        st.session_state[what] = p
        st.session_state.pop(f"{what} left", None)
    except Full:
        st.warning("Many runs are waiting already. Please try again in a minute.", icon=":material/hourglass_top:")


def _stop() -> None:
    run = _watched("run")
    if run is not None and not run.over:
        st.session_state["run left"] = store().leave(run.params, _visitor())  # others may watch it too


def _run_button(p: TrainParams, label: str) -> None:
    st.button(f"{label} (about {text.seconds(store().estimate(p))})", type="primary", icon=":material/play_arrow:",
              on_click=start_when_ready, key="start-run")


def _state(run: Run | None, p: TrainParams) -> str:
    """One sentence on where the run is."""
    if run is None:
        return ""
    old = "" if run.params == p else "You changed the settings: **this is still the run before.** "
    if run.state == "waiting":
        place, seconds = store().place(run)
        return f"{old}Number {place} in line; starts in about {text.seconds(seconds)}."
    if run.state == "running":
        left = run.seconds_left
        return f"{old}{_done(run)}" + (f", {text.seconds(left)} left." if left is not None else " …")
    if run.state == "failed":
        return f"{old}The run broke off ({text.harmless(run.error)}). Change a setting or run it again."
    if run.state == "stopped":
        return f"{old}Stopped{f', since {run.error}' if run.error else ''}. {_done(run)}."
    return f"{old}{text.count(run.params.steps, 'step')} in {text.seconds(run.ended - run.started)}."


def _done(run: Run) -> str:
    if isinstance(run.params, SweepParams):
        return f"{len(run.snapshots)} of {len(run.params.grid)} cells"
    return f"Step {round(run.progress * run.params.steps):,} of {run.params.steps:,}"


def view(run: Run, look: str, of: str, statistic: str, goal: float) -> TrainingView:
    """A look at the snapshots so far, made once for all who look the same way."""
    count, over = len(run.snapshots), run.over
    key = (look, of if of in run.params.initializers else run.params.initializers[-1], statistic, goal)
    return run.viewed((*key, count, over), lambda: as_arrow(training_view(run.params, run.snapshots[:count], *key, over)))
