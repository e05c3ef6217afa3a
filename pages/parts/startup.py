"""Start of the server: what a first visitor would wait for is done before the server says that it is healthy."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import threading
import time
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import streamlit as st

from pages import parts

ARENAS, M_ARENA_MAX = 2, -8  # heaps of the C library; the parameter's number in glibc's malloc.h
TRIM_EVERY = 5.0  # seconds between two times that free memory is given back, which takes 5 ms at the most
TENTH = {"steps": 150, "snapshots": 5}  # of the run that the training page opens with: tells how long the whole one takes
TRIES = 3


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Prepare the server as it starts, and end its threads as it stops. Opens a browser where Streamlit would."""
    limit_memory()
    await asyncio.to_thread(_prepare)
    from pages.parts import prefetch

    if not st.get_option("server.headless"):
        threading.Thread(target=webbrowser.open, args=(_url(),), name="browser", daemon=True).start()
    yield
    await asyncio.to_thread(prefetch.stop)


def _url() -> str:
    host, port, base = (st.get_option(f"{name}") for name in ("browser.serverAddress", "server.port", "server.baseUrlPath"))
    return f"http://{host}:{port}/{base}"


def _prepare() -> None:
    """Import everything, compute what the pages open with, and have the scenes computed when nobody asks for anything.

    What is imported stays, so Python's garbage collector need not look through it again: with 300 students that was an
    eighth of the server's time, and its longest pauses.
    """
    for module in [*(module.name for module in walk_packages(parts.__path__, f"{parts.__name__}.")), "PIL.Image"]:
        import_module(module)
    from pages.parts import prefetch, results, training_panel
    from vgdash.training.params import TrainParams

    results.open_pages()
    trial = (training_panel.STORE.measure_rate, (TrainParams(**TENTH),))
    prefetch.start([*[trial] * TRIES, *((results.opening, (p,)) for p in results.scenes_to_prepare())])
    gc.freeze()


def limit_memory() -> None:
    """Have all threads share two heaps of the C library, and give free memory back to the machine again and again.

    glibc opens up to eight heaps for each core, each with gaps of its own: a third more memory. Both calls are documented
    in malloc_trim(3) and mallopt(3); another C library manages its heaps itself.
    """
    with suppress(AttributeError, OSError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_ARENA_MAX, ARENAS)
        threading.Thread(target=_trim, args=(libc,), name="trim", daemon=True).start()


def _trim(libc: Any) -> None:
    while True:
        time.sleep(TRIM_EVERY)
        libc.malloc_trim(0)
