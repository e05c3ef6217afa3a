"""Threads over nets with single-threaded BLAS: on two cores three times as fast as threads inside BLAS."""

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

Job, Result = TypeVar("Job"), TypeVar("Result")
MOST_WORKERS = 4  # each one holds the arrays of a net; memory budgets count on it
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
WORKERS = min(MOST_WORKERS, _CORES)

# Seconds that a thread may keep Python's lock while another waits for it. NumPy calls release it after 5 to
# 200 µs; with Python's 5 ms, training 50 layers x 64 on two cores takes a third longer.
SWITCH = 2e-4

_lock = threading.Lock()
_inside = 0
_restore: list[Callable[[], None]] = []


_controller = cache(ThreadpoolController)


def _take_control() -> None:
    """Let this thread set limits: threadpoolctl 3.8 ignores all but the first thread while that one lives."""
    for library in _controller().lib_controllers:
        if clear := getattr(library, "clear_controlling_thread", None):
            clear(force=True)


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Limit BLAS to one thread, and let threads switch every ``SWITCH`` seconds.

    Both belong to the process: the first to enter sets them, the last to leave restores them.
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
    """Return ``[function(job) for job in jobs]``, computed on all cores with floating-point warnings off."""
    results: dict[int, Result] = {}

    def run(index: int) -> tuple[()]:
        results[index] = function(jobs[index])
        return ()

    run_in_parts(run, range(len(jobs)))
    return [results[index] for index in range(len(jobs))]


def run_in_parts(function: Callable[[Job], Iterable[Callable[[], None]]], jobs: Sequence[Job]) -> None:
    """Run ``function(job)`` for every job on all cores, then the parts that it yields, once all have begun.

    A core without a job takes parts of the others, as soon as they yield them. Floating-point warnings are
    off. After a failure no core begins another job or part, and the exception is raised.
    """
    left, unfinished = iter(jobs), len(jobs)
    parts: SimpleQueue[Callable[[], None] | None] = SimpleQueue()  # None: there are no more
    lock = threading.Lock()

    def work() -> None:
        nonlocal unfinished
        with np.errstate(all="ignore"):
            try:
                for job in left:  # shared by all threads
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
