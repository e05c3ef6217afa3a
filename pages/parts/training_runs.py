"""Training runs, shared: all sessions with the same parameter set watch one computation. No Streamlit here.

At most ``running`` runs compute at once, one of each visitor and no more than fit into memory; the others
wait in a queue. A run that nobody has looked at for a while stops. Finished runs are kept in a bounded store.
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
from weakref import WeakSet

from vgdash.parallel import WORKERS
from vgdash.sweep import Cell, SweepParams, cells
from vgdash.training.params import MEMORY, TrainParams
from vgdash.training.trainer import Trainer

SECONDS = float(os.environ.get("VGDASH_RUN_SECONDS", "300"))  # longest run, as estimated before it starts
RUNNING = WORKERS  # runs at once, one of each visitor
WAITING = 40  # runs in the queue; more are refused
KEPT = 64e6  # bytes of finished runs with their views; runs under way come on top
UNWATCHED = 8.0  # seconds without a look until a run counts as unwatched
VIEWS = 12  # views kept of one run
FIRST_RATE = 8e9  # operations a second and core, until this machine's rate is measured
HISTORY = 0.7  # weight of earlier runs in the measured rate
REPRESENTATIVE = 5.0  # seconds of a run from which its rate counts in full: short ones are mostly their start
EMPTY = 10_000  # bytes of a run without snapshots, about
FORGOTTEN = 4  # multiple of ``unwatched``: then a watcher is forgotten, though others still watch


@dataclass(frozen=True)
class Swept:
    """The cells of a sweep so far, and their share of the work."""

    cells: tuple[Cell, ...]
    share: float
    nbytes: int = 400


class Sweeper:
    """A small sweep as a run: yields ``Swept`` after every cell, in one thread of this process."""

    def __init__(self, p: SweepParams):
        self.params, self._stopped = p, threading.Event()
        self.stop = self._stopped.set  # ends the run after the cell under way

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
    """Return the iterable that computes ``p`` snapshot by snapshot, until its ``stop()`` is called."""
    return Sweeper(p) if isinstance(p, SweepParams) else Trainer(p)


@dataclass(eq=False)
class Run:
    """One computation; ``snapshots`` only grows."""

    params: TrainParams | SweepParams
    state: str = "waiting"  # then running; finished, stopped or failed in the end
    snapshots: list[Any] = field(default_factory=list)
    error: str = ""
    started: float = 0.0
    ended: float = 0.0
    watchers: dict[str, float] = field(default_factory=dict)  # visitor: time of the last look
    trainer: Trainer | Sweeper | None = None
    kept: int = EMPTY  # bytes of the snapshots
    _views: OrderedDict[Any, tuple[Any, int]] = field(default_factory=OrderedDict)
    _lock: Any = field(default_factory=threading.Lock)  # of the views

    @property
    def over(self) -> bool:
        """True if the run has ended."""
        return self.state in ("finished", "stopped", "failed")

    @property
    def memory(self) -> float:
        """Bytes that the computation takes, about; none of a sweep, which trains small nets one by one."""
        return getattr(self.params, "memory_bytes", 0.0)

    @property
    def bytes(self) -> int:
        """Bytes of the snapshots and the views."""
        with self._lock:
            return self.kept + sum(size for _, size in self._views.values())

    def viewed(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the view named ``key``, made once for all visitors; the last ``VIEWS`` are kept."""
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
        """Estimate from the run's own pace; None before there is one."""
        if self.state != "running" or self.progress < 0.02:
            return None
        return (time.monotonic() - self.started) * (1 - self.progress) / self.progress


@dataclass(frozen=True)
class Left:
    """Mark in a run that goes on for others: its snapshots when a visitor left it."""

    params: TrainParams | SweepParams
    snapshots: int
    at: float


@dataclass(frozen=True)
class Watched:
    """The run that a visitor watches, or has left to others."""

    params: TrainParams | SweepParams
    left: Left | None = None


class Full(Exception):
    """Refusal of a run, for the queue is full."""


class Store:
    """All runs of this server, by parameter set. ``make(p)`` returns the iterable that computes a run."""

    def __init__(self, running: int = RUNNING, kept_bytes: float = KEPT, unwatched: float = UNWATCHED,
                 memory: float = MEMORY, make: Callable[[Any], Any] = trainer):
        self.running, self.kept_bytes, self.unwatched = running, kept_bytes, unwatched
        self.memory, self.make = memory, make
        self.rate, self._tried = FIRST_RATE, 0.0
        self._runs: OrderedDict[TrainParams | SweepParams, Run] = OrderedDict()  # in the order of the queue
        self._threads: WeakSet[threading.Thread] = WeakSet()
        self._lock = threading.RLock()

    def ask(self, p: TrainParams | SweepParams, visitor: str) -> Run:
        """Return the run of ``p``, watched by ``visitor``. If there is none, or it broke off, add one.

        Raises ``Full`` when too many runs wait.
        """
        with self._lock:
            run = self._runs.get(p)
            if run is None or run.state in ("stopped", "failed"):
                if len(self._in_state("waiting")) >= WAITING:
                    raise Full
                run = self._runs[p] = Run(p)
                self._runs.move_to_end(p)  # the end of the queue, also if one was stopped further ahead
            run.watchers[visitor] = time.monotonic()
            self._advance()
            return run

    def look(self, p: TrainParams | SweepParams, visitor: str) -> Run | None:
        """Return the run of ``p`` if the store still has it, and note that ``visitor`` still watches it."""
        with self._lock:
            run = self._runs.get(p)
            if run is not None:
                if run.over:
                    self._runs.move_to_end(p)  # the last to be dropped; a waiting run keeps its place
                else:
                    run.watchers[visitor] = time.monotonic()
            self._advance()
            return run

    def leave(self, p: TrainParams | SweepParams, visitor: str) -> Left | None:
        """Remove ``visitor`` from the watchers. A run without watchers stops at once.

        Returns the mark to see the run as it is now if it goes on for others.
        """
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
        """Return the run as it was when a visitor left it, if the store still has it."""
        with self._lock:
            if (run := self._runs.get(left.params)) is None:
                return None
            self._runs.move_to_end(left.params)
            return replace(run, state="stopped", error="", snapshots=run.snapshots[:left.snapshots],
                           ended=left.at, watchers={}, trainer=None)

    def place(self, run: Run) -> tuple[int, float]:
        """Return the place of a run in the queue (1: next), and the estimated seconds until it starts."""
        with self._lock:
            waiting = self._in_state("waiting")
            ahead = waiting[:waiting.index(run)] if run in waiting else []
            busy = [r.seconds_left if r.seconds_left is not None else self.estimate(r.params)
                    for r in self._in_state("running")]
            work = sum(busy) + sum(self.estimate(r.params) for r in ahead)
            return len(ahead) + 1, work / self.running

    def estimate(self, p: TrainParams | SweepParams) -> float:
        """Estimate the seconds of a run on this machine, from its work and the measured rate."""
        return p.effort / self.rate

    def measure_rate(self, p: TrainParams) -> None:
        """Measure this machine's rate by a short run, unless the runs of visitors have shown it.

        Of several measurements the fastest counts: the processor may have been busy with something else.
        """
        if self._known():
            return
        computation = self.make(p)
        start = time.monotonic()
        for _ in computation:
            pass
        with self._lock:
            if not self._known():
                self.rate = self._tried = max(self._tried, p.effort / max(time.monotonic() - start, 1e-3))

    def close(self) -> None:
        """Stop all runs and wait for their threads: Python aborts if one is inside NumPy as it ends."""
        with self._lock:
            for run in self._runs.values():
                if not run.over:
                    self._stop(run, "the server ends")
        for thread in tuple(self._threads):
            thread.join()

    # ---- inside

    def _known(self) -> bool:
        return bool(self._runs) or self.rate not in (FIRST_RATE, self._tried)

    def _in_state(self, state: str) -> list[Run]:
        return [run for run in self._runs.values() if run.state == state]

    def _advance(self) -> None:
        """Stop unwatched runs, start waiting ones, and drop finished ones beyond ``kept_bytes``."""
        now = time.monotonic()
        for run in [run for run in self._runs.values() if not run.over]:
            if all(now - seen > self.unwatched for seen in run.watchers.values()):
                self._stop(run, "nobody was watching any more")
            last = now - FORGOTTEN * self.unwatched
            run.watchers = {visitor: seen for visitor, seen in run.watchers.items() if seen >= last}
        for run in self._in_state("waiting"):
            running = self._in_state("running")
            others = sum(other.memory for other in running)
            if len(running) >= self.running or (others and others + run.memory > self.memory):
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
            thread = threading.Thread(target=self._compute, args=(run,), daemon=True, name="vgdash-run")
            thread.start()
            self._threads.add(thread)
        except RuntimeError as problem:  # no more threads on this machine
            run.state, run.error, run.ended = "failed", str(problem), run.started

    def _stop(self, run: Run, why: str = "") -> None:
        run.state, run.error, run.ended = "stopped", why, time.monotonic()
        if run.trainer is not None:
            run.trainer.stop()

    def _compute(self, run: Run) -> None:
        outcome, error = "finished", ""
        try:
            run.trainer = self.make(run.params)
            for snapshot in run.trainer:
                with self._lock:
                    if run.state != "running":
                        break
                    run.snapshots.append(snapshot)
                    run.kept += snapshot.nbytes
                    self._advance()
        except BaseException as problem:  # any end of the thread is reported and frees the run's place
            outcome, error = "failed", f"{type(problem).__name__}: {problem}"
        with self._lock:
            run.trainer = None
            if run.state == "running":
                run.state, run.error, run.ended = outcome, error, time.monotonic()
                if outcome == "finished" and not self._in_state("running"):  # it was alone
                    seconds = max(run.ended - run.started, 1e-3)
                    share = (1 - HISTORY) * min(1.0, seconds / REPRESENTATIVE)
                    self.rate += share * (run.params.effort / seconds - self.rate)
            self._advance()
