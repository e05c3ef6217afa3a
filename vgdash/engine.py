"""The inner loop of training: a few nets of one shape as batched arrays, in memory that is allocated once.

Layout, chosen by measurement. Activations are ``(nets, units + 1, batch)`` with a last row of ones, and the weights of a layer
``(nets, fan_out, fan_in + 1)`` with the bias as last column: one product adds the bias, one gives both gradients. Layers of one
shape go back in chunks that fit the second-level cache, and a chunk's parameters are one block: its gradients are a single call
and so is its update, which also leaves Python's lock to the other threads.
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
    def kernel(self) -> type[_General]:
        return KERNELS.get(self.activation.name, _General)

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

    def arrays(self, nets: int) -> dict[str, int]:
        """Entries of every array that ``Nets`` allocates, but for a few of the size of the labels."""
        hidden, chunks, sizes = self.widths[1:-1], self.chunks(nets), self.sizes()
        one = nets * self.batch
        widest = (max(hidden, default=1) + 1) * one
        activations = sum(n + 1 for n in hidden) * one
        return {
            "parameters": nets * sum(sizes),
            "state": self.optimizer.slots * nets * sum(sizes),
            "gradient": nets * (sum(sizes) if self.clip else max(sum(sizes[first - 1:last]) for first, last in chunks)),
            "a": activations,
            "z": 0 if self.kernel.in_place else activations if self.keeps_input else widest,
            "delta": 2 * one * max((self.widths[last] + 1) * (last - first + 1) for first, last in chunks),
            "slope": widest,
            "constants": self.kernel.constants * widest,
            "logits": 3 * one * self.widths[-1],
            "x": self.batch * (self.widths[0] + 1),
        }

    def memory_bytes(self, nets: int) -> int:
        """Bytes of the arrays of ``Nets(self, nets, …)``."""
        return self.dtype.itemsize * sum(self.arrays(nets).values())

    def measuring_bytes(self, nets: int) -> int:
        """Bytes that a measurement takes for a moment: a chunk's weights in float64, twice."""
        return 16 * nets * max(sum(self.sizes()[first - 1:last]) for first, last in self.chunks(nets))


Calls = list[Callable[[], object]]


class _General:
    """Calls that apply an activation function, on whole ``(nets, units + 1, batch)`` blocks.

    Blocks go with their last row because NumPy copies what is not contiguous through buffers: twice the time at 64 units. The
    ones are put back afterwards; in the deltas that row means nothing.
    """

    in_place = False
    constants = 0

    def __init__(self, plan: Plan, constants: np.ndarray):
        self.activation, self.keeps_input = plan.activation, plan.keeps_input

    def forward(self, z: np.ndarray, a: np.ndarray) -> Calls:
        """a = f(z)"""
        return [partial(self.activation.value, z, a), partial(np.copyto, a[:, -1], 1)]

    def backward(self, delta: np.ndarray, z: np.ndarray, a: np.ndarray, slope: np.ndarray) -> Calls:
        """delta ← delta · f'(z), with ``slope`` to work in."""
        f = self.activation
        write = partial(f.slope, z, slope) if self.keeps_input else partial(f.slope_of_output, a, slope)
        return [write, partial(np.multiply, delta, slope, out=delta)]


class _Relu(_General):
    """In place, and back on bit patterns: a >= 0 read as an integer is 0 or positive, so min(a, 1) is the slope as 0 or 1.

    Three times as fast as the general way: NumPy takes maxima with vector instructions only of array against array.
    """

    in_place = True
    constants = 2

    def __init__(self, plan: Plan, constants: np.ndarray):
        self.whole = np.dtype(f"i{plan.dtype.itemsize}")
        zeros, ones = constants.reshape(2, -1)
        self.zeros, self.ones = zeros, ones.view(self.whole)
        self.ones[:] = 1

    def forward(self, z, a):
        return [partial(np.maximum, a, self.zeros[:a.size].reshape(a.shape), out=a)]

    def backward(self, delta, z, a, slope):
        delta, slope = delta.view(self.whole), slope.view(self.whole)
        return [partial(np.minimum, a.view(self.whole), self.ones[:a.size].reshape(a.shape), out=slope),
                partial(np.multiply, delta, slope, out=delta)]


KERNELS = {"relu": _Relu}


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Layers first..last, all of one shape, on the way back: ``calls`` make the deltas below each of them from its own."""

    first: int
    last: int
    parameters: np.ndarray  # (nets, layers, fan_out, fan_in + 1), like the next two
    gradient: np.ndarray
    state: list[np.ndarray]
    blocks: np.ndarray  # of the deltas: (layers, nets, fan_out + 1, batch)
    delta: np.ndarray  # the same memory as (nets, layers, fan_out, batch)
    inputs: np.ndarray  # (nets, layers, batch, fan_in + 1)
    calls: Calls


class Nets:
    """Several nets of one ``plan``, which see the same minibatches but never each other.

    Parameters start at 0; write the initial ones through ``weights(layer)``. ``order`` gives the minibatches: rows of ``train``
    shuffled once an epoch, the remainder left out. A net whose loss or gradient is not finite does not move any more, and
    ``diverged[net]`` is the number of updates that it had; -1 for the others.

    Call everything under ``np.errstate(all="ignore")``: overflow is an expected result here.
    """

    def __init__(self, plan: Plan, nets: int, train: Examples, held_out: Examples, order: np.random.Generator):
        self.plan, self.nets = plan, nets
        self.train, self.held_out = train, held_out
        self.updates = 0
        self.diverged = np.full(nets, -1)
        self._order, self._rows, self._next = order, np.arange(len(train)), len(train)
        self._scale = plan.learning_rate if plan.optimizer.linear else 1.0  # what the deltas carry besides 1/batch
        memory = {name: np.zeros(entries, plan.dtype) for name, entries in plan.arrays(nets).items()}
        self._x = memory["x"].reshape(plan.batch, -1)
        self._logits, self._shares, self._work = memory["logits"].reshape(3, nets, -1, plan.batch)
        self._largest, self._true, self._total, self._ties = np.zeros((4, nets, 1, plan.batch), plan.dtype)
        self._labels = np.zeros((plan.batch, plan.widths[-1]), plan.dtype)
        self._is_largest, self._tie_count = np.zeros(self._logits.shape, bool), np.zeros(self._total.shape, np.uint16)
        self._each_loss, self._each_hit = np.zeros((2, nets, plan.batch), plan.dtype)
        self._is_hit, self._check = np.zeros((nets, plan.batch), bool), np.zeros(nets, plan.dtype)
        self._bind(memory)

    def weights(self, layer: int) -> np.ndarray:
        """Weights of a layer (from 1) as a writable view ``(nets, fan_out, fan_in)``."""
        return self._layers[layer - 1][..., :-1]

    def biases(self, layer: int) -> np.ndarray:
        """Biases of a layer (from 1) as a writable view ``(nets, fan_out)``."""
        return self._layers[layer - 1][..., -1]

    def _bind(self, memory: dict[str, np.ndarray]) -> None:
        """The two passes as flat lists of calls, their views made once: at 50 narrow layers Python's own time would count."""
        plan, nets, widths, depth = self.plan, self.nets, self.plan.widths, self.plan.depth
        starts = np.cumsum([0, 0] + [nets * (n + 1) * plan.batch for n in widths[1:-1]])

        def run(name: str, first: int, last: int) -> np.ndarray:
            """Hidden layers of one width: (layers, nets, units + 1, batch)"""
            return memory[name][starts[first]:starts[last + 1]].reshape(last - first + 1, nets, widths[first] + 1, plan.batch)

        a = [np.broadcast_to(self._x.T, (nets, *self._x.T.shape)), *(run("a", layer, layer)[0] for layer in range(1, depth))]
        for block in a[1:]:
            block[:, -1] = 1
        if plan.kernel.in_place:
            z = a
        elif plan.keeps_input:
            z = [a[0], *(run("z", layer, layer)[0] for layer in range(1, depth))]
        else:
            z = [a[0], *(memory["z"][:block.size].reshape(block.shape) for block in a[1:])]

        self._chunks = self._chunk(memory, lambda first, last: a[0][None] if first == 1 else run("a", first - 1, last - 1))
        self._layers = [chunk.parameters[:, i] for chunk in reversed(self._chunks) for i in range(chunk.last - chunk.first + 1)]
        kernel = plan.kernel(plan, memory["constants"])
        self._forward: Calls = []
        for layer in range(1, depth):
            self._forward.append(partial(np.matmul, self._layers[layer - 1], a[layer - 1], out=z[layer][:, :-1]))
            self._forward += kernel.forward(z[layer], a[layer])
        self._forward.append(partial(np.matmul, self._layers[-1], a[-1], out=self._logits))

        deltas = {layer: block for chunk in self._chunks for layer, block in enumerate(chunk.blocks, chunk.first)}
        self._delta, self._lowest = deltas[depth][:, :-1], deltas[1][:, :-1]
        for chunk in self._chunks:
            for layer in range(chunk.last, max(chunk.first, 2) - 1, -1):
                below = deltas[layer - 1]
                chunk.calls.append(partial(np.matmul, self.weights(layer).swapaxes(1, 2), deltas[layer][:, :-1], out=below[:, :-1]))
                chunk.calls.extend(kernel.backward(below, z[layer - 1], a[layer - 1], memory["slope"][:below.size].reshape(below.shape)))

    def _chunk(self, memory: dict[str, np.ndarray], inputs: Callable[[int, int], np.ndarray]) -> list[_Chunk]:
        """Chunk by chunk: parameters one after the other, gradients too if clipping needs all, deltas in two places by turns."""
        plan, nets, found, start = self.plan, self.nets, [], 0
        states = memory["state"].reshape(plan.optimizer.slots, len(memory["parameters"]))
        for turn, (first, last) in enumerate(plan.chunks(nets)):
            n, m = plan.widths[first - 1:first + 1]
            shape = nets, last - first + 1, m, n + 1
            here = slice(start, start + math.prod(shape))
            start = here.stop
            blocks = memory["delta"].reshape(2, -1)[turn % 2, :shape[1] * nets * (m + 1) * plan.batch]
            blocks = blocks.reshape(shape[1], nets, m + 1, plan.batch)
            found.append(_Chunk(
                first, last, memory["parameters"][here].reshape(shape),
                memory["gradient"][here if plan.clip else slice(math.prod(shape))].reshape(shape),
                [slot[here].reshape(shape) for slot in states],
                blocks, blocks[:, :, :-1].swapaxes(0, 1), inputs(first, last).transpose(1, 0, 3, 2), []))
        return found

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
            np.matmul(chunk.delta, chunk.inputs, out=chunk.gradient)
            if measured:
                self._measure_gradient(chunk, measured)
            if not plan.clip:
                self._update(chunk, measured, update)
        if plan.clip:
            clip_norm([chunk.gradient for chunk in self._chunks], plan.clip, self._scale)
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
        measured.dw2[:, layers] = np.square(chunk.gradient[..., :-1], dtype=np.float64).mean(axis=(2, 3)) / self._scale**2

    def _measure_update(self, chunk: _Chunk, change: np.ndarray, measured: Measured) -> None:
        weights, changes = (block[..., :-1].std(axis=(2, 3), dtype=np.float64) for block in (chunk.parameters, change))
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
