"""Threads over nets that share the cores well: BLAS threads inside each product would be three times slower on two cores."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from queue import SimpleQueue
from typing import TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

__all__ = ["WORKERS", "run_all", "run_in_parts", "single_threaded_blas"]

Job, Result = TypeVar("Job"), TypeVar("Result")
MOST_WORKERS = 4  # each one holds the arrays of a net; memory budgets count on it
_AFFINITY = getattr(os, "sched_getaffinity", None)
WORKERS = min(MOST_WORKERS, len(_AFFINITY(0)) if _AFFINITY else os.cpu_count() or 1)

# Seconds that a thread may keep Python's lock while another waits for it. Calls of NumPy let go of it
# themselves after 5 to 200 µs; at Python's 5 ms what lies between them costs 50 layers x 64 a quarter of the
# speed on two cores.
SWITCH = 2e-4

_lock = threading.Lock()
_inside = 0
_restore: list[Callable[[], None]] = []


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def _take_control() -> None:
    """Let this thread set limits: threadpoolctl 3.8 passes over those of any thread but the first, as long as that one lives."""
    for library in _controller().lib_controllers:
        if clear := getattr(library, "clear_controlling_thread", None):
            clear(force=True)


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Inside, BLAS uses one thread, and threads take turns with Python's lock every ``SWITCH`` seconds.

    Both are the process's: the first to enter sets them, the last to leave restores them.
    """
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _take_control()
            _restore[:] = (_controller().limit(limits=1, user_api="blas").restore_original_limits,
                           partial(sys.setswitchinterval, sys.getswitchinterval()))
            sys.setswitchinterval(SWITCH)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _take_control()
                for restore in _restore:
                    restore()


def run_all(function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
    """``[function(job) for job in jobs]`` on all cores; floating-point warnings are off, so look at the numbers."""
    results: dict[int, Result] = {}
    left = iter(range(len(jobs)))

    def work() -> None:
        with np.errstate(all="ignore"):
            try:
                for k in left:  # whoever is free takes the next: a pool that hands out jobs one by one costs as much as a small net
                    results[k] = function(jobs[k])
            finally:
                for _ in left:  # where one has failed, nobody begins another
                    pass

    workers = min(WORKERS, len(jobs))
    with single_threaded_blas(), ThreadPoolExecutor(max(workers - 1, 1)) as pool:
        others = [pool.submit(work) for _ in range(workers - 1)]
        work()
        for one in others:
            one.result()
    return [results[k] for k in range(len(jobs))]


def run_in_parts(function: Callable[[Job], Iterable[Callable[[], None]]], jobs: Sequence[Job]) -> None:
    """``function(job)`` for every job on all cores. What it leaves to do it yields in parts, for any core once all jobs have begun.

    So a core without a job helps with what the others leave, as soon as they leave it. Floating-point
    warnings are off.
    """
    left, unfinished = iter(jobs), len(jobs)
    parts: SimpleQueue[Callable[[], None] | None] = SimpleQueue()  # None: there are no more
    lock = threading.Lock()

    def work() -> None:
        nonlocal unfinished
        with np.errstate(all="ignore"):
            try:
                for job in left:
                    for part in function(job):
                        parts.put(part)
                    with lock:
                        unfinished -= 1
                        if not unfinished:
                            end()
                while part := parts.get():
                    part()
            except BaseException:
                for _ in left:
                    pass
                end()
                raise

    def end() -> None:
        for _ in range(WORKERS):
            parts.put(None)

    if not jobs:
        return
    with single_threaded_blas(), ThreadPoolExecutor(max(WORKERS - 1, 1)) as pool:
        others = [pool.submit(work) for _ in range(WORKERS - 1)]
        work()
        for one in others:
            one.result()
