"""The linear chain a[l] = W[l] a[l-1]: a signal multiplied a hundred times, and a gradient on its way back.

With g(z) = z and b = 0 a network is the product of its weight matrices. W = c·I multiplies by c a layer, so
|a[l]| = c^l |x| and |dy/da[l]| = c^(L-l): a straight line on a log axis, read from one end or from the other.
``linear_chain`` multiplies L times. The lecture's W[L] has another shape, 1x2, so that y = W[L] C^(L-1) x has
L-1 factors C: ``before_output`` ends there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pandas as pd

from vgdash.number_formats import FORMATS, Breaks, breaks_of, iterate, powers, round_to
from vgdash.params import ParamError, Params, choice, integer, real
from vgdash.records import Record

KINDS = ("scaled identity", "diagonal", "gaussian")
MAX_ENTRIES = 2_000_000  # Gaussian weights of all seeds together: 16 MB, some 50 ms
HORIZON = 2_000  # layers of a continued fixed chain; float64 breaks at 1,751 for c = 1.5 and at 1,075 for 0.5
SMALLEST_START = 1e-6  # float16 still holds it, if only as a subnormal number
EULER = 0.5772156649015329  # Euler-Mascheroni constant, minus digamma(1)


@dataclass(frozen=True)
class ChainParams(Params):
    """A linear chain of ``depth`` layers.

    ``kind``: "scaled identity", W = factor · I (2x2); "diagonal", W = diag(factor, factor2); "gaussian", each
    layer its own ``width`` x ``width`` matrix with independent entries N(0, sigma2/width), for ``seeds``
    seeds (by default the N(0, 1) matrices of d2l.ai, "Numerical stability"). ``x1, x2``: the start vector,
    repeated to the width of a gaussian chain. A kind ignores the fields of the others.
    """

    factor: float = real(1.5, 0.1, 2)
    depth: int = integer(150, 1, 1000)
    kind: str = choice("scaled identity", KINDS)
    factor2: float = real(0.5, 0.1, 2)
    x1: float = real(1.0, -100, 100)
    x2: float = real(1.0, -100, 100)
    width: int = integer(4, 2, 32)
    sigma2: float = real(4.0, 0.01, 100)
    seeds: int = integer(20, 2, 200)
    seed: int = integer(0, 0, 1_000_000)

    @property
    def factors(self) -> tuple[float, float]:
        """Diagonal of W of the two fixed matrices."""
        return self.factor, self.factor if self.kind == "scaled identity" else self.factor2

    def consistent(self):
        for name, value in (("x1", self.x1), ("x2", self.x2)):
            if 0 < abs(value) < SMALLEST_START:
                raise ParamError(name, f"0 or at least {SMALLEST_START:g} in size", value,
                                 "Take 0 to leave it out.")
        if self.x1 == self.x2 == 0:
            raise ParamError("x2", "different from 0 when x1 is 0", self.x2, "A zero vector stays zero.")
        entries = self.depth * self.width**2
        if self.kind == "gaussian" and entries * self.seeds > MAX_ENTRIES:
            most = f"at most {MAX_ENTRIES // entries:,} at depth {self.depth:,} and width {self.width}"
            raise ParamError("seeds", most, self.seeds, "Take fewer seeds, fewer layers or a smaller width.")


@dataclass(frozen=True, eq=False)
class Chain(Record):
    """Sizes, growth and breaks of a chain. Layers run from 0, the input, to L; sizes are log10, without unit.

    The size of a vector is its largest |component| for the two fixed matrices, and its root mean square
    component for gaussian ones, where the theory is exact. From x = (1, 1) it is 1 at layer 0; the gradient's
    is 1 at layer L.

    Sizes, ``(L + 1,)``; for gaussian matrices the median over seeds:
      log10_activation         |a[l]|
      log10_gradient           |dy/da[l]|, from a cotangent of ones put in at layer L
      log10_activation_theory  start + l · log10_factor (gaussian: the exact mean over draws)
      log10_gradient_theory    the same for the gradient
    ``log10_components`` is log10 |a_i[l]|, ``(L + 1, 2)``, -inf where one is zero; gaussian: ``(L + 1, 0)``.
    ``log10_gradient_components`` is the same of the gradient.
    ``log10_activation_seeds, log10_gradient_seeds``: ``(seeds, L + 1)``, one row for the fixed matrices.

    Growth, log10 of the factor per layer:
      log10_factor             of the activations in the long run; gaussian: the Lyapunov exponent
      log10_factor_gradient    of the gradient; differs if the larger of diag(c1, c2) meets x_i = 0
      log10_factor_rms         of the root mean square over draws, sqrt(sigma2); rare huge draws dominate
      log10_factor_measured    (log10 |a[L]| - log10 |a[0]|) / L, the mean over seeds
      log10_factor_stderr      its standard error over seeds, 0 for the fixed matrices

    Breaks, a dict from the number format to ``Breaks``, found by iterating in the format with its rounding:
      forward    layers at which a[l], by its largest component, breaks; None if not within the depth
      backward   the same for the gradient, in layers down from the top; ``backward_layers`` has layer numbers
      continued  ``forward`` for the chain continued to ``horizon`` layers: 2,000, or the depth if gaussian
    Gaussian: breaks of the median over seeds of the iterated sizes (of the middle two, the smaller).
    """

    params: ChainParams
    log10_activation: np.ndarray
    log10_gradient: np.ndarray
    log10_activation_theory: np.ndarray
    log10_gradient_theory: np.ndarray
    log10_components: np.ndarray
    log10_gradient_components: np.ndarray
    log10_activation_seeds: np.ndarray
    log10_gradient_seeds: np.ndarray
    log10_factor: float
    log10_factor_gradient: float
    log10_factor_rms: float
    log10_factor_measured: float
    log10_factor_stderr: float
    forward: dict[str, Breaks]
    backward: dict[str, Breaks]
    continued: dict[str, Breaks]
    horizon: int

    @property
    def breaks(self) -> dict[str, int | None]:
        """First layer within the depth whose activations overflow or are all zero, by format, or None."""
        return {name: found.first for name, found in self.forward.items()}

    @property
    def backward_layers(self) -> dict[str, Breaks]:
        """``backward`` as layer numbers: the gradient is infinite, subnormal or zero there and below."""
        last = len(self.log10_gradient) - 1
        return {name: found.from_below(last) for name, found in self.backward.items()}

    @property
    def doubling_depth(self) -> float:
        """Layers that double (or halve) the activations, ln 2 / |ln factor|; inf for a factor of 1."""
        return math.log10(2) / abs(self.log10_factor) if self.log10_factor else math.inf

    def frame(self) -> pd.DataFrame:
        """Return a table with one row per layer and line.

        Columns: layer, line ("activation", "gradient"; for diagonal also "component 1" and "2"), log10_size,
        log10_low and log10_high (10 % and 90 % of the seeds), log10_theory. A zero component has no row.
        """
        lines = [(line, *(getattr(self, f"log10_{line}{suffix}") for suffix in ("", "_seeds", "_theory")))
                 for line in ("activation", "gradient")]
        if self.params.kind == "diagonal":
            lines += [(f"component {i}", size, size[None], size)
                      for i, size in enumerate(self.log10_components.T, start=1) if np.isfinite(size[0])]
        layers = np.arange(len(self.log10_activation))
        tables = []
        for line, size, seeds, theory in lines:
            low, high = np.quantile(seeds, (0.1, 0.9), axis=0)
            tables.append(pd.DataFrame({"layer": layers, "line": line, "log10_size": size, "log10_low": low,
                                        "log10_high": high, "log10_theory": theory}))
        return pd.concat(tables, ignore_index=True)


def linear_chain(p: ChainParams) -> Chain:
    """Compute activations forward, gradients backward, their growth, and the layers where formats break."""
    return _gaussian(p) if p.kind == "gaussian" else _fixed(p, p.depth)


def before_output(p: ChainParams) -> Chain:
    """Compute the chain up to a[L-1], which W[L] of the lecture, 1x2, turns into the output.

    Layers run to L-1, and gradients start there from W[L] = (1 1). Gaussian chains have L square matrices.
    """
    return _gaussian(p) if p.kind == "gaussian" else _fixed(p, p.depth - 1)


def exact_components(p: ChainParams, layer: int) -> tuple[Fraction, Fraction]:
    """Return both components of a[layer] of a fixed chain, exact for its decimal numbers."""
    layer = int(layer)  # NumPy's integers end at 2⁶³
    one, other = (Fraction(str(x)) * Fraction(str(c)) ** layer
                  for x, c in zip((p.x1, p.x2), p.factors, strict=True))
    return one, other


def digamma_half(n: int) -> float:
    """Return digamma(n/2) for whole n >= 1, by digamma(x + 1) = digamma(x) + 1/x.

    It starts from digamma(1) = -EULER and digamma(1/2) = -EULER - ln 4. Source: DLMF 5.4.12, 5.4.13, 5.5.2.
    """
    first, start = (2, -EULER) if n % 2 == 0 else (1, -EULER - math.log(4))
    return start + sum(2 / k for k in range(first, n, 2))


def typical_factor(sigma2: float, width: int) -> float:
    """Return the typical growth a layer of width x width matrices with entries N(0, sigma2/width).

    It is exp of the Lyapunov exponent, the mean of ln |W a|/|a|: half the logarithm of sigma2/width times a
    chi-squared variable with ``width`` degrees of freedom, for any a. Source: Newman 1986.
    """
    return math.exp((math.log(2 * sigma2 / width) + digamma_half(width)) / 2)


def _fixed(p: ChainParams, depth: int) -> Chain:
    """Compute ``depth`` layers of W = diag(factors), exactly: every component is a chain of its own."""
    factors, start = np.array(p.factors), np.abs([p.x1, p.x2])
    layers = np.arange(depth + 1.0)[:, None]
    with np.errstate(divide="ignore"):
        components = np.log10(start) + layers * np.log10(factors)
    gradients = layers[::-1] * np.log10(factors)
    activation, gradient = components.max(axis=1), gradients.max(axis=1)
    growth = float(np.log10(factors[start > 0].max()))
    return Chain(
        params=p, log10_activation=activation, log10_gradient=gradient,
        log10_activation_theory=activation, log10_gradient_theory=gradient,
        log10_components=components, log10_gradient_components=gradients,
        log10_activation_seeds=activation[None], log10_gradient_seeds=gradient[None],
        log10_factor=growth, log10_factor_gradient=float(np.log10(factors.max())), log10_factor_rms=growth,
        log10_factor_measured=float(activation[-1] - activation[0]) / depth if depth else growth,
        log10_factor_stderr=0.0, **_fixed_breaks(depth, start, factors))


def _fixed_breaks(depth: int, start: np.ndarray, factors: np.ndarray) -> dict:
    forward, backward, continued = {}, {}, {}
    for name in FORMATS:
        up = powers(start, factors, name, HORIZON).max(axis=1)
        down = powers(np.ones(2), factors, name, depth).max(axis=1)
        forward[name], backward[name], continued[name] = (
            breaks_of(sizes, name) for sizes in (up[:depth + 1], down, up))
    return {"forward": forward, "backward": backward, "continued": continued, "horizon": HORIZON}


def _gaussian(p: ChainParams) -> Chain:
    """Compute a chain of random matrices; one batch ``(2 · seeds, width)`` runs in both directions."""
    weights = np.random.default_rng(p.seed).standard_normal((p.depth, p.seeds, p.width, p.width))
    weights *= math.sqrt(p.sigma2 / p.width)
    up = np.resize([p.x1, p.x2], p.width)
    start = np.concatenate([np.tile(up, (p.seeds, 1)), np.ones((p.seeds, p.width))])
    sizes = _log10_sizes(weights, start)
    activations, gradients = sizes[:, :p.seeds].T, sizes[::-1, p.seeds:].T
    growths = (activations[:, -1] - activations[:, 0]) / p.depth
    typical = math.log10(typical_factor(p.sigma2, p.width))
    layers = np.arange(p.depth + 1)
    return Chain(
        params=p,
        log10_activation=np.median(activations, axis=0), log10_gradient=np.median(gradients, axis=0),
        log10_activation_theory=activations[0, 0] + layers * typical,
        log10_gradient_theory=layers[::-1] * typical,
        **dict.fromkeys(("log10_components", "log10_gradient_components"), np.empty((p.depth + 1, 0))),
        log10_activation_seeds=activations, log10_gradient_seeds=gradients,
        log10_factor=typical, log10_factor_gradient=typical, log10_factor_rms=math.log10(p.sigma2) / 2,
        log10_factor_measured=float(growths.mean()),
        log10_factor_stderr=float(growths.std(ddof=1)) / math.sqrt(p.seeds),
        **_gaussian_breaks(p, weights, start))


def _step(weights: np.ndarray, layer: int, vectors: np.ndarray) -> np.ndarray:
    """Multiply by W[l] upward and by W[L+1-l]ᵀ downward, l = ``layer``; vectors ``(2 · seeds, width)``."""
    up, down = np.split(vectors[..., None], 2)
    return np.concatenate([weights[layer - 1] @ up, weights[-layer].swapaxes(1, 2) @ down])[..., 0]


def _log10_sizes(weights: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return log10 of the root mean square component after each layer, ``(depth + 1, batch)``."""
    vectors = start
    sizes = np.empty((len(weights) + 1, len(start)))
    for layer in range(len(weights) + 1):
        if layer:
            vectors = _step(weights, layer, vectors)
        sizes[layer] = np.sqrt((vectors * vectors).mean(axis=1))
        vectors = vectors / sizes[layer, :, None]
    return np.cumsum(np.log10(sizes), axis=0)


def _gaussian_breaks(p: ChainParams, weights: np.ndarray, start: np.ndarray) -> dict:
    forward, backward = {}, {}
    for name, form in FORMATS.items():
        rounded = round_to(weights, name)
        if form.carrier is np.float16:
            rounded = rounded.astype(np.float32)

        def step(layer: int, vectors: np.ndarray, rounded=rounded) -> np.ndarray:
            return _step(rounded, layer, vectors.astype(rounded.dtype))

        values = iterate(step, start, name, p.depth)
        sizes = np.abs(values).max(axis=2).astype(np.float64)
        sizes[np.isnan(sizes)] = np.inf
        forward[name] = breaks_of(_middle(sizes[:, :p.seeds]), name)
        backward[name] = breaks_of(_middle(sizes[:, p.seeds:]), name)
    return {"forward": forward, "backward": backward, "continued": forward, "horizon": p.depth}


def _middle(sizes: np.ndarray) -> np.ndarray:
    """Return the median over seeds, an actual size: of the two in the middle the smaller."""
    return np.sort(sizes, axis=1)[:, (sizes.shape[1] - 1) // 2]
