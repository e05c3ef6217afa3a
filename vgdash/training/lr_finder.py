"""Find the learning rate of each initializer by short runs at many rates, trained side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vgdash.parallel import WORKERS
from vgdash.params import ParamError, integer, real
from vgdash.records import Record
from vgdash.training.params import TrainParams
from vgdash.training.snapshots import Snapshot
from vgdash.training.trainer import Trainer

LEARNED = 0.03  # a rate works if it brings the loss this share below that of guessing, ln K of K classes
LAST = 0.2  # share of the steps that the loss is averaged over


@dataclass(frozen=True)
class RateParams(TrainParams):
    """Nets of ``TrainParams``, each trained for ``steps`` with each of ``rates_tried`` learning rates.

    The rates from ``lowest`` to ``highest`` are evenly spaced in their logarithm; ``learning_rate`` and
    ``snapshots`` have no effect. Raises ``ParamError`` as ``TrainParams``, and if lowest is not below
    highest.
    """

    steps: int = integer(100, 10, 2000)
    lowest: float = real(1e-4, 1e-6, 100)
    highest: float = real(10.0, 1e-6, 100)
    rates_tried: int = integer(16, 2, 41)

    @classmethod
    def of(cls, p: TrainParams, **changes) -> RateParams:
        """Take the nets, data and optimizer of a training run, with one seed unless ``changes`` say more.

        ``learning_rate`` and ``snapshots`` stay at their defaults: equal questions are equal cache keys.
        """
        kept = TrainParams.rules().keys() - {"learning_rate", "snapshots", "steps", "seeds"}
        return cls(**{name: getattr(p, name) for name in kept} | changes)

    @property
    def tried(self) -> np.ndarray:
        """The learning rates, ``(rates,)``, growing."""
        return np.geomspace(self.lowest, self.highest, self.rates_tried)

    @property
    def copies(self) -> int:
        return self.rates_tried * self.seeds

    @property
    def rates(self) -> np.ndarray:
        return np.tile(np.repeat(self.tried, self.seeds), len(self.initializers))

    @property
    def snapshot_steps(self) -> tuple[int, ...]:
        return 0, self.steps - max(1, math.floor(LAST * self.steps)), self.steps

    def consistent(self) -> None:
        if self.lowest >= self.highest:
            raise ParamError("lowest", f"below the highest rate, {self.highest:g}", self.lowest)
        super().consistent()


@dataclass(frozen=True, eq=False)
class Rates(Record):
    """Loss against learning rate; arrays are read-only, ``(initializers, rates, seeds)`` by default."""

    params: RateParams
    rates: np.ndarray
    """The learning rates, ``(rates,)``, growing."""
    start: np.ndarray
    """Cross-entropy in nats of the first minibatch, before any update, ``(initializers, seeds)``."""
    loss: np.ndarray
    """Cross-entropy in nats, mean over the minibatches of the last fifth of the steps; nan if diverged."""
    diverged: np.ndarray
    """The step at which loss or gradient was not finite; -1 while all is well."""
    best: np.ndarray
    """``(initializers,)`` the rate of lowest mean loss over seeds, none of them diverged; nan if no rate
    brings it 3 % below that of guessing, ln K of K classes."""

    def frame(self) -> pd.DataFrame:
        """One row for each net: initializer, learning_rate, seed, start, loss, diverged, best (bool)."""
        which, rate, seed = np.indices(self.loss.shape).reshape(3, -1)
        return pd.DataFrame({
            "initializer": np.array(self.params.initializers)[which], "learning_rate": self.rates[rate],
            "seed": seed, "start": self.start[which, seed], "loss": self.loss.ravel(),
            "diverged": self.diverged.ravel(), "best": self.rates[rate] == self.best[which]})


def find_rate(p: RateParams, workers: int = WORKERS) -> Rates:
    """Train every initializer with every rate, all from the same draw and on the same minibatches.

    In Smith's range test (2015, arXiv 1506.01186) one net goes through growing rates; here each rate starts
    afresh.
    """
    first, *_, last = Trainer(p, workers)
    return rates_from_snapshots(p, first, last)


def rates_from_snapshots(p: RateParams, first: Snapshot, last: Snapshot) -> Rates:
    """Make the record from the first and the last snapshot of ``Trainer(p)``."""
    shape = len(p.initializers), p.rates_tried, p.seeds
    start, loss, diverged = (x.reshape(shape).copy() for x in (first.loss, last.loss, last.diverged))
    best = _best(p.tried, loss, p.guess_loss)
    return Rates(p, p.tried, start[:, 0].copy(), loss, diverged, best)


def _best(rates: np.ndarray, loss: np.ndarray, guessing: float) -> np.ndarray:
    mean = np.where(np.isfinite(loss).all(axis=2), loss.mean(axis=2), math.inf)
    return np.where(mean.min(axis=1) < (1 - LEARNED) * guessing, rates[mean.argmin(axis=1)], math.nan)
