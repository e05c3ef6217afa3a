"""Train the cells of a sweep on any executor, and keep each in a file as it ends, so that a killed sweep goes on from there."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed, wait
from contextlib import closing
from functools import cache
from itertools import islice
from pathlib import Path

from vgdash.params import Integer
from vgdash.sweep.grid import Cell, Key, SweepParams, Trainability, append, read, resume, train_cell, write

__all__ = ["Progress", "cells", "shipped", "trainability"]

DEATHS = 3  # worker processes that may die over one cell before it is given up
MOST_WORKERS = 61  # what ProcessPoolExecutor takes on Windows
SHIPPED = Path(__file__).parent.parent / "datasets" / "trainability_tanh.csv.gz"

Progress = Callable[[int, float], object]


def trainability(p: SweepParams, executor: Executor | None = None, out: str | Path | None = None, progress: Progress | None = None,
                 workers: int | None = None) -> Trainability:
    """Train every cell of ``p`` and return the map, which depends on ``p`` alone: not on the executor, the order, or a restart.

    ``executor``: any ``concurrent.futures.Executor``, a Dask cluster's ``Client.get_executor()`` too; its workers need vgdash. The
    default is a pool of ``workers`` processes on this machine, one a core, started afresh if one dies (a script needs
    ``if __name__ == "__main__":`` around the call). ``out`` is a CSV file that keeps each cell when it is done: a sweep of the same
    ``p`` goes on from it. ``progress(cells, share)`` is called as cells end, ``share`` of all the work from 0 to 1.
    A cell that raises is in ``failures`` and the rest goes on. Raises ``ParamError`` if ``out`` holds anything else.
    """
    found: list[Cell] = []
    work, whole = 0.0, p.flops
    for cell in cells(p, executor, out, workers):
        found.append(cell)
        work += p.cell(*cell.key).flops
        if progress:
            progress(len(found), min(1.0, work / whole))
    return Trainability.of(p, found)


def cells(p: SweepParams, executor: Executor | None = None, out: str | Path | None = None,
          workers: int | None = None) -> Iterator[Cell]:
    """The cells of ``trainability`` as they end, first those that ``out`` holds already. Closing the iterator drops the rest."""
    workers = _cores() if workers is None else Integer(1, MOST_WORKERS).check("workers", workers)
    done = resume(Path(out), p) if out else {}
    yield from done.values()
    keys = sorted((key for key in p.grid if key not in done), reverse=True)  # the longest first: then all workers end together
    run = _on(executor, p, keys) if executor else _on_this_machine(p, keys, workers)
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
    """The map that comes with the package: tanh on the digits, to 200 layers. ``datasets/TRAINABILITY.md`` says how it was made."""
    return read(SHIPPED)


def _cores() -> int:
    return min(MOST_WORKERS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _on(executor: Executor, p: SweepParams, keys: Sequence[Key]) -> Iterator[Cell]:
    futures: dict[Future, Key] = {}
    try:
        for key in keys:
            futures[executor.submit(train_cell, p, *key)] = key
        for future in as_completed(futures):
            yield _outcome(future, futures[future])
    finally:
        for future in futures:
            future.cancel()


def _outcome(future: Future, key: Key) -> Cell:
    try:
        return future.result()
    except Exception as error:
        return Cell(*key, failure=f"{type(error).__name__}: {error}"[:300])


def _on_this_machine(p: SweepParams, keys: Sequence[Key], workers: int) -> Iterator[Cell]:
    """Pools one after the other until all is done. What ran when a worker died runs again one by one, to find the one to blame."""
    waiting, deaths = dict.fromkeys(keys), Counter()
    while waiting:
        turn = [key for key in waiting if deaths[key]][:1] or list(waiting)
        for key in (yield from _in_pool(p, turn, min(workers, len(turn)), waiting)):
            deaths[key] += 1
            if deaths[key] == DEATHS:
                del waiting[key]
                yield Cell(*key, failure=f"its worker process died {DEATHS} times; perhaps memory ran out")


def _in_pool(p: SweepParams, keys: Sequence[Key], workers: int, waiting: dict[Key, None]) -> Iterator[Cell]:
    """Takes what is done out of ``waiting``; returns what was running when a worker process died.

    Processes start afresh: a fork of a program with threads may hang. Ctrl-C ends them without a word.
    """
    queue, running = iter(keys), {}
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_DFL))
    try:
        while True:
            for key in islice(queue, workers - len(running)):
                running[pool.submit(train_cell, p, *key)] = key
            if not running:
                return []
            ended = wait(running, return_when=FIRST_COMPLETED).done
            for future in ended:
                if not isinstance(future.exception(), BrokenExecutor):
                    del waiting[running[future]]
                    yield _outcome(future, running.pop(future))
            if not ended.isdisjoint(running):
                return list(running.values())
    except BrokenExecutor:
        return list(running.values())
    finally:
        pool.shutdown(cancel_futures=True)
