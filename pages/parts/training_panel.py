"""The training runs of one session: buttons to start and stop, progress, and results.

Buttons and progress are drawn by different fragments: a fragment that ticks holds no widget.
"""

from __future__ import annotations

import atexit

import pandas as pd
import streamlit as st

from pages.parts import prefetch, results, text
from pages.parts.state import answering, session
from pages.parts.training_runs import SECONDS, Full, Run, Store, Watched
from pages.parts.views.training import TrainingView, training_view
from vgdash.params import ParamError
from vgdash.sweep import SweepParams, Trainability
from vgdash.training.lr_finder import RateParams, Rates, rates_from_snapshots
from vgdash.training.params import TrainParams

FASTEST = 0.2  # seconds between two ticks of one session
BUSY = 0.02  # seconds of server time for one tick; the more watchers, the longer the interval
RUN, RATES, SWEEP = "run", "rates", "sweep"  # kinds of runs; a session watches one of each

STORE = Store()  # the runs of this server, shared by all sessions
atexit.register(STORE.close)


def start_when_ready() -> None:
    """Start the run of the settings when the buttons are drawn, or show the one that the server has."""
    session().start = RUN


def interval(*kinds: str) -> float | None:
    """Return the seconds between two ticks while a run of one of these kinds goes on, else None."""
    going = [run for kind in kinds if (run := watched(kind)) is not None and not run.over]
    if not going:
        return None
    prefetch.mark_busy()
    return max(FASTEST, BUSY * max(len(run.watchers) for run in going))


# ---- buttons

def run_buttons(p: TrainParams) -> None:
    """Draw Run and Stop, and start the run of ``p`` if that was requested."""
    too_long = _too_long(p)
    _start(RUN, p, too_long)
    if too_long:
        st.info(too_long, icon=":material/info:")
    run = watched(RUN)
    again = run is not None and run.params != p
    if not too_long and (run is None or again or (run.over and run.state != "finished")):
        label = f"{'Run again' if again else 'Run'} (about {text.seconds(STORE.estimate(p))})"
        st.button(label, type="primary", icon=":material/play_arrow:", on_click=_request, args=(RUN,),
                  key="start-run")
    if run is not None and not run.over:
        st.button("Stop", icon=":material/stop:", on_click=_stop, key="stop")


def rates_button(p: TrainParams) -> None:
    """Draw the button that tries many learning rates for the nets of ``p``, and try them if requested."""
    try:
        q = RateParams.of(p)
    except ParamError as error:  # one net for each rate: more than one run may take
        st.info("These nets are too large to try many learning rates at once. "
                f"{error.instead}", icon=":material/info:")
        return
    too_long = _too_long(q)
    _start(RATES, q, too_long)
    run = watched(RATES)
    if too_long:
        st.info(too_long, icon=":material/info:")
    elif run is None or run.params != q or run.state in ("stopped", "failed"):
        seconds = text.seconds(STORE.estimate(q))
        label = f"Try {q.rates_tried} learning rates, {q.steps} steps each (about {seconds})"
        st.button(label, type="primary", icon=":material/search:", key="find-rates",
                  on_click=_request, args=(RATES,))


def sweep_button(p: SweepParams) -> None:
    """Draw the button that measures a small trainability map, and measure it if requested."""
    _start(SWEEP, p)
    run = watched(SWEEP)
    if run is None or run.params != p or run.state in ("stopped", "failed"):
        st.button(f"Measure a small map here (about {text.seconds(STORE.estimate(p))})",
                  icon=":material/play_arrow:", key="measure-map", on_click=_request, args=(SWEEP,))


def _too_long(p: TrainParams) -> str:
    """Return a sentence on what to reduce if a run would take longer than ``SECONDS``, else nothing."""
    seconds = STORE.estimate(p)
    if seconds <= SECONDS:
        return ""
    steps = max(1, int(p.steps * SECONDS / seconds))
    return (f"This would take about {text.seconds(seconds)}. A run may take {text.seconds(SECONDS)} here. "
            f"Take about {steps:,} steps, or fewer or narrower layers, fewer initializers or seeds.")


@answering
def _request(kind: str) -> None:
    session().start = kind
    st.rerun()


@answering
def _stop() -> None:
    run = watched(RUN)
    if run is not None and not run.over:
        left = STORE.leave(run.params, session().visitor)  # others may watch it too
        session().runs[RUN] = Watched(run.params, left)
    st.rerun()


def _start(kind: str, p: TrainParams | SweepParams, instead: str = "") -> None:
    mine = session()
    if mine.start != kind:
        return
    mine.start = None
    if instead:
        return
    before = mine.runs.get(kind)
    if before is not None and before.params != p:
        STORE.leave(before.params, mine.visitor)
    try:
        STORE.ask(p, mine.visitor)
        mine.runs[kind] = Watched(p)
    except Full:
        st.warning("Many runs are waiting already. Try again in a minute.",
                   icon=":material/hourglass_top:")


# ---- progress and results

def watched(kind: str) -> Run | None:
    """Return the run of this kind that the session watches, if the server still has it."""
    mine = session().runs.get(kind)
    if mine is None:
        return None
    return STORE.left(mine.left) if mine.left is not None else STORE.look(mine.params, session().visitor)


def progress(run: Run | None, p: TrainParams | SweepParams) -> str:
    """Return one sentence on the state of a run; ``p`` are the settings of the page."""
    if run is None:
        return ""
    old = "" if run.params == p else "**The chart still shows the previous settings.** "
    if run.state == "waiting":
        place, seconds = STORE.place(run)
        return f"{old}Number {place} in line. It starts in about {text.seconds(seconds)}."
    if run.state == "running":
        left = run.seconds_left
        return f"{old}{_done(run)}" + (f", {text.seconds(left)} left." if left is not None else " …")
    if run.state == "failed":
        return f"{old}The run broke off ({text.harmless(run.error)}). Change a setting or run it again."
    if run.state == "stopped":
        return f"{old}Stopped{f', since {run.error}' if run.error else ''}. {_done(run)}."
    if old:
        return f"{old}Run again to update it."
    return f"{text.count(run.params.steps, 'step')} in {text.seconds(run.ended - run.started)}."


def _done(run: Run) -> str:
    if isinstance(run.params, SweepParams):
        return f"{len(run.snapshots)} of {len(run.params.grid)} cells"
    return f"Step {round(run.progress * run.params.steps):,} of {run.params.steps:,}"


def rates(p: TrainParams) -> Rates | None:
    """Return the learning rates that were tried for the nets of ``p``, once the run has finished."""
    run = watched(RATES)
    if run is None or run.state != "finished" or RateParams.of(p) != run.params:
        return None
    return rates_from_snapshots(run.params, run.snapshots[0], run.snapshots[-1])


def measured_map() -> Trainability | None:
    """Return the small trainability map as far as it is measured."""
    run = watched(SWEEP)
    return Trainability.of(run.params, run.snapshots[-1].cells) if run is not None and run.snapshots else None


def view(run: Run, look: str, of: str, statistic: str, goal: float) -> TrainingView:
    """Return the view of the snapshots so far, computed once for all sessions with the same choices."""
    count, over = len(run.snapshots), run.over
    key = (look, of if of in run.params.initializers else run.params.initializers[-1], statistic, goal)
    expected = results.foreseen(run.params)
    return run.viewed((*key, count, over), lambda: results.to_arrow(
        training_view(run.params, run.snapshots[:count], *key, over, expected)))


def table(run: Run) -> pd.DataFrame:
    """Return all numbers of the run so far."""
    return pd.concat([snapshot.frame() for snapshot in run.snapshots], ignore_index=True)
