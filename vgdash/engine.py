"""The inner loop of training: a few nets of one shape as batched arrays, in memory that is allocated once.

Layout, chosen by measurement. Activations are ``(nets, units + 1, batch)`` with a last row of ones, and the weights of a layer
``(nets, fan_out, fan_in + 1)`` with the bias as last column: one product adds the bias, one gives both gradients. All parameters
of a net are one row of one array, so an update is one pass over a run of layers. Layers of one shape go back in chunks that fit
the second-level cache: the gradients of a whole chunk are a single call, which also leaves Python's lock to the other threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from vgdash.activations import Activation
from vgdash.optimizers import Optimizer, clip_norm

__all__ = ["Examples", "Measured", "Nets", "Plan"]

CACHE = 384 * 1024  # bytes of one chunk's gradients: with the weights, less than a megabyte of second-level cache


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs ``(rows, features + 1)`` with a last column of ones, and one-hot labels ``(rows, classes)``."""

    x: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, classes: int, dtype) -> Examples:
        """From inputs ``(rows, features)`` and labels ``(rows,)`` from 0 to ``classes`` - 1."""
        ones = np.ones((len(x), 1), dtype)
        return cls(np.concatenate([x, ones], axis=1, dtype=dtype), np.eye(classes, dtype=dtype)[y])

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Plan:
    """What all nets of a comparison share. ``widths`` from the input to the last layer; ``clip`` 0 is off."""

    widths: tuple[int, ...]
    activation: Activation
    optimizer: Optimizer
    learning_rate: float
    momentum: float
    clip: float
    batch: int
    dtype: np.dtype

    @property
    def depth(self) -> int:
        return len(self.widths) - 1

    @property
    def keeps_input(self) -> bool:
        """Whether the slope f' needs z; else the output a is enough."""
        return self.activation.slope_of_output is None

    def sizes(self) -> list[int]:
        """Parameters of each layer, biases included."""
        return [m * (n + 1) for n, m in zip(self.widths, self.widths[1:], strict=False)]

    def chunks(self, nets: int) -> list[tuple[int, int]]:
        """Layers first..last (from 1, both inclusive) that go back together, from the last layer to the first."""
        found: list[tuple[int, int]] = []
        for layer in range(self.depth, 0, -1):
            n, m = self.widths[layer - 1:layer + 1]
            most = CACHE // (nets * m * (n + 1 + self.batch) * self.dtype.itemsize)
            if found and layer > 1 and (n, m) == self.widths[found[-1][1] - 1:found[-1][1] + 1] and found[-1][1] - layer < most:
                found[-1] = layer, found[-1][1]
            else:
                found.append((layer, layer))
        return found

    def arrays(self, nets: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array that ``Nets`` allocates, but for a few of the size of the labels."""
        hidden, classes, b = self.widths[1:-1], self.widths[-1], self.batch
        runs = [(last - first + 1) for first, last in self.chunks(nets)]
        tops = [last for _, last in self.chunks(nets)]
        sizes = self.sizes()
        widest = max(hidden, default=1)
        return {
            "parameters": (nets, sum(sizes)),
            "state": (self.optimizer.slots, nets, sum(sizes)),
            "gradient": (nets, sum(sizes) if self.clip else max(sizes[top - 1] * run for top, run in zip(tops, runs, strict=True))),
            "a": (nets, sum(n + 1 for n in hidden) * b),
            "z": (nets, (sum(hidden) if self.keeps_input else widest) * b),
            "delta": (2, nets, max(self.widths[top] * run for top, run in zip(tops, runs, strict=True)) * b),
            "slope": (nets, widest * b),
            "logits": (3, nets, classes, b),
            "x": (b, self.widths[0] + 1),
        }

    def memory_bytes(self, nets: int) -> int:
        """Bytes of the arrays of ``Nets(self, nets, …)``."""
        return self.dtype.itemsize * sum(math.prod(shape) for shape in self.arrays(nets).values())


Calls = list[Callable[[], object]]


def _relu(plan: Plan) -> tuple[Callable[..., Calls], Callable[..., Calls]]:
    """In place, and back on bit patterns: a >= 0 read as an integer is 0 or positive, so min(a, 1) is the slope as 0 or 1.

    Three times as fast as the general way: NumPy takes maxima with vector instructions only of array against array.
    """
    whole = np.dtype(f"i{plan.dtype.itemsize}")
    widest = max(plan.widths[1:-1], default=1)
    zeros, ones = np.zeros((widest, plan.batch), plan.dtype), np.ones((widest, plan.batch), whole)

    def forward(z, a):
        return [partial(np.maximum, z, zeros[:z.shape[1]], out=a)]

    def backward(delta, z, a, slope):
        delta, slope = delta.view(whole), slope.view(whole)
        return [partial(np.minimum, a.view(whole), ones[:a.shape[1]], out=slope), partial(np.multiply, delta, slope, out=delta)]

    return forward, backward


def _general(plan: Plan) -> tuple[Callable[..., Calls], Callable[..., Calls]]:
    f = plan.activation

    def forward(z, a):
        return [partial(f.value, z, a)]

    def backward(delta, z, a, slope):
        write = partial(f.slope, z, slope) if plan.keeps_input else partial(f.slope_of_output, a, slope)
        return [write, partial(np.multiply, delta, slope, out=delta)]

    return forward, backward


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Layers first..last on the way back: calls that make the deltas below them, then the views of their gradients."""

    first: int
    last: int
    calls: Calls
    delta: np.ndarray  # (nets, layers, fan_out, batch)
    inputs: np.ndarray  # (nets, layers, batch, fan_in + 1)
    products: np.ndarray  # the gradient as (nets, layers, fan_out, fan_in + 1)
    gradient: np.ndarray  # the same memory as (nets, parameters)
    parameters: np.ndarray
    state: list[np.ndarray]


class Nets:
    """Several nets of one ``plan``, which see the same minibatches but never each other.

    ``parameters`` ``(nets, all)`` starts at 0; write the initial weights through ``weights(layer)``. ``order`` gives the
    minibatches: rows of ``train`` shuffled once an epoch, the remainder left out. A net whose loss or gradient is not finite
    stays as it was from then on, and ``diverged[net]`` is the number of updates that it had; -1 for the others.

    Call everything under ``np.errstate(all="ignore")``: overflow is an expected result here.
    """

    def __init__(self, plan: Plan, nets: int, train: Examples, held_out: Examples, order: np.random.Generator):
        self.plan, self.nets = plan, nets
        self.train, self.held_out = train, held_out
        self.updates = 0
        self.diverged = np.full(nets, -1)
        self._order, self._rows = order, np.arange(len(train))
        self._next = len(train)
        arrays = {name: np.zeros(shape, plan.dtype) for name, shape in plan.arrays(nets).items()}
        self.parameters, self._gradient = arrays["parameters"], arrays["gradient"]
        self._state = arrays["state"]
        self._x = arrays["x"]
        self._labels = np.zeros((plan.batch, plan.widths[-1]), plan.dtype)
        self._logits, self._shares, self._work = arrays["logits"]
        row = (nets, 1, plan.batch)
        self._largest, self._true, self._total = (np.zeros(row, plan.dtype) for _ in range(3))
        self._is_largest, self._ties = np.zeros(self._logits.shape, bool), np.zeros(row, plan.dtype)
        self._tie_count, self._is_hit = np.zeros(row, np.uint16), np.zeros((nets, plan.batch), bool)
        self._each_loss, self._each_hit = (np.zeros((nets, plan.batch), plan.dtype) for _ in range(2))
        self._check = np.zeros(nets, plan.dtype)
        self._scale = plan.learning_rate if plan.optimizer.linear else 1.0  # what the deltas carry besides 1/batch
        self._offsets = np.cumsum([0, *plan.sizes()])
        self._bind(arrays)

    def weights(self, layer: int) -> np.ndarray:
        """Weights of a layer (from 1) as a writable view ``(nets, fan_out, fan_in)``."""
        return self._layer(layer)[..., :-1]

    def biases(self, layer: int) -> np.ndarray:
        """Biases of a layer (from 1) as a writable view ``(nets, fan_out)``."""
        return self._layer(layer)[..., -1]

    def _layer(self, layer: int) -> np.ndarray:
        n, m = self.plan.widths[layer - 1:layer + 1]
        return self.parameters[:, self._offsets[layer - 1]:self._offsets[layer]].reshape(self.nets, m, n + 1)

    def _bind(self, arrays: dict[str, np.ndarray]) -> None:
        """The two passes as flat lists of calls, their views made once: at 50 narrow layers Python's own time would count."""
        plan, nets, b = self.plan, self.nets, self.plan.batch
        widths, depth = plan.widths, plan.depth
        in_place = plan.activation.name == "relu"
        forward, backward = (_relu if in_place else _general)(plan)
        at = np.cumsum([0] + [(n + 1) * b for n in widths[1:-1]])
        kept = np.cumsum([0] + [n * b for n in widths[1:-1]])
        x = np.broadcast_to(self._x.T, (nets, *self._x.T.shape))
        a, z = [x], [x]  # index 0 is the input
        for layer in range(1, depth):
            n = widths[layer]
            a.append(arrays["a"][:, at[layer - 1]:at[layer]].reshape(nets, n + 1, b))
            a[-1][:, n] = 1
            start = kept[layer - 1] if plan.keeps_input else 0
            z.append(a[-1][:, :n] if in_place else arrays["z"][:, start:start + n * b].reshape(nets, n, b))
        self._forward: Calls = []
        for layer in range(1, depth):
            self._forward.append(partial(np.matmul, self._layer(layer), a[layer - 1], out=z[layer]))
            self._forward += forward(z[layer], a[layer][:, :widths[layer]])
        self._forward.append(partial(np.matmul, self._layer(depth), a[depth - 1], out=self._logits))

        chunks = plan.chunks(nets)
        deltas = {}
        for which, (first, last) in enumerate(chunks):
            n, count = widths[last], last - first + 1
            block = arrays["delta"][which % 2, :, :count * n * b].reshape(nets, count, n, b)
            for layer in range(first, last + 1):
                deltas[layer] = block[:, layer - first]
            deltas[first, last] = block
        self._delta, self._lowest = deltas[depth], deltas[1]
        self._chunks = []
        for first, last in chunks:
            calls: Calls = []
            for layer in range(last, first - 1, -1):
                if layer > 1:
                    n = widths[layer - 1]
                    slope = arrays["slope"][:, :n * b].reshape(nets, n, b)
                    calls.append(partial(np.matmul, self.weights(layer).swapaxes(1, 2), deltas[layer], out=deltas[layer - 1]))
                    calls += backward(deltas[layer - 1], z[layer - 1], a[layer - 1][:, :n], slope)
            lo, hi = self._offsets[first - 1], self._offsets[last]
            n, m, count = widths[first - 1], widths[first], last - first + 1
            below = x[:, None] if first == 1 else arrays["a"][:, at[first - 2]:at[last - 1]].reshape(nets, count, n + 1, b)
            start = lo if plan.clip else 0
            gradient = self._gradient[:, start:start + hi - lo]
            self._chunks.append(_Chunk(first, last, calls, deltas[first, last], below.swapaxes(2, 3),
                                       gradient.reshape(nets, count, m, n + 1), gradient, self.parameters[:, lo:hi],
                                       [slot[:, lo:hi] for slot in self._state]))

    def run(self, until: int, last: bool, stopped: Callable[[], bool] = lambda: False) -> Measured | None:
        """Train until ``until`` updates are made, and measure there; None if ``stopped()`` said so between two steps.

        The gradient of that moment is computed to be measured, and then applied at once unless this is the ``last`` run.
        """
        start = self.updates
        losses, hits = np.zeros((2, self.nets))
        measured = Measured(*np.zeros((3, self.nets)), *np.zeros((3, self.nets, self.plan.depth)))
        for self.updates in range(start, until + 1):
            if stopped():
                return None
            if (self.diverged >= 0).all():
                break
            here = self.updates == until
            if here:
                measured.held_out[:] = self.evaluate(self.held_out)[1]
            self._read(self.train, self._minibatch())
            self._predict()
            losses += self._each_loss.mean(axis=1)
            hits += self._each_hit.mean(axis=1)
            self._notice(losses)
            self._descend(measured if here else None, update=not (here and last))
        self.updates = until + 1
        np.divide(losses, until + 1 - start, out=measured.loss)
        np.divide(hits, until + 1 - start, out=measured.accuracy)
        for values in vars(measured).values():
            values[self.diverged >= 0] = np.nan
        return measured

    def evaluate(self, examples: Examples) -> tuple[np.ndarray, np.ndarray]:
        """Mean loss and accuracy over all rows, ``(nets,)`` each. A tie between k classes counts 1/k of a hit."""
        losses, hits = np.zeros((2, self.nets))
        for start in range(0, len(examples), self.plan.batch):
            rows = np.arange(start, start + self.plan.batch)  # beyond the end the last row is read again, and not counted
            self._read(examples, rows)
            self._predict()
            counted = min(self.plan.batch, len(examples) - start)
            losses += self._each_loss[:, :counted].sum(axis=1)
            hits += self._each_hit[:, :counted].sum(axis=1)
        return losses / len(examples), hits / len(examples)

    def _minibatch(self) -> np.ndarray:
        if self._next + self.plan.batch > len(self._rows):
            self._order.shuffle(self._rows)
            self._next = 0
        self._next += self.plan.batch
        return self._rows[self._next - self.plan.batch:self._next]

    def _read(self, examples: Examples, rows: np.ndarray) -> None:
        np.take(examples.x, rows, 0, self._x, "clip")  # the other modes buffer their output
        np.take(examples.labels, rows, 0, self._labels, "clip")

    def _predict(self) -> None:
        """Forward; softmax in ``_shares``, cross-entropy and hit of each example. Types change in copyto, which needs no buffer."""
        for call in self._forward:
            call()
        logits, labels, work = self._logits, self._labels.T, self._work
        np.maximum.reduce(logits, axis=1, out=self._largest, keepdims=True)
        np.subtract(logits, self._largest, out=logits)
        np.equal(logits, 0, out=self._is_largest)
        np.add.reduce(self._is_largest, axis=1, dtype=np.uint16, out=self._tie_count, keepdims=True)
        np.copyto(self._ties, self._tie_count)
        np.multiply(logits, labels, out=work)
        np.add.reduce(work, axis=1, out=self._true, keepdims=True)
        np.exp(logits, out=self._shares)
        np.add.reduce(self._shares, axis=1, out=self._total, keepdims=True)
        np.divide(self._shares, self._total, out=self._shares)
        np.equal(self._true[:, 0], 0, out=self._is_hit)
        np.copyto(self._each_hit, self._is_hit)
        np.divide(self._each_hit, self._ties[:, 0], out=self._each_hit)
        np.log(self._total[:, 0], out=self._each_loss)
        np.subtract(self._each_loss, self._true[:, 0], out=self._each_loss)

    def _notice(self, values: np.ndarray) -> None:
        """Freeze the nets of which ``values`` ``(nets,)`` is not finite."""
        if not math.isfinite(values.sum()):
            self.diverged[(self.diverged < 0) & ~np.isfinite(values)] = self.updates

    def _descend(self, measured: Measured | None, update: bool) -> None:
        """Backward and, chunk by chunk or all at the end when gradients are clipped, the update."""
        plan = self.plan
        np.subtract(self._shares, self._labels.T, out=self._delta)
        self._delta *= self._scale / plan.batch
        for chunk in self._chunks:
            for call in chunk.calls:
                call()
            np.matmul(chunk.delta, chunk.inputs, out=chunk.products)
            if measured:
                self._measure_gradient(chunk, measured)
            if not plan.clip:
                self._update(chunk, measured, update)
        if plan.clip:
            clip_norm(self._gradient, plan.clip, self._scale)
            for chunk in self._chunks:
                self._update(chunk, measured, update)
        np.add.reduce(self._lowest, axis=(1, 2), out=self._check)
        self._notice(self._check)

    def _update(self, chunk: _Chunk, measured: Measured | None, update: bool) -> None:
        plan = self.plan
        change = plan.optimizer.update(chunk.gradient, chunk.state, self.updates + 1, plan.learning_rate, plan.momentum)
        if measured:
            self._measure_update(chunk, change, measured)
        if (self.diverged >= 0).any():
            change[self.diverged >= 0] = 0
        if update:
            np.subtract(chunk.parameters, change, out=chunk.parameters)

    def _measure_gradient(self, chunk: _Chunk, measured: Measured) -> None:
        layers = slice(chunk.first - 1, chunk.last)
        example = self.plan.batch / self._scale  # from the delta of the mean, times the learning rate, to one example's
        measured.grad2[:, layers] = np.square(chunk.delta, dtype=np.float64).mean(axis=(2, 3)) * example**2
        measured.dw2[:, layers] = np.square(chunk.products[..., :-1], dtype=np.float64).mean(axis=(2, 3)) / self._scale**2

    def _measure_update(self, chunk: _Chunk, change: np.ndarray, measured: Measured) -> None:
        weights, changes = (block.reshape(chunk.products.shape)[..., :-1].std(axis=(2, 3), dtype=np.float64)
                            for block in (chunk.parameters, change))
        ratio = np.divide(changes, weights, out=np.zeros_like(changes), where=changes > 0)
        measured.update_ratio[:, chunk.first - 1:chunk.last] = np.log10(ratio)


@dataclass(frozen=True, eq=False)
class Measured:
    """One moment of ``Nets``: float64 ``(nets,)``, the last three ``(nets, depth)``; all nan for a net that has diverged."""

    loss: np.ndarray  # mean over the minibatches since the last moment
    accuracy: np.ndarray  # of the same
    held_out: np.ndarray  # accuracy on the held-out examples
    grad2: np.ndarray  # mean over units and minibatch of (∂C/∂z)², C the loss of one example
    dw2: np.ndarray  # mean over weights of (∂C/∂W)², C the mean loss of the minibatch
    update_ratio: np.ndarray  # log10 of std(update)/std(weights); -inf where no weight moves
