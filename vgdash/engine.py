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

from vgdash.layers import EPSILON
from vgdash.optimizers import clip_norm
from vgdash.plan import Calls, Plan, normalize_back_calls, normalize_calls

__all__ = ["Examples", "Measured", "Nets"]


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


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Layers first..last, all of one shape, on the way back: ``calls`` make the deltas below each of them from its own."""

    first: int
    last: int
    parameters: np.ndarray  # (nets, layers, fan_out, fan_in + 1), like the next two
    gradient: np.ndarray
    state: list[np.ndarray]
    blocks: np.ndarray  # of the deltas, ∂C/∂(W a + b): (layers, nets, fan_out + 1, batch)
    outer: np.ndarray  # the same of ∂C/∂z; the same memory where the two are equal
    delta: np.ndarray  # the memory of blocks as (nets, layers, fan_out, batch)
    inputs: np.ndarray  # (nets, layers, batch, fan_in + 1)
    calls: Calls


class Nets:
    """Several nets of one ``plan``, which see the same minibatches but never each other.

    Parameters start at 0; write the initial ones through ``weights(layer)``. ``rates`` ``(nets,)`` may be written too, before the
    first step. ``order`` gives the minibatches: rows of ``train`` shuffled once an epoch, the remainder left out. A net whose loss
    or gradient is not finite does not move any more, and ``diverged[net]`` is the number of updates that it had; -1 for the others.

    Batch normalization learns with each minibatch's statistics and answers with the population's: ``settle`` estimates them, as
    averages over training minibatches (Ioffe & Szegedy 2015, algorithm 2; nn.BatchNorm1d with momentum=None). A running average
    of the last steps would lag behind weights that move quickly, and before the first step there is none.

    Call everything under ``np.errstate(all="ignore")``: overflow is an expected result here.
    """

    def __init__(self, plan: Plan, nets: int, train: Examples, held_out: Examples, order: np.random.Generator):
        self.plan, self.nets = plan, nets
        self.train, self.held_out = train, held_out
        self.updates = 0
        self.diverged = np.full(nets, -1)
        self.rates = np.full(nets, plan.learning_rate, plan.dtype)
        self._order, self._rows, self._next = order, np.arange(len(train)), len(train)
        memory = {name: np.zeros(entries, plan.dtype) for name, entries in plan.arrays(nets).items()}
        self._x = memory["x"].reshape(plan.batch, -1)
        self._logits, self._shares, self._work = memory["logits"].reshape(3, nets, -1, plan.batch)
        self._largest, self._true, self._total, self._ties = np.zeros((4, nets, 1, plan.batch), plan.dtype)
        self._labels = np.zeros((plan.batch, plan.widths[-1]), plan.dtype)
        self._is_largest, self._tie_count = np.zeros(self._logits.shape, bool), np.zeros(self._total.shape, np.uint16)
        self._each_loss, self._each_hit = np.zeros((2, nets, plan.batch), plan.dtype)
        self._is_hit, self._check = np.zeros((nets, plan.batch), bool), np.zeros(nets, plan.dtype)
        count = min(math.ceil(len(held_out) / plan.batch), len(train) // plan.batch)
        mixed = np.random.default_rng(0).permutation(len(train))  # the order of the rows may follow their classes
        self._population = mixed[:count * plan.batch].reshape(count, plan.batch)
        self._bind(memory)

    def weights(self, layer: int) -> np.ndarray:
        """Weights of a layer (from 1) as a writable view ``(nets, fan_out, fan_in)``."""
        return self._layers[layer - 1][..., :-1]

    def biases(self, layer: int) -> np.ndarray:
        """Biases of a layer (from 1) as a writable view ``(nets, fan_out)``."""
        return self._layers[layer - 1][..., -1]

    def activation(self, layer: int) -> np.ndarray:
        """a of a hidden layer (from 1) on the last pass forward, a view ``(nets, units, batch)``."""
        return self._a[layer][:, :-1]

    def slope(self, layer: int) -> np.ndarray:
        """f'(z) of a hidden layer (from 1) on the last pass forward, ``(nets, units, batch)``, valid until the next call."""
        f, a = self.plan.activation, self._a[layer]
        out = self._slope[:a.size].reshape(a.shape)
        return (f.slope(self._z[layer], out) if self.plan.keeps_input else f.slope_of_output(a, out))[:, :-1]

    def _bind(self, memory: dict[str, np.ndarray]) -> None:
        """The two passes as flat lists of calls, their views made once: at 50 narrow layers Python's own time would count."""
        plan, nets, widths, depth = self.plan, self.nets, self.plan.widths, self.plan.depth
        starts = np.cumsum([0, 0] + [nets * (n + 1) * plan.batch for n in widths[1:-1]])

        def run(name: str, first: int, last: int) -> np.ndarray:
            """Hidden layers of one width: (layers, nets, units + 1, batch)"""
            return memory[name][starts[first]:starts[last + 1]].reshape(last - first + 1, nets, widths[first] + 1, plan.batch)

        a = [np.broadcast_to(self._x.T, (nets, *self._x.T.shape)), *(run("a", layer, layer)[0] for layer in range(1, depth))]
        hat = [run("hat", layer, layer)[0] for layer in range(1, depth)] if plan.axis is not None else []
        hat.insert(0, a[0])
        for block in a[1:] + hat[1:]:
            block[:, -1] = 1

        def place(layer: int) -> np.ndarray:
            """Where z of a hidden layer is: in the first of these that holds it anyway."""
            if plan.axis is not None and plan.skips[layer - 1] is None:
                return hat[layer]
            if plan.residual == "none" and plan.kernel.in_place:
                return a[layer]
            if plan.keeps_input:
                return run("z", layer, layer)[0]
            return memory["z"].reshape(plan.turns, -1)[layer % plan.turns, :a[layer].size].reshape(a[layer].shape)

        z = [a[0], *(place(layer) for layer in range(1, depth))]
        self._a, self._z, self._hat, self._slope = a, z, hat, memory["slope"]
        self._chunks = self._chunk(memory, lambda first, last: a[0][None] if first == 1 else run("a", first - 1, last - 1))
        self._layers = [chunk.parameters[:, i] for chunk in reversed(self._chunks) for i in range(chunk.last - chunk.first + 1)]
        self._bind_statistics(memory["statistics"])
        kernel = plan.kernel(plan, memory["constants"])
        self._forward = self._bind_forward(kernel, self._normalize)
        self._answer = self._bind_forward(kernel, self._normalize_fixed) if plan.normalization == "batch" else self._forward
        self._bind_backward(kernel)

    def _bind_statistics(self, memory: np.ndarray) -> None:
        """Of each hidden layer: mean and factor of the minibatch, then those of the population."""
        plan, sizes = self.plan, self.plan.statistics(self.nets)
        self._statistics = memory.reshape(4 if plan.normalization == "batch" else 2, -1)
        ends = np.cumsum([0, *sizes]) // len(self._statistics)
        shape = (self.nets, -1, 1) if plan.normalization == "batch" else (self.nets, 1, plan.batch)
        self._of_layer = [[row[start:end].reshape(shape) for row in self._statistics] if end > start else []
                          for start, end in zip([0, *ends], ends, strict=False)]

    def _work_like(self, block: np.ndarray) -> np.ndarray:
        """Memory in the shape of a block of activations without its ones; the slopes use it too."""
        return self._slope[:block.size].reshape(block.shape)[:, :-1]

    def _normalize(self, layer: int) -> Calls:
        hat = self._hat[layer]
        return normalize_calls(hat[:, :-1], *self._of_layer[layer][:2], self._work_like(hat), self.plan.axis)

    def _normalize_fixed(self, layer: int) -> Calls:
        hat, (_, _, mean, factor) = self._hat[layer][:, :-1], self._of_layer[layer]
        return [partial(np.subtract, hat, mean, out=hat), partial(np.multiply, hat, factor, out=hat)]

    def _bind_forward(self, kernel, normalize: Callable[[int], Calls]) -> Calls:
        plan, a, z, calls = self.plan, self._a, self._z, []
        for layer in range(1, plan.depth):
            u, skip = z[layer] if plan.axis is None else self._hat[layer], plan.skips[layer - 1]
            calls.append(partial(np.matmul, self._layers[layer - 1], a[layer - 1], out=u[:, :-1]))
            if plan.axis is not None:
                calls += normalize(layer)
            if skip is not None:
                if skip != 1:
                    calls.append(partial(np.multiply, u, skip, out=z[layer]))
                calls.append(partial(np.add, z[layer] if skip != 1 else u, z[layer - 1], out=z[layer]))
            calls += kernel.forward(z[layer], a[layer])
        return [*calls, partial(np.matmul, self._layers[-1], a[-1], out=self._logits)]

    def _bind_backward(self, kernel) -> None:
        plan = self.plan
        inner = {layer: block for chunk in self._chunks for layer, block in enumerate(chunk.blocks, chunk.first)}
        outer = {layer: block for chunk in self._chunks for layer, block in enumerate(chunk.outer, chunk.first)}
        self._delta, self._lowest = inner[plan.depth][:, :-1], inner[1][:, :-1]
        if plan.two_deltas:
            self._chunks[0].calls.append(partial(np.copyto, outer[plan.depth], inner[plan.depth]))
        for chunk in self._chunks:
            for layer in range(chunk.last, max(chunk.first, 2) - 1, -1):
                below, a = outer[layer - 1], self._a[layer - 1]
                chunk.calls.append(partial(np.matmul, self.weights(layer).swapaxes(1, 2), inner[layer][:, :-1], out=below[:, :-1]))
                chunk.calls += kernel.backward(below, self._z[layer - 1], a, self._slope[:below.size].reshape(below.shape))
                if plan.skips[layer - 1] is not None:
                    chunk.calls.append(partial(np.add, below, outer[layer], out=below))
                if plan.two_deltas:
                    chunk.calls += self._inward(layer - 1, below[:, :-1], inner[layer - 1][:, :-1])

    def _inward(self, layer: int, outer: np.ndarray, inner: np.ndarray) -> Calls:
        """From ∂C/∂z to ∂C/∂(W a + b)"""
        plan, skip, calls = self.plan, self.plan.skips[layer - 1], []
        if plan.axis is not None:
            hat = self._hat[layer]
            calls += normalize_back_calls(outer, inner, hat[:, :-1], *self._of_layer[layer][:2], self._work_like(hat), plan.axis)
            outer = inner
        if plan.axis is None or skip not in (None, 1):
            calls.append(partial(np.multiply, outer, 1 if skip is None else skip, out=inner))
        return calls

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
