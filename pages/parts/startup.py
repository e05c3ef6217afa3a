"""Ready before anybody comes: what a first visitor would wait for is done while the server starts and the browser loads.

``streamlit run app.py`` finds an ASGI application in ``app.py`` and starts it: that is when. Whoever serves the script in another way
has all this begin with the first visit.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import streamlit as st
from streamlit.cli_util import open_browser
from streamlit.delta_generator import _maybe_print_use_warning
from streamlit.web.server.server_util import get_url

from pages import parts
from pages.parts import heaps

TENTH = {"steps": 150, "snapshots": 5}  # of the run that the training page opens with: tells how long the whole one takes
TRIES = 3


@asynccontextmanager
async def starting(_app: Any) -> AsyncIterator[None]:
    """What the server does as it starts, before it says that it is healthy: who comes at once shares the processor with nobody.

    It opens a browser where Streamlit opens one for a plain script, and waits for none.
    """
    heaps.begin()
    await asyncio.to_thread(_load)
    getting_ready = begin()
    if not st.get_option("server.headless"):
        url = get_url(st.get_option("browser.serverAddress"))
        threading.Thread(target=open_browser, args=(url,), name="browser", daemon=True).start()
    yield
    from pages.parts import prefetch

    await asyncio.to_thread(getting_ready.join)
    await asyncio.to_thread(prefetch.stop)


@cache
def begin() -> threading.Thread:
    """Once a server: get ready, beside whatever goes on."""
    heaps.begin()
    thread = threading.Thread(target=_get_ready, name="warm", daemon=True)
    thread.start()
    return thread


def _load() -> None:
    """Import everything, and compute what the pages open with, the published claims among it: two seconds."""
    for module in [*(module.name for module in walk_packages(parts.__path__, f"{parts.__name__}.")), "PIL.Image"]:
        import_module(module)
    _maybe_print_use_warning()  # once; it looks through the sources of all modules for it
    from pages.parts import results

    results.open_pages()


def _get_ready() -> None:
    """Load; compute what the scenes show as soon as nobody asks for anything.

    What is imported stays: Python's collector need not look through it again and again. With 300 students that was an eighth of the
    server's time, and its longest pauses.
    """
    _load()
    from pages.parts import prefetch, results, training_panel
    from vgdash.training.params import TrainParams

    prefetch.prepare(training_panel.store().try_out, [(TrainParams(**TENTH),)] * TRIES)
    results.prepare()
    gc.freeze()
