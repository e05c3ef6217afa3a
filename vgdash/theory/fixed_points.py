"""Mean field: the maps of a wide random layer for second moments, correlations and gradients; fixed points.

    variance map      q'   = sigma_w2 E[f(√q z)²] + sigma_b2                     fixed point q_star
    correlation map   c' q' = sigma_w2 E[f(u) f(v)] + sigma_b2                   fixed point c_star
    gradient          g    = sigma_w2 E[f'(√q z)²] g',   chi_1 its factor at q_star

Poole et al. 2016 (arXiv 1606.05340), Schoenholz et al. 2017 (arXiv 1611.01232). One solver works on arrays of
points; a single point is an array of one. A fixed point that does not exist is ``inf`` or ``nan`` with the
reason in words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vgdash.activations import Activation
from vgdash.params import Real
from vgdash.theory.averages import (
    LOG_RANGE,
    activation_record,
    correlation_series,
    correlation_slope,
    log_moment,
    log_slope,
    map_correlation,
    moment_exponent,
)

VARIANCES = Real(0.0, 1e6)  # a 100,000 wide layer with standard normal weights and gamma 3 is inside
CRITICAL = 1e-9  # |chi_1 - 1| below this counts as 0: ten times the rounding of chi_1 on the critical line
LOWEST = -1e300  # replaces ln 0 where a share of nothing is to be 0, not nan
STRAIGHT = 1e-6  # change of a correlation in a layer that counts as 0
FLAT = 1e-12  # a growth rate |ln(q'/q)| below this is rounding, not growth
SCAN = np.arange(0.0, LOG_RANGE, 0.5)  # |ln q|, in steps that no two fixed points of an activation here share


@dataclass(frozen=True)
class FixedPoint:
    """The limits of a wide network of one (sigma_w2, sigma_b2), all dimensionless."""

    activation: str
    sigma_w2: float
    sigma_b2: float
    q_star: float  # second moment that q = 1 flows to; 0 if it dies, inf if it grows, nan if every q is fixed
    chi_1: float  # factor of a squared gradient a layer, at q_star (in the limit where that is 0 or inf)
    c_star: float  # correlation that two different inputs reach; if q_star is 0, with a bias that tends to 0
    xi_q: float  # layers in which q comes closer to q_star by a factor e; inf at a critical point
    xi_c: float  # the same for the correlation and c_star, with that bias
    phase: str  # ordered (chi_1 < 1), critical or chaotic
    reason: str  # in words, why something is 0, inf or nan; empty if all is well


def fixed_point(activation: str | Activation, sigma_w2: float, sigma_b2: float) -> FixedPoint:
    """Find the fixed points of the variance map and of the correlation map.

    ``sigma_w2`` = fan_in·Var(w), ``sigma_b2`` = Var(b), both from 0 to 1e6. Raises ``ParamError`` for
    anything else. Accuracy 1e-8, except where the map itself is that flat (within 1e-9 of a critical point),
    and for bounded activations at large q_star: 1/xi_c to 2e-8 at 100, 7e-6 at 1e4, 3e-4 at 1e5.
    """
    return _fixed_point(activation_record(activation), VARIANCES.check("sigma_w2", sigma_w2),
                        VARIANCES.check("sigma_b2", sigma_b2))


@lru_cache(maxsize=256)  # one step of a slider asks for the same point two or three times
def _fixed_point(activation: Activation, sigma_w2: float, sigma_b2: float) -> FixedPoint:
    return solve(activation, np.array([sigma_w2]), np.array([sigma_b2])).point(0)


def safe_log(values):
    """ln of values that may be 0."""
    with np.errstate(divide="ignore"):
        return np.log(values)


@dataclass(frozen=True, eq=False)
class _Maps:
    """The maps of one activation at several points, as functions of x = ln q ``(…, points)``."""

    activation: Activation
    log_w: np.ndarray  # ln sigma_w2, (points,)
    log_b: np.ndarray  # ln sigma_b2

    def log_next(self, x):
        """ln q' = ln(sigma_w2 E[f²] + sigma_b2)."""
        return np.logaddexp(self.log_w + log_moment(self.activation, x), self.log_b)

    def growth(self, x):
        """ln(q'/q)."""
        return self.log_next(x) - x

    def share(self, x):
        """Part of q' that comes from the weights; the bias gives the rest."""
        return np.exp(self.log_w + log_moment(self.activation, x) - np.maximum(self.log_next(x), LOWEST))

    def chi(self, x):
        return np.exp(self.log_w + log_slope(self.activation, x))


@dataclass(frozen=True, eq=False)
class Solution:
    """The fixed points of several (sigma_w2, sigma_b2): fields of ``FixedPoint`` as arrays ``(points,)``."""

    maps: _Maps
    sigma_w2: np.ndarray
    sigma_b2: np.ndarray
    log_q: np.ndarray  # ln q_star: -inf, inf or nan where there is no fixed point above 0
    pace: np.ndarray  # ln(q'/q) at the last q that was scanned
    multiplier: np.ndarray  # dq'/dq at q_star
    chi_1: np.ndarray
    c_star: np.ndarray
    xi_q: np.ndarray
    xi_c: np.ndarray
    phase: np.ndarray

    @property
    def q_star(self) -> np.ndarray:
        return np.exp(self.log_q)

    def point(self, i: int) -> FixedPoint:
        fields = ("sigma_w2", "sigma_b2", "q_star", "chi_1", "c_star", "xi_q", "xi_c", "phase")
        values = [getattr(self, name)[i].item() for name in fields]
        values = [value if value == value else math.nan for value in values]  # the nan that equals itself
        return FixedPoint(self.maps.activation.name, *values, "; ".join(self._reasons(i)))

    def _reasons(self, i: int) -> list[str]:
        """Explain what is 0, inf or nan at point i."""
        x, phase, pace = self.log_q[i], self.phase[i], self.pace[i]
        if x == math.inf:
            factor, by_sum = math.exp(pace), self.sigma_b2[i] > 0
            growth = (f"x{factor:.3g} a layer" if factor >= 1.0005 else
                      "by a sum, not by a factor" if by_sum else f"x{factor:.5g} a layer")
            return [f"no fixed point: the variance grows without bound ({growth})"]
        said = []
        if math.isnan(x):
            said.append("every q is a fixed point: each layer keeps the mean square that it is given")
        if x == -math.inf:
            said.append(f"the signal dies out: q shrinks to 0 (x{math.exp(pace):.3g} a layer)"
                        if pace < -FLAT else self._power_law(i))
        if self.multiplier[i] > 1 + CRITICAL and not math.isnan(x):
            said.append(f"q_star is unstable: a small deviation grows x{self.multiplier[i]:.3g} a layer")
        if x == -math.inf and phase != "chaotic":
            said += self._without_bias(phase)
        elif phase == "critical":
            said.append("every correlation is a fixed point" if math.isnan(self.c_star[i]) else
                        "at chi_1 = 1 correlations approach 1 like a power of the depth, so xi_c is infinite")
        return said

    def _without_bias(self, phase: str) -> list[str]:
        """Say where two inputs end as q goes to 0, for c_star and xi_c are those of a small bias."""
        kept = keeps_correlations(self.maps.activation)
        if kept is None:
            return []
        without, with_some = (
            ("the last correlation of two inputs depends on the first", "it becomes 1") if kept else
            ("correlations approach 1 like a power of the depth", "they do so exponentially"))
        return [f"without biases {without}", *[f"with small biases {with_some}"] * (phase == "ordered")]

    def _power_law(self, i: int) -> str:
        """Describe q' = q (1 - k q^power), hence q = (k·power·l)^(-1/power)."""
        near, far = (float(self.maps.growth(x)[i]) for x in (-14.0, -10.0))
        if far > -FLAT or near >= 0:
            return "at the critical point q hardly changes: near 0 the activation is a straight line"
        power = round(math.log(far / near) / 4 * 2) / 2
        pace = -near * math.exp(14.0 * power) * power
        exponent = f"^{1 / power:g}" if power != 1 else ""
        return f"power law: at the critical point q decays like 1/({pace:.3g}l){exponent}, not exponentially"


def keeps_correlations(activation: str | Activation) -> bool | None:
    """Test if small signals keep their correlation, as of a straight line; None if they do not come closer.

    If so, two inputs of a net without biases in which q goes to 0 end at a correlation that depends on where
    it starts: the map has become the identity before they have come to c_star.
    """
    series = correlation_series(activation_record(activation), -SCAN[-1])
    moved = np.array([float(map_correlation(series, c)) - c for c in (0.25, 0.5, 0.75)])
    return True if (np.abs(moved) < STRAIGHT).all() else False if (moved > 0).all() else None


def solve(activation: Activation, sigma_w2: np.ndarray, sigma_b2: np.ndarray) -> Solution:
    """Find the fixed points of the maps at several ``sigma_w2``, ``sigma_b2`` ``(points,)``, at least 0."""
    maps = _Maps(activation, safe_log(sigma_w2), safe_log(sigma_b2))
    x, pace = _settle_variance(maps)
    at = np.where(np.isfinite(x), x, np.clip(np.nan_to_num(x), -SCAN[-1], SCAN[-1]))
    chi = maps.chi(at)
    phase = np.select([np.abs(chi - 1) < CRITICAL, chi < 1], ["critical", "ordered"], "chaotic")
    multiplier = np.abs(maps.share(at) * moment_exponent(activation, at))
    multiplier = np.where(x == -np.inf, np.exp(maps.growth(at)), multiplier)
    xi_q = np.where(multiplier > 1 + CRITICAL, np.nan, _depth_scale(multiplier))
    c, correlation_factor = np.ones_like(x), chi.copy()
    chaotic = (phase == "chaotic") & (x < np.inf)
    series, share = correlation_series(activation, at), maps.share(at)
    c[chaotic], correlation_factor[chaotic] = _settle_correlation(series[chaotic], share[chaotic])
    half = share * map_correlation(series, 0.5) + 1 - share
    every_c = (phase == "critical") & (x != -np.inf) & (np.abs(half - 0.5) < CRITICAL)
    c[every_c] = np.nan
    xi_q[np.isnan(x)], xi_q[x == np.inf] = np.inf, np.nan
    c[x == np.inf] = correlation_factor[x == np.inf] = np.nan
    xi_c = _depth_scale(correlation_factor)
    return Solution(maps, sigma_w2, sigma_b2, x, pace, multiplier, chi, c, xi_q, xi_c, phase)


def _depth_scale(factor: np.ndarray) -> np.ndarray:
    """Return -1/ln(factor): layers to shrink by e."""
    return np.where(factor > 1 - CRITICAL, np.inf, -1 / safe_log(np.minimum(factor, 1 - CRITICAL)))


def _settle_variance(maps: _Maps) -> tuple[np.ndarray, np.ndarray]:
    """Find ln q_star, ±inf if q runs away from 1 and nan if every q is fixed, and the last growth rate.

    E[f²] is continuous in q, so the end of the iteration from 1 is the first fixed point in the direction it
    sets out.
    """
    start = maps.growth(np.zeros(1))
    sign = np.where(start > FLAT, 1.0, -1.0)
    lowest = maps.log_next(-np.inf)  # the bias or f(0) may keep q above 0, yet below the scan
    last = np.where((sign < 0) & np.isfinite(lowest), np.minimum(lowest - 1, -SCAN[-1]), sign * SCAN[-1])
    x = np.vstack([SCAN[:, None] * sign, last])
    rates = maps.growth(x)
    turned = rates * sign < -FLAT
    points, first = np.arange(len(sign)), np.maximum(turned.argmax(axis=0), 1)
    root = bisect(maps.growth, sign, x[first - 1, points], x[first, points])
    settled = np.where(turned.any(axis=0), root, sign * np.inf)
    settled = np.where(np.abs(start) < FLAT, 0.0, settled)
    return np.where(np.abs(rates).max(axis=0) < FLAT, np.nan, settled), rates[-1]


def bisect(f: Callable, sign: np.ndarray, near: np.ndarray, far: np.ndarray) -> np.ndarray:
    """Find zeros of ``f``, which has this ``sign`` at ``near``, the other at ``far``, all ``(points,)``."""
    for _ in range(54):  # halvings: to the last bits
        middle = (near + far) / 2
        before = f(middle) * sign > 0
        near, far = np.where(before, middle, near), np.where(before, far, middle)
    return (near + far) / 2


def _settle_correlation(series: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the fixed point in [0, 1) of the correlation map where chi_1 > 1, and the slope of the map there.

    c' is a power series in c with no negative coefficient, so it is convex, and 1 is its own image. Newton's
    steps from 0 climb to the fixed point below 1 and cannot overshoot.
    """
    c = np.zeros_like(share)
    for _ in range(100):
        slope = share * np.maximum(correlation_slope(series, c), 0.0)  # rounding, where f oscillates fast
        step = (share * map_correlation(series, c) + 1 - share - c) / (1 - slope)
        step = np.where((step >= 0) & (step < 1 - c), step, 0.0)  # rounding: the root is reached
        c = c + step
        if step.max(initial=0.0) < 1e-14:
            break
    return c, slope


def q_star(activation: str | Activation, sigma_w2: float, sigma_b2: float) -> float:
    """Return the second moment of z in a deep network, from q = 1. See ``fixed_point``."""
    return fixed_point(activation, sigma_w2, sigma_b2).q_star


def chi_1(activation: str | Activation, sigma_w2: float, sigma_b2: float) -> float:
    """Return sigma_w2 E[f'(√q_star z)²]: factor of a squared gradient a layer."""
    return fixed_point(activation, sigma_w2, sigma_b2).chi_1


def c_star(activation: str | Activation, sigma_w2: float, sigma_b2: float) -> float:
    """Return the correlation that two different inputs end at."""
    return fixed_point(activation, sigma_w2, sigma_b2).c_star


def xi_q(activation: str | Activation, sigma_w2: float, sigma_b2: float) -> float:
    """Return the layers in which q comes closer to q_star by a factor e."""
    return fixed_point(activation, sigma_w2, sigma_b2).xi_q


def xi_c(activation: str | Activation, sigma_w2: float, sigma_b2: float) -> float:
    """Return the layers in which the correlation comes closer to c_star by a factor e."""
    return fixed_point(activation, sigma_w2, sigma_b2).xi_c


def critical_line(activation: Activation, sigma_b2: np.ndarray) -> list[FixedPoint]:
    """Find the fixed point of the least sigma_w2 with chi_1 = 1, or nan, at each ``sigma_b2`` ``(points,)``.

    chi_1 = 1 says sigma_w2 = 1/E[f'²]; with it, q = E[f²]/E[f'²] + sigma_b2 is one equation for q. A solution
    counts if a second moment of 1 flows to it.
    """
    def rate(x: np.ndarray, log_b: np.ndarray) -> np.ndarray:
        return np.logaddexp(log_moment(activation, x) - log_slope(activation, x), log_b) - x

    scan, log_b = np.concatenate([-SCAN[:0:-1], SCAN]), safe_log(sigma_b2)
    rates = rate(scan[:, None], log_b)
    at, where = np.nonzero(rates[:-1] * rates[1:] < -FLAT**2)
    roots = bisect(lambda x: rate(x, log_b[where]), np.sign(rates[at, where]), scan[at], scan[at + 1])
    end, where_end = np.nonzero(np.abs(rates[[0, -1]]) < CRITICAL)  # and limits, q -> 0 and q -> inf
    x, where = np.append(roots, scan[[0, -1]][end]), np.append(where, where_end)
    found = solve(activation, np.exp(-log_slope(activation, x)), sigma_b2[where])
    line = []
    for i, b in enumerate(sigma_b2.tolist()):
        reached = [found.point(j) for j in np.flatnonzero((where == i) & (found.phase == "critical"))]
        missing = FixedPoint(activation.name, math.nan, b, *[math.nan] * 5, "none",
                             "no critical point: a second moment of 1 never settles where chi_1 = 1")
        line.append(min(reached, key=lambda point: point.sigma_w2, default=missing))
    return line


def critical_sigma_w2(activation: str | Activation, sigma_b2: float) -> float:
    """Return the smallest sigma_w2 at which chi_1 = 1 for this bias variance; nan if there is none.

    Raises ``ParamError`` for a bias variance outside 0 to 1e6.
    """
    record = activation_record(activation)
    return critical_line(record, np.array([VARIANCES.check("sigma_b2", sigma_b2)]))[0].sigma_w2
