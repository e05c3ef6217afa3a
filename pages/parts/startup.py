"""Start of the server: imports and first results, before the server reports that it is healthy."""

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
TRIM_EVERY = 5.0  # seconds between two returns of free memory, each of which takes 5 ms at most
TRIAL = {"steps": 150, "snapshots": 5}  # a tenth of the training page's run: measures the machine's rate
TRIALS = 3


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Prepare the server as it starts. Open a browser unless headless."""
    limit_memory()
    await asyncio.to_thread(_prepare)
    if not st.get_option("server.headless"):
        threading.Thread(target=webbrowser.open, args=(_url(),), name="browser", daemon=True).start()
    yield


def _url() -> str:
    host, port = st.get_option("browser.serverAddress"), st.get_option("server.port")
    return f"http://{host}:{port}/{st.get_option('server.baseUrlPath')}"


def _prepare() -> None:
    """Import all modules, compute the first results of the pages, and schedule the rest.

    Imported modules stay, so ``gc.freeze`` takes them out of garbage collection: with 300 students that was
    an eighth of the server's time, and its longest pauses.
    """
    modules = [module.name for module in walk_packages(parts.__path__, f"{parts.__name__}.")]
    for module in [*modules, "PIL.Image"]:
        import_module(module)
    from pages.parts import prefetch, results, training_panel
    from vgdash.training.params import TrainParams

    results.open_pages()
    trial = (training_panel.STORE.measure_rate, (TrainParams(**TRIAL),))
    prefetch.start([*[trial] * TRIALS, *results.tasks_ahead()])
    gc.freeze()


def limit_memory() -> None:
    """Limit the C library to two heaps, and return free memory to the machine regularly.

    glibc opens up to eight heaps for each core, each with gaps of its own: a third more memory. Sources:
    malloc_trim(3), mallopt(3). Another C library manages its heaps itself.
    """
    with suppress(AttributeError, OSError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_ARENA_MAX, ARENAS)
        threading.Thread(target=_trim, args=(libc,), name="trim", daemon=True).start()


def _trim(libc: Any) -> None:
    while True:
        time.sleep(TRIM_EVERY)
        libc.malloc_trim(0)
