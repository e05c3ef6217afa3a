"""Train several initializers and seeds of one net on the same minibatches, in threads with live snapshots."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import numpy as np

from vgdash.initializers import BASES, INITIALIZERS, BiasRule, initializer_for
from vgdash.parallel import WORKERS, single_threaded_blas
from vgdash.probe.random_weights import stream
from vgdash.training.engine import Examples, Nets
from vgdash.training.inspection import Inspector, decision_grid
from vgdash.training.params import TrainParams
from vgdash.training.snapshots import Snapshot

AHEAD = 3  # snapshots that the threads may be ahead of the reader


class Trainer:
    """Nets, threads and snapshots of one run. Iterate over it once; ``stop()``, from any thread, ends it."""

    def __init__(self, p: TrainParams, workers: int = WORKERS, dtype=np.float32):
        self.params, self._workers = p, workers
        data, layout = p.data, p.memory_layout(dtype)
        train, held_out = (Examples.of(p.inputs(x), y, data.classes, dtype)
                           for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)))
        rates = np.split(p.rates, np.cumsum(p.groups)[:-1])
        self.groups = [Nets(layout, len(each), train, held_out, np.random.default_rng([p.seed, 0]), each)
                       for each in rates]
        self._draw(np.dtype(dtype))
        points = p.inputs(decision_grid(data.x_train)[0]) if p.decision_steps else None
        self._inspectors = [Inspector(nets, p.histogram_layers, points) for nets in self.groups]
        self._results: list[list[dict[str, np.ndarray]]] = [[] for _ in self.groups]  # by mark
        self._changed = threading.Condition()
        self._busy: set[int] = set()
        self._read = 0  # the mark that the reader waits for
        self._stopped = threading.Event()
        self._error: BaseException | None = None

    def stop(self) -> None:
        """End the run; an iteration that waits ends too."""
        with self._changed:
            self._stopped.set()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Snapshot]:
        threads = [threading.Thread(target=self._work, daemon=True, name=f"vgdash-training-{i}")
                   for i in range(min(self._workers, len(self.groups)))]
        with single_threaded_blas():
            try:
                for thread in threads:
                    thread.start()
                for index, step in enumerate(self.params.snapshot_steps):
                    with self._changed:
                        self._read = index
                        self._changed.notify_all()
                        while not self._stopped.is_set() and min(map(len, self._results)) <= index:
                            self._changed.wait()
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
        """Draw weights once for each seed, layer and family, scaled for each initializer; then biases."""
        p, skips = self.params, self.groups[0].layout.skips
        nets = [(group, i) for group in self.groups for i in range(group.nets)]
        bases = [INITIALIZERS[name].base.name for name in p.initializers]
        for layer in range(1, p.depth + 1):
            fans, last = (p.widths[layer - 1], p.widths[layer]), layer == p.depth
            gamma = p.gamma * p.last_scale if last else p.gamma
            for seed in range(p.seeds):
                zero = p.residual == "zero" and skips[layer - 1] is not None
                for family in () if zero else set(bases):
                    base = BASES[family].draw(*fans, stream(p.seed, seed, layer, "weights"), dtype)
                    for which, name in enumerate(p.initializers):
                        if bases[which] == family:
                            for group, i in nets[which * p.copies + seed:(which + 1) * p.copies:p.seeds]:
                                rule = initializer_for(name, p.activation)
                                first = rule.first(fans[0]) if layer == 1 else 1.0
                                group.weights(layer)[i] = base * (gamma * rule.scale(*fans) * first)
                for which, name in enumerate(p.initializers):
                    rule = INITIALIZERS[name].biases(p.sigma_b2)
                    if last and p.last_bias:
                        rule = BiasRule("constant", p.last_bias)
                    biases = rule.draw(*fans, stream(p.seed, seed, layer, "bias"), dtype)
                    for group, i in nets[which * p.copies + seed:(which + 1) * p.copies:p.seeds]:
                        group.biases(layer)[i] = biases

    def _work(self) -> None:
        """Run groups from mark to mark, until all is done or stopped."""
        p = self.params
        with np.errstate(all="ignore"):
            while (index := self._next_group()) is not None:
                results, inspector = self._results[index], self._inspectors[index]
                step = p.snapshot_steps[len(results)]
                decide = step in p.decision_steps
                try:
                    measured = self.groups[index].run(step, step == p.steps, self._stopped.is_set,
                                                      partial(inspector.inspect, decide),
                                                      step in p.held_out_steps)
                    result = measured and measured | inspector.result(decide)
                except BaseException as error:
                    self._error = error
                    self.stop()
                    return
                with self._changed:
                    if result is not None:
                        results.append(result)
                    self._busy.remove(index)
                    self._changed.notify_all()

    def _next_group(self) -> int | None:
        """Reserve the group that is furthest behind, once the reader is near; return None at the end."""
        last = len(self.params.snapshot_steps) - 1
        with self._changed:
            while not self._stopped.is_set():
                done = list(map(len, self._results))
                if min(done) > last:
                    return None
                limit = min(last, self._read + AHEAD)
                if free := [i for i, n in enumerate(done) if n <= limit and i not in self._busy]:
                    index = min(free, key=done.__getitem__)
                    self._busy.add(index)
                    return index
                self._changed.wait()
            return None

    def _join(self, groups: list[np.ndarray]) -> np.ndarray:
        """Copy the nets of all groups to ``(initializers, columns, …)``; a view would keep its base alive."""
        shape = len(self.params.initializers), self.params.copies, *groups[0].shape[1:]
        joined = np.empty(shape, groups[0].dtype)
        np.concatenate(groups, out=joined.reshape(self.params.nets, *shape[2:]))
        return joined

    def _snapshot(self, index: int, step: int) -> Snapshot:
        results = [group[index] for group in self._results]
        arrays = {name: self._join([result[name] for result in results]) for name in results[0]}
        arrays["diverged"] = self._join([nets.diverged for nets in self.groups])
        arrays["diverged"][arrays["diverged"] > step] = -1
        if "decision" in arrays:
            arrays["decision"] = arrays["decision"][:, 0].copy()
        return Snapshot(self.params, step, **{"decision": None} | arrays)


def train(p: TrainParams, workers: int = WORKERS, dtype=np.float32) -> Iterator[Snapshot]:
    """Train, yielding a ``Snapshot`` at each of ``p.snapshot_steps``, the first at step 0 before any update.

    Runs in ``workers`` threads, a few snapshots ahead of the reader; closing the iterator ends them. The same
    ``p`` gives the same numbers to the bit.
    """
    return iter(Trainer(p, workers, dtype))
