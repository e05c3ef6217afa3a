"""Parameter sets of probed nets, and the budget of memory and work that they must keep to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property, lru_cache
from itertools import pairwise
from typing import Any, ClassVar

from vgdash.activations import any_activation
from vgdash.initializers import INITIALIZERS, BiasRule, initializer_for
from vgdash.layers import AXES, RESIDUALS, residual_factors
from vgdash.parallel import MOST_WORKERS
from vgdash.params import Integer, ParamError, Params, Unquoted, choice, choices, integer, integers, real

DEPTH, WIDTH, BATCH, SEEDS = 50, 100, 32, 2
MEMORY, WORK = 400e6, 2.5e11  # bytes; floating-point operations, about three seconds on two cores
QR_COST = 20  # of orthogonal weights, per entry and unit, in operations of a float32 matrix product
ENTRY_COST = 600  # statistics and activation function, per unit and example, in the same operations
CACHE = 256e3  # bytes of one layer's activations, of all nets of a stack


@dataclass(frozen=True)
class _Architecture(Params):
    widths: tuple[int, ...] = integers((WIDTH,) * (DEPTH + 1), 1, 4096, 2, 1001)
    activation: str = any_activation("relu")

    SHORTHAND: ClassVar = {"depth": Integer(1, 1000), "width": Integer(1, 4096)}

    @classmethod
    def uniform(cls, depth: int, width: int, *args, **rest):
        """Make a set of ``depth`` layers that are all ``width`` wide, the input too."""
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
class _OneInitializer(_Architecture):
    initializer: str = choice("he_normal", INITIALIZERS)


@dataclass(frozen=True)
class _SeveralInitializers(_Architecture):
    initializers: tuple[str, ...] = choices(("lecun_normal", "glorot_normal", "he_normal"), INITIALIZERS, 8)


@dataclass(frozen=True)
class _Settings(_Architecture):
    """The fields after the initializer, and the budget of all of them together."""

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
    norm_scale: float = real(1.0, 0.0, 100.0)
    last_scale: float = real(1.0, 0.0, 100.0)
    last_bias: float = real(0.0, -100.0, 100.0)
    input_scale: float = real(1.0, 1e-3, 1e3)
    input_mean: float = real(0.0, -1e3, 1e3)
    kernels: tuple[int, ...] = integers((), 1, 31, 0, 1000)

    @property
    def names(self) -> tuple[str, ...]:
        """The initializers."""
        return (self.initializer,) if isinstance(self, _OneInitializer) else self.initializers

    @property
    def memory(self) -> float:
        """Bytes at most: one set of weights per seed in memory and base draw; arrays of the nets at work."""
        stacked = MOST_WORKERS * nets_per_stack(self.batch, self.widths)
        at_work = min(stacked, len(self.names) * self.seeds)
        bases = len({INITIALIZERS[name].base.name for name in self.names})
        drawn = min(self.seeds, seeds_at_once(self.batch, self.widths, bases))
        arrays = 2 + 2 * (self.normalization != "none")
        return 4 * (drawn * bases * _entries(self.widths) + at_work * arrays * self.batch * sum(self.widths))

    @property
    def work(self) -> float:
        """Floating-point operations: three products a layer and net, statistics, QR of orthogonal weights."""
        once = self.batch * (6 * _entries(self.widths) + ENTRY_COST * sum(self.widths))
        orthogonal = "orthogonal" in {INITIALIZERS[name].base.name for name in self.names}
        return self.seeds * (len(self.names) * once + orthogonal * QR_COST * _entries(self.widths, power=2))

    def consistent(self) -> None:
        excess = {"seeds": self.seeds / SEEDS, "batch": self.batch / BATCH,
                  "widths": _entries(self.widths) / (DEPTH * WIDTH**2)}
        blamed = max(excess, key=excess.get)
        for amount, most, unit in ((self.memory / 1e6, MEMORY / 1e6, "MB"),
                                   (self.work / 1e9, WORK / 1e9, "billion operations")):
            if amount > most:
                rule = f"small enough for {most:.0f} {unit} in all, where these nets take {amount:,.0f}"
                raise ParamError(blamed, f"{rule} {unit}", Unquoted(", ".join(self.to_query()[blamed])),
                                 "Take fewer or narrower layers, a smaller batch or fewer seeds.")
        if self.residual == "zero" and self.normalization != "none":
            raise ParamError("residual", "other than zero when there is normalization", self.residual,
                             "A branch of zeros has no variance: take norm_scale 0 instead.")
        if self.norm_scale != 1 and self.normalization == "none":
            raise ParamError("norm_scale", "1 without normalization", self.norm_scale,
                             "It multiplies what normalization gives: choose batch or layer.")
        for name, usual in (("last_scale", 1), ("last_bias", 0)):
            if getattr(self, name) != usual and self.normalization != "none":
                raise ParamError(name, f"{usual} with normalization", getattr(self, name),
                                 "Normalization takes it away again: change norm_scale.")
        if len(self.kernels) not in (0, 1, self.depth):
            raise ParamError("kernels", f"one number, or one for each of the {self.depth} layers",
                             Unquoted(f"{len(self.kernels):,} numbers"), "1 stands for a dense layer.")
        if "constant" in self.names and max(self.kernels, default=1) > 1:
            raise ParamError("kernels", "1 for constant", Unquoted(self.to_query()["kernels"][0]),
                             "Its kernels sum up neighbours, which no dense layer does.")
        if self.last_scale != 1 and self.rescale != "none":
            raise ParamError("last_scale", "1 with rescaling", self.last_scale,
                             "Rescaling divides it out again: take rescale none.")


@dataclass(frozen=True)
class ProbeParams(_Settings, _OneInitializer):
    """One net. ``widths`` runs from the input to the last layer: (784, 512, 256, 10) has three layers.

    ``gamma`` multiplies the weights. ``sigma_b2``, if it is not 0, is the variance of normal biases, which
    replace those of the initializer (pytorch_default and playground_default have some). ``input`` gaussian:
    independent N(input_mean, input_scale²) features. ``seeds`` nets are drawn, starting from ``seed``.
    ``normalization`` batch or layer: z = N(W a + b), times ``norm_scale``; where there are branches they
    alone have that scale, and 0 shuts them. ``residual``: z[l] is z[l-1] + branch wherever the width stays
    (layer 1 excepted); scaled: the branch times 1/sqrt(number of branches); zero: the weights of the branches
    are 0. ``keep``: share of units that dropout keeps, scaled by 1/keep. ``rescale`` lsuv: each layer's
    weights are divided by the standard deviation of W a. ``last_scale`` multiplies the weights of the last
    layer; ``last_bias``, if it is not 0, is all its biases. ``kernels``: the sides of square convolutions by
    layer, or one side for all; widths count channels then, the initializer sees side² times the fans, and the
    nets are dense ones that multiply signal and gradient as the convolutions do. A URL query may hold depth
    and width instead of widths.

    Raises ``ParamError`` beyond 400 MB or about three seconds of work, before anything is computed.
    """

    @property
    def scales(self) -> list[float]:
        """The factor of each layer's base draw."""
        one = initializer_for(self.initializer, self.activation)
        scale = cache(one.layer_scale)  # most layers repeat a shape
        scales = [0.0 if self.residual == "zero" and skip is not None else self.gamma * scale(n, m, side)
                  for (n, m), side, skip in zip(pairwise(self.widths), self.sides, self.skips, strict=True)]
        scales[0] *= one.first(self.fans_in[0])
        return [*scales[:-1], scales[-1] * self.last_scale]

    @property
    def biases(self) -> list[BiasRule]:
        """The rule of each layer's biases."""
        rules = [INITIALIZERS[self.initializer].biases(self.sigma_b2)] * self.depth
        return [*rules[:-1], BiasRule("constant", self.last_bias) if self.last_bias else rules[-1]]

    @property
    def biased(self) -> bool:
        """Test if any bias differs from 0."""
        return any(rule.law != "zeros" for rule in self.biases)

    @property
    def sides(self) -> tuple[int, ...]:
        """The side of each layer's kernel; 1 of a dense layer."""
        return self.kernels if len(self.kernels) == self.depth else (self.kernels or (1,)) * self.depth

    @property
    def fans_in(self) -> tuple[int, ...]:
        """The fan-in that initializers see, by layer."""
        return tuple(side**2 * n for side, n in zip(self.sides, self.widths[:-1], strict=True))

    @property
    def skips(self) -> tuple[float | None, ...]:
        """The factor of the branch in layers with a skip connection, else None."""
        return residual_factors(self.widths, self.residual, self.norm_scale)

    @property
    def input_square(self) -> float:
        """E[x²] of a feature."""
        return self.input_scale**2 + self.input_mean**2

    @property
    def input_cosine(self) -> float:
        """The cosine of two inputs: all have the same mean."""
        return self.input_mean**2 / self.input_square


@dataclass(frozen=True)
class CompareParams(_Settings, _SeveralInitializers):
    """Several initializers on one architecture, one seed, one draw; other fields as in ``ProbeParams``."""

    @cached_property
    def probes(self) -> tuple[ProbeParams, ...]:
        """One ``ProbeParams`` for each initializer, in their order."""
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "initializers"}
        return tuple(ProbeParams(initializer=name, **rest) for name in self.initializers)


@lru_cache(maxsize=256)
def _entries(widths: tuple[int, ...], power: int = 1) -> float:
    """Sum of fan_in·fan_out over the layers; power 2: times the smaller of the two."""
    return float(sum(n * m * min(n, m) ** (power - 1) for n, m in pairwise(widths)))


def nets_per_stack(batch: int, widths: Sequence[int]) -> int:
    """Return the number of nets that pass a layer together: as many as the cache holds, at least one."""
    return max(1, int(CACHE // (4 * batch * max(widths))))


def seeds_at_once(batch: int, widths: Sequence[int], bases: int) -> int:
    """Return the number of seeds whose weights are in memory together: enough to keep all cores busy."""
    return math.ceil(MOST_WORKERS * nets_per_stack(batch, widths) / bases)
