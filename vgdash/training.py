"""Training: several initializers and seeds of one deep net on the same minibatches, side by side and live.

``train(p)`` yields a ``Snapshot`` about fifty times on the way. Threads run ahead by a few snapshots at most and end when the
iterator is closed.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from vgdash.activations import ACTIVATIONS
from vgdash.data import DATASETS, Data, load
from vgdash.engine import Examples, Measured, Nets
from vgdash.initializers import BASES, INITIALIZERS
from vgdash.network import stream
from vgdash.optimizers import OPTIMIZERS
from vgdash.parallel import WORKERS, one_blas_thread
from vgdash.params import Integer, ParamError, Params, Rule, choice, choices, integer, integers, real
from vgdash.plan import Plan

__all__ = ["Snapshot", "TrainParams", "Trainer", "train"]

DEPTH, WIDTH = 30, 64
MEMORY, WORK = 256e6, 3e13  # bytes; floating-point operations, five minutes on two cores
AT_ONCE = 8192  # entries (units x batch) of one call: below, Python's time per call shows; above, the cache overflows
AHEAD = 3  # snapshots that the threads may be ahead of the reader


class _Amount(str):
    def __repr__(self) -> str:
        return str(self)


def _between(dataset: str, depth: int, width: int) -> tuple[int, ...]:
    return (DATASETS[dataset].features, *(width,) * (depth - 1), DATASETS[dataset].classes)


@dataclass(frozen=True)
class TrainParams(Params):
    """Nets of ``widths`` (from the features of ``dataset`` to its classes), one for each of ``initializers`` and ``seeds``.

    Hidden layers apply ``activation``; the last one is linear, its softmax cross-entropy is the loss. ``gamma`` multiplies the
    initial weights; ``sigma_b2`` is the variance of the initial biases. ``momentum`` counts for that optimizer only; ``clip`` bounds
    the norm of the gradient, 0 is off. ``steps`` updates with minibatches of ``batch`` examples, the same for all nets;
    ``snapshots`` intervals between looks. ``seed`` draws the parameters (net s of every initializer from ``seed`` and s), the order
    and, for figures, the data. An address may say depth and width instead of widths.

    Raises ``ParamError`` beyond 256 MB or about five minutes of work, before anything is computed.
    """

    widths: tuple[int, ...] = integers(_between("digits", DEPTH, WIDTH), 1, 1024, 2, 257)
    activation: str = choice("relu", ACTIVATIONS)
    initializers: tuple[str, ...] = choices(("zeros", "small_normal", "glorot_normal", "he_normal"), INITIALIZERS, 8)
    dataset: str = choice("digits", DATASETS)
    optimizer: str = choice("sgd", OPTIMIZERS)
    learning_rate: float = real(0.01, 1e-6, 100)
    batch: int = integer(32, 1, 1024)
    steps: int = integer(1500, 1, 20_000)
    seeds: int = integer(1, 1, 8)
    gamma: float = real(1.0, 0, 100)
    sigma_b2: float = real(0.0, 0, 100)
    momentum: float = real(0.9, 0, 0.999)
    clip: float = real(0.0, 0, 1000)
    label_noise: float = real(0.0, 0, 1)
    snapshots: int = integer(50, 1, 400)
    seed: int = integer(0, 0, 2**31 - 1)

    SHORTHAND: ClassVar[Mapping[str, Rule]] = {"depth": Integer(1, 256), "width": Integer(1, 1024)}

    @classmethod
    def uniform(cls, depth: int = DEPTH, width: int = WIDTH, *, dataset: str = "digits", **rest) -> TrainParams:
        """``depth`` layers, the hidden ones all ``width`` wide, between the features and the classes of ``dataset``."""
        dataset = cls.rules()["dataset"].check("dataset", dataset)
        depth, width = (cls.SHORTHAND[name].check(name, value) for name, value in (("depth", depth), ("width", width)))
        return cls(_between(dataset, depth, width), dataset=dataset, **rest)

    @classmethod
    def expand(cls, values: dict[str, Any]) -> dict[str, Any]:
        depth, width = values.pop("depth", DEPTH), values.pop("width", WIDTH)
        values.setdefault("widths", _between(values.get("dataset", "digits"), depth, width))
        return values

    @property
    def depth(self) -> int:
        """Number of layers L."""
        return len(self.widths) - 1

    @property
    def width(self) -> int:
        """Units of the first hidden layer."""
        return self.widths[1]

    @property
    def nets(self) -> int:
        return len(self.initializers) * self.seeds

    @property
    def marks(self) -> tuple[int, ...]:
        """The steps at which there is a snapshot, from 0 to ``steps``."""
        return tuple(np.unique(np.linspace(0, self.steps, self.snapshots + 1).round().astype(int)).tolist())

    @cached_property
    def data(self) -> Data:
        return load(self.dataset, seed=self.seed, label_noise=self.label_noise)

    @property
    def flops(self) -> float:
        """Operations of all matrix products: 2·batch·(3 P - n[0]·n[1]) per net and step, with P = Σ n[l-1]·n[l]; the gradient is
        taken once more than it is applied. Plus 2 P per held-out example and snapshot."""
        products = sum(n * m for n, m in zip(self.widths, self.widths[1:], strict=False))
        steps = (self.steps + 1) * self.batch * (3 * products - self.widths[0] * self.widths[1])
        looks = len(self.marks) * math.ceil(len(self.data.x_test) / self.batch) * self.batch * products
        return 2.0 * self.nets * (steps + looks)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the arrays of all nets in float32, of the data, and of what the threads take for a moment to measure.

        Per net: parameters (with biases) once, and again for each array the optimizer remembers and for clipping; activations
        Σ (n[l] + 1)·batch, twice where f' is a function of z; two chunks of gradients (see ``engine.Plan.arrays``).
        """
        plan = self.plan(np.float32)
        rows, columns = len(self.data.x_train) + len(self.data.x_test), self.widths[0] + 1 + self.widths[-1]
        measuring = min(WORKERS, len(self.groups)) * plan.measuring_bytes(self.groups[0])
        return sum(plan.memory_bytes(size) for size in self.groups) + rows * columns * 4 + measuring

    @property
    def groups(self) -> list[int]:
        """How many nets are trained together, group by group: enough to make calls long, and enough groups for the cores."""
        size = max(1, min(round(AT_ONCE / (self.batch * max(self.widths[1:]))), self.nets // WORKERS))
        count = math.ceil(self.nets / size)
        return [self.nets // count + (i < self.nets % count) for i in range(count)]

    def plan(self, dtype) -> Plan:
        """What the engine needs to know."""
        return Plan(self.widths, ACTIVATIONS[self.activation], OPTIMIZERS[self.optimizer], self.learning_rate, self.momentum,
                    self.clip, self.batch, np.dtype(dtype))

    def consistent(self) -> None:
        dataset = DATASETS[self.dataset]
        ends = (dataset.features, dataset.classes)
        if (self.widths[0], self.widths[-1]) != ends:
            raise ParamError("widths", f"from {ends[0]} features to {ends[1]} classes for {self.dataset}",
                             _Amount(f"{self.widths[0]} to {self.widths[-1]}"),
                             "TrainParams.uniform(depth, width, dataset=…) sets both.")
        if self.batch > len(self.data.x_train):
            raise ParamError("batch", f"at most the {len(self.data.x_train):,} training examples of {self.dataset}", self.batch)
        if self.memory_bytes > MEMORY:
            raise ParamError("widths", f"small enough for {MEMORY / 1e6:.0f} MB in all", _Amount(f"{self.memory_bytes / 1e6:,.0f} MB"),
                             "Take fewer or narrower layers, fewer initializers or seeds, or a smaller batch.")
        if self.flops > WORK:
            raise ParamError("steps", f"few enough for {WORK / 1e12:.0f} trillion operations in all",
                             _Amount(f"{self.flops / 1e12:,.0f} trillion"),
                             f"About {max(1, int(self.steps * WORK / self.flops)):,} steps would do; or take fewer or narrower layers.")


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All nets after ``step`` updates. Arrays are read-only, ``(initializers, seeds)`` or ``(initializers, seeds, depth)``.

    From the step in ``diverged`` on, every number of that net is nan: its loss or gradient was not finite there.
    """

    params: TrainParams
    step: int
    loss: np.ndarray
    """Cross-entropy in nats, mean over the minibatches since the last snapshot; at step 0 of the first one."""
    accuracy: np.ndarray
    """Share of hits in the same minibatches; a tie between k classes counts 1/k."""
    held_out: np.ndarray
    """Share of hits on all held-out examples."""
    grad2: np.ndarray
    """Mean over units and the next minibatch of (∂C/∂z[l])², C the loss of one example."""
    dw2: np.ndarray
    """Mean over the weights of (∂C/∂W[l])², C the mean loss of the next minibatch, before clipping."""
    update_ratio: np.ndarray
    """log10 of std(update)/std(weights) of W[l], for the next update; -inf where no weight moves."""
    diverged: np.ndarray
    """The step at which the loss or a gradient was not finite, and the net was frozen; -1 while all is well."""

    def frame(self) -> pd.DataFrame:
        """One row for each net and layer: step, initializer, seed, layer, then the numbers above."""
        shape = self.grad2.shape
        which = np.indices(shape).reshape(3, -1)
        columns = {name: np.broadcast_to(value.reshape(*shape[:2], -1), shape).ravel()
                   for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return pd.DataFrame({"step": self.step, "initializer": np.array(self.params.initializers)[which[0]], "seed": which[1],
                             "layer": which[2] + 1, **columns})


class Trainer:
    """Nets, threads and snapshots of one run. Iterate over it once; ``stop()``, from any thread, ends it between two steps."""

    def __init__(self, p: TrainParams, workers: int = WORKERS, dtype=np.float32):
        self.params, self._workers = p, workers
        data, plan = p.data, p.plan(dtype)
        train, held_out = (Examples.of(x, y, data.classes, dtype) for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)))
        self.groups = [Nets(plan, size, train, held_out, np.random.default_rng([p.seed, 0])) for size in p.groups]
        self._draw(np.dtype(dtype))
        self._moments: list[list[Measured]] = [[] for _ in self.groups]
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
        """Weights of a layer (from 1) now, a copy ``(initializers, seeds, fan_out, fan_in)``."""
        return self._shaped(np.concatenate([nets.weights(layer) for nets in self.groups]))

    def biases(self, layer: int) -> np.ndarray:
        """Biases of a layer (from 1) now, a copy ``(initializers, seeds, fan_out)``."""
        return self._shaped(np.concatenate([nets.biases(layer) for nets in self.groups]))

    def __iter__(self) -> Iterator[Snapshot]:
        threads = [threading.Thread(target=self._work, daemon=True, name=f"vgdash-training-{i}")
                   for i in range(min(self._workers, len(self.groups)))]
        with one_blas_thread():
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
        """Initial weights: one base draw for each seed, layer and family, scaled for each initializer. Biases: one for each seed."""
        p = self.params
        nets = [(group, i) for group in self.groups for i in range(group.nets)]
        for layer in range(1, p.depth + 1):
            fans = p.widths[layer - 1], p.widths[layer]
            for seed in range(p.seeds):
                for family in {INITIALIZERS[name].base.name for name in p.initializers}:
                    base = BASES[family].draw(*fans, stream(p.seed, seed, layer, "weights"), dtype)
                    for which, name in enumerate(p.initializers):
                        if INITIALIZERS[name].base.name == family:
                            group, i = nets[which * p.seeds + seed]
                            np.multiply(base, p.gamma * INITIALIZERS[name].scale(*fans), out=group.weights(layer)[i])
                biases = stream(p.seed, seed, layer, "bias").standard_normal(fans[1], dtype) * dtype.type(math.sqrt(p.sigma_b2))
                for group, i in nets[seed::p.seeds]:
                    group.biases(layer)[i] = biases

    def _work(self) -> None:
        with np.errstate(all="ignore"):
            while (index := self._next()) is not None:
                moments, marks = self._moments[index], self.params.marks
                try:
                    measured = self.groups[index].run(marks[len(moments)], len(moments) + 1 == len(marks), self._stopped.is_set)
                except BaseException as error:
                    self._error = error
                    self.stop()
                    return
                with self._change:
                    if measured is not None:
                        moments.append(measured)
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

    def _shaped(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(len(self.params.initializers), self.params.seeds, *values.shape[1:])

    def _snapshot(self, index: int, step: int) -> Snapshot:
        moments = [group[index] for group in self._moments]
        arrays = {name: np.concatenate([getattr(moment, name) for moment in moments]) for name in vars(moments[0])}
        arrays["diverged"] = np.concatenate([nets.diverged for nets in self.groups])
        arrays["diverged"][arrays["diverged"] > step] = -1
        arrays = {name: self._shaped(values) for name, values in arrays.items()}
        for values in arrays.values():
            values.flags.writeable = False
        return Snapshot(self.params, step, **arrays)


def train(p: TrainParams, workers: int = WORKERS, dtype=np.float32) -> Iterator[Snapshot]:
    """Train, yielding a ``Snapshot`` at each of ``p.marks``, the first at step 0 before any update.

    Runs in ``workers`` threads with BLAS held to one thread each, at most a few snapshots ahead of the reader; closing the
    iterator ends them. The same ``p`` gives the same numbers to the bit.
    """
    return iter(Trainer(p, workers, dtype))
