"""What has been computed once, kept for everybody: by parameters, bounded in bytes, and computed by one thread only.

A hit costs microseconds, because nothing is copied: what is kept must not change, so tables are kept as Arrow tables, which are
also what the browser is sent. No Streamlit here.
"""

from __future__ import annotations

import dataclasses
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from functools import update_wrapper
from typing import Any

import pandas as pd
import pyarrow as pa

from pages.parts import bounds


class Remembered:
    """A function of hashable arguments whose last results are kept, as many as fit into ``most`` bytes.

    ``gate(*arguments)`` is what a computation must enter first, so that there are not too many at once; ``waiting()`` is entered
    while another thread computes.
    """

    def __init__(self, compute: Callable[..., Any], most: float = bounds.RESULT,
                 gate: Callable[..., AbstractContextManager[object]] = lambda *arguments: nullcontext(),
                 waiting: Callable[[], AbstractContextManager[object]] = nullcontext):
        update_wrapper(self, compute)
        self._compute, self._most, self._gate, self._waiting = compute, most, gate, waiting
        self._kept: OrderedDict[tuple, Future] = OrderedDict()
        self._bytes: dict[tuple, int] = {}
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any) -> Any:
        with self._lock:
            result = self._kept.get(arguments)
            if result is not None:
                self._kept.move_to_end(arguments)
        if result is None:
            result = self._claimed(arguments)
        if not result.done():
            with self._waiting():
                return result.result()
        return result.result()

    def _claimed(self, arguments: tuple) -> Future:
        """The result, computed here or by another thread that came first. Who waits for another leaves the gate to others."""
        with self._gate(*arguments):
            with self._lock:
                result = self._kept.get(arguments)
                first = result is None
                if first:
                    result = self._kept[arguments] = Future()
            if first:
                self._fill(arguments, result)
        return result

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._bytes.clear()

    @property
    def bytes(self) -> int:
        """Pickled size of all that is kept."""
        return sum(self._bytes.values())

    def _fill(self, arguments: tuple, result: Future) -> None:
        try:
            value = as_arrow(self._compute(*arguments))
            size = len(pickle.dumps(value))
        except BaseException as error:
            with self._lock:
                if self._kept.get(arguments) is result:
                    del self._kept[arguments]
            result.set_exception(error)
            return
        with self._lock:
            if self._kept.get(arguments) is result:
                self._bytes[arguments] = size
            while self.bytes > self._most:
                oldest = next(key for key in self._kept if key in self._bytes)
                del self._kept[oldest], self._bytes[oldest]
        result.set_result(value)


def as_arrow(value: Any) -> Any:
    """The same with every table as an Arrow table, in dataclasses, tuples and dictionaries too."""
    if isinstance(value, pd.DataFrame):
        return pa.Table.from_pandas(value, preserve_index=False)
    if isinstance(value, dict):
        return {key: as_arrow(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(as_arrow(part) for part in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and type(value).__module__.startswith("pages."):
        changed = {field.name: as_arrow(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **changed)
    return value
