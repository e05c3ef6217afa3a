"""Which learning rate works for which initializer: short runs at many rates, from the same start, as nets of one batched run."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from vgdash.parallel import WORKERS
from vgdash.params import ParamError, integer, real
from vgdash.training.data import DATASETS
from vgdash.training.params import TrainParams
from vgdash.training.snapshots import Snapshot
from vgdash.training.trainer import Trainer

__all__ = ["RateParams", "Rates", "collected", "find_rate"]

LEARNED = 0.03  # a rate counts as working if it brings the loss this share below ln K, what guessing the K classes costs
LAST = 0.2  # share of the steps that the loss is averaged over


@dataclass(frozen=True)
class RateParams(TrainParams):
    """The nets of ``TrainParams``, each trained for ``steps`` with each of ``rates`` learning rates from ``lowest`` to ``highest``,
    evenly spaced in their logarithm. ``learning_rate`` and ``snapshots`` do not count; ``RateParams.of`` leaves them alone, so that
    equal questions are equal keys.

    Raises ``ParamError`` as ``TrainParams`` does, and where lowest is not below highest.
    """

    steps: int = integer(100, 10, 2000)
    lowest: float = real(1e-4, 1e-6, 100)
    highest: float = real(10.0, 1e-6, 100)
    rates_tried: int = integer(16, 2, 41)

    @classmethod
    def of(cls, p: TrainParams, **changes) -> RateParams:
        """For the nets, data and optimizer of a training run, one seed of them unless ``changes`` say more."""
        left_alone = ("learning_rate", "snapshots", "steps", "seeds")
        return cls(**{field.name: getattr(p, field.name) for field in fields(TrainParams) if field.name not in left_alone} | changes)

    @property
    def tried(self) -> np.ndarray:
        """The learning rates, ``(rates,)``, growing."""
        return np.geomspace(self.lowest, self.highest, self.rates_tried)

    @property
    def columns(self) -> int:
        return self.rates_tried * self.seeds

    @property
    def rates(self) -> np.ndarray:
        return np.tile(np.repeat(self.tried, self.seeds), len(self.initializers))

    @property
    def marks(self) -> tuple[int, ...]:
        return 0, self.steps - max(1, math.floor(LAST * self.steps)), self.steps

    def consistent(self) -> None:
        if self.lowest >= self.highest:
            raise ParamError("lowest", f"below the highest rate, {self.highest:g}", self.lowest)
        super().consistent()


@dataclass(frozen=True, eq=False)
class Rates:
    """Loss against learning rate; arrays are read-only, ``(initializers, rates, seeds)`` unless said otherwise."""

    params: RateParams
    rates: np.ndarray
    """The learning rates, ``(rates,)``, growing."""
    start: np.ndarray
    """Cross-entropy in nats of the first minibatch, before any update, ``(initializers, seeds)``."""
    loss: np.ndarray
    """Cross-entropy in nats, mean over the minibatches of the last fifth of the steps; nan for a net that diverged."""
    diverged: np.ndarray
    """The step at which loss or gradient was not finite; -1 while all is well."""
    best: np.ndarray
    """``(initializers,)`` the rate of lowest mean loss over seeds, none of them diverged; nan where no rate brings it 3 % below ln K,
    the loss of guessing K classes."""

    def frame(self) -> pd.DataFrame:
        """One row for each net: initializer, learning_rate, seed, start, loss, diverged, and whether its rate is the best one."""
        which = np.indices(self.loss.shape).reshape(3, -1)
        return pd.DataFrame({
            "initializer": np.array(self.params.initializers)[which[0]], "learning_rate": self.rates[which[1]], "seed": which[2],
            "start": self.start[which[0], which[2]], "loss": self.loss.ravel(), "diverged": self.diverged.ravel(),
            "best": self.rates[which[1]] == self.best[which[0]]})


def find_rate(p: RateParams, workers: int = WORKERS) -> Rates:
    """Train every initializer for a few steps with every rate, all from the same draw and on the same minibatches.

    Unlike Smith's range test (2015, arXiv 1506.01186), where one net goes through growing rates, each rate starts afresh: what a
    smaller rate has learned, or a larger one destroyed, counts for no other.
    """
    first, *_, last = Trainer(p, workers)
    return collected(p, first, last)


def collected(p: RateParams, first: Snapshot, last: Snapshot) -> Rates:
    """What the first and the last snapshot of ``Trainer(p)`` say, for callers that train in their own time."""
    shape = len(p.initializers), p.rates_tried, p.seeds
    start, loss, diverged = first.loss.reshape(shape)[:, 0].copy(), last.loss.reshape(shape).copy(), last.diverged.reshape(shape).copy()
    best = _best(p.tried, loss, math.log(DATASETS[p.dataset].classes))
    found = Rates(p, p.tried, start, loss, diverged, best)
    for array in (found.rates, start, loss, diverged, best):
        array.flags.writeable = False
    return found


def _best(rates: np.ndarray, loss: np.ndarray, guessing: float) -> np.ndarray:
    mean = np.where(np.isfinite(loss).all(axis=2), loss.mean(axis=2), math.inf)
    return np.where(mean.min(axis=1) < (1 - LEARNED) * guessing, rates[mean.argmin(axis=1)], math.nan)
