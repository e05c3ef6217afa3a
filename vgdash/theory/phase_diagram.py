"""The plane of weight and bias variances: trainable depth by point, and the initializers as points of it.

Each point (sigma_w2, sigma_b2) = (fan_in·Var(w), Var(b)) has a fixed point of the mean-field maps
(``fixed_points``). Two inputs come closer to their final correlation by a factor e over xi_c layers, and
networks train to a depth of about 6 xi_c: Schoenholz et al. 2017 (arXiv 1611.01232). On the line chi_1 = 1,
the edge of chaos, xi_c is infinite. Named points have their ``trainable_depth``, from their inputs on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from vgdash.activations import ACTIVATIONS, any_activation
from vgdash.initializers import INITIALIZERS, initializer_for
from vgdash.params import Params, integer, real
from vgdash.probe.params import ProbeParams
from vgdash.probe.probe import Probe, probe
from vgdash.records import Record
from vgdash.theory.fixed_points import FixedPoint, critical_line, fixed_point, solve
from vgdash.theory.layerwise import log_weights, propagate_moments
from vgdash.theory.trainable_depth import trainable_depth, trainable_depths

COLUMNS, ROWS, HIGHEST_BIAS = 40, 21, 0.5
WIDEST = (4.0, 8.0, 20.0, 40.0, 80.0, 160.0)  # largest sigma_w2: the first with room beside the line
ROOM = 0.8  # the critical line ends in this part of the width
LINE = 17  # points of the critical line, denser near sigma_b2 = 0, where it bends
STARTS = (0.0, 0.6, 0.95)  # correlations of two inputs in the profile
MEASURED_WIDTH, MEASURED_BATCH, MEASURED_SEEDS = 100, 16, 2  # drawing weights is most of the time of a point


@dataclass(frozen=True)
class PhaseParams(Params):
    """The opened point (``sigma_w2``, ``sigma_b2``) of the plane of an activation, and the layers' fan-in.

    Layers have ``fan_in`` inputs and as many outputs; ``gamma`` multiplies every initializer's weights. The
    profile of the opened point runs over ``depth`` layers.
    """

    activation: str = any_activation("tanh")
    sigma_w2: float = real(1.5, 0.0, 1e4)
    sigma_b2: float = real(0.05, 0.0, HIGHEST_BIAS)
    fan_in: int = integer(256, 1, 2048)
    gamma: float = real(1.0, 0.1, 2.0)
    depth: int = integer(50, 5, 128)


@dataclass(frozen=True, eq=False)
class Plane(Record):
    """The fixed points of one activation over a grid ``(rows, columns)``; read-only arrays, without unit.

    A missing value is nan, as in ``fixed_point``. Without a fixed point the phase is "none", and there are
    only ``q_star`` = inf and ``chi_1``.
    """

    activation: str
    sigma_w2: np.ndarray  # (columns,) evenly spaced, from one step above 0
    sigma_b2: np.ndarray  # (rows,) evenly spaced, from 0
    q_star: np.ndarray  # second moment that iteration from q = 1 reaches, 0 or inf
    chi_1: np.ndarray  # factor of a squared gradient a layer
    c_star: np.ndarray  # correlation that two inputs end at
    xi_c: np.ndarray  # layers to come closer to c_star by e; inf on the edge of chaos
    phase: np.ndarray  # "ordered", "critical", "chaotic" or "none"
    critical_sigma_w2: np.ndarray  # (points,) the line chi_1 = 1; nan where no such point is reached
    critical_sigma_b2: np.ndarray  # (points,)


@dataclass(frozen=True)
class Landmark:
    """An initializer or a framework's default as a point of the plane, with the fixed point there."""

    name: str
    sigma_w2: float
    sigma_b2: float
    at: FixedPoint
    note: str
    depth: float  # layers that train, by ``trainable_depth``


@dataclass(frozen=True, eq=False)
class Profile(Record):
    """Moments by layer at one point; read-only arrays, column l - 1 is layer l. Inputs have E[x²] = 1.

    ``measured``: ``MEASURED_SEEDS`` nets, at most ``MEASURED_WIDTH`` wide, on uncorrelated inputs.
    """

    log10_q: np.ndarray  # (depth,) of E[z²]
    correlation: np.ndarray  # (len(STARTS), depth) of z between two inputs, by their correlation
    measured: Probe


@dataclass(frozen=True, eq=False)
class PhaseMap:
    """The plane, the initializers on it, and the opened point."""

    params: PhaseParams
    plane: Plane
    landmarks: tuple[Landmark, ...]
    opened: FixedPoint
    profile: Profile
    depth: float  # layers that train at the opened point, by ``trainable_depth``

    def frame(self) -> pd.DataFrame:
        """Tabulate the points: the opened one, the initializers, then the grid, without names and depths."""
        named = [("opened", self.opened, self.depth),
                 *((mark.name, mark.at, mark.depth) for mark in self.landmarks)]
        columns = ("sigma_w2", "sigma_b2", "q_star", "chi_1", "c_star", "xi_c", "phase")
        first = pd.DataFrame([{"name": name, **{column: getattr(at, column) for column in columns},
                               "trainable_depth": depth} for name, at, depth in named])
        w, b = np.meshgrid(self.plane.sigma_w2, self.plane.sigma_b2)
        grid = {"sigma_w2": w, "sigma_b2": b} | {name: getattr(self.plane, name) for name in columns[2:]}
        rest = pd.DataFrame({"name": "", **{column: values.ravel() for column, values in grid.items()}})
        return pd.concat([first, rest], ignore_index=True)


def phase_map(p: PhaseParams) -> PhaseMap:
    """Compute the plane of ``p`` and its opened point. Raises nothing: a missing fixed point has a reason."""
    found = profile(p)
    return PhaseMap(p, plane(p.activation), landmarks(p.activation, p.fan_in, p.gamma),
                    fixed_point(p.activation, p.sigma_w2, p.sigma_b2), found,
                    trainable_depth(found.measured.params))


# ---- the initializers on it

NOTES = {"identity": "the identity is not random: only its variance stands here",
         "zeros": "nothing passes zeros",
         "constant": "the constant is not random: only its variance stands here",
         "pytorch_default": "PyTorch: nn.Linear, its bias U(±1/√n)",
         "keras_default": "Keras: Dense, Glorot uniform and bias 0",
         "flax_default": "Flax: Dense, truncated LeCun and bias 0",
         "playground_default": "Playground: its bias, always 0.1, counts as E[b²] = 0.01"}


@lru_cache(maxsize=64)  # of one activation, fan-in and gamma each, 30 kB
def landmarks(activation: str, fan_in: int, gamma: float = 1.0) -> tuple[Landmark, ...]:
    """Place every initializer, with its biases, on layers of ``fan_in`` inputs and outputs.

    sigma_w2 = fan_in·gamma²·Var(w) and sigma_b2 = E[b²], rounded to six digits.
    """
    variances = [(fan_in * gamma**2 * one.variance(fan_in, fan_in), one.bias.square(fan_in))
                 for one in (initializer_for(name, activation) for name in INITIALIZERS)]
    w, b = np.array([[float(f"{value:.6g}") for value in pair] for pair in variances]).T
    found, depths = solve(ACTIVATIONS[activation], w, b), trainable_depths(activation, w, b).tolist()
    return tuple(Landmark(name, w[i].item(), b[i].item(), found.point(i), NOTES.get(name, ""), depths[i])
                 for i, name in enumerate(INITIALIZERS))


# ---- the plane

@lru_cache(maxsize=64)
def plane(activation: str) -> Plane:
    """Compute the grid and the critical line of one activation."""
    record, line_b2 = ACTIVATIONS[activation], HIGHEST_BIAS * np.linspace(0, 1, LINE) ** 2
    line_w2 = np.array([point.sigma_w2 for point in critical_line(record, line_b2)])
    widest = next((w for w in WIDEST if not line_w2[-1] > ROOM * w), WIDEST[-1])
    w2 = np.round(np.arange(1, COLUMNS + 1) * (widest / COLUMNS), 10)
    b2 = np.round(np.arange(ROWS) * (HIGHEST_BIAS / (ROWS - 1)), 10)
    found = solve(record, *(values.ravel() for values in np.meshgrid(w2, b2)))
    phase = np.where(found.log_q == np.inf, "none", found.phase)
    grids = (found.q_star, found.chi_1, found.c_star, found.xi_c, phase)
    arrays = (w2, b2, *(values.reshape(ROWS, COLUMNS) for values in grids), line_w2, line_b2)
    return Plane(activation, *arrays)


# ---- the opened point

def profile(p: PhaseParams) -> Profile:
    """Predict q and correlations by layer at the opened point, and measure real nets there."""
    # lecun_normal's variance is 1/fan_in, so gamma = √sigma_w2 puts nets at the opened point
    nets = ProbeParams.uniform(p.depth, min(p.fan_in, MEASURED_WIDTH), p.activation, "lecun_normal",
                               gamma=math.sqrt(p.sigma_w2), sigma_b2=p.sigma_b2,
                               batch=MEASURED_BATCH, seeds=MEASURED_SEEDS)
    forward = propagate_moments(nets, log_weights(nets), np.array(STARTS))
    return Profile(forward.log_q[0] / math.log(10), forward.correlation, probe(nets))
