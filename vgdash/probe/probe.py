"""Deep fully-connected nets at initialization: what every layer does to the signal going in and to the gradient coming back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.layers import AXES, RESIDUALS
from vgdash.parallel import MOST_WORKERS
from vgdash.params import Integer, ParamError, Params, Rule, choice, choices, integer, integers, real
from vgdash.probe.propagation import STATISTICS, measure, seeds_at_once, together

__all__ = ["STATISTICS", "CompareParams", "Comparison", "Probe", "ProbeParams", "compare", "probe"]

DEPTH, WIDTH, BATCH, SEEDS = 50, 100, 32, 2
MEMORY, WORK = 400e6, 2.5e11  # bytes; floating-point operations, about three seconds on two cores
QR_COST = 20  # orthogonal weights: LAPACK QR in float64, per entry and unit, in operations of a float32 matrix product
ENTRY_COST = 600  # statistics and activation function, per unit and example, in the same operations
TINY = float(np.finfo(np.float32).tiny)  # below it float32 has fewer digits, and then none


@dataclass(frozen=True)
class _Layers(Params):
    widths: tuple[int, ...] = integers((WIDTH,) * (DEPTH + 1), 1, 4096, 2, 257)
    activation: str = choice("relu", ACTIVATIONS)

    SHORTHAND: ClassVar[Mapping[str, Rule]] = {"depth": Integer(1, 256), "width": Integer(1, 4096)}

    @classmethod
    def uniform(cls, depth: int, width: int, *args, **rest):
        """``depth`` layers that are all ``width`` wide, the input too."""
        checked = cls.SHORTHAND["depth"].check("depth", depth)
        return cls((width,) * (checked + 1), *args, **rest)

    @classmethod
    def expand(cls, values: dict[str, Any]) -> dict[str, Any]:
        depth, width = values.pop("depth", None), values.pop("width", None)
        if "widths" not in values and (depth or width):
            values["widths"] = (width or WIDTH,) * ((depth or DEPTH) + 1)
        return values

    @property
    def depth(self) -> int:
        """Number of layers L."""
        return len(self.widths) - 1

    @property
    def width(self) -> int:
        """Units of the first layer."""
        return self.widths[1]


@dataclass(frozen=True)
class _One(_Layers):
    initializer: str = choice("he_normal", INITIALIZERS)


@dataclass(frozen=True)
class _Several(_Layers):
    initializers: tuple[str, ...] = choices(("lecun_normal", "glorot_normal", "he_normal"), INITIALIZERS, 8)


@dataclass(frozen=True)
class _Settings(_Layers):
    """The fields after the initializer, and the budget that all of them share."""

    gamma: float = real(1.0, 0.0, 100.0)
    sigma_b2: float = real(0.0, 0.0, 100.0)
    batch: int = integer(BATCH, 2, 4096)
    input: str = choice("gaussian", ("gaussian",))
    seeds: int = integer(SEEDS, 1, 32)
    seed: int = integer(0, 0, 2**31 - 1)
    normalization: str = choice("none", AXES)
    residual: str = choice("none", RESIDUALS)
    keep: float = real(1.0, 0.01, 1.0)
    rescale: str = choice("none", ("none", "lsuv"))

    @property
    def names(self) -> tuple[str, ...]:
        """The initializers."""
        return (self.initializer,) if isinstance(self, _One) else self.initializers

    @property
    def memory(self) -> float:
        """Bytes at the most: weights once per seed at work and family of initializers, four arrays (batch, units) per net at work."""
        at_work = min(MOST_WORKERS * together(self.batch, self.widths), len(self.names) * self.seeds)
        families = len({INITIALIZERS[name].base.name for name in self.names})
        seeds_at_work = min(self.seeds, seeds_at_once(self.batch, self.widths, families))
        arrays = 2 + 2 * (self.normalization != "none")
        return 4 * (seeds_at_work * families * _entries(self.widths) + at_work * arrays * self.batch * sum(self.widths))

    @property
    def work(self) -> float:
        """Floating-point operations: three products a layer and net, the statistics, and the QR of orthogonal weights."""
        once = self.batch * (6 * _entries(self.widths) + ENTRY_COST * sum(self.widths))
        orthogonal = "orthogonal" in {INITIALIZERS[name].base.name for name in self.names}
        return self.seeds * (len(self.names) * once + orthogonal * QR_COST * _entries(self.widths, power=2))

    def consistent(self) -> None:
        excess = {"seeds": self.seeds / SEEDS, "batch": self.batch / BATCH,
                  "widths": _entries(self.widths) / (DEPTH * WIDTH**2)}
        blamed = max(excess, key=excess.get)
        instead = "Take fewer or narrower layers, a smaller batch or fewer seeds."
        for amount, most, unit in ((self.memory / 1e6, MEMORY / 1e6, "MB"), (self.work / 1e9, WORK / 1e9, "billion operations")):
            if amount > most:
                raise ParamError(blamed, f"small enough for {most:.0f} {unit} in all, where these nets take {amount:,.0f} {unit}",
                                 _Spelled(", ".join(self.to_query()[blamed])), instead)
        if self.residual == "zero" and self.normalization != "none":
            raise ParamError("residual", "other than zero when there is normalization", self.residual,
                             "A branch of zeros has no variance to divide by: take residual none, plain or scaled.")


@dataclass(frozen=True)
class ProbeParams(_Settings, _One):
    """One net. ``widths`` runs from the input to the last layer: (784, 512, 256, 10) has three layers.

    ``gamma`` multiplies the weights, ``sigma_b2`` is the variance of the biases. ``input`` gaussian: independent N(0, 1) features.
    ``seeds`` nets are drawn, starting from ``seed``. ``normalization`` batch or layer: z = N(W a + b). ``residual``: z[l] is
    z[l-1] + branch wherever the width stays (layer 1 excepted); scaled: the branch times 1/sqrt(number of branches); zero: the
    weights of the branches are 0. ``keep``: share of units that dropout keeps, scaled by 1/keep. ``rescale`` lsuv: each layer's
    weights are divided by the standard deviation of W a (unit variance). An address may say depth and width instead of widths.

    Raises ``ParamError`` beyond 400 MB or about three seconds of work, before anything is computed.
    """


@dataclass(frozen=True)
class CompareParams(_Settings, _Several):
    """Several initializers on one architecture, one seed, one underlying draw; the other fields are those of ``ProbeParams``."""

    @cached_property
    def probes(self) -> tuple[ProbeParams, ...]:
        """One ``ProbeParams`` for each initializer, in their order."""
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "initializers"}
        return tuple(ProbeParams(initializer=name, **rest) for name in self.initializers)


@dataclass(frozen=True)
class _Spelled:
    text: str

    def __repr__(self) -> str:
        return self.text


def _entries(widths: Sequence[int], power: int = 1) -> float:
    """Sum of fan_in·fan_out over the layers; power 2: times the smaller of the two."""
    return float(sum(n * m * min(n, m) ** (power - 1) for n, m in pairwise(widths)))


@dataclass(frozen=True, eq=False)
class Probe:
    """Statistics by layer; every array is read-only float64 ``(seeds, depth)``, column l - 1 is layer l, without unit.

    After the first layer where float32 overflows forward, every statistic of that seed is nan but for ``q``, which is inf at that
    layer, and ``grad2`` and ``dw2`` are nan at all layers: there is no output to differentiate. Where the gradient overflows on
    its way back, ``grad2`` is inf at that layer and nan below. Everything before an overflow is right.
    """

    params: ProbeParams
    q: np.ndarray  # mean of z² over units and batch
    a2: np.ndarray  # mean of a², where a is what the next layer receives (after dropout)
    a_mean: np.ndarray  # mean of a
    saturated: np.ndarray  # share of units and examples where |f'(z)| is below 5 % of the largest slope
    dead: np.ndarray  # share of units that are saturated for every example of the batch
    correlation: np.ndarray  # mean cosine of z between neighbours in the batch (uncorrelated inputs); nan where all z are 0
    grad2: np.ndarray  # mean of (∂C/∂z)², where ∂C/∂z[L] ~ N(0, 1), independent, is put in for every example
    dw2: np.ndarray  # mean over entries of (∂C/∂W)², the gradient of the mean over the batch

    @cached_property
    def overflow(self) -> int | None:
        """First layer whose z is not finite in float32, in any seed; None if all are."""
        return _layer(~np.isfinite(self.q), 0)

    @cached_property
    def underflow(self) -> int | None:
        """First layer where the root mean square of z is subnormal in float32, or 0."""
        return _layer(self.q < TINY**2, 0)

    @cached_property
    def overflow_backward(self) -> int | None:
        """First layer, coming from the last one, whose gradient is not finite in float32 although the way forward was."""
        return _layer(np.isinf(self.grad2), -1)

    @cached_property
    def underflow_backward(self) -> int | None:
        """First layer, coming from the last one, where the root mean square of the gradient is subnormal in float32, or 0."""
        return _layer(self.grad2 < TINY**2, -1)

    def log10(self, statistic: str) -> np.ndarray:
        """log10 of one of ``STATISTICS``, ``(seeds, depth)``; nan where it is not a positive finite number."""
        values = getattr(self, statistic)
        return np.log10(values, out=np.full(values.shape, np.nan), where=np.isfinite(values) & (values > 0))

    def frame(self) -> pd.DataFrame:
        """One row for each seed and layer: initializer, seed, layer, then ``STATISTICS``."""
        seeds, depth = self.q.shape
        return pd.DataFrame({
            "initializer": self.params.initializer,
            "seed": np.repeat(np.arange(seeds), depth),
            "layer": np.tile(np.arange(1, depth + 1), seeds),
            **{name: getattr(self, name).ravel() for name in STATISTICS},
        })


@dataclass(frozen=True, eq=False)
class Comparison:
    """``probes[initializer]`` is what ``probe`` gives for it, to the bit."""

    params: CompareParams
    probes: Mapping[str, Probe] = field(default_factory=dict)

    def frame(self) -> pd.DataFrame:
        """The tables of all probes, one under the other."""
        return pd.concat([one.frame() for one in self.probes.values()], ignore_index=True)


def _layer(where: np.ndarray, which: int) -> int | None:
    found = np.flatnonzero(where.any(axis=0))
    return int(found[which]) + 1 if found.size else None


def probe(p: ProbeParams) -> Probe:
    """Send a batch through ``p.seeds`` float32 nets, a Gaussian cotangent back, and take statistics at each layer.

    Of nets that are multiples of one another one is sent for all: ``propagation`` says when.
    """
    return Probe(p, **measure((p,))[0])


def compare(p: CompareParams) -> Comparison:
    """``probe`` for each initializer, from one draw of the weights: the differences are the initializers' and not the draws'."""
    found = zip(p.probes, measure(p.probes), strict=True)
    return Comparison(p, MappingProxyType({one.initializer: Probe(one, **statistics) for one, statistics in found}))
