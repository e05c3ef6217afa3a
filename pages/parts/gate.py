"""A fair way in to the processor: so many computations at once, and the next place to whoever holds the fewest.

One visitor who asks for much waits behind everyone who asks for little. No Streamlit here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asker:
    """Who asks, None for nobody in particular; ``gone()`` is true once the answer is wanted no more."""

    name: Hashable = None
    gone: Callable[[], bool] = lambda: False


class Gone(Exception):
    """Nobody waits for this answer any more."""


@dataclass(eq=False)
class _Turn:
    asker: Asker
    called: threading.Event = field(default_factory=threading.Event)
    dismissed: bool = False


class Gate:
    """At most ``places`` threads inside; ``asker()`` says for whom a thread asks.

    A thread that is inside goes in again freely.
    """

    def __init__(self, places: int, asker: Callable[[], Asker] = Asker):
        self._places, self._asker = places, asker
        self._inside: list[_Turn] = []
        self._waiting: list[_Turn] = []
        self._lock = threading.Lock()
        self._here = threading.local()

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place inside, in turn. Raises ``Gone`` when the asker is gone before it is his turn."""
        if getattr(self._here, "inside", False):
            yield
            return
        turn = _Turn(self._asker())
        with self._lock:
            self._waiting.append(turn)
            self._dismiss()
            self._call()
        turn.called.wait()
        if turn.dismissed:
            raise Gone
        self._here.inside = True
        try:
            yield
        finally:
            self._here.inside = False
            with self._lock:
                self._inside.remove(turn)
                self._dismiss()
                self._call()

    @property
    def waiting(self) -> int:
        """How many threads wait."""
        return len(self._waiting)

    def _dismiss(self) -> None:
        for turn in [turn for turn in self._waiting if turn.asker.gone()]:
            self._waiting.remove(turn)
            turn.dismissed = True
            turn.called.set()

    def _call(self) -> None:
        while self._waiting and len(self._inside) < self._places:
            holds = [turn.asker.name for turn in self._inside if turn.asker.name is not None]
            turn = min(self._waiting, key=lambda turn: holds.count(turn.asker.name))  # the first of those who hold the fewest
            self._waiting.remove(turn)
            self._inside.append(turn)
            turn.called.set()
