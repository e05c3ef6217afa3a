"""Memory that the C library holds for the server though nothing is in it: less of it, and given back to the machine.

glibc opens up to eight heaps for each core, so that threads need not wait for one another, and each has gaps that the others do not
fill. Every run of a script is a thread, and threads under one interpreter lock do not wait long: two heaps are enough. And it returns
what is free only at a heap's end, or when asked. Without both the server would take a third more.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache

HEAPS = 2
EVERY = 5.0  # seconds; it takes five milliseconds at the most
M_ARENA_MAX = -8  # in glibc's malloc.h


@cache
def begin() -> None:
    """Once a server: from now on all threads share so many heaps, and what is free is given back again and again."""
    trim: Callable[[int], int] = int  # another C library manages its heaps itself
    with suppress(AttributeError, OSError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_ARENA_MAX, HEAPS)
        trim = libc.malloc_trim
    threading.Thread(target=_give_back, args=(trim,), name="heaps", daemon=True).start()


def _give_back(trim: Callable[[int], int]) -> None:
    """Again and again, all that is free."""
    while True:
        time.sleep(EVERY)
        trim(0)
