"""Grid of a trainability sweep: its parameters, a cell (one depth and sigma_w2), and the map.

Schoenholz et al. 2017 (arXiv 1611.01232), figure 5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pandas as pd

from vgdash.activations import any_activation
from vgdash.params import ParamError, Params, Unquoted, choice, integer, integers, real
from vgdash.records import Record
from vgdash.theory.fixed_points import xi_c
from vgdash.theory.trainable_depth import MEMORY
from vgdash.training.data import DATASETS
from vgdash.training.optimizers import OPTIMIZERS
from vgdash.training.params import TrainParams
from vgdash.training.trainer import train

WORK = 1e16  # operations of a whole sweep: some four days of one core, an hour of a hundred
SHARED = ("activation", "dataset", "optimizer", "learning_rate", "batch", "steps", "seeds", "sigma_b2",
          "seed")  # fields that a cell takes from the sweep
SNAPSHOTS = 10  # of a run: the last one averages over the last tenth of the steps
MEASURED = {"loss": float, "accuracy": float, "held_out": float, "steps": int, "diverged": int}

Key = tuple[int, float]


@dataclass(frozen=True)
class SweepParams(Params):
    """Grid of nets: each of ``depths`` at ``sigma_w2_count`` values of sigma_w2 from low to high.

    Weights start as draws from N(0, sigma_w2/fan_in), biases from N(0, ``sigma_b2``); hidden layers are
    ``width`` wide. The rest is as in ``TrainParams``. Raises ``ParamError`` as ``TrainParams``, and beyond
    10^16 operations in all.
    """

    activation: str = any_activation("tanh")
    depths: tuple[int, ...] = integers((5, 10, 15, 20, 30, 40, 60), 1, 256, 1, 32)
    sigma_w2_low: float = real(1.0, 0, 100)
    sigma_w2_high: float = real(4.0, 0, 100)
    sigma_w2_count: int = integer(7, 1, 64)
    sigma_b2: float = real(0.05, 0, 100)
    width: int = integer(50, 1, 1024)
    dataset: str = choice("digits", (name for name, data in DATASETS.items() if data.classes > 1))
    optimizer: str = choice("sgd", OPTIMIZERS)
    learning_rate: float = real(0.01, 1e-6, 100)
    batch: int = integer(32, 1, 1024)
    steps: int = integer(500, 1, 20_000)
    seeds: int = integer(1, 1, 8)
    seed: int = integer(0, 0, 2**31 - 1)

    @cached_property
    def sigma_w2s(self) -> tuple[float, ...]:
        """The values of sigma_w2, evenly spaced."""
        return tuple(np.linspace(self.sigma_w2_low, self.sigma_w2_high, self.sigma_w2_count).tolist())

    @property
    def grid(self) -> list[Key]:
        """(depth, sigma_w2) of every cell."""
        return [(depth, sigma_w2) for depth in self.depths for sigma_w2 in self.sigma_w2s]

    @cached_property
    def flops(self) -> float:
        """Operations of the whole sweep."""
        return len(self.sigma_w2s) * sum(self.cell(depth, self.sigma_w2_low).flops for depth in self.depths)

    @cached_property
    def effort(self) -> float:
        """Estimate of the time of one core (see ``TrainParams.effort``)."""
        return len(self.sigma_w2s) * sum(self.cell(depth, self.sigma_w2_low).effort for depth in self.depths)

    def cell(self, depth: int, sigma_w2: float) -> TrainParams:
        """The nets of one cell."""
        return TrainParams.uniform(
            depth, self.width, initializers=("lecun_normal",), gamma=math.sqrt(sigma_w2), snapshots=SNAPSHOTS,
            **{name: getattr(self, name) for name in SHARED})

    def consistent(self) -> None:
        if sorted(set(self.depths)) != list(self.depths):
            raise ParamError("depths", "different and in ascending order", self.depths)
        if len(set(self.sigma_w2s)) < self.sigma_w2_count or self.sigma_w2_low > self.sigma_w2_high:
            raise ParamError("sigma_w2_high", f"above sigma_w2_low, here {self.sigma_w2_low:g}",
                             self.sigma_w2_high, "For a single value set sigma_w2_count to 1.")
        try:
            flops = self.flops
        except ParamError as error:
            name = "depths" if error.field == "widths" else error.field
            raise ParamError(name, error.rule, Unquoted(error.received), error.instead) from None
        if flops > WORK:
            raise ParamError("steps", f"few enough for {WORK / 1e12:,.0f} trillion operations in all",
                             Unquoted(f"{flops / 1e12:,.0f} trillion"),
                             "Take fewer steps, depths or seeds, or narrower layers.")


@dataclass(frozen=True)
class Cell:
    """Measurements at one (depth, sigma_w2), for each seed as in ``Trainability``; or a ``failure``."""

    depth: int
    sigma_w2: float
    loss: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()
    held_out: tuple[float, ...] = ()
    steps: tuple[int, ...] = ()
    diverged: tuple[int, ...] = ()
    failure: str = ""

    @property
    def key(self) -> Key:
        return self.depth, self.sigma_w2


def train_cell(p: SweepParams, depth: int, sigma_w2: float) -> Cell:
    """Train the nets of one cell, BLAS held to one thread; the same arguments give the same bits."""
    *_, last = train(p.cell(depth, sigma_w2), workers=1)
    measured = {name: tuple(getattr(last, name)[0].tolist()) for name in MEASURED if name != "steps"}
    steps = tuple(p.steps if at < 0 else at for at in measured["diverged"])
    return Cell(depth, sigma_w2, steps=steps, **measured)


@dataclass(frozen=True, eq=False)
class Trainability(Record):
    """Measured map. Arrays are read-only, ``(depths, sigma_w2s, seeds)`` where no other shape is given."""

    params: SweepParams
    loss: np.ndarray
    """Cross-entropy in nats, mean over the last tenth of the steps; nan if diverged or not ``done``."""
    accuracy: np.ndarray
    """Share of hits in the same minibatches; nan likewise."""
    held_out: np.ndarray
    """Share of hits on all held-out examples at the end; nan likewise."""
    steps: np.ndarray
    """Updates that the net had; 0 if the cell is not done."""
    diverged: np.ndarray
    """Update at which the loss or a gradient was not finite; -1 while all is well."""
    done: np.ndarray
    """(depths, sigma_w2s) bool: False for cells that failed, or are still to come."""
    predicted: np.ndarray
    """(sigma_w2s,) 6 xi_c, about the depth that trains; inf if critical, nan if the signal explodes."""
    failures: Mapping[Key, str] = field(default_factory=dict)
    """Reason by (depth, sigma_w2) for each cell that could not be trained."""

    @classmethod
    def of(cls, p: SweepParams, measured: Iterable[Cell]) -> Trainability:
        """Make the map of the cells so far."""
        shape = len(p.depths), len(p.sigma_w2s), p.seeds
        arrays = {name: np.full(shape, np.nan) for name in ("loss", "accuracy", "held_out")}
        arrays |= {"steps": np.zeros(shape, int), "diverged": np.full(shape, -1)}
        arrays["done"] = np.zeros(shape[:2], bool)
        failures = {}
        for cell in measured:
            at = p.depths.index(cell.depth), p.sigma_w2s.index(cell.sigma_w2)
            if cell.failure:
                failures[cell.key] = cell.failure
                continue
            arrays["done"][at] = True
            for name in MEASURED:
                arrays[name][at] = getattr(cell, name)
        xis = [xi_c(p.activation, sigma_w2, p.sigma_b2) for sigma_w2 in p.sigma_w2s]
        arrays["predicted"] = MEMORY * np.array(xis)
        return cls(p, **arrays, failures=MappingProxyType(failures))

    @property
    def trained(self) -> np.ndarray:
        """(depths, sigma_w2s) bool: mean accuracy nearer to 1 than to chance; diverged nets are at chance."""
        chance = 1 / DATASETS[self.params.dataset].classes
        return np.where(np.isnan(self.accuracy), chance, self.accuracy).mean(axis=2) > (1 + chance) / 2

    def frame(self) -> pd.DataFrame:
        """One row for each done cell and seed: depth, sigma_w2, seed, the measurements, and ``predicted``."""
        d, s, seed = np.nonzero(np.broadcast_to(self.done[..., None], self.loss.shape))
        depths, sigma_w2s = np.array(self.params.depths), np.array(self.params.sigma_w2s)
        return pd.DataFrame({
            "depth": depths[d], "sigma_w2": sigma_w2s[s], "seed": seed,
            **{name: getattr(self, name)[d, s, seed] for name in MEASURED}, "predicted": self.predicted[s]})
