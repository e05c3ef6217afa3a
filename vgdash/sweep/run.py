"""Train the cells of a sweep on any executor, and save each as it ends, so that a sweep can be resumed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue

from vgdash.params import Integer
from vgdash.sweep.csv_file import append, read, resume, write
from vgdash.sweep.grid import Cell, Key, SweepParams, Trainability, train_cell

DEATHS = 3  # worker processes that may die over one cell before it is given up
MOST_WORKERS = 61  # processes that Windows can wait for at once
SHIPPED = Path(__file__).parent.parent / "datasets" / "trainability_tanh.csv.gz"


def trainability(p: SweepParams, executor: Executor | None = None, out: str | Path | None = None,
                 progress: Callable[[int, float], object] | None = None,
                 workers: int | None = None) -> Trainability:
    """Train every cell of ``p`` and return the map, the same for every executor, order and restart.

    ``executor`` is any ``concurrent.futures.Executor``, also ``Client.get_executor()`` of a Dask cluster that
    has vgdash. The default is ``workers`` processes, one a core; one that dies is started again (a script
    needs ``if __name__ == "__main__":`` around the call). ``out`` is a CSV file of the cells: a sweep of the
    same ``p`` goes on from it. ``progress(cells, share)`` is called after each cell, ``share`` of the work
    from 0 to 1. A cell that raises is in ``failures``. Raises ``ParamError`` if ``out`` holds anything else.
    """
    found: list[Cell] = []
    work = 0.0
    for cell in cells(p, executor, out, workers):
        found.append(cell)
        work += p.cell(*cell.key).flops
        if progress:
            progress(len(found), min(1.0, work / p.flops))
    return Trainability.of(p, found)


def cells(p: SweepParams, executor: Executor | None = None, out: str | Path | None = None,
          workers: int | None = None) -> Iterator[Cell]:
    """Yield the cells of ``trainability`` as they end, first those in ``out``; closing drops the rest."""
    workers = _cores() if workers is None else Integer(1, MOST_WORKERS).check("workers", workers)
    done = resume(Path(out), p) if out else {}
    yield from done.values()
    keys = sorted(set(p.grid) - done.keys(), reverse=True)  # longest first: all workers end together
    run = _run(executor, train_cell, p, keys) if executor else _run_in_processes(p, keys, workers)
    with closing(run):
        for cell in run:
            done[cell.key] = cell
            if out:
                append(Path(out), cell)
            yield cell
    if out:
        write(Path(out), p, done)


@cache
def shipped() -> Trainability:
    """Map of tanh on the digits, to 200 layers, made as in datasets/TRAINABILITY.md."""
    return read(SHIPPED)


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return min(MOST_WORKERS, len(affinity(0)) if affinity else os.cpu_count() or 1)


def _run(executor: Executor, train: Callable[..., Cell], p: SweepParams,
         keys: Sequence[Key]) -> Iterator[Cell]:
    futures: dict[Future, Key] = {}
    try:
        for key in keys:
            futures[executor.submit(train, p, *key)] = key
        for future in as_completed(futures):
            try:
                yield future.result()
            except Exception as error:
                yield Cell(*futures[future], failure=f"{type(error).__name__}: {error}"[:300])
    finally:
        for future in futures:
            future.cancel()


def _run_in_processes(p: SweepParams, keys: Sequence[Key], workers: int) -> Iterator[Cell]:
    """Train in ``workers`` processes, each a pool of its own: if one dies, it is clear over which cell.

    Processes start afresh: a fork of a program with threads may hang. Ctrl-C ends them without a traceback.
    """
    new_pool = partial(ProcessPoolExecutor, 1, multiprocessing.get_context("spawn"), signal.signal,
                       (signal.SIGINT, signal.SIG_DFL))
    idle: SimpleQueue[ProcessPoolExecutor] = SimpleQueue()
    for _ in range(workers):
        idle.put(new_pool())
    stopped = threading.Event()

    def train(p: SweepParams, depth: int, sigma_w2: float) -> Cell:
        pool = idle.get()
        try:
            for _ in range(DEATHS):
                try:
                    return pool.submit(train_cell, p, depth, sigma_w2).result()
                except BrokenExecutor:
                    pool.shutdown()
                    pool = new_pool()
                    if stopped.wait(0.1):  # Ctrl-C ends the processes too, perhaps before it arrives here
                        break
            reason = f"its worker process died {DEATHS} times; perhaps memory ran out"
            return Cell(depth, sigma_w2, failure=reason)
        finally:
            idle.put(pool)

    try:
        with ThreadPoolExecutor(workers) as threads:
            try:
                yield from _run(threads, train, p, keys)
            finally:
                stopped.set()
    finally:
        for _ in range(workers):
            idle.get().shutdown()
