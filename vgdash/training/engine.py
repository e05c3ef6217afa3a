"""The inner loop of training: a few nets of one shape, their minibatches, their loss, their updates, and what is measured of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from vgdash.layers import EPSILON
from vgdash.training.forward_backward import Chunk, Passes
from vgdash.training.memory_layout import Calls, Plan
from vgdash.training.optimizers import clip_norm

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


class Nets(Passes):
    """Several nets of one ``plan``, which see the same minibatches but never each other.

    Parameters start at 0; write the initial ones through ``weights(layer)``. ``order`` gives the minibatches: rows of ``train``
    shuffled once an epoch, the remainder left out. ``rates`` ``(nets,)`` are learning rates to use instead of the plan's. A net
    whose loss or gradient is not finite does not move any more, and ``diverged[net]`` is the number of updates that it had; -1 for
    the others.

    Batch normalization learns with each minibatch's statistics and answers with the population's: ``settle`` estimates them, as
    averages over training minibatches (Ioffe & Szegedy 2015, algorithm 2; nn.BatchNorm1d with momentum=None). A running average
    of the last steps would lag behind weights that move quickly, and before the first step there is none.

    Call everything under ``np.errstate(all="ignore")``: overflow is an expected result here.
    """

    def __init__(self, plan: Plan, nets: int, train: Examples, held_out: Examples, order: np.random.Generator,
                 rates: np.ndarray | None = None):
        super().__init__(plan, nets)
        self.train, self.held_out = train, held_out
        self.updates = 0
        self.diverged = np.full(nets, -1)
        rates = np.full(nets, plan.learning_rate) if rates is None else rates
        self._rates = rates.astype(plan.dtype)[:, None, None, None]
        self._carried = rates if plan.optimizer.linear else np.ones(nets)  # by the deltas, besides 1/batch
        self._to_carry = (self._carried / plan.batch).astype(plan.dtype)[:, None, None]
        self._order, self._rows, self._next = order, np.arange(len(train)), len(train)
        self._largest, self._true, self._total, self._ties = np.zeros((4, nets, 1, plan.batch), plan.dtype)
        self._labels = np.zeros((plan.batch, plan.widths[-1]), plan.dtype)
        self._is_largest, self._tie_count = np.zeros(self.logits.shape, bool), np.zeros(self._total.shape, np.uint16)
        self._each_loss, self._each_hit = np.zeros((2, nets, plan.batch), plan.dtype)
        self._is_hit, self._check = np.zeros((nets, plan.batch), bool), np.zeros(nets, plan.dtype)
        count = min(math.ceil(len(held_out) / plan.batch), len(train) // plan.batch)
        mixed = np.random.default_rng(0).permutation(len(train))  # the order of the rows may follow their classes
        self._population = mixed[:count * plan.batch].reshape(count, plan.batch)

    def settle(self) -> None:
        """Estimate the population's statistics for batch normalization; nothing to do for other nets."""
        if self.plan.normalization != "batch":
            return
        mean, factor, all_mean, all_factor = self.statistics
        all_mean[:] = all_factor[:] = 0
        for rows in self._population:
            self._read(self.train, rows)
            self._predict(self.forward)
            all_mean += mean
            all_factor += 1 / (factor * factor) - EPSILON  # the variance
        all_mean /= len(self._population)
        all_factor *= self.plan.batch / ((self.plan.batch - 1) * len(self._population))
        np.reciprocal(np.sqrt(all_factor + EPSILON), out=all_factor)

    def run(self, until: int, last: bool, stopped: Callable[[], bool] = lambda: False,
            look: Callable[[], object] = lambda: None, test: bool = True) -> Measured | None:
        """Train until ``until`` updates are made, and measure there; None if ``stopped()`` said so between two steps.

        ``look()`` is called at that moment if any net is still alive; it may send examples through the nets. The held-out examples
        are answered if ``test`` says so. The gradient of the moment is computed to be measured, and then applied at once unless
        this is the ``last`` run.
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
                self.settle()
                measured.held_out[:] = self.evaluate(self.held_out)[1] if test else np.nan
                look()
            self._read(self.train, self._minibatch())
            self._predict(self.forward)
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
        """Mean loss and accuracy over all rows, ``(nets,)`` each, after ``settle``. A tie between k classes counts 1/k of a hit."""
        losses, hits = np.zeros((2, self.nets))
        for start in self.sweep(examples):
            counted = min(self.plan.batch, len(examples) - start)
            losses += self._each_loss[:, :counted].sum(axis=1)
            hits += self._each_hit[:, :counted].sum(axis=1)
        return losses / len(examples), hits / len(examples)

    def sweep(self, examples: Examples) -> Iterator[int]:
        """Answer all rows, a batch at a time: each time the number of its first row, when activations and ``shares`` are those of
        that batch. Beyond the end the last row is repeated."""
        for start in range(0, len(examples), self.plan.batch):
            self._read(examples, np.arange(start, start + self.plan.batch))
            self._predict(self.answer)
            yield start

    def _minibatch(self) -> np.ndarray:
        if self._next + self.plan.batch > len(self._rows):
            self._order.shuffle(self._rows)
            self._next = 0
        self._next += self.plan.batch
        return self._rows[self._next - self.plan.batch:self._next]

    def _read(self, examples: Examples, rows: np.ndarray) -> None:
        np.take(examples.x, rows, 0, self.x, "clip")  # the other modes buffer their output
        np.take(examples.labels, rows, 0, self._labels, "clip")

    def _predict(self, forward: Calls) -> None:
        """Forward; softmax in ``shares``, cross-entropy and hit of each example. Types change in copyto, which needs no buffer."""
        for call in forward:
            call()
        logits, labels, work = self.logits, self._labels.T, self.work
        np.maximum.reduce(logits, axis=1, out=self._largest, keepdims=True)
        np.subtract(logits, self._largest, out=logits)
        np.equal(logits, 0, out=self._is_largest)
        np.add.reduce(self._is_largest, axis=1, dtype=np.uint16, out=self._tie_count, keepdims=True)
        np.copyto(self._ties, self._tie_count)
        np.multiply(logits, labels, out=work)
        np.add.reduce(work, axis=1, out=self._true, keepdims=True)
        np.exp(logits, out=self.shares)
        np.add.reduce(self.shares, axis=1, out=self._total, keepdims=True)
        np.divide(self.shares, self._total, out=self.shares)
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
        np.subtract(self.shares, self._labels.T, out=self.delta)
        self.delta *= self._to_carry
        for chunk in self.chunks:
            for call in chunk.calls:
                call()
            np.matmul(chunk.delta, chunk.inputs, out=chunk.gradient)
            if measured:
                self._measure_gradient(chunk, measured)
            if not plan.clip:
                self._update(chunk, measured, update)
        if plan.clip:
            clip_norm([chunk.gradient for chunk in self.chunks], plan.clip, self._carried)
            for chunk in self.chunks:
                self._update(chunk, measured, update)
        np.add.reduce(self.lowest, axis=(1, 2), out=self._check)
        self._notice(self._check)

    def _update(self, chunk: Chunk, measured: Measured | None, update: bool) -> None:
        plan = self.plan
        change = plan.optimizer.update(chunk.gradient, chunk.state, self.updates + 1, self._rates, plan.momentum)
        if measured:
            self._measure_update(chunk, change, measured)
        if (self.diverged >= 0).any():
            change[self.diverged >= 0] = 0
        if update:
            np.subtract(chunk.parameters, change, out=chunk.parameters)

    def _measure_gradient(self, chunk: Chunk, measured: Measured) -> None:
        layers = slice(chunk.first - 1, chunk.last)
        carried = self._carried[:, None]
        example = self.plan.batch / carried  # from the delta of the mean, times the learning rate, to one example's
        measured.grad2[:, layers] = np.square(chunk.outer[:, :, :-1], dtype=np.float64).mean(axis=(2, 3)).T * example**2
        measured.dw2[:, layers] = np.square(chunk.gradient[..., :-1], dtype=np.float64).mean(axis=(2, 3)) / carried**2

    def _measure_update(self, chunk: Chunk, change: np.ndarray, measured: Measured) -> None:
        weights, changes = (block[..., :-1].std(axis=(2, 3), dtype=np.float64) for block in (chunk.parameters, change))
        ratio = np.divide(changes, weights, out=np.zeros_like(changes), where=changes > 0)
        measured.update_ratio[:, chunk.first - 1:chunk.last] = np.log10(ratio)


@dataclass(frozen=True, eq=False)
class Measured:
    """One moment of ``Nets``: float64 ``(nets,)``, the last three ``(nets, depth)``; all nan for a net that has diverged."""

    loss: np.ndarray  # mean over the minibatches since the last moment
    accuracy: np.ndarray  # of the same
    held_out: np.ndarray  # accuracy on the held-out examples; nan where they were not answered
    grad2: np.ndarray  # mean over units and minibatch of (∂C/∂z)², C the loss of one example
    dw2: np.ndarray  # mean over weights of (∂C/∂W)², C the mean loss of the minibatch
    update_ratio: np.ndarray  # log10 of std(update)/std(weights); -inf where no weight moves
