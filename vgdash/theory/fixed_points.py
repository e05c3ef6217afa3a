"""Mean field: what a wide random network does to a second moment, to the correlation of two inputs and to a gradient.

    variance map      q'   = sigma_w2 E[f(√q z)²] + sigma_b2                     fixed point q_star
    correlation map   c' q' = sigma_w2 E[f(u) f(v)] + sigma_b2                   fixed point c_star
    gradient          g    = sigma_w2 E[f'(√q z)²] g',   chi_1 its factor at q_star

Poole et al. 2016 (arXiv 1606.05340), Schoenholz et al. 2017 (arXiv 1611.01232). Second moments are carried as ln q, so that
nothing overflows; a fixed point that does not exist is ``inf`` or ``nan`` with the reason in words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from vgdash.activations import Activation
from vgdash.params import Real
from vgdash.theory.maps import LOG_RANGE, activation_record, correlation_map, log_moment, log_slope, moment_exponent, slope_correlation
from vgdash.theory.tabulated import single_averages

__all__ = ["CriticalPoint", "FixedPoint", "c_star", "chi_1", "critical_point", "critical_sigma_w2", "fixed_point", "q_star",
           "xi_c", "xi_q"]

VARIANCES = Real(0.0, 1e6)  # a 100,000 wide layer with standard normal weights and gamma 3 is inside
CRITICAL = 1e-9  # |chi_1 - 1| below this counts as 1: ten times what chi_1 loses to rounding on the critical line
FLAT = 1e-12  # a growth rate |ln(q'/q)| below this is rounding, not growth
_SCAN = np.arange(2 * LOG_RANGE[0], 2 * LOG_RANGE[1] + 1) / 2  # ln q, in steps that no two fixed points of an activation here share


@dataclass(frozen=True)
class FixedPoint:
    """Where a wide network of one (sigma_w2, sigma_b2) settles, all dimensionless.

    ``q_star``   second moment that iteration from q = 1 reaches; 0 if it dies out, inf if it grows without bound, nan if every
                 q is its own fixed point
    ``chi_1``    factor by which a squared gradient grows a layer, at q_star (in the limit q -> inf where that is the end)
    ``c_star``   correlation that two different inputs reach
    ``xi_q``, ``xi_c``   layers over which q and the correlation come closer by a factor e; inf at a critical point
    ``phase``    ordered (chi_1 < 1), critical or chaotic
    ``reason``   in words, why something is 0, inf or nan; empty if all is well
    """

    activation: str
    sigma_w2: float
    sigma_b2: float
    q_star: float
    chi_1: float
    c_star: float
    xi_q: float
    xi_c: float
    phase: str
    reason: str


def fixed_point(activation: str | Activation, sigma_w2: float, sigma_b2: float) -> FixedPoint:
    """The fixed points of the variance map and of the correlation map.

    ``sigma_w2`` = fan_in·Var(w), ``sigma_b2`` = Var(b), both from 0 to 1e6. Raises ``ParamError`` for anything else.
    Accuracy 1e-8, except where the map itself is that flat (within 1e-9 of a critical point).
    """
    record = activation_record(activation)
    return _fixed_point(record, VARIANCES.check("sigma_w2", sigma_w2), VARIANCES.check("sigma_b2", sigma_b2))


@dataclass(frozen=True)
class _Map:
    """The maps of one (activation, sigma_w2, sigma_b2), as functions of x = ln q."""

    activation: Activation
    sigma_w2: float
    sigma_b2: float

    def log_next(self, x):
        """ln q' = ln(sigma_w2 E[f²] + sigma_b2)."""
        return np.logaddexp(_ln(self.sigma_w2) + log_moment(self.activation, x), _ln(self.sigma_b2))

    def growth(self, x):
        """ln(q'/q)."""
        return self.log_next(x) - x

    def share(self, x) -> float:
        """The part of q' that comes from the weights; the bias gives the rest."""
        return math.exp(_ln(self.sigma_w2) + float(log_moment(self.activation, x)) - float(self.log_next(x)))

    def multiplier(self, x) -> float:
        """d ln q' / d ln q, which at a fixed point is dq'/dq."""
        return self.share(x) * float(moment_exponent(self.activation, x))

    def chi(self, x) -> float:
        return self.sigma_w2 * math.exp(float(log_slope(self.activation, x)))

    def correlation(self, x, c) -> float:
        """c' at a fixed point x of the variance map."""
        share = self.share(x)
        return share * correlation_map(self.activation, x, c) + 1 - share

    def chi_at(self, x, c) -> float:
        """sigma_w2 E[f'(u) f'(v)]: dc'/dc at a fixed point of the variance map."""
        return self.chi(x) * slope_correlation(self.activation, x, c)


def _ln(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


@cache
def _scan_moments(activation: Activation) -> np.ndarray:
    return log_moment(activation, _SCAN)


@cache
def _scan_slopes(activation: Activation) -> np.ndarray:
    return log_slope(activation, _SCAN)


def _fixed_point(activation: Activation, sigma_w2: float, sigma_b2: float) -> FixedPoint:
    maps = _Map(activation, sigma_w2, sigma_b2)
    x, reasons = _settle(maps)
    at = min(max(0.0 if math.isnan(x) else x, _SCAN[0]), _SCAN[-1])
    chi = maps.chi(at)
    phase = "critical" if abs(chi - 1) < CRITICAL else "ordered" if chi < 1 else "chaotic"
    xi_q = _xi_q(maps, x, at, reasons)
    c, xi_c = _correlation(maps, x, at, phase, reasons)
    q = math.nan if math.isnan(x) else math.inf if x == math.inf else math.exp(x)
    return FixedPoint(activation.name, sigma_w2, sigma_b2, q, chi, c, xi_q, xi_c, phase, "; ".join(reasons))


def _settle(maps: _Map) -> tuple[float, list[str]]:
    """ln q_star as reached from q = 1, and the reasons: -inf, inf or nan where there is no fixed point above 0.

    E[f²] is continuous in q, so the end of the iteration from 1 is the first fixed point in the direction it sets out.
    """
    growth = np.logaddexp(_ln(maps.sigma_w2) + _scan_moments(maps.activation), _ln(maps.sigma_b2)) - _SCAN
    start = float(maps.growth(0.0))
    if np.abs(growth).max() < FLAT:
        return math.nan, ["every q is a fixed point: each layer keeps the second moment that it is given"]
    if abs(start) < FLAT:
        return 0.0, []
    bottom = float(maps.log_next(-math.inf))
    if start > 0:
        xs, rates = _SCAN[_SCAN >= 0], growth[_SCAN >= 0]
    else:
        xs, rates = _SCAN[_SCAN <= 0][::-1], growth[_SCAN <= 0][::-1]
        if math.isfinite(bottom) and bottom <= xs[-1]:
            xs, rates = np.append(xs, bottom - 1), np.append(rates, maps.growth(bottom - 1))
    turned = np.flatnonzero(rates * start < -FLAT * abs(start))
    if turned.size:
        i = turned[0]
        return _root(maps, *sorted((xs[i - 1], xs[i]))), []
    if start > 0:
        return math.inf, ["no fixed point: the variance grows without bound" + _pace(rates[-1], maps.sigma_b2)]
    return -math.inf, [_death(maps, rates[-1])]


def _pace(rate: float, sigma_b2: float) -> str:
    factor = math.exp(rate)
    if factor >= 1.0005:
        return f" (x{factor:.3g} a layer)"
    return " (by a sum, not by a factor)" if sigma_b2 else f" (x{factor:.5g} a layer)"


def _death(maps: _Map, rate: float) -> str:
    """q_star = 0: by a factor a layer, or by a power law where that factor is 1."""
    if rate < -FLAT:
        return f"the signal dies out: q shrinks to 0 (x{math.exp(rate):.3g} a layer)"
    near, far = (float(maps.growth(x)) for x in (-14.0, -10.0))
    power = round(math.log(far / near) / 4 * 2) / 2  # q' = q (1 - k q^power), hence q = (k·power·l)^(-1/power)
    pace = -near * math.exp(14.0 * power) * power
    exponent = f"^{1 / power:g}" if power != 1 else ""
    return f"power law: at the critical point q decays like 1/({pace:.3g}l){exponent}, not exponentially"


def _root(maps: _Map, low: float, high: float) -> float:
    """The fixed point ln q between two points where the growth rate has different signs: Newton, kept in its bracket."""
    falls = maps.growth(low) > 0
    x = (low + high) / 2
    for _ in range(200):
        rate = float(maps.growth(x))
        if (rate > 0) == falls:
            low = x
        else:
            high = x
        slope = maps.multiplier(x) - 1
        guess = x - rate / slope if slope else math.nan
        step, x = x, guess if low < guess < high else (low + high) / 2
        if abs(x - step) <= 4e-16 * max(1.0, abs(x)) or rate == 0:
            return step if rate == 0 else x
    assert high - low < 1e-12, "bisection halves the bracket 200 times"
    return x


def _xi_q(maps: _Map, x: float, at: float, reasons: list[str]) -> float:
    if x == math.inf:
        return math.nan
    if math.isnan(x):
        return math.inf
    multiplier = math.exp(float(maps.growth(at))) if x == -math.inf else abs(maps.multiplier(x))
    if multiplier > 1 + CRITICAL:
        reasons.append(f"q_star is unstable: a deviation grows x{multiplier:.3g} a layer")
        return math.nan
    return _depth_scale(multiplier)


def _depth_scale(factor: float) -> float:
    """-1/ln(factor): layers to shrink by e."""
    if factor <= 0:
        return 0.0
    return math.inf if factor > 1 - CRITICAL else -1 / math.log(factor)


def _correlation(maps: _Map, x: float, at: float, phase: str, reasons: list[str]) -> tuple[float, float]:
    """c_star and xi_c. c' is a power series in c with no negative coefficient, so it is convex, and 1 is its own image:
    there is a fixed point below 1 exactly when the slope there, chi_1, is above 1."""
    if x == math.inf:
        return math.nan, math.nan
    if x == -math.inf and phase != "chaotic":
        reasons.append("c_star and xi_c are the limits for a vanishing bias")
        return 1.0, _depth_scale(maps.chi(at))
    if phase == "chaotic":
        c = _below_one(maps, at)
        return c, _depth_scale(maps.chi_at(at, c))
    if phase == "ordered":
        return 1.0, _depth_scale(maps.chi(at))
    if abs(maps.correlation(at, 0.5) - 0.5) < CRITICAL:
        reasons.append("every correlation is a fixed point")
        return math.nan, math.inf
    reasons.append("critical: chi_1 = 1, correlations approach 1 by a power law, so xi_c is infinite")
    return 1.0, math.inf


def _below_one(maps: _Map, x: float) -> float:
    """The fixed point in [0, 1) of the convex correlation map: Newton from 0 climbs to it and cannot overshoot."""
    c = 0.0
    for _ in range(100):
        gap = maps.correlation(x, c) - c
        step = gap / (1 - maps.chi_at(x, c))
        if not 0 <= step < 1 - c:  # rounding: the root is reached
            return c
        c += step
        if step < 1e-14:
            return c
    raise AssertionError("Newton on a convex function converges at least by halves")


def q_star(activation: str | Activation, sigma_w2: float, sigma_b2: float) -> float:
    """Second moment of z that a deep network settles at from q = 1; 0, inf or nan as ``fixed_point(…).reason`` says."""
    return fixed_point(activation, sigma_w2, sigma_b2).q_star


def chi_1(activation: str | Activation, sigma_w2: float, sigma_b2: float) -> float:
    """sigma_w2 E[f'(√q_star z)²]: factor of a squared gradient a layer. See ``fixed_point``."""
    return fixed_point(activation, sigma_w2, sigma_b2).chi_1


def c_star(activation: str | Activation, sigma_w2: float, sigma_b2: float) -> float:
    """Correlation that two different inputs end at. See ``fixed_point``."""
    return fixed_point(activation, sigma_w2, sigma_b2).c_star


def xi_q(activation: str | Activation, sigma_w2: float, sigma_b2: float) -> float:
    """Layers in which q comes closer to q_star by a factor e. See ``fixed_point``."""
    return fixed_point(activation, sigma_w2, sigma_b2).xi_q


def xi_c(activation: str | Activation, sigma_w2: float, sigma_b2: float) -> float:
    """Layers in which the correlation comes closer to c_star by a factor e; about 6 of them train. See ``fixed_point``."""
    return fixed_point(activation, sigma_w2, sigma_b2).xi_c


@dataclass(frozen=True)
class CriticalPoint:
    """The point of the line chi_1 = 1 at one ``sigma_b2``: ``sigma_w2`` and ``q_star`` there, nan with the ``reason`` if none."""

    activation: str
    sigma_b2: float
    sigma_w2: float
    q_star: float
    reason: str


def critical_point(activation: str | Activation, sigma_b2: float) -> CriticalPoint:
    """The smallest sigma_w2 at which chi_1 = 1, and the q_star there.

    chi_1 = 1 says sigma_w2 = 1/E[f'²]; with it, q = E[f²]/E[f'²] + sigma_b2 is one equation for q. A solution counts if a
    second moment of 1 flows to it. Raises ``ParamError`` for a bias variance outside 0 to 1e6.
    """
    activation = activation_record(activation)
    sigma_b2 = VARIANCES.check("sigma_b2", sigma_b2)

    def rate(x: float) -> float:
        moment, slope, _ = single_averages(activation, x)
        return float(np.logaddexp(moment - slope, _ln(sigma_b2))) - x

    rates = np.logaddexp(_scan_moments(activation) - _scan_slopes(activation), _ln(sigma_b2)) - _SCAN
    turns = np.flatnonzero(rates[:-1] * rates[1:] < -FLAT**2)
    candidates = [_zero(rate, *_SCAN[i:i + 2].tolist(), *rates[i:i + 2].tolist()) for i in turns]
    candidates += [x for x, r in ((_SCAN[0], rates[0]), (_SCAN[-1], rates[-1])) if abs(r) < CRITICAL]
    found = [_fixed_point(activation, math.exp(-float(log_slope(activation, x))), sigma_b2) for x in candidates]
    found = [point for point in found if point.phase == "critical"]
    if not found:
        return CriticalPoint(activation.name, sigma_b2, math.nan, math.nan,
                             "no critical point: a second moment of 1 never settles where chi_1 = 1")
    best = min(found, key=lambda point: point.sigma_w2)
    return CriticalPoint(activation.name, sigma_b2, best.sigma_w2, best.q_star, best.reason)


def _zero(f: Callable[[float], float], low: float, high: float, at_low: float, at_high: float) -> float:
    """A zero between two points of different sign, to the last bits: regula falsi, where an end that stays twice counts half
    (the Illinois rule)."""
    for _ in range(200):
        x = high - at_high * (high - low) / (at_high - at_low)
        at_x = f(x)
        if at_x == 0 or x in (low, high):
            return x
        if (at_x > 0) == (at_high > 0):
            at_low /= 2
        else:
            low, at_low = high, at_high
        high, at_high = x, at_x
    return high


def critical_sigma_w2(activation: str | Activation, sigma_b2: float) -> float:
    """sigma_w2 at which chi_1 = 1 for this bias variance; nan if there is none. See ``critical_point``."""
    return critical_point(activation, sigma_b2).sigma_w2
