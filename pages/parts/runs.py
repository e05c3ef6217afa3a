"""Training runs, shared: a run belongs to its parameter set, and everyone who asks for the same one watches one computation.

At most ``running`` runs compute at once, others wait in line; a run that nobody has looked at for a while stops; finished runs
stay in a store bounded in bytes. No Streamlit here: pages ask, threads compute.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from vgdash.parallel import WORKERS
from vgdash.sweep import Cell, SweepParams, cells
from vgdash.train_params import TrainParams
from vgdash.training import Trainer

RUNNING_AT_ONCE = WORKERS
KEPT_BYTES = 64e6
WAITING = 40  # runs in line; more are refused with a sentence
UNWATCHED = 8.0  # seconds without a look until a run counts as unwatched
FIRST_RATE = 8e9  # operations a second, until runs of this machine say better
HISTORY = 0.7  # weight of earlier runs in the measured rate


@dataclass(frozen=True)
class Swept:
    """How far a sweep is: the cells so far, and which share of the work that was."""

    cells: tuple[Cell, ...]
    share: float
    nbytes: int = 400


class Sweeper:
    """A small sweep as a run: yields ``Swept`` after every cell, in one thread of this process."""

    def __init__(self, p: SweepParams):
        self.params, self._stopped = p, threading.Event()

    def stop(self) -> None:
        """Ends the run after the cell under way."""
        self._stopped.set()

    def __iter__(self) -> Iterator[Swept]:
        found: tuple[Cell, ...] = ()
        work = 0.0
        with ThreadPoolExecutor(1, "vgdash-sweep") as pool:
            for cell in cells(self.params, pool):
                found, work = (*found, cell), work + self.params.cell(*cell.key).flops
                if self._stopped.is_set():
                    return
                yield Swept(found, min(1.0, work / self.params.flops))


def trainer(p: TrainParams | SweepParams) -> Trainer | Sweeper:
    """What computes ``p``, snapshot by snapshot, until it is told to stop."""
    return Sweeper(p) if isinstance(p, SweepParams) else Trainer(p)


@dataclass(eq=False)
class Run:
    """One computation. ``snapshots`` only grows; ``state`` goes waiting, running, then finished, stopped or failed."""

    params: TrainParams | SweepParams
    state: str = "waiting"
    snapshots: list[Any] = field(default_factory=list)
    error: str = ""
    started: float = 0.0
    ended: float = 0.0
    watchers: dict[str, float] = field(default_factory=dict)
    trainer: Trainer | Sweeper | None = None
    views: dict[Any, Any] = field(default_factory=dict)  # what pages made of the snapshots, for all who look the same way

    @property
    def over(self) -> bool:
        return self.state in ("finished", "stopped", "failed")

    def left(self) -> Run:
        """What a visitor keeps who stops a run that goes on for others: the run as it is now, stopped."""
        return replace(self, state="stopped", snapshots=list(self.snapshots), ended=time.monotonic(), watchers={}, trainer=None, views={})

    @property
    def progress(self) -> float:
        """Share of the work that is done."""
        return self.snapshots[-1].share if self.snapshots else 0.0

    @property
    def seconds_left(self) -> float | None:
        """From the run's own pace; None before there is one."""
        if self.state != "running" or self.progress < 0.02:
            return None
        return (time.monotonic() - self.started) * (1 - self.progress) / self.progress

    @property
    def bytes(self) -> int:
        return sum(snapshot.nbytes for snapshot in list(self.snapshots)) + 10_000


class Full(Exception):
    """Too many runs wait in line."""


class Store:
    """All runs of this server."""

    def __init__(self, running: int = RUNNING_AT_ONCE, kept_bytes: float = KEPT_BYTES, unwatched: float = UNWATCHED,
                 make=trainer):
        self.running, self.kept_bytes, self.unwatched, self.make = running, kept_bytes, unwatched, make
        self.rate = FIRST_RATE
        self._runs: OrderedDict[TrainParams, Run] = OrderedDict()
        self._lock = threading.RLock()

    def ask(self, p: TrainParams, visitor: str) -> Run:
        """The run of ``p``, started or put in line if there is none or it was stopped; ``visitor`` watches it from now on.

        Raises ``Full`` when too many runs wait.
        """
        with self._lock:
            run = self._runs.get(p)
            if run is None or run.state in ("stopped", "failed"):
                if sum(r.state == "waiting" for r in self._runs.values()) >= WAITING:
                    raise Full
                run = self._runs[p] = Run(p)
                self._runs.move_to_end(p)  # of the line; one that was stopped stood further ahead
            run.watchers[visitor] = time.monotonic()
            self._advance()
            return run

    def look(self, p: TrainParams, visitor: str) -> Run | None:
        """The run of ``p`` if the store still has it; says that ``visitor`` still watches."""
        with self._lock:
            run = self._runs.get(p)
            if run is not None:
                if run.over:
                    self._runs.move_to_end(p)  # the last to be forgotten; who waits keeps the place in line
                else:
                    run.watchers[visitor] = time.monotonic()
            self._advance()
            return run

    def leave(self, p: TrainParams, visitor: str) -> None:
        """``visitor`` no longer watches. The run goes on for others; with nobody left it stops at once."""
        with self._lock:
            run = self._runs.get(p)
            if run is None or run.over:
                return
            run.watchers.pop(visitor, None)
            if not run.watchers:
                self._stop(run)
            self._advance()

    def place(self, run: Run) -> tuple[int, float]:
        """How many runs are ahead in line (1: next), and the seconds until it starts, estimated."""
        with self._lock:
            ahead = [r for r in self._runs.values() if r.state == "waiting"]
            before = ahead[:ahead.index(run)] if run in ahead else []
            busy = [r.seconds_left if r.seconds_left is not None else self.estimate(r.params)
                    for r in self._runs.values() if r.state == "running"]
            work = sum(busy) + sum(self.estimate(r.params) for r in before)
            return len(before) + 1, work / self.running

    def estimate(self, p: TrainParams) -> float:
        """Seconds that a run takes on this machine, from its operations and the rate of the runs so far."""
        return p.flops / self.rate

    # ---- inside

    def _advance(self) -> None:
        now = time.monotonic()
        for run in list(self._runs.values()):
            if not run.over and all(now - seen > self.unwatched for seen in run.watchers.values()):
                self._stop(run)
        free = self.running - sum(run.state == "running" for run in self._runs.values())
        for run in [r for r in self._runs.values() if r.state == "waiting"][:max(free, 0)]:
            run.state, run.started = "running", now
            threading.Thread(target=self._compute, args=(run,), daemon=True, name="vgdash-run").start()
        kept = 0.0
        for p, run in reversed(list(self._runs.items())):
            kept += run.bytes
            if run.over and kept > self.kept_bytes:
                del self._runs[p]

    def _stop(self, run: Run) -> None:
        run.state, run.ended = "stopped", time.monotonic()
        if run.trainer is not None:
            run.trainer.stop()

    def _compute(self, run: Run) -> None:
        try:
            run.trainer = trainer = self.make(run.params)
            for snapshot in trainer:
                with self._lock:
                    if run.state != "running":
                        break
                    run.snapshots.append(snapshot)
                    self._advance()
            outcome, error = "finished", ""
        except Exception as problem:  # a crash inside a run is said in a sentence and leaves the store sound
            outcome, error = "failed", f"{type(problem).__name__}: {problem}"
        with self._lock:
            run.trainer = None
            if run.state == "running":
                run.state, run.error, run.ended = outcome, error, time.monotonic()
                if outcome == "finished" and self._alone(run):
                    pace = run.params.flops / max(run.ended - run.started, 1e-3)
                    self.rate = HISTORY * self.rate + (1 - HISTORY) * pace
            self._advance()

    def _alone(self, run: Run) -> bool:
        return not any(other.state == "running" for other in self._runs.values() if other is not run)
