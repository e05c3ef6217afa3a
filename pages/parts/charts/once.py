"""A specification is compiled once: most of them before they ship, so that a first visitor waits neither for Altair nor for it.

``compiled.json`` holds the specifications of all pages and scenes at what they open with, and

    python -m tests.compile_charts

writes it. Whatever is not there is authored in Altair when it is asked for.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import cache, lru_cache, wraps
from inspect import signature
from pathlib import Path
from typing import Any

from pages.parts import bounds

SHIPPED = Path(__file__).with_name("compiled.json")

_compiling = threading.RLock()
asked: set[str] | None = None  # the calls, where somebody collects them


class _Altair:
    """Altair, imported at its first use."""

    def __getattr__(self, name: str) -> Any:
        import altair

        return getattr(altair, name)


alt: Any = _Altair()


@cache
def shipped() -> dict[str, dict[str, Any]]:
    """The specifications that ship, by their call."""
    return json.loads(SHIPPED.read_text(encoding="utf-8"))


def once(author: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The author of a specification, who is asked only for what does not ship, once, by one thread: a hall that arrives at a cold
    server waits for it, and not each for its own."""
    call = signature(author)

    @lru_cache(bounds.SPECIFICATIONS.entries)
    def compiled(*arguments: Any, **more: Any) -> dict[str, Any]:
        whole = call.bind(*arguments, **more)
        whole.apply_defaults()
        name = f"{author.__name__}{whole.args!r}"
        if asked is not None:
            asked.add(name)
        return shipped().get(name) or author(*arguments, **more)

    @wraps(author)
    def specification(*arguments: Any, **more: Any) -> dict[str, Any]:
        with _compiling:
            return compiled(*arguments, **more)
    return specification
