"""Gradient descent on a linear chain: the number of steps until the loss is small, against depth.

y = w[L] … w[1] x with equal weights at the start, x = 1, loss (y - target)²/2. All weights have the same
gradient (y - target) w^(L-1), so they stay equal and one number w describes the whole chain:

    w  <-  w - learning_rate · (w^L - target) · w^(L-1)

A small w makes w^(L-1) vanish and learning takes ages; with a large w the first step throws the weights away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vgdash.params import ParamError, Params, integer, real
from vgdash.records import Record

OUTCOMES = {
    "reached": "learned",
    "capped": "not there",
    "frozen": "stuck, because each step is too small to change a float64 weight",
    "diverged": "exploded",
}
MAX_WORK = 5_000_000  # depths times steps, about half a second
BLOCK = 64  # steps between two tests of which chains have ended
FLOW_POINTS = 200  # of the midpoint rule for the smooth part of the flow time: a relative error below 1e-3


@dataclass(frozen=True)
class DescentParams(Params):
    """Gradient descent on chains of 1 to ``depth`` layers, each weight starting at ``factor``.

    A chain has learned when its loss is at most ``tolerance`` times target²/2, the loss of an output of zero:
    at 0.01 the output is within 10 % of ``target``. ``cap``: the largest number of steps.
    """

    factor: float = real(0.5, 0.01, 10)
    depth: int = integer(30, 1, 1000)
    learning_rate: float = real(0.01, 1e-6, 10)
    target: float = real(1.0, 0.01, 100)
    tolerance: float = real(0.01, 1e-6, 0.25)
    cap: int = integer(4_000, 1, 100_000)

    def consistent(self):
        if self.depth * self.cap > MAX_WORK:
            raise ParamError("cap", f"at most {MAX_WORK // self.depth:,} at depth {self.depth:,}", self.cap,
                             "Take fewer steps or fewer layers.")


@dataclass(frozen=True, eq=False)
class Descent(Record):
    """Steps and outcome of chains of 1, 2 … depth layers; every array is ``(depth,)``.

    depths            number of layers
    steps             steps to the tolerance (reached), to the cap (capped), to the standstill (frozen), or to
                      an output or loss that is not finite (diverged; 0: at the start)
    outcome           a key of ``OUTCOMES``, which has the reason in words
    log10_first_step  log10 of |first change of a weight| / |weight|; -inf if the chain starts at its target
    log10_flow_steps  log10 of the steps of gradient flow, the limit of small learning rates, without cap;
                      -inf if it has learned at the start; below 0, descent overshoots instead
    """

    params: DescentParams
    depths: np.ndarray
    steps: np.ndarray
    outcome: np.ndarray
    log10_first_step: np.ndarray
    log10_flow_steps: np.ndarray

    @property
    def reached(self) -> np.ndarray:
        return self.outcome == "reached"

    def frame(self) -> pd.DataFrame:
        """Return a table, one row per depth: depth, steps, outcome, log10_first_step, log10_flow_steps."""
        columns = ("steps", "outcome", "log10_first_step", "log10_flow_steps")
        return pd.DataFrame({"depth": self.depths, **{name: getattr(self, name) for name in columns}})


def descent(p: DescentParams) -> Descent:
    """Run plain gradient descent on all weights of every chain, up to ``p.cap`` steps; add its flow limit."""
    depths = np.arange(1, p.depth + 1)
    steps, outcome = _descend(p, depths)
    return Descent(p, depths, steps, outcome, _log10_first_step(p, depths), _log10_flow_steps(p, depths))


def _descend(p: DescentParams, depths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and outcome of every depth. Blocks of steps are searched for ends of chains."""
    steps = np.full(len(depths), p.cap)
    outcome = np.full(len(depths), "capped", dtype="<U8")
    going, weights = np.arange(len(depths)), np.full(len(depths), p.factor)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for done in range(0, p.cap + 1, BLOCK):
            path, residuals = _block(p, depths[going], weights, min(BLOCK, p.cap + 1 - done))
            ends = {
                "reached": np.abs(residuals) <= math.sqrt(p.tolerance) * p.target,
                "diverged": ~np.isfinite(residuals * residuals),
                "frozen": path[1:] == path[:-1],
            }
            ended = np.logical_or.reduce(list(ends.values()))
            first, over = ended.argmax(axis=0), ended.any(axis=0)
            steps[going[over]] = done + first[over]
            for name in reversed(ends):
                outcome[going[over & ends[name][first, np.arange(len(going))]]] = name
            going, weights = going[~over], path[-1, ~over]
            if not going.size:
                break
    return steps, outcome


def _block(p: DescentParams, depths: np.ndarray, weights: np.ndarray,
           count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of ``count`` steps, ``(count + 1, chains)``, and y - target before each step."""
    path, residuals = np.empty((count + 1, len(depths))), np.empty((count, len(depths)))
    path[0], exponents = weights, depths - 1.0
    for weight, after, residual in zip(path[:-1], path[1:], residuals, strict=True):
        slope = np.power(weight, exponents)
        np.multiply(slope, weight, out=residual)
        residual -= p.target
        slope *= residual
        slope *= p.learning_rate
        np.subtract(weight, slope, out=after)
    return path, residuals


def _log10_first_step(p: DescentParams, depths: np.ndarray) -> np.ndarray:
    """Return log10 of learning_rate · |y - target| · w^(L-2), for y = w^L far beyond the range of float64."""
    log_output, log_target = depths * math.log(p.factor), math.log(p.target)
    with np.errstate(divide="ignore"):
        log_share = np.log(-np.expm1(-np.abs(log_output - log_target)))
    log_residual = np.maximum(log_output, log_target) + log_share
    return (math.log(p.learning_rate) + log_residual + (depths - 2) * math.log(p.factor)) / math.log(10)


def _log10_flow_steps(p: DescentParams, depths: np.ndarray) -> np.ndarray:
    """Return log10 of the time of dw/dt = -(w^L - target) w^(L-1), in units of the learning rate.

    With u = y/target it is target^(2/L-2)/(learning_rate L) ∫ u^(2/L-2)/|1-u| du from the start to the
    tolerance; from above, u -> 1/u gives ∫ z^(1-2/L)/(1-z) dz. Source: Saxe et al. 2014 (arXiv 1312.6120).
    """
    log_start = depths * math.log(p.factor) - math.log(p.target)
    below = log_start < 0
    edge = math.sqrt(p.tolerance)
    log_end = np.where(below, math.log1p(-edge), -math.log1p(edge))
    log_start = -np.abs(log_start)
    power = np.where(below, 2 / depths - 2, 1 - 2 / depths)
    log_time = np.full(len(depths), -np.inf)
    far = log_start < log_end
    log_time[far] = _log_integral(power[far], log_start[far], log_end[far])
    scale = (2 / depths - 2) * math.log(p.target) - math.log(p.learning_rate) - np.log(depths)
    return (log_time + scale) / math.log(10)


def _log_integral(power: np.ndarray, log_start: np.ndarray, log_end: np.ndarray) -> np.ndarray:
    """Return log of ∫ u^b/(1-u) du, b >= -2, u < 1: of u^b + u^(b+1) exactly, of the rest by midpoints."""
    parts = [_log_power_integral(power + k, log_start, log_end) for k in (1, 2)]
    # u^(b+2)/(1-u) du = u^(b+2) dv with v = -log(1-u): bounded and smooth
    start, end = -np.log1p(-np.exp(log_start)), -np.log1p(-np.exp(log_end))
    middles = (np.arange(FLOW_POINTS) + 0.5) / FLOW_POINTS
    v = start[:, None] + (end - start)[:, None] * middles
    rest = (end - start) * ((-np.expm1(-v)) ** (power + 2)[:, None]).mean(axis=1)
    with np.errstate(divide="ignore"):  # the start may be the end, but for rounding
        return np.logaddexp(np.logaddexp(*parts), np.log(rest))


def _log_power_integral(m: np.ndarray, log_start: np.ndarray, log_end: np.ndarray) -> np.ndarray:
    """Return log of ∫ u^(m-1) du, which is (end^m - start^m)/m, or log(end/start) at m = 0."""
    width = log_end - log_start
    size = np.where(m == 0, 1.0, np.abs(m))
    spread = np.where(m == 0, width, -np.expm1(-size * width) / size)
    return np.maximum(m * log_start, m * log_end) + np.log(spread)
