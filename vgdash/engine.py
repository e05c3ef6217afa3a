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

from vgdash.optimizers import clip_norm
from vgdash.plan import Calls, Plan

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
