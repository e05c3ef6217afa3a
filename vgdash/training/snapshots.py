"""Snapshots of a training run, and the ranking of its initializers, as arrays and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from vgdash.params import ParamError, Real
from vgdash.records import Record
from vgdash.training.params import DESCRIPTION, TrainParams

PER_NET = ("loss", "accuracy", "held_out", "diverged")
PER_LAYER = ("grad2", "dw2", "gradient_ratio", "update_ratio", "dead", "saturated", "drift")


@dataclass(frozen=True, eq=False)
class Snapshot(Record):
    """All nets after ``step`` updates; arrays are read-only.

    They are ``(initializers, seeds)``, or with a last axis ``depth`` from ``grad2`` on, if not given
    otherwise. From the step in ``diverged`` on, every number of that net is nan (every whole number 0).
    ``dead``, ``saturated``, ``rms`` and ``histogram`` are of the first ``batch`` held-out examples; in the
    last layer, which is linear, no unit is dead or saturated.
    """

    params: TrainParams
    step: int
    loss: np.ndarray
    """Cross-entropy in nats, or half the squared error, of an example: mean over the minibatches since the
    last snapshot, at step 0 of the first."""
    accuracy: np.ndarray
    """Share of hits in the same minibatches, a tie between k classes counts 1/k; of numbers R²."""
    held_out: np.ndarray
    """The same on all held-out examples, at the steps ``params.held_out_steps``; nan at the others."""
    grad2: np.ndarray
    """Mean over units and the next minibatch of (∂C/∂z[l])², C the loss of one example."""
    dw2: np.ndarray
    """Mean over the weights of (∂C/∂W[l])², C the mean loss of the next minibatch, before clipping."""
    gradient_ratio: np.ndarray
    """log10 of std(∂C/∂W[l])/std(weights) of W[l], before clipping; -inf where the gradient is 0."""
    update_ratio: np.ndarray
    """log10 of std(update)/std(weights) of W[l], for the next update; -inf where no weight moves."""
    diverged: np.ndarray
    """Step at which the loss or a gradient was not finite, else -1; ``(initializers, seeds)``."""
    dead: np.ndarray
    """Share of units that are saturated for each of the examples; float32."""
    saturated: np.ndarray
    """Share of units and examples where |f'(z)| is below 5 % of the largest slope; float32."""
    drift: np.ndarray
    """|W[l] - W[l] at the start|/|W[l] at the start|, root sums of squares; inf if 0 has moved; float32."""
    rms: np.ndarray
    """Root mean square of a[l] in ``params.histogram_layers``, ``(initializers, seeds, layers)`` float32."""
    histogram: np.ndarray
    """Counts of up to 2,048 numbers a[l] of these layers in 31 bins between -4 and 4 ``rms``, the outer bins
    open outwards, ``(initializers, seeds, layers, 31)`` uint16."""
    decision: np.ndarray | None
    """Answers of the net of seed 0 on the grid ``params.decision_axes``, ``(initializers, 32, 32)`` uint8,
    rows by the second feature: the share of class 1 in 255ths, or with more than two classes the class. None
    except for sets in the plane at the steps ``params.decision_steps``."""

    @property
    def share(self) -> float:
        """Share of the run's steps that are done."""
        return self.step / self.params.steps

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, and of what Python and NumPy need to describe them."""
        return DESCRIPTION + sum(getattr(value, "nbytes", 0) for value in vars(self).values())

    def frame(self) -> pd.DataFrame:
        """One row for each net and layer: step, initializer, seed, layer, and ``loss`` to ``drift``."""
        which, seed, layer = np.indices(self.grad2.shape).reshape(3, -1)
        columns = {"step": self.step, "initializer": np.array(self.params.initializers)[which], "seed": seed,
                   "layer": layer + 1}
        columns |= {name: getattr(self, name)[which, seed] for name in PER_NET}
        return pd.DataFrame(columns | {name: getattr(self, name).ravel() for name in PER_LAYER})

    def decision_frame(self) -> pd.DataFrame:
        """One row for each initializer and grid point: step, initializer, x1, x2, value; perhaps empty."""
        if self.decision is None:
            return pd.DataFrame(columns=["step", "initializer", "x1", "x2", "value"])
        first, second = self.params.decision_axes
        which, row, column = np.indices(self.decision.shape).reshape(3, -1)
        return pd.DataFrame({"step": self.step, "initializer": np.array(self.params.initializers)[which],
                             "x1": first[column], "x2": second[row], "value": self.decision.ravel()})


@dataclass(frozen=True, eq=False)
class Ranking(Record):
    """Steps that each net needed to a held-out ``accuracy``; arrays read-only, ``(initializers, seeds)``."""

    params: TrainParams
    accuracy: float
    steps: np.ndarray
    """Step of the first snapshot with at least that accuracy; -1 where there is none yet."""
    best: np.ndarray
    """The highest held-out accuracy of all snapshots; nan of a net that diverged before the first."""

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Initializers, best first: by median steps over seeds (-1 as infinity), then ``best`` (nan last)."""
        median = np.median(np.where(self.steps < 0, np.inf, self.steps), axis=1)
        return tuple(self.params.initializers[i] for i in np.lexsort((-self.best.mean(axis=1), median)))

    def frame(self) -> pd.DataFrame:
        """One row for each net: rank (from 1), initializer, seed, steps (missing: not reached), best."""
        rank, seed = np.indices(self.steps.shape).reshape(2, -1)
        rows = np.array([self.params.initializers.index(name) for name in self.order])[rank]
        steps = pd.Series(self.steps[rows, seed], dtype="Int64")
        return pd.DataFrame({"rank": rank + 1, "initializer": np.array(self.order)[rank], "seed": seed,
                             "steps": steps.mask(steps < 0), "best": self.best[rows, seed]})


def steps_to(snapshots: Sequence[Snapshot], accuracy: float) -> Ranking:
    """Rank the initializers by the steps they needed to a held-out ``accuracy`` from 0 to 1.

    A step is known to within one interval of ``held_out_steps``. Raises ``ParamError`` for another accuracy,
    and without ``snapshots``.
    """
    accuracy = Real(0, 1).check("accuracy", accuracy)
    if not snapshots:
        raise ParamError("snapshots", "at least one", len(snapshots), "Wait for the first.")
    held_out = np.stack([snapshot.held_out for snapshot in snapshots])
    reached = held_out >= accuracy
    steps = np.where(reached.any(axis=0), np.array([s.step for s in snapshots])[reached.argmax(axis=0)], -1)
    best = np.fmax.reduce(held_out)
    return Ranking(snapshots[0].params, accuracy, steps, best)
