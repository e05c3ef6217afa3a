"""Training: several initializers and seeds of one deep net on the same minibatches, side by side and live.

``train(p)`` yields a ``Snapshot`` fifty times or more on the way. Threads run ahead by a few snapshots at most and end when the
iterator is closed.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from functools import partial

import numpy as np

from vgdash.initializers import BASES, INITIALIZERS
from vgdash.parallel import WORKERS, single_threaded_blas
from vgdash.probe.random_weights import stream
from vgdash.training.engine import Examples, Measured, Nets
from vgdash.training.inspection import Inspected, Inspector, grid
from vgdash.training.params import TrainParams
from vgdash.training.snapshots import Ranking, Snapshot, steps_to

__all__ = ["Ranking", "Snapshot", "TrainParams", "Trainer", "steps_to", "train"]

AHEAD = 3  # snapshots that the threads may be ahead of the reader


class Trainer:
    """Nets, threads and snapshots of one run. Iterate over it once; ``stop()``, from any thread, ends it between two steps."""

    def __init__(self, p: TrainParams, workers: int = WORKERS, dtype=np.float32):
        self.params, self._workers = p, workers
        data, plan = p.data, p.plan(dtype)
        train, held_out = (Examples.of(x, y, data.classes, dtype) for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)))
        rates = np.split(p.rates, np.cumsum(p.groups)[:-1])
        self.groups = [Nets(plan, len(each), train, held_out, np.random.default_rng([p.seed, 0]), each) for each in rates]
        self._draw(np.dtype(dtype))
        points = grid(data.x_train)[0] if p.decided else None
        self._inspectors = [Inspector(nets, p.histogram_layers, points) for nets in self.groups]
        self._moments: list[list[tuple[Measured, Inspected]]] = [[] for _ in self.groups]
        self._change = threading.Condition()
        self._busy: set[int] = set()
        self._read = 0
        self._stopped = threading.Event()
        self._error: BaseException | None = None

    def stop(self) -> None:
        """Ends the run; an iteration that waits ends too."""
        with self._change:
            self._stopped.set()
            self._change.notify_all()

    def weights(self, layer: int) -> np.ndarray:
        """Weights of a layer (from 1) now, a copy ``(initializers, columns, fan_out, fan_in)``; a column is a seed."""
        return self._joined([nets.weights(layer) for nets in self.groups])

    def biases(self, layer: int) -> np.ndarray:
        """Biases of a layer (from 1) now, a copy ``(initializers, columns, fan_out)``."""
        return self._joined([nets.biases(layer) for nets in self.groups])

    def __iter__(self) -> Iterator[Snapshot]:
        threads = [threading.Thread(target=self._work, daemon=True, name=f"vgdash-training-{i}")
                   for i in range(min(self._workers, len(self.groups)))]
        with single_threaded_blas():
            try:
                for thread in threads:
                    thread.start()
                for index, step in enumerate(self.params.marks):
                    with self._change:
                        self._read = index
                        self._change.notify_all()
                        self._change.wait_for(lambda index=index: self._stopped.is_set() or min(map(len, self._moments)) > index)
                    if self._error is not None:
                        raise self._error
                    if self._stopped.is_set():
                        return
                    yield self._snapshot(index, step)
            finally:
                self.stop()
                for thread in threads:
                    thread.join()

    def _draw(self, dtype: np.dtype) -> None:
        """Initial weights: one base draw for each seed, layer and family, scaled for each initializer, 0 in zero-initialized branches.
        Biases: one draw for each seed and layer."""
        p, skips = self.params, self.groups[0].plan.skips
        nets = [(group, i) for group in self.groups for i in range(group.nets)]
        for layer in range(1, p.depth + 1):
            fans = p.widths[layer - 1], p.widths[layer]
            for seed in range(p.seeds):
                for family in {INITIALIZERS[name].base.name for name in p.initializers}:
                    if p.residual == "zero" and skips[layer - 1] is not None:
                        continue
                    base = BASES[family].draw(*fans, stream(p.seed, seed, layer, "weights"), dtype)
                    for which, name in enumerate(p.initializers):
                        if INITIALIZERS[name].base.name == family:
                            for group, i in nets[which * p.columns + seed:(which + 1) * p.columns:p.seeds]:
                                np.multiply(base, p.gamma * INITIALIZERS[name].scale(*fans), out=group.weights(layer)[i])
                biases = stream(p.seed, seed, layer, "bias").standard_normal(fans[1], dtype) * dtype.type(math.sqrt(p.sigma_b2))
                for group, i in nets[seed::p.seeds]:
                    group.biases(layer)[i] = biases

    def _work(self) -> None:
        with np.errstate(all="ignore"):
            while (index := self._next()) is not None:
                moments, marks, inspector = self._moments[index], self.params.marks, self._inspectors[index]
                mark = marks[len(moments)]
                decide = mark in self.params.decided
                try:
                    look = partial(inspector.look, decide)
                    measured = self.groups[index].run(mark, mark == marks[-1], self._stopped.is_set, look, mark in self.params.tested)
                    moment = measured and (measured, inspector.seen(decide))
                except BaseException as error:
                    self._error = error
                    self.stop()
                    return
                with self._change:
                    if moment is not None:
                        moments.append(moment)
                    self._busy.remove(index)
                    self._change.notify_all()

    def _next(self) -> int | None:
        """The group that is furthest behind and that no other thread has; waits while the reader is; None when all is done."""
        last = len(self.params.marks)
        with self._change:
            while not self._stopped.is_set():
                behind = min(map(len, self._moments))
                if behind == last:
                    return None
                free = [i for i, moments in enumerate(self._moments) if i not in self._busy and len(moments) < last]
                if free:
                    index = min(free, key=lambda i: len(self._moments[i]))
                    if len(self._moments[index]) <= self._read + AHEAD:
                        self._busy.add(index)
                        return index
                self._change.wait()
            return None

    def _joined(self, groups: list[np.ndarray]) -> np.ndarray:
        """The nets of all groups, (initializers, seeds, ...), as an array of its own: a view would be kept beside what it looks at."""
        rows, columns, per_net = len(self.params.initializers), self.params.columns, groups[0].shape[1:]
        joined = np.empty((rows, columns, *per_net), groups[0].dtype)
        np.concatenate(groups, out=joined.reshape(rows * columns, *per_net))
        return joined

    def _snapshot(self, index: int, step: int) -> Snapshot:
        moments = [{**vars(measured), **vars(seen)} for measured, seen in (group[index] for group in self._moments)]
        arrays = {name: self._joined([moment[name] for moment in moments]) for name, value in moments[0].items() if value is not None}
        arrays["diverged"] = self._joined([nets.diverged for nets in self.groups])
        arrays["diverged"][arrays["diverged"] > step] = -1
        arrays["decision"] = arrays["decision"][:, 0].copy() if "decision" in arrays else None
        for values in arrays.values():
            if values is not None:
                values.flags.writeable = False
        return Snapshot(self.params, step, **arrays)


def train(p: TrainParams, workers: int = WORKERS, dtype=np.float32) -> Iterator[Snapshot]:
    """Train, yielding a ``Snapshot`` at each of ``p.marks``, the first at step 0 before any update.

    Runs in ``workers`` threads with BLAS held to one thread each, at most a few snapshots ahead of the reader; closing the
    iterator ends them. The same ``p`` gives the same numbers to the bit.
    """
    return iter(Trainer(p, workers, dtype))
