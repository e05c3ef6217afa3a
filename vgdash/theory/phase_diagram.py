"""The plane of weight and bias variances: over how many layers a network remembers, and where the initializers stand on it.

Each point (sigma_w2, sigma_b2) = (fan_in·Var(w), Var(b)) has a fixed point of the mean-field maps (``fixed_points``). Two inputs
come closer to their final correlation by a factor e over xi_c layers, and networks train to a depth of about 6 xi_c: Schoenholz
et al. 2017 (arXiv 1611.01232). On the line chi_1 = 1, the edge of chaos, xi_c is infinite.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import pandas as pd

from vgdash import bounds
from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.params import Params, choice, integer, real
from vgdash.probe.probe import Probe, ProbeParams, probe
from vgdash.quadrature import MASSES, NODES, QUICK, pair_mean, pair_nodes
from vgdash.theory.fixed_points import CRITICAL, FLAT, FixedPoint, critical_sigma_w2, fixed_point
from vgdash.theory.maps import log_moment, log_slope, moment_exponent
from vgdash.theory.tabulated import cosine_map, single_averages

__all__ = ["STARTS", "Landmark", "PhaseMap", "PhaseParams", "Plane", "Profile", "landmarks", "phase_map", "plane", "profile",
           "trainable_depth"]

TRAINABLE = 6.0  # "trainable to about 6 xi_c": Schoenholz et al. 2017, their figure 5
COLUMNS, ROWS, HIGHEST_BIAS = 40, 21, 0.5
WIDEST = (4.0, 8.0, 20.0, 40.0, 80.0, 160.0)  # sigma_w2 at the right edge of the plane: the first that leaves room beside the line
ROOM = 0.8  # the critical line ends in this part of the width
LINE = 17  # points of the critical line, denser near sigma_b2 = 0, where it bends
SCAN = np.arange(139) / 2  # steps of ln q away from q = 1, up to q = 1e30 and down to 1e-30
TOGETHER = 32  # points of the plane whose correlations are found at once: their nodes fit into the cache
STARTS = (0.0, 0.6, 0.95)  # correlations of two inputs whose course is followed
STILL = 1e-14  # a layer that moves neither ln q nor a correlation by more than this passes on what it received
MEASURED_WIDTH, MEASURED_BATCH, MEASURED_SEEDS = 100, 16, 2  # drawing the weights is most of what another point costs


@dataclass(frozen=True)
class PhaseParams(Params):
    """The opened point (``sigma_w2``, ``sigma_b2``) of the plane of one ``activation``, and what places the initializers on it.

    Layers have ``fan_in`` inputs and as many outputs; ``gamma`` multiplies every initializer's weights. The profile of the opened
    point runs over ``depth`` layers.
    """

    activation: str = choice("tanh", ACTIVATIONS)
    sigma_w2: float = real(1.5, 0.0, 1e4)
    sigma_b2: float = real(0.05, 0.0, HIGHEST_BIAS)
    fan_in: int = integer(256, 1, 2048)
    gamma: float = real(1.0, 0.1, 2.0)
    depth: int = integer(50, 5, 128)


@dataclass(frozen=True, eq=False)
class Plane:
    """The fixed points of one activation over a grid; read-only arrays, without unit.

    What a grid point does not have is nan, as ``fixed_point`` says: without a fixed point, its phase is "none", there are only
    ``q_star`` = inf and ``chi_1``.
    """

    activation: str
    sigma_w2: np.ndarray  # (columns,) evenly spaced, from one step above 0
    sigma_b2: np.ndarray  # (rows,) evenly spaced, from 0
    q_star: np.ndarray  # (rows, columns) second moment that iteration from q = 1 reaches, 0 or inf
    chi_1: np.ndarray  # (rows, columns) factor of a squared gradient a layer
    c_star: np.ndarray  # (rows, columns) correlation that two inputs end at
    xi_c: np.ndarray  # (rows, columns) layers in which the correlation comes closer to c_star by e; inf on the edge of chaos
    phase: np.ndarray  # (rows, columns) "ordered", "critical", "chaotic" or "none"
    critical_sigma_w2: np.ndarray  # (points,) the line chi_1 = 1; nan where no such point is reached
    critical_sigma_b2: np.ndarray  # (points,)


@dataclass(frozen=True)
class Landmark:
    """An initializer or a framework's default as a point of the plane, with the fixed point there and, if need be, a ``note``."""

    name: str
    sigma_w2: float
    sigma_b2: float
    at: FixedPoint
    note: str


@dataclass(frozen=True, eq=False)
class Profile:
    """What the layers do at one point; read-only arrays, column l - 1 is layer l. Inputs have E[x²] = 1.

    Measured are ``MEASURED_SEEDS`` nets, at most ``MEASURED_WIDTH`` wide, on uncorrelated inputs.
    """

    log10_q: np.ndarray  # (depth,) of E[z²]
    correlation: np.ndarray  # (len(STARTS), depth) of z between two inputs that start with the correlations STARTS
    measured: Probe


@dataclass(frozen=True, eq=False)
class PhaseMap:
    """The plane, the initializers on it, and the opened point."""

    params: PhaseParams
    plane: Plane
    landmarks: tuple[Landmark, ...]
    opened: FixedPoint
    profile: Profile

    def frame(self) -> pd.DataFrame:
        """One row a point: the opened one, the initializers, then the grid (without a name)."""
        named = [("opened", self.opened), *((mark.name, mark.at) for mark in self.landmarks)]
        columns = ("sigma_w2", "sigma_b2", "q_star", "chi_1", "c_star", "xi_c", "phase")
        first = pd.DataFrame([{"name": name, **{column: getattr(at, column) for column in columns}} for name, at in named])
        w, b = np.meshgrid(self.plane.sigma_w2, self.plane.sigma_b2)
        grid = {"sigma_w2": w, "sigma_b2": b, **{column: getattr(self.plane, column) for column in columns[2:]}}
        rest = pd.DataFrame({"name": "", **{column: values.ravel() for column, values in grid.items()}})
        return pd.concat([first, rest], ignore_index=True).assign(trainable_depth=lambda table: TRAINABLE * table.xi_c)


def phase_map(p: PhaseParams) -> PhaseMap:
    """Everything about the plane of ``p`` and its opened point. Raises nothing: what has no fixed point says so."""
    return PhaseMap(p, plane(p.activation), landmarks(p.activation, p.fan_in, p.gamma),
                    fixed_point(p.activation, p.sigma_w2, p.sigma_b2), profile(p))


def trainable_depth(xi_c: float) -> float:
    """About how many layers train: 6 xi_c (Schoenholz et al. 2017)."""
    return TRAINABLE * xi_c


# ---- the initializers on it

def _pytorch_bias(fan_in: int) -> float:
    return 1 / (3 * fan_in)


def _playground_bias(fan_in: int) -> float:
    return 0.1**2


# name -> (initializer, Var(b) of fan_in, note). PyTorch: nn.Linear.reset_parameters, bias U(±1/√fan_in). Keras: Dense, bias 0.
# Playground: `bias = 0.1` in its nn.ts.
DEFAULTS = {
    "pytorch_default": ("pytorch_default", _pytorch_bias, "PyTorch: nn.Linear, its bias U(±1/√fan_in)"),
    "keras_default": ("glorot_uniform", lambda fan_in: 0.0, "Keras: Dense, glorot_uniform and bias 0"),
    "playground_default": ("playground_default", _playground_bias, "Playground: its bias, always 0.1, counts as E[b²] = 0.01"),
}
NOTES = {"identity": "the identity is not random: only its variance stands here", "zeros": "nothing passes zeros"}


@lru_cache(bounds.LANDMARKS.entries)
def landmarks(activation: str, fan_in: int, gamma: float = 1.0) -> tuple[Landmark, ...]:
    """Every initializer and framework default on layers of ``fan_in`` inputs and outputs, weights times ``gamma``.

    sigma_w2 = fan_in·gamma²·Var(w), rounded to six digits; biases are 0 unless a framework's default has others.
    """
    plain = {name: (name, lambda fan_in: 0.0, NOTES.get(name, "")) for name in INITIALIZERS}
    found = []
    for name, (initializer, bias, note) in {**plain, **DEFAULTS}.items():
        sigma_w2 = fan_in * gamma**2 * INITIALIZERS[initializer].variance(fan_in, fan_in)
        w, b = float(f"{sigma_w2:.6g}"), float(f"{bias(fan_in):.6g}")
        found.append(Landmark(name, w, b, fixed_point(activation, w, b), note))
    return tuple(found)


# ---- the plane

def plane(activation: str) -> Plane:
    """The grid and the critical line of one activation, computed once and by one thread. Rates 1/xi_c are exact to about 2e-4."""
    with _computing:
        return _plane(activation)


_computing = threading.Lock()


@cache
def _plane(activation: str) -> Plane:
    line_b2 = HIGHEST_BIAS * np.linspace(0, 1, LINE) ** 2
    line_w2 = np.array([critical_sigma_w2(activation, b) for b in line_b2])
    widest = next((w for w in WIDEST if not line_w2[-1] > ROOM * w), WIDEST[-1])
    w2 = np.round(np.arange(1, COLUMNS + 1) * (widest / COLUMNS), 10)
    b2 = np.round(np.arange(ROWS) * (HIGHEST_BIAS / (ROWS - 1)), 10)
    w, b = (values.ravel() for values in np.meshgrid(w2, b2))
    with np.errstate(divide="ignore"):
        log_w, log_b = np.log(w), np.log(b)
    x = _settled(activation, log_w, log_b)
    at = np.clip(x, -SCAN[-1], SCAN[-1])
    chi = w * np.exp(log_slope(activation, at))
    phase = np.select([x == np.inf, np.abs(chi - 1) < CRITICAL, chi < 1], ["none", "critical", "ordered"], "chaotic")
    c, xi = np.select([phase == "none"], [np.nan], np.ones_like(x)), np.full_like(x, np.nan)
    ordered, chaotic = phase == "ordered", np.flatnonzero(phase == "chaotic")
    xi[ordered], xi[phase == "critical"] = -1 / np.log(chi[ordered]), np.inf
    chaotic = chaotic[np.argsort(x[chaotic])]
    for start in range(0, len(chaotic), TOGETHER):
        some = chaotic[start:start + TOGETHER]
        c[some], slope = _below_one(activation, log_w[some], log_b[some], at[some], chi[some])
        xi[some] = -1 / np.log(slope)
    grids = (values.reshape(ROWS, COLUMNS) for values in (np.exp(x), chi, c, xi, phase))
    return Plane(activation, *(_frozen(values) for values in (w2, b2, *grids, line_w2, line_b2)))


def _frozen(values: np.ndarray) -> np.ndarray:
    values.flags.writeable = False
    return values


def _settled(activation: str, log_w: np.ndarray, log_b: np.ndarray) -> np.ndarray:
    """ln q_star as reached from q = 1 for each point ``(points,)``; ±inf where iteration runs away.

    The end of the iteration is the first fixed point in the direction that it sets out in: one scan brackets it, Newton's steps
    that stay in the bracket find it.
    """
    def growth(scan):
        return np.logaddexp(log_w[:, None] + log_moment(activation, scan), log_b[:, None]) - scan

    start = growth(np.zeros(1))[:, 0]
    up = start > 0
    course = np.where(up[:, None], growth(SCAN), growth(-SCAN))
    turned = np.where(up[:, None], course, -course) < -FLAT
    at_once = np.abs(start) < FLAT
    x = np.where(at_once, 0.0, np.where(up, np.inf, -np.inf))
    inside = np.flatnonzero(turned.any(axis=1) & ~at_once)
    step = turned[inside].argmax(axis=1)
    sign = np.where(up[inside], 1.0, -1.0)
    ends = np.sort([sign * SCAN[step - 1], sign * SCAN[step]], axis=0)
    x[inside] = _roots(activation, log_w[inside], log_b[inside], *ends)
    return x


def _roots(activation: str, log_w: np.ndarray, log_b: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Where ln q' - ln q falls through 0 between ``low`` and ``high``, each ``(points,)``; both are overwritten."""
    x, left = (low + high) / 2, np.arange(len(low))
    for _ in range(60):
        at, signal = x[left], log_w[left] + log_moment(activation, x[left])
        log_next = np.logaddexp(signal, log_b[left])
        rate, slope = log_next - at, np.exp(signal - log_next) * moment_exponent(activation, at) - 1
        low[left], high[left] = np.where(rate > 0, at, low[left]), np.where(rate > 0, high[left], at)
        with np.errstate(divide="ignore", invalid="ignore"):
            guess = at - rate / slope
        x[left] = np.where((guess >= low[left]) & (guess <= high[left]), guess, (low[left] + high[left]) / 2)
        left = left[np.abs(x[left] - at) > 1e-9]
        if not len(left):
            break
    return x


def _below_one(activation: str, log_w: np.ndarray, log_b: np.ndarray, x: np.ndarray, chi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """c_star of chaotic points ``(points,)``, and the slope of the correlation map there.

    The map is convex and 1 is its own image, so Newton's steps from 0 climb to the fixed point below 1 and cannot overshoot.
    """
    record, scale = ACTIVATIONS[activation], np.exp(x / 2)
    alone = np.multiply.outer(scale, NODES)
    moment, slope2 = record.f(alone) ** 2 @ MASSES, record.df(alone) ** 2 @ MASSES
    share = np.exp(log_w + np.log(moment) - np.logaddexp(log_w + np.log(moment), log_b))
    c = np.zeros_like(x)
    for _ in range(100):
        u, v, *weights = pair_nodes(c, scale, QUICK)
        mapped = share * pair_mean(record.f(u) * record.f(v), *weights) / moment + 1 - share
        slope = chi * pair_mean(record.df(u) * record.df(v), *weights) / slope2
        step = (mapped - c) / (1 - slope)
        step = np.where((step >= 0) & (step < 1 - c), step, 0.0)  # rounding: the root is reached
        c = c + step
        if step.max() < 1e-7:
            break
    return c, slope


# ---- the opened point

def profile(p: PhaseParams) -> Profile:
    """q and the correlation of two inputs by layer at the opened point: predicted for ``STARTS``, measured from correlation 0."""
    log_q, correlation = np.full(p.depth, -np.inf), np.full((len(STARTS), p.depth), np.nan)
    log_w, log_b = (math.log(value) if value > 0 else -math.inf for value in (p.sigma_w2, p.sigma_b2))
    activation = ACTIVATIONS[p.activation]
    x, log_signal, passed = -math.inf, log_w, np.array(STARTS)
    for layer in range(p.depth):
        before, x = x, float(np.logaddexp(log_signal, log_b))
        if x == -math.inf:
            break
        share = math.exp(log_signal - x)
        c = np.minimum(share * passed + 1 - share, 1.0)  # rounding could lift it above
        log_q[layer], correlation[:, layer] = x, c
        if layer and abs(x - before) < STILL and np.abs(c - correlation[:, layer - 1]).max() < STILL:
            log_q[layer:], correlation[:, layer:] = x, c[:, None]
            break
        log_signal = log_w + single_averages(activation, x)[0]
        passed = np.array([*map(cosine_map(activation, x), c.tolist())])
    return Profile(_frozen(log_q / math.log(10)), _frozen(correlation), _measured(p))


def _measured(p: PhaseParams) -> Probe:
    """Real nets at the opened point: lecun_normal's variance is 1/fan_in, so gamma = √sigma_w2 puts it there."""
    return probe(ProbeParams.uniform(p.depth, min(p.fan_in, MEASURED_WIDTH), p.activation, "lecun_normal", gamma=math.sqrt(p.sigma_w2),
                                     sigma_b2=p.sigma_b2, batch=MEASURED_BATCH, seeds=MEASURED_SEEDS))
