"""Inspect nets while they train: dead and saturated units, histograms, drift of weights, decision grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vgdash.training.engine import Examples, Nets

BINS, REACH = 31, 4.0  # of histograms: from -4 to 4 root mean squares; an odd number puts a bin on 0
NUMBERS = 2048  # per layer and net in a histogram at the most: about a percent of the time of a run
GRID, MARGIN = 32, 0.1  # points of a decision grid along each axis; share of the range around the data


class Inspector:
    """Inspects ``nets``, whose weights now are the start that drift is measured from.

    Units and activations are those of the first ``batch`` held-out examples, so that a change is the nets'
    and not the minibatch's. ``layers`` (hidden, from 1) get histograms; ``points`` are those of
    ``decision_grid``, or None.
    """

    def __init__(self, nets: Nets, layers: Sequence[int], points: np.ndarray | None):
        self._nets, self._layers, self._points = nets, tuple(layers), None
        held_out, layout = nets.held_out, nets.layout
        self._examples = Examples(held_out.x[:layout.batch], held_out.labels[:layout.batch])
        if points is not None:
            self._points = Examples.of(points, np.zeros(len(points), int), layout.widths[-1], layout.dtype)
        self._start = [nets.weights(layer).copy() for layer in range(1, layout.depth + 1)]
        self._start_norms = np.stack([_norm(weights) for weights in self._start], axis=1)  # (nets, depth)

    def inspect(self, decide: bool) -> None:
        """Inspect now, after ``update_batchnorm_statistics``; with ``decide`` the decision grid too."""
        nets, count = self._nets, len(self._examples)
        threshold = nets.layout.activation.saturation_slope
        decision = self._decision() if decide and self._points is not None else None
        dead, saturated = np.zeros((2, nets.nets, nets.layout.depth), np.float32)
        rms = np.zeros((nets.nets, len(self._layers)), np.float32)
        histogram = np.zeros((*rms.shape, BINS), np.uint16)
        for _ in nets.predict_batches(self._examples):
            for layer in range(1, nets.layout.depth):  # the last one is linear: no unit is dead or saturated
                flat = np.abs(nets.slope(layer)[:, :, :count]) < threshold
                saturated[:, layer - 1] = flat.mean(axis=(1, 2))
                dead[:, layer - 1] = flat.all(axis=2).mean(axis=1)
            for i, layer in enumerate(self._layers):
                rms[:, i], histogram[:, i] = _histograms(nets.activation(layer)[:, :, :count])
        moved = np.stack([_norm(np.subtract(nets.weights(layer), start, dtype=np.float64))
                          for layer, start in enumerate(self._start, 1)], axis=1)
        drift = np.divide(moved, self._start_norms, out=np.zeros_like(moved), where=moved > 0)
        self._last = {"dead": dead, "saturated": saturated, "drift": drift.astype(np.float32), "rms": rms,
                      "histogram": histogram, "decision": decision}

    def result(self, decide: bool) -> dict[str, np.ndarray]:
        """Fields of ``Snapshot`` by name; nan (0 for whole numbers) for nets that have diverged since."""
        diverged = self._nets.diverged >= 0
        found = {name: values.copy() for name, values in self._last.items() if values is not None}
        if not decide or self._points is None:
            found.pop("decision", None)
        elif "decision" not in found:
            found["decision"] = np.zeros((len(diverged), GRID, GRID), np.uint8)
        for values in found.values():
            values[diverged] = np.nan if values.dtype.kind == "f" else 0
        return found

    def _decision(self) -> np.ndarray:
        """``(nets, GRID, GRID)``: share of class 1 in 255ths; of more than two classes the most likely."""
        batches = [self._nets.shares.copy() for _ in self._nets.predict_batches(self._points)]
        shares = np.nan_to_num(np.concatenate(batches, axis=2)[:, :, :len(self._points)])
        found = np.rint(255 * np.clip(shares[:, 1], 0, 1)) if shares.shape[1] == 2 else shares.argmax(axis=1)
        return found.astype(np.uint8).reshape(-1, GRID, GRID)


def _norm(matrices: np.ndarray) -> np.ndarray:
    """Square root of the sum of squares of each net's matrix, ``(nets,)``."""
    rows = matrices.reshape(len(matrices), -1)
    return np.sqrt(np.vecdot(rows, rows))


def _histograms(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square and histogram, outer bins open, of activations ``(nets, units, examples)``."""
    rms = np.sqrt(np.square(a, dtype=np.float64).mean(axis=(1, 2)))
    unit = np.where(np.isfinite(rms) & (rms > 0), rms, 1).astype(a.dtype)
    bins = a[:, :, :max(1, NUMBERS // a.shape[1])] * (BINS / (2 * REACH) / unit)[:, None, None]
    bins += BINS / 2
    index = np.fmin(np.fmax(bins, 0, out=bins), BINS - 1, out=bins).astype(np.int64)
    index += BINS * np.arange(len(a))[:, None, None]
    return rms, np.bincount(index.ravel(), minlength=BINS * len(a)).reshape(len(a), BINS)


def spread(count: int, most: int) -> tuple[int, ...]:
    """At most ``most`` of the numbers 0 … ``count`` - 1, evenly spread with both ends; of 1 the last."""
    if most == 1 or not count:
        return tuple(range(count)[-1:])
    return tuple(np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist())


def decision_grid(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points ``(GRID·GRID, 2)`` around the data ``x`` ``(rows, 2)``, and their coordinates ``(2, GRID)``."""
    low, high = x.min(axis=0), x.max(axis=0)
    axes = np.linspace(low - MARGIN * (high - low), high + MARGIN * (high - low), GRID).T
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2), axes
