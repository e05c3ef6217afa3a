"""A look into nets while they train: dead and saturated units, histograms of activations, drift of the weights, decision regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vgdash.training.engine import Examples, Nets
from vgdash.training.memory_layout import Plan

__all__ = ["BINS", "GRID", "REACH", "Inspected", "Inspector", "grid", "inspection_bytes", "spread"]

BINS, REACH = 31, 4.0  # of histograms: from -4 to 4 root mean squares; an odd number puts a bin on 0
NUMBERS = 2048  # per layer and net in a histogram at the most; they take about a percent of the time of a run
GRID, MARGIN = 32, 0.1  # points of a decision grid along each axis; room around the data, as share of its range


@dataclass(frozen=True, eq=False)
class Inspected:
    """What ``Inspector`` saw of each of its nets; the meaning of the fields is that of ``snapshots.Snapshot``."""

    dead: np.ndarray
    saturated: np.ndarray
    drift: np.ndarray
    rms: np.ndarray
    histogram: np.ndarray
    decision: np.ndarray | None


class Inspector:
    """Looks into ``nets``, whose parameters now are the start that drift is measured from.

    Units and activations are those of the first ``plan.batch`` held-out examples, the same at every look, so that a change is the
    nets' and not the minibatch's. ``layers``: the hidden layers (from 1) that get a histogram. ``points`` are the inputs of
    ``grid``, or None.
    """

    def __init__(self, nets: Nets, layers: Sequence[int], points: np.ndarray | None):
        self._nets, self._layers = nets, tuple(layers)
        held_out, classes = nets.held_out, nets.plan.widths[-1]
        first = slice(min(nets.plan.batch, len(held_out)))
        self._examples = Examples(held_out.x[first], held_out.labels[first])
        self._points = None if points is None else Examples.of(points, np.zeros(len(points), int), classes, nets.plan.dtype)
        self._start = [nets.weights(layer).copy() for layer in range(1, nets.plan.depth + 1)]
        self._size = np.stack([_norm(weights) for weights in self._start], axis=1)  # |W| at the start, (nets, depth)
        self._seen: Inspected | None = None

    def look(self, decide: bool) -> None:
        """Look now, after ``nets.settle()``; with ``decide`` the decision grid too."""
        decision = self._decision() if decide and self._points is not None else None
        dead, saturated = np.zeros((2, self._nets.nets, self._nets.plan.depth), np.float32)
        rms = np.zeros((self._nets.nets, len(self._layers)), np.float32)
        histogram = np.zeros((*rms.shape, BINS), np.uint16)
        for _ in self._nets.sweep(self._examples):
            self._units(dead, saturated)
            for i, layer in enumerate(self._layers):
                rms[:, i], histogram[:, i] = _histograms(self._nets.activation(layer)[:, :, :len(self._examples)])
        moved = np.stack([_norm(np.subtract(self._nets.weights(layer), start, dtype=np.float64))
                          for layer, start in enumerate(self._start, 1)], axis=1)
        drift = np.divide(moved, self._size, out=np.zeros_like(moved), where=moved > 0).astype(np.float32)
        self._seen = Inspected(dead, saturated, drift, rms, histogram, decision)

    def seen(self, decide: bool) -> Inspected:
        """The last look, with nan (0 for whole numbers) for nets that have diverged, all of them perhaps before they were looked at."""
        seen, lost = self._seen, self._nets.diverged >= 0
        decision = seen.decision
        if decide and decision is None and self._points is not None:
            decision = np.zeros((len(lost), GRID, GRID), np.uint8)
        return Inspected(*(_without(lost, values) for values in (seen.dead, seen.saturated, seen.drift, seen.rms, seen.histogram)),
                         _without(lost, decision) if decide and decision is not None else None)

    def _units(self, dead: np.ndarray, saturated: np.ndarray) -> None:
        nets, examples = self._nets, len(self._examples)
        for layer in range(1, nets.plan.depth):  # the last layer is linear: none of its units is dead or saturated
            flat = np.abs(nets.slope(layer)[:, :, :examples]) < nets.plan.activation.saturation_slope
            on = np.add.reduce(flat, axis=2, dtype=np.uint16)  # examples for which a unit is saturated
            saturated[:, layer - 1] = np.add.reduce(on, axis=1, dtype=np.int64) / flat[0].size
            dead[:, layer - 1] = np.add.reduce(on == examples, axis=1, dtype=np.int64) / len(flat[0])

    def _decision(self) -> np.ndarray:
        """``(nets, GRID, GRID)``: share of class 1 in 255ths, or with more than two classes the most likely one."""
        shares = np.concatenate([self._nets.shares.copy() for _ in self._nets.sweep(self._points)], axis=2)[:, :, :len(self._points)]
        shares = np.nan_to_num(shares, copy=False)
        found = np.rint(255 * shares[:, 1]) if shares.shape[1] == 2 else shares.argmax(axis=1)
        return found.astype(np.uint8).reshape(-1, GRID, GRID)


def _without(lost: np.ndarray, values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values[lost] = np.nan if values.dtype.kind == "f" else 0
    return values


def _norm(matrices: np.ndarray) -> np.ndarray:
    """Square root of the sum of squares of each net's matrix, ``(nets,)``."""
    rows = matrices.reshape(len(matrices), -1)
    return np.sqrt(np.vecdot(rows, rows))


def _histograms(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square of each net's activations ``(nets, units, examples)``, and the bins they fall in, the outer ones open."""
    rms = np.sqrt(np.square(a, dtype=np.float64).mean(axis=(1, 2)))
    unit = np.where(np.isfinite(rms) & (rms > 0), rms, 1).astype(a.dtype)
    bins = a[:, :, :max(1, NUMBERS // a.shape[1])] * (BINS / (2 * REACH) / unit)[:, None, None]
    bins += BINS / 2
    index = np.fmin(np.fmax(bins, 0, out=bins), BINS - 1, out=bins).astype(np.int64)
    index += BINS * np.arange(len(a))[:, None, None]
    return rms, np.bincount(index.ravel(), minlength=BINS * len(a)).reshape(len(a), BINS)


def inspection_bytes(plan: Plan, nets: int) -> int:
    """Bytes that an ``Inspector`` keeps: the weights at the start."""
    return plan.dtype.itemsize * nets * sum(n * m for n, m in zip(plan.widths, plan.widths[1:], strict=False))


def spread(count: int, most: int) -> tuple[int, ...]:
    """At most ``most`` of the numbers 0 … ``count`` - 1, evenly spread, the first and the last among them; for 1 the last."""
    if most == 1:
        return tuple(range(count)[-1:])
    return tuple(np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist()) if count else ()


def grid(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points of a decision grid ``(GRID·GRID, 2)`` around the data ``x`` ``(rows, 2)``, and the coordinates ``(2, GRID)`` along its
    two axes. Points go row by row: the first feature changes fastest, the second from row to row."""
    low, high = x.min(axis=0), x.max(axis=0)
    axes = np.linspace(low - MARGIN * (high - low), high + MARGIN * (high - low), GRID).T
    first, second = np.meshgrid(*axes)
    return np.stack([first.ravel(), second.ravel()], axis=1), axes
