"""Measure deep fully-connected nets at initialization: forward signal and backward gradient by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pandas as pd

from vgdash.probe.params import CompareParams, ProbeParams
from vgdash.probe.propagation import STATISTICS, measure
from vgdash.records import Record

TINY = float(np.finfo(np.float32).tiny)  # below it float32 has fewer digits, and then none


@dataclass(frozen=True, eq=False)
class Probe(Record):
    """Statistics by layer; every array is float64 ``(seeds, depth)``, column l - 1 is layer l, without unit.

    After the first layer where float32 overflows forward, every statistic of that seed is nan, except ``q``
    and ``largest``, which are inf at that layer; those of gradients are nan at all layers, because there is
    no output to differentiate. Where the gradient overflows on its way back, ``grad2`` is inf at that layer
    and nan below. Everything before an overflow is right.
    """

    params: ProbeParams
    q: np.ndarray  # mean of z² over units and batch
    a2: np.ndarray  # mean of a², where a is what the next layer receives (after dropout)
    a_mean: np.ndarray  # mean of a
    saturated: np.ndarray  # share of units and examples where |f'(z)| is below 5 % of the largest slope
    dead: np.ndarray  # share of units that are saturated for every example of the batch
    correlation: np.ndarray  # mean cosine of z between neighbours in the batch; nan if all z are 0
    grad2: np.ndarray  # mean of (∂C/∂z)², where ∂C/∂z[L] ~ N(0, 1), independent, is put in for every example
    dw2: np.ndarray  # mean over entries of (∂C/∂W)², the gradient of the mean over the batch
    largest: np.ndarray  # largest |z| of all units and examples
    largest_gradient: np.ndarray  # largest |∂C/∂z|

    @cached_property
    def overflow(self) -> int | None:
        """First layer whose z is not finite in float32, in any seed; None if all are finite."""
        return _layer(~np.isfinite(self.q), 0)

    @cached_property
    def underflow(self) -> int | None:
        """First layer where the root mean square of z is subnormal in float32, or 0."""
        return _layer(self.q < TINY**2, 0)

    @cached_property
    def overflow_backward(self) -> int | None:
        """First layer from the last one down whose gradient is not finite in float32, although z is."""
        return _layer(np.isinf(self.grad2), -1)

    @cached_property
    def underflow_backward(self) -> int | None:
        """First layer from the last one down where the gradient's root mean square is subnormal, or 0."""
        return _layer(self.grad2 < TINY**2, -1)

    def log10(self, statistic: str) -> np.ndarray:
        """Return log10 of one of ``STATISTICS``, ``(seeds, depth)``; nan where not positive and finite."""
        values = getattr(self, statistic)
        return np.log10(values, out=np.full(values.shape, np.nan), where=np.isfinite(values) & (values > 0))

    def frame(self) -> pd.DataFrame:
        """Return a table, one row for each seed and layer: initializer, seed, layer, then ``STATISTICS``."""
        seeds, depth = self.q.shape
        return pd.DataFrame({
            "initializer": self.params.initializer,
            "seed": np.repeat(np.arange(seeds), depth),
            "layer": np.tile(np.arange(1, depth + 1), seeds),
            **{name: getattr(self, name).ravel() for name in STATISTICS},
        })


@dataclass(frozen=True, eq=False)
class Comparison:
    """One ``Probe`` for each initializer; each equals ``probe`` of that initializer alone, bit for bit."""

    params: CompareParams
    probes: Mapping[str, Probe] = field(default_factory=dict)

    def frame(self) -> pd.DataFrame:
        """Return the tables of all probes, one under the other."""
        return pd.concat([one.frame() for one in self.probes.values()], ignore_index=True)


def _layer(where: np.ndarray, which: int) -> int | None:
    found = np.flatnonzero(where.any(axis=0))
    return int(found[which]) + 1 if found.size else None


def probe(p: ProbeParams) -> Probe:
    """Send a batch through ``p.seeds`` float32 nets and a Gaussian cotangent back; measure every layer."""
    return Probe(p, **measure((p,))[0])


def compare(p: CompareParams) -> Comparison:
    """Run ``probe`` for each initializer on one draw of the weights, so that only the initializers differ."""
    probes = (Probe(one, **statistics) for one, statistics in zip(p.probes, measure(p.probes), strict=True))
    return Comparison(p, MappingProxyType({one.params.initializer: one for one in probes}))
