"""Training runs, shared: a run belongs to its parameter set, and everyone who asks for the same one watches one computation.

At most ``running`` runs compute at once, one of each visitor and no more than fit into memory; others wait in line. A run that
nobody has looked at for a while stops; finished runs stay in a store bounded in bytes. No Streamlit here: pages ask, threads compute.
"""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from vgdash.parallel import WORKERS
from vgdash.sweep import Cell, SweepParams, cells
from vgdash.training.params import MEMORY, TrainParams
from vgdash.training.trainer import Trainer

SECONDS = float(os.environ.get("VGDASH_RUN_SECONDS", "300"))  # that one run may take here, as estimated before it starts
RUNNING = WORKERS  # runs at once, one of each visitor
WAITING = 40  # runs in line; more are refused with a sentence
KEPT = 64e6  # bytes of runs, with the views of them; runs under way come on top
UNWATCHED = 8.0  # seconds without a look until a run counts as unwatched
VIEWS = 12  # views of one run that are kept
FIRST_RATE = 8e9  # operations a second and core, until runs on this machine say better
HISTORY = 0.7  # weight of earlier runs in the measured rate
TELLING = 5.0  # seconds of a run from which its rate counts in full: short ones are mostly their beginning
EMPTY = 10_000  # bytes of a run without snapshots, about
FORGOTTEN = 4  # times the seconds of an unwatched run: then a watcher is forgotten, though others still watch


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


def _memory(run: Run) -> float:
    return getattr(run.params, "memory_bytes", 0.0)  # sweeps train small nets one by one


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
    kept: int = EMPTY  # bytes of the snapshots
    _views: OrderedDict[Any, tuple[Any, int]] = field(default_factory=OrderedDict)
    _lock: Any = field(default_factory=threading.Lock)

    @property
    def over(self) -> bool:
        return self.state in ("finished", "stopped", "failed")

    def add(self, snapshot: Any) -> None:
        with self._lock:
            self.snapshots.append(snapshot)
            self.kept += snapshot.nbytes

    @property
    def bytes(self) -> int:
        """Of the snapshots, and of what was made of them."""
        with self._lock:
            return self.kept + sum(size for _, size in self._views.values())

    def until(self, left: Left) -> Run:
        """The run as far as a visitor saw it who left it to others."""
        return replace(self, state="stopped", error="", snapshots=self.snapshots[:left.snapshots], ended=left.at, watchers={}, trainer=None)

    def viewed(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What pages make of the snapshots, made once for all who look the same way; the last ``VIEWS`` are kept."""
        with self._lock:
            if key in self._views:
                self._views.move_to_end(key)
                return self._views[key][0]
        made = make()
        size = len(pickle.dumps(made))
        with self._lock:
            self._views[key] = made, size
            while len(self._views) > VIEWS:
                self._views.popitem(last=False)
        return made

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



@dataclass(frozen=True)
class Left:
    """What a visitor keeps of a run that goes on for others: how far it was then."""

    params: TrainParams | SweepParams
    snapshots: int
    at: float


@dataclass(frozen=True)
class Watched:
    """The run that a visitor watches, or has left to others."""

    params: TrainParams | SweepParams
    left: Left | None = None


class Full(Exception):
    """Too many runs wait in line."""


class Store:
    """All runs of this server."""

    def __init__(self, running: int = RUNNING, kept_bytes: float = KEPT, unwatched: float = UNWATCHED,
                 memory: float = MEMORY, make=trainer):
        self.running, self.kept_bytes, self.unwatched, self.memory, self.make = running, kept_bytes, unwatched, memory, make
        self.rate, self._tried = FIRST_RATE, 0.0
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

    def leave(self, p: TrainParams, visitor: str) -> Left | None:
        """``visitor`` no longer watches. The run goes on for others, and ``visitor`` may keep what there is now; with nobody left it
        stops at once."""
        with self._lock:
            run = self._runs.get(p)
            if run is None or run.over:
                return None
            run.watchers.pop(visitor, None)
            if not run.watchers:
                self._stop(run)
            self._advance()
            return None if run.over else Left(p, len(run.snapshots), time.monotonic())

    def left(self, left: Left) -> Run | None:
        """What the visitor saw who left, if the store still has it. Looking at it is not watching the run."""
        with self._lock:
            run = self._runs.get(left.params)
            if run is not None:
                self._runs.move_to_end(left.params)
            return run and run.until(left)

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
        """Seconds that a run takes on this machine, from what it has to do and the rate of the runs so far."""
        return p.effort / self.rate

    def measure_rate(self, p: TrainParams) -> None:
        """Learn this machine's rate from a short run, unless one is under way or runs have told before. Of several tries the fastest
        counts: the processor may have been busy with something else."""
        if self._known():
            return
        trainer = self.make(p)
        start = time.monotonic()
        for _ in trainer:
            pass
        with self._lock:
            if not self._known():
                self.rate = self._tried = max(self._tried, p.effort / max(time.monotonic() - start, 1e-3))

    def _known(self) -> bool:
        return bool(self._runs) or self.rate not in (FIRST_RATE, self._tried)

    # ---- inside

    def _advance(self) -> None:
        now = time.monotonic()
        for run in [run for run in self._runs.values() if not run.over]:
            if all(now - seen > self.unwatched for seen in run.watchers.values()):
                self._stop(run, "nobody was watching any more")
            for visitor in [visitor for visitor, seen in run.watchers.items() if now - seen > FORGOTTEN * self.unwatched]:
                del run.watchers[visitor]
        for run in [run for run in self._runs.values() if run.state == "waiting"]:
            running = [other for other in self._runs.values() if other.state == "running"]
            if len(running) >= self.running or sum(map(_memory, [*running, run])) > max(self.memory, _memory(run)):
                break
            if not run.watchers.keys() <= {visitor for other in running for visitor in other.watchers}:
                self._begin(run)
        kept = 0.0
        for p, run in reversed(list(self._runs.items())):
            kept += run.bytes
            if run.over and kept > self.kept_bytes:
                del self._runs[p]

    def _begin(self, run: Run) -> None:
        run.state, run.started = "running", time.monotonic()
        try:
            threading.Thread(target=self._compute, args=(run,), daemon=True, name="vgdash-run").start()
        except RuntimeError as problem:  # no more threads on this machine
            run.state, run.error, run.ended = "failed", str(problem), run.started

    def _stop(self, run: Run, why: str = "") -> None:
        run.state, run.error, run.ended = "stopped", why, time.monotonic()
        if run.trainer is not None:
            run.trainer.stop()

    def _compute(self, run: Run) -> None:
        try:
            run.trainer = trainer = self.make(run.params)
            for snapshot in trainer:
                with self._lock:
                    if run.state != "running":
                        break
                    run.add(snapshot)
                    self._advance()
            outcome, error = "finished", ""
        except BaseException as problem:  # whatever ends the thread is said in a sentence and frees the run's place
            outcome, error = "failed", f"{type(problem).__name__}: {problem}"
        with self._lock:
            run.trainer = None
            if run.state == "running":
                run.state, run.error, run.ended = outcome, error, time.monotonic()
                if outcome == "finished" and self._alone(run):
                    seconds = max(run.ended - run.started, 1e-3)
                    share = (1 - HISTORY) * min(1.0, seconds / TELLING)
                    self.rate += share * (run.params.effort / seconds - self.rate)
            self._advance()

    def _alone(self, run: Run) -> bool:
        return not any(other.state == "running" for other in self._runs.values() if other is not run)
