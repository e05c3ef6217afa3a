"""Trainability: which depths train at which sigma_w2, measured cell by cell and set against 6 xi_c.

    python -m vgdash.sweep --depths 5-10-20-40 --out map.csv

Cells run on any executor and are kept in a CSV file as they end, so that a sweep that was killed goes on where it stopped.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed, wait
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from itertools import islice
from pathlib import Path

from vgdash.cells import Cell, Key, SweepParams, Trainability, append, read, resume, train_cell, write
from vgdash.params import Integer, ParamError

__all__ = ["Cell", "SweepParams", "Trainability", "cells", "main", "read", "shipped", "train_cell", "trainability"]

DEATHS = 3  # worker processes that may die over one cell before it is given up
SHIPPED = Path(__file__).parent / "datasets" / "trainability_tanh.csv.gz"
MOST_WORKERS = 61  # what ProcessPoolExecutor takes on Windows
PATIENCE = 10  # seconds for a scheduler to answer
BAR = 40  # characters


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


# ---- the command line

def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m vgdash.sweep``: an option for each field of ``SweepParams``, the file, where to run. Returns the exit status."""
    parser = argparse.ArgumentParser("python -m vgdash.sweep", description=(__doc__ or "").split("\n")[0])
    for name, rule in SweepParams.rules().items():
        default = ",".join(rule.spell(getattr(SweepParams, name)))
        parser.add_argument("--" + name.replace("_", "-"), metavar="…", help=f"{rule.text} (default: {default})")
    parser.add_argument("--out", metavar="FILE", help="CSV file that keeps what is done; a sweep that was stopped goes on from it")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="run on a Dask cluster, such as tcp://10.0.0.1:8786 (needs distributed)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes on this machine (default: one a core)")
    given = vars(parser.parse_args(arguments))
    texts = {name: [given[name]] for name in SweepParams.rules() if given[name] is not None}
    p, refused = SweepParams.tolerant(texts, text=True)
    if refused:
        parser.error(str(refused[0]))
    with ExitStack() as stack:
        try:
            executor = stack.enter_context(_cluster(given["scheduler"])) if given["scheduler"] else None
            found = trainability(p, executor, given["out"], _Bar(p), given["workers"])
        except (ParamError, _NoCluster, OSError) as error:
            parser.error(str(error))
        except KeyboardInterrupt:
            print("\nStopped.", "The same command goes on from there." if given["out"] else "With --out it could go on.", file=sys.stderr)
            return 130
    print(_summary(found))
    return 1 if found.failures else 0


class _NoCluster(Exception):
    pass


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    """An executor on the Dask cluster whose scheduler is at ``address``."""
    try:
        from distributed import Client
        client = Client(address, timeout=PATIENCE)
    except ImportError:
        raise _NoCluster("--scheduler needs Dask on this machine and on the workers: pip install distributed") from None
    except (OSError, ValueError) as error:
        raise _NoCluster(f"no Dask scheduler answers at {address!r}: {error}") from None
    with client:
        yield client.get_executor()


class _Bar:
    """Progress and time left on stderr: one line that moves on a terminal, elsewhere a line for each tenth."""

    def __init__(self, p: SweepParams):
        self.cells, self.start, self.first, self.tenth = len(p.grid), time.monotonic(), None, -1

    def __call__(self, cells: int, share: float) -> None:
        if self.first is None:
            self.first = share
        elapsed, here = time.monotonic() - self.start, share - self.first
        left = f", {_clock(elapsed / here * (1 - share))} left" if here > 0.01 and share < 1 else ""
        line = f"[{'#' * round(BAR * share):.<{BAR}}] {share:4.0%}  {cells:,} of {self.cells:,} cells{left}"
        if sys.stderr.isatty():
            print(f"\r{line:<79}", end="\n" if cells == self.cells else "", file=sys.stderr, flush=True)
        elif int(10 * share) > self.tenth:
            self.tenth = int(10 * share)
            print(line, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _summary(found: Trainability) -> str:
    """For each sigma_w2 the deepest net that trained and what theory says; then what failed."""
    lines = ["sigma_w2   trained to layer   6 xi_c"]
    for i, sigma_w2 in enumerate(found.params.sigma_w2s):
        deepest = max((depth for depth, trained in zip(found.params.depths, found.trained[:, i], strict=True) if trained), default=0)
        lines.append(f"{sigma_w2:8.4g} {deepest or 'none':>18} {found.predicted[i]:8.0f}")
    lines += [f"depth {depth}, sigma_w2 {sigma_w2:g}: {why}" for (depth, sigma_w2), why in found.failures.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
