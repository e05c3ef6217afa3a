"""Large arrays of the last computation, kept for the next one.

A page of new memory costs its first touch: of a probe of four nets, 100 layers x 256, that would be a sixth of the time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import numpy as np

from vgdash import bounds

__all__ = ["forget", "lent"]

_kept: list[np.ndarray] = []  # bytes that nobody uses
_lock = threading.Lock()


@contextmanager
def lent() -> Iterator[Callable[[Hashable, int, np.dtype], np.ndarray]]:
    """``empty(place, entries, dtype)``, like NumPy's, for any thread: one array at a time for each place, and none after the end."""
    places: dict[Hashable, np.ndarray] = {}

    def empty(place: Hashable, entries: int, dtype: np.dtype) -> np.ndarray:
        size = entries * np.dtype(dtype).itemsize
        if place not in places or places[place].nbytes < size:
            places[place] = _taken(size)
        return places[place][:size].view(dtype)

    try:
        yield empty
    finally:
        with _lock:
            for array in places.values():
                if sum(each.nbytes for each in _kept) + array.nbytes <= bounds.SCRATCH:
                    _kept.append(array)
            places.clear()


def _taken(size: int) -> np.ndarray:
    """The smallest that is kept and large enough; where there is none, what is kept makes room for a new one."""
    with _lock:
        large = [which for which, array in enumerate(_kept) if array.nbytes >= size]
        if large:
            return _kept.pop(min(large, key=lambda which: _kept[which].nbytes))
        _kept.clear()
    return np.empty(size, np.uint8)


def forget() -> None:
    """Give back to the system what nobody uses."""
    with _lock:
        _kept.clear()
