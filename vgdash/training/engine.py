"""Train a few nets of one shape: minibatches, loss, updates, and measurements of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from vgdash.layers import EPSILON
from vgdash.training.forward_backward import Chunk, ForwardBackward
from vgdash.training.memory_layout import Calls, MemoryLayout
from vgdash.training.optimizers import clip_norm


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs ``(rows, features + 1)`` with a last column of ones, and one-hot labels ``(rows, classes)``.

    Numbers to predict are labels of one class, not one-hot.
    """

    x: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, classes: int, dtype) -> Examples:
        """Make them from inputs ``(rows, features)``, and ``(rows,)`` labels below ``classes`` or numbers."""
        ones = np.ones((len(x), 1), dtype)
        labels = y[:, None].astype(dtype) if y.dtype.kind == "f" else np.eye(classes, dtype=dtype)[y]
        return cls(np.concatenate([x, ones], axis=1, dtype=dtype), labels)

    def __len__(self) -> int:
        return len(self.x)


class Nets(ForwardBackward):
    """Independent nets of one ``layout`` that train on the same minibatches.

    Parameters start at 0; write the initial ones through ``weights(layer)``. ``order`` shuffles the rows of
    ``train`` once an epoch, the remainder is left out; its child draws dropout's masks. ``rates`` ``(nets,)``
    are the learning rates. A net whose loss or gradient is not finite is frozen; ``diverged[net]`` is then
    the number of its updates, else -1.

    Batch normalization is tested with the statistics of the population, estimated by
    ``update_batchnorm_statistics`` (Ioffe & Szegedy 2015, algorithm 2; nn.BatchNorm1d with momentum=None). A
    running average would lag behind weights that move quickly.

    Call everything under ``np.errstate(all="ignore")``: overflow is an expected result here.
    """

    def __init__(self, layout: MemoryLayout, nets: int, train: Examples, held_out: Examples,
                 order: np.random.Generator, rates: np.ndarray):
        super().__init__(layout, nets)
        self.train, self.held_out = train, held_out
        self.updates = 0
        self.diverged = np.full(nets, -1)
        batch, dtype = layout.batch, layout.dtype
        self._rates = rates.astype(dtype)[:, None, None, None]
        self._carried = rates if layout.optimizer.linear else np.ones(nets)  # by the deltas, besides 1/batch
        self._delta_factor = (self._carried / batch).astype(dtype)[:, None, None]
        self._order, self._rows, self._next = order, np.arange(len(train)), len(train)
        self._dropout, = order.spawn(1)
        self._labels = np.zeros((batch, layout.widths[-1]), dtype)
        count = min(math.ceil(len(held_out) / batch), len(train) // batch)
        shuffled = np.random.default_rng(0).permutation(len(train))  # rows may be ordered by class
        self._population = shuffled[:count * batch].reshape(count, batch)

    def update_batchnorm_statistics(self) -> None:
        """Estimate the population's statistics for batch normalization; does nothing without it."""
        if self.layout.normalization != "batch":
            return
        (mean, factor, all_mean, all_factor), scale = self.statistics, self.layout.plain_scale
        all_mean[:] = all_factor[:] = 0
        for rows in self._population:
            self._read(self.train, rows)
            self._predict(self.forward)
            all_mean += mean
            all_factor += scale**2 / (factor * factor) - EPSILON  # the variance
        all_mean /= len(self._population)
        all_factor *= self.layout.batch / ((self.layout.batch - 1) * len(self._population))
        np.divide(scale, np.sqrt(all_factor + EPSILON), out=all_factor)

    def run(self, until: int, last: bool, stopped: Callable[[], bool], inspect: Callable[[], object],
            test: bool) -> dict[str, np.ndarray] | None:
        """Train until ``until`` updates are made and measure there; return None once ``stopped()`` is true.

        Returns fields of ``Snapshot`` by name, float64 ``(nets,)`` or ``(nets, depth)``; nan for diverged
        nets. ``inspect()`` is called at that step if a net is still alive. ``test`` includes the held-out
        examples. The gradient of that step is measured, and applied unless this is the ``last`` run.
        """
        start = self.updates
        losses, hits = np.zeros((2, self.nets))
        shape = self.nets, self.layout.depth
        measured = {name: np.zeros(shape) for name in ("grad2", "dw2", "gradient_ratio", "update_ratio")}
        measured["held_out"] = np.full(self.nets, np.nan)
        for self.updates in range(start, until + 1):
            if stopped():
                return None
            if (self.diverged >= 0).all():
                break
            here = self.updates == until
            if here:
                self.update_batchnorm_statistics()
                if test:
                    measured["held_out"] = self.evaluate(self.held_out)[1]
                inspect()
            self._read(self.train, self._next_minibatch())
            self._draw_masks()
            self._predict(self.forward)
            losses += self._losses.mean(axis=1)
            hits += self._hits.mean(axis=1)
            self._freeze_diverged(losses)
            self._backward_and_update(measured if here else None, update=not (here and last))
        self.updates = until + 1
        count = until + 1 - start
        measured |= {"loss": losses / count, "accuracy": hits / count}
        for values in measured.values():
            values[self.diverged >= 0] = np.nan
        return measured

    def evaluate(self, examples: Examples) -> tuple[np.ndarray, np.ndarray]:
        """Mean loss and accuracy (R² of numbers) over all rows, ``(nets,)`` each.

        A tie of k classes counts 1/k.
        """
        losses, hits = np.zeros((2, self.nets))
        for start in self.predict_batches(examples):
            counted = min(self.layout.batch, len(examples) - start)
            losses += self._losses[:, :counted].sum(axis=1)
            hits += self._hits[:, :counted].sum(axis=1)
        losses /= len(examples)
        if examples.labels.shape[1] == 1:
            return losses, 1 - 2 * losses / examples.labels.var()
        return losses, hits / len(examples)

    def predict_batches(self, examples: Examples) -> Iterator[int]:
        """Predict all rows in batches; yield the first row of each while activations and ``shares`` are its
        own.

        Batch normalization uses the population's statistics. Beyond the end the last row is repeated.
        """
        for start in range(0, len(examples), self.layout.batch):
            self._read(examples, np.arange(start, start + self.layout.batch))
            self._predict(self.forward_fixed)
            yield start

    def _next_minibatch(self) -> np.ndarray:
        batch = self.layout.batch
        if self._next + batch > len(self._rows):
            self._order.shuffle(self._rows)
            self._next = 0
        self._next += batch
        return self._rows[self._next - batch:self._next]

    def _draw_masks(self) -> None:
        if (keep := self.layout.keep) < 1:
            self._dropout.random(dtype=self.mask.dtype, out=self.mask)
            np.multiply(self.mask < keep, self.mask.dtype.type(1 / keep), out=self.mask)

    def _read(self, examples: Examples, rows: np.ndarray) -> None:
        np.take(examples.x, rows, 0, self.x, "clip")  # the other modes buffer their output
        np.take(examples.labels, rows, 0, self._labels, "clip")

    def _predict(self, forward: Calls) -> None:
        """Pass forward; softmax into ``shares``, cross-entropy and hit of each example.

        For the squared error ``shares`` are the answers themselves, which have the same derivative then. The
        hit of a number, which has variance 1, is 1 - (its error)², so that the mean is R².
        """
        for call in forward:
            call()
        logits, shares = self.logits, self.shares
        if self.layout.squared:
            np.copyto(shares, logits)
            self._losses = np.square(shares - self._labels.T).sum(axis=1) / 2
            if logits.shape[1] == 1:
                self._hits = 1 - 2 * self._losses
                return
        logits -= logits.max(axis=1, keepdims=True)
        true = (logits * self._labels.T).sum(axis=1)
        if not self.layout.squared:
            np.exp(logits, out=shares)
            total = shares.sum(axis=1, keepdims=True)
            shares /= total
            self._losses = np.log(total[:, 0]) - true
        self._hits = np.divide(true == 0, (logits == 0).sum(axis=1), dtype=logits.dtype)

    def _freeze_diverged(self, values: np.ndarray) -> None:
        """Freeze the nets of which ``values`` ``(nets,)`` is not finite."""
        if not math.isfinite(values.sum()):
            self.diverged[(self.diverged < 0) & ~np.isfinite(values)] = self.updates

    def _backward_and_update(self, measured: dict[str, np.ndarray] | None, update: bool) -> None:
        """Pass backward and update chunk by chunk, or all chunks at the end if gradients are clipped."""
        clip = self.layout.clip
        np.subtract(self.shares, self._labels.T, out=self.delta)
        self.delta *= self._delta_factor
        for chunk in self.chunks:
            for call in chunk.calls:
                call()
            np.matmul(chunk.delta, chunk.inputs, out=chunk.gradient)
            if measured:
                self._measure_gradient(chunk, measured)
            if not clip:
                self._update(chunk, measured, update)
        if clip:
            clip_norm([chunk.gradient for chunk in self.chunks], clip, self._carried)
            for chunk in self.chunks:
                self._update(chunk, measured, update)
        self._freeze_diverged(self.lowest.sum(axis=(1, 2)))

    def _update(self, chunk: Chunk, measured: dict[str, np.ndarray] | None, update: bool) -> None:
        rule, momentum = self.layout.optimizer.update, self.layout.momentum
        change = rule(chunk.gradient, chunk.state, self.updates + 1, self._rates, momentum)
        if measured:
            weights, changes = (block[..., :-1].std(axis=(2, 3), dtype=np.float64)
                                for block in (chunk.parameters, change))
            measured["update_ratio"][:, chunk.first - 1:chunk.last] = _log10_ratio(changes, weights)
        if (self.diverged >= 0).any():
            change[self.diverged >= 0] = 0
        if update:
            np.subtract(chunk.parameters, change, out=chunk.parameters)

    def _measure_gradient(self, chunk: Chunk, measured: dict[str, np.ndarray]) -> None:
        layers = slice(chunk.first - 1, chunk.last)
        carried = self._carried[:, None]
        per_example = self.layout.batch / carried  # from the delta of the mean, times the learning rate
        deltas = np.square(chunk.outer[:, :, :-1], dtype=np.float64).mean(axis=(2, 3)).T
        gradients = np.square(chunk.gradient[..., :-1], dtype=np.float64).mean(axis=(2, 3))
        measured["grad2"][:, layers] = deltas * per_example**2
        measured["dw2"][:, layers] = gradients / carried**2
        spread, weights = (block[..., :-1].std(axis=(2, 3), dtype=np.float64)
                           for block in (chunk.gradient, chunk.parameters))
        measured["gradient_ratio"][:, layers] = _log10_ratio(spread / carried, weights)


def _log10_ratio(changes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return log10 of changes/weights; -inf where nothing changes, inf where weights are all alike."""
    return np.log10(np.divide(changes, weights, out=np.zeros_like(changes), where=changes > 0))
