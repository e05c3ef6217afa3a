"""Threads over nets, with BLAS held to one thread: on two cores three times as fast as BLAS threads inside each product."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

__all__ = ["WORKERS", "one_blas_thread", "run_all"]

Job, Result = TypeVar("Job"), TypeVar("Result")
MOST_WORKERS = 4  # each one holds the arrays of a net; memory budgets count on it
_AFFINITY = getattr(os, "sched_getaffinity", None)
WORKERS = min(MOST_WORKERS, len(_AFFINITY(0)) if _AFFINITY else os.cpu_count() or 1)

_lock = threading.Lock()
_inside = 0
_limiter = None


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS uses one thread inside. The limit is the process's: the first to enter sets it, the last to leave restores it."""
    global _inside, _limiter
    with _lock:
        _inside += 1
        if _inside == 1:
            _limiter = _controller().limit(limits=1, user_api="blas")
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _limiter.restore_original_limits()


def run_all(function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
    """``[function(job) for job in jobs]`` on all cores; floating-point warnings are off, so look at the numbers."""
    def quietly(job: Job) -> Result:
        with np.errstate(all="ignore"):
            return function(job)

    with one_blas_thread():
        if min(WORKERS, len(jobs)) < 2:
            return [quietly(job) for job in jobs]
        with ThreadPoolExecutor(min(WORKERS, len(jobs))) as pool:
            return list(pool.map(quietly, jobs))
