"""Recommended initializer and gamma: the drift of every candidate over the layers, computed and ranked.

Forward a layer multiplies E[z²] by fan_in w E[f²]/q, backward E[δ²] by fan_out w E[f'²]. A net is healthy if
neither product strays far from 1 in any layer. Where widths differ, one Var(w) gives two products, but they
differ only by the ratio of the outermost widths, whatever the depth: either is enough (He et al. 2015, arXiv
1502.01852, section 2.2). So each direction is judged by the mean over the units or by the sum, whichever is
steadier.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pandas as pd

from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.probe.params import ProbeParams
from vgdash.probe.probe import probe
from vgdash.records import Record
from vgdash.theory.averages import log_moment, log_slope
from vgdash.theory.layerwise import Prediction, bias_moments, log_weights, predict, second_moments

STEADY = 1.0  # decades that E[z²] or E[δ²] may move over all layers in a steady net
TUNING_COST = 1.2  # decades that a gamma must save to be worth a hyperparameter: a factor 4 of the rms
EQUAL = 0.01  # decades below which two drifts count as equal
TUNED = "lecun_normal"  # the Gaussian whose gamma is tuned: its gamma² is sigma_w2
GAMMAS = np.geomspace(0.05, 50.0, 145)  # 5 % steps, then 0.1 % steps between the neighbours of the best
MEASURED_BATCH = 16  # inputs, where there is no theory and one net is measured
SMALL_BATCH = 3  # inputs, up to which the gradient through batch normalization has no mean
LARGE_BATCH = 64  # inputs, taken instead
UNSTABLE = 3.0  # decades of scatter beyond which a theory of first order in 1/width gives no number
SATURATED = 0.25  # share of saturated units from which the explanation mentions it
LN10 = math.log(10)


class Drift(NamedTuple):
    """Change of log10 of a mean square over the layers, in decades."""

    forward: float  # log10 E[z²] at the last layer minus the first
    backward: float  # log10 E[δ²] at the first layer minus the last
    worst: float  # largest difference between two layers, of means or of sums over the units; inf if one is 0


@dataclass(frozen=True, eq=False)
class Recommendation(Record):
    """Choice with the smallest worst drift among all initializers and one tuned gamma; drifts in decades.

    ``scatter``: half the width of the interval that holds 19 of 20 random nets, the larger one of the two
    directions; nan where there is no finite-width theory.
    """

    params: ProbeParams  # the net as it is
    choice: ProbeParams  # the same net with the recommended initializer, gamma and sigma_b2
    drift: Drift  # of the choice
    scatter: float
    present: Drift
    present_scatter: float
    measured: bool  # the present drift comes from one measured net, because there is no theory for it
    why: tuple[str, ...]  # short sentences
    names: tuple[str, ...]  # of the ranking: initializers, best first, and the tuned one
    gammas: np.ndarray  # (candidates,)
    sigma_b2: np.ndarray  # (candidates,)
    drifts: np.ndarray  # (candidates, 3): forward, backward, worst

    @property
    def initializer(self) -> str:
        return self.choice.initializer

    @property
    def gamma(self) -> float:
        return self.choice.gamma

    @property
    def change(self) -> bool:
        """Test if the choice differs from the net as it is."""
        return self.choice != self.params

    @property
    def steady(self) -> bool:
        """Test if the choice moves by at most a factor ten over all layers, forward and backward."""
        return self.drift.worst <= STEADY

    def frame(self) -> pd.DataFrame:
        """One row a candidate, best first: initializer, gamma, sigma_b2, and the drift (decades)."""
        return pd.DataFrame({"initializer": self.names, "gamma": self.gammas, "sigma_b2": self.sigma_b2,
                             **dict(zip(Drift._fields, self.drifts.T, strict=True))})


def recommend(p: ProbeParams) -> Recommendation:
    """Find the initializer, gamma and bias variance that keep signal and gradient steadiest in theory.

    Candidates: every initializer at gamma 1 without bias, and Gaussian weights with the gamma, from 0.05 to
    50, that minimizes the worst drift, with and without the present bias. The net stays as it is if nothing
    is better by 0.01 decades; a tuned gamma must save 1.2. The identity has no theory and is not ranked; a
    net that has it is measured.
    """
    present, measured = _present_drift(p)
    named = sorted(_named_candidates(p), key=_rank)
    tuned = _tuned_candidates(p)
    choice, drift = _choose((p, present), named[0], tuned)
    theory = _theory(choice) if choice.initializer != "identity" else None
    scatter = _scatter(theory)
    present_scatter = scatter if choice == p else math.nan if measured else _scatter(_theory(p))
    sets, drifts = zip(*sorted([*named, *tuned], key=_rank), strict=True)
    return Recommendation(p, choice, drift, scatter, present, present_scatter, measured,
                          _explain(p, present, choice, drift, named, theory, scatter),
                          tuple(c.initializer for c in sets), np.array([c.gamma for c in sets]),
                          np.array([c.sigma_b2 for c in sets]), np.array(drifts))


# ---- candidates

Candidate = tuple[ProbeParams, Drift]


def _rank(candidate: Candidate) -> tuple[float, float]:
    """Sorting key, smallest first: the worst drift, then the first layer's change of a unit second moment."""
    p, drift = candidate
    first = p.gamma**2 * p.widths[0] * INITIALIZERS[p.initializer].variance(*p.widths[:2])
    first += p.biases[0].square(p.widths[0])
    return float(np.round(drift.worst / EQUAL)), abs(math.log(first)) if first > 0 else math.inf


def _choose(present: Candidate, named: Candidate, tuned: list[Candidate]) -> Candidate:
    best = named
    for candidate in tuned:
        if candidate[1].worst < best[1].worst - TUNING_COST:
            best = candidate
    saved = present[1].worst - best[1].worst  # nan where both are infinite
    return best if saved > (EQUAL if best is named else TUNING_COST) else present


def _named_candidates(p: ProbeParams) -> list[Candidate]:
    candidates = [replace(p, initializer=name, gamma=1.0, sigma_b2=0.0)
                  for name in INITIALIZERS if name != "identity"]
    return list(zip(candidates, _drifts(candidates), strict=True))


def _tuned_candidates(p: ProbeParams) -> list[Candidate]:
    """Gaussian weights with their best gamma, without bias and with the present one."""
    if p.normalization == "batch":  # it divides any scale out again
        return []
    return [_best_gamma(p, bias) for bias in sorted({0.0, p.sigma_b2})]


def _best_gamma(p: ProbeParams, sigma_b2: float) -> Candidate:
    plain = replace(p, initializer=TUNED, gamma=1.0, sigma_b2=sigma_b2)
    gammas, best = GAMMAS, 1.0
    for _ in range(2):
        log_w = log_weights(plain) + 2 * np.log(gammas)[:, None]
        at = int(np.argmin(_worst(p, *second_moments(plain, log_w))))
        best = float(f"{gammas[at]:.4g}")
        gammas = np.geomspace(gammas[max(at - 1, 0)], gammas[min(at + 1, len(gammas) - 1)], 101)
    tuned = replace(plain, gamma=best)
    return tuned, _drifts([tuned])[0]


def _worst(p: ProbeParams, log_q: np.ndarray, log_grad2: np.ndarray) -> np.ndarray:
    """The larger spread of signal and gradient, by candidate; inf where one is not finite."""
    spread = np.full(len(log_q), math.inf)
    there = np.isfinite(log_q).all(axis=1) & np.isfinite(log_grad2).all(axis=1)
    spread[there] = np.maximum(*(_spread(p, logs[there]) for logs in (log_q, log_grad2)))
    return spread


def _spread(p: ProbeParams, logs: np.ndarray) -> np.ndarray:
    """Largest difference between two layers (last axis) of mean squares, or of their sums over the units."""
    return np.minimum(np.ptp(logs, axis=-1), np.ptp(logs + np.log(p.widths[1:]), axis=-1))


def _drifts(candidates: list[ProbeParams]) -> list[Drift]:
    """Drifts of parameter sets that differ in initializer, gamma and biases only."""
    p = candidates[0]
    log_w = np.array([log_weights(candidate) for candidate in candidates])
    if p.normalization != "batch":
        biases = np.stack([bias_moments(candidate) for candidate in candidates], axis=1)
        return [_drift(p, q, g) for q, g in zip(*second_moments(p, log_w, biases), strict=True)]
    found: dict[bytes, Drift] = {}  # initializers of one variance share their mean field
    for candidate, row in zip(candidates, log_w, strict=True):
        if (key := row.tobytes()) not in found:
            found[key] = _predicted_drift(_theory(candidate))
    return [found[row.tobytes()] for row in log_w]


def _present_drift(p: ProbeParams) -> tuple[Drift, bool]:
    """Drift of the net as it is, and True if it had to be measured."""
    if p.initializer != "identity":
        return _drifts([p])[0], False
    found = probe(replace(p, seeds=1, batch=min(p.batch, MEASURED_BATCH)))
    with np.errstate(divide="ignore"):
        return _drift(p, np.log(found.q[0]), np.log(found.grad2[0])), True


def _theory(p: ProbeParams) -> Prediction:
    small = p.normalization == "batch" and p.batch <= SMALL_BATCH
    return predict(replace(p, batch=LARGE_BATCH) if small else p)


def _scatter(theory: Prediction | None) -> float:
    if theory is None:
        return math.nan
    variance = max(theory.band_q.variance[-1], theory.band_grad2.variance[0])
    return NormalDist().inv_cdf(0.975) * math.sqrt(variance) / LN10 if variance >= 0 else math.nan


def _predicted_drift(theory: Prediction) -> Drift:
    return _drift(theory.params, theory.log10_q * LN10, theory.log10_grad2 * LN10)


def _drift(p: ProbeParams, log_q: np.ndarray, log_grad2: np.ndarray) -> Drift:
    if not (np.isfinite(log_q).all() and np.isfinite(log_grad2).all()):
        changes = np.array([_change(log_q), _change(log_grad2[::-1])]) / LN10
        return Drift(*np.where(np.isnan(changes), -math.inf, changes).tolist(), math.inf)
    return Drift(float(log_q[-1] - log_q[0]) / LN10, float(log_grad2[0] - log_grad2[-1]) / LN10,
                 float(max(_spread(p, log_q), _spread(p, log_grad2))) / LN10)


def _change(values: np.ndarray) -> float:
    """Last minus first; the first where it is infinite."""
    return values[-1] - values[0] if np.isfinite(values[0]) else values[0]


# ---- words

def _explain(p: ProbeParams, present: Drift, choice: ProbeParams, drift: Drift, named: list[Candidate],
             theory: Prediction | None, scatter: float) -> tuple[str, ...]:
    """Short sentences: both drifts, their cause, what the choice costs, and what it does not solve."""
    said = [f"{_name(p)}: {_describe(present, p.depth)}."]
    said += ([f"{_name(choice)}: {_describe(drift, p.depth)}."] if choice != p else
             ["Nothing else here is clearly better: leave it."])
    if p.normalization == "batch" and p.batch <= SMALL_BATCH:
        said.append(f"These are the factors of large batches: "
                    f"with {p.batch} inputs the gradient has no mean, and no theory.")
    if p.normalization == "none" and p.residual == "none" and p.rescale == "none":
        said.append(_explain_gains(p))
    if choice.gamma != 1 and named[0][1].worst > STEADY:
        best, best_drift = named[0]
        said.append(f"No named initializer is steady here: the best, {_name(best)}, "
                    f"{_describe(best_drift, p.depth)}.")
    if drift.worst > STEADY:
        others = ["another activation", *(["skip connections"] if p.residual == "none" else []),
                  *(["normalization"] if p.normalization == "none" else [])]
        said.append("Not even the best choice is steady: "
                    f"take {', '.join(['fewer layers', *others[:-1]])} or {others[-1]}.")
    smooth = ACTIVATIONS[p.activation].kinks == ()
    if theory and smooth and drift.worst < math.inf and (share := float(theory.saturated[-1])) > SATURATED:
        said.append(f"It has a price: {share:.0%} of the units of the last layer are saturated. "
                    "Another activation is the better remedy.")
    if scatter > UNSTABLE:
        said.append("The balance is unstable: at this width single nets stray far from it, "
                    "in either direction.")
    elif scatter >= 0.1:
        said.append(f"Finite width: 19 of 20 nets lie within ±{scatter:.1f} decades of their middle.")
    return *said, *_suggest_orthogonal(choice, named, scatter)


def _name(p: ProbeParams) -> str:
    gamma = [f"γ = {p.gamma:g}"] if p.gamma != 1 else []
    bias = [f"σ_b² = {p.sigma_b2:g}"] if p.sigma_b2 else []
    return p.initializer + (f" with {', '.join(gamma + bias)}" if gamma or bias else "")


def _describe(drift: Drift, depth: int) -> str:
    layers = f"{depth} layers" if depth > 1 else "1 layer"
    if drift.worst <= STEADY:
        return f"signal and gradient stay within {drift.worst:.2f} decades over {layers}"
    forward, backward = _describe_change(drift.forward), _describe_change(drift.backward)
    return f"E[z²] {forward} and E[δ²] {backward} on the way back, over {layers}"


def _describe_change(decades: float) -> str:
    if math.isinf(decades):
        return "is 0" if decades < 0 else "overflows"
    if abs(decades) < 0.005:
        return "stays"
    return f"{'grows' if decades > 0 else 'shrinks'} by {abs(decades):.2f} decades"


def _explain_gains(p: ProbeParams) -> str:
    """The n·Var(w) that keeps E[z²] = 1 forward, and the one that keeps the gradient."""
    forward, backward = (p.keep * float(np.exp(-log(p.activation, 0.0))) for log in (log_moment, log_slope))
    agree = "the same number" if abs(forward - backward) < 0.01 * forward else "one number cannot be both"
    dropout = f" with {p.keep:.0%} of its units kept" if p.keep < 1 else ""
    return (f"At E[z²] = 1, {p.activation}{dropout} wants n_in·Var(w) = {forward:.3g} forward and "
            f"n_out·Var(w) = {backward:.3g} backward: {agree}.")


def _suggest_orthogonal(choice: ProbeParams, named: list[Candidate], scatter: float) -> list[str]:
    """Orthogonal weights, where they drift as the choice does and scatter less."""
    worst = {p.initializer: drift.worst for p, drift in named}
    if choice.initializer in ("orthogonal", "identity") or not scatter <= UNSTABLE:
        return []
    if not abs(worst["orthogonal"] - worst[choice.initializer]) <= EQUAL:
        return []
    other = _scatter(_theory(replace(choice, initializer="orthogonal")))
    if not other < scatter - 0.05:
        return []
    return [f"Orthogonal weights drift the same and scatter less: ±{other:.2f} decades, not ±{scatter:.2f}."]
