"""What to choose instead, and why: every initializer's drift over the layers, computed and ranked.

Forward a layer multiplies E[z²] by fan_in w E[f²]/q, backward E[δ²] by fan_out w E[f'²]. A net is healthy if neither product
strays far from 1 in any layer. Where widths differ, those are two products of one Var(w), but they stray from each other only by the ratio
of the outermost widths, whatever the depth: He et al. 2015 (arXiv 1502.01852, section 2.2) show that either is enough. So of a direction
the mean over the units counts or the sum, whichever keeps steadier.
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
from vgdash.probe.probe import ProbeParams, probe
from vgdash.theory.averages import log_moment, log_slope
from vgdash.theory.layerwise import Prediction, log_weights, predict, second_moments

__all__ = ["FEW", "STEADY", "Drift", "Recommendation", "recommend"]

STEADY = 1.0  # decades that E[z²] or E[δ²] may move over all layers in a steady net
EARNED = 1.2  # decades that a gamma must save before it is worth a hyperparameter: a factor 4 of the root mean square
EQUAL = 0.01  # decades below which two drifts count as equal
TUNED = "lecun_normal"  # the Gaussian whose gamma is tuned: its gamma² is sigma_w2
GAMMAS = np.geomspace(0.05, 50.0, 145)  # 5 % steps, then 0.1 % steps between the neighbours of the best
MEASURED_BATCH = 16  # inputs, where there is no theory and one net is measured
FEW = 3  # inputs of which batch normalization has no mean gradient
LARGE_BATCH = 64  # stands in for so few
UNSTABLE = 3.0  # decades of scatter beyond which a theory of first order in 1/width gives no number
SATURATED = 0.25  # share of saturated units from which it is worth a word
LN10 = math.log(10)


class Drift(NamedTuple):
    """How far log10 of a mean square moves over the layers, in decades."""

    forward: float  # log10 E[z²] at the last layer minus the first
    backward: float  # log10 E[δ²] at the first layer minus the last
    worst: float  # the largest difference between any two layers, of means or of sums over the units; the worse direction; inf if one is 0


@dataclass(frozen=True, eq=False)
class Recommendation:
    """The choice with the smallest worst drift among all initializers and one tuned gamma; drifts in decades.

    ``scatter``: half the width of the interval that holds 19 of 20 random nets, the larger of the two directions at the end of
    its way; nan where there is no finite-width theory.
    """

    params: ProbeParams  # what was asked about
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
        """Whether the choice differs from what is there."""
        return self.choice != self.params

    @property
    def steady(self) -> bool:
        """Whether the choice moves by at most a factor ten over all layers, forward and backward."""
        return self.drift.worst <= STEADY

    def frame(self) -> pd.DataFrame:
        """One row a candidate, best first: initializer, gamma, sigma_b2, forward, backward, worst (decades)."""
        return pd.DataFrame({"initializer": self.names, "gamma": self.gammas, "sigma_b2": self.sigma_b2,
                             **dict(zip(Drift._fields, self.drifts.T, strict=True))})


def recommend(p: ProbeParams) -> Recommendation:
    """Which initializer, gamma and bias variance keep signal and gradient of this net steadiest, in mean-field theory.

    Candidates: every initializer at gamma 1 without bias, and Gaussian weights with the gamma, from 0.05 to 50, that minimizes
    the worst drift, with and without the present bias. What is there stays if nothing is better by 0.01 decades; a tuned gamma
    must save 1.2. The identity, which has no theory, is not ranked; if it is what is there, one net is measured.
    """
    present, measured = _present(p)
    named = sorted(_named(p), key=_rank)
    tuned = _tuned(p)
    choice, drift = _choice((p, present), named[0], tuned)
    theory = _theory(choice) if choice.initializer != "identity" else None
    if theory:
        drift = _foreseen(theory)
    scatter = _scatter(theory)
    candidates = sorted([*named, *tuned], key=_rank)
    return Recommendation(
        p, choice, drift, scatter, present, scatter if choice == p else math.nan if measured else _scatter(_theory(p)), measured,
        _why(p, present, choice, drift, named, theory, scatter), tuple(c.initializer for c, _ in candidates),
        *(_frozen(np.array(column)) for column in ([c.gamma for c, _ in candidates], [c.sigma_b2 for c, _ in candidates],
                                                   [d for _, d in candidates])))


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


# ---- candidates

Candidate = tuple[ProbeParams, Drift]


def _rank(candidate: Candidate) -> tuple[float, float]:
    """The smaller the better: the worst drift; among equals, how much the first layer changes the input's unit second moment."""
    p, drift = candidate
    first = p.gamma**2 * p.widths[0] * INITIALIZERS[p.initializer].variance(*p.widths[:2]) + p.sigma_b2
    return float(np.round(drift.worst / EQUAL)), abs(math.log(first)) if first > 0 else math.inf


def _choice(present: Candidate, named: Candidate, tuned: list[Candidate]) -> Candidate:
    best = named
    for candidate in tuned:
        if candidate[1].worst < best[1].worst - EARNED:
            best = candidate
    saves = present[1].worst - best[1].worst
    return present if saves <= (EARNED if best is not named else EQUAL) or saves != saves else best


def _named(p: ProbeParams) -> list[Candidate]:
    candidates = [replace(p, initializer=name, gamma=1.0, sigma_b2=0.0) for name in INITIALIZERS if name != "identity"]
    return list(zip(candidates, _drifts(candidates), strict=True))


def _tuned(p: ProbeParams) -> list[Candidate]:
    """The best gamma of Gaussian weights without bias, and with the present one. Batch normalization has no use for a scale."""
    return [] if p.normalization == "batch" else [_best_gamma(p, bias) for bias in sorted({0.0, p.sigma_b2})]


def _best_gamma(p: ProbeParams, sigma_b2: float) -> Candidate:
    plain = replace(p, initializer=TUNED, gamma=1.0, sigma_b2=sigma_b2)
    gammas, best = GAMMAS, 1.0
    for _ in range(2):
        at = int(np.argmin(_worst(p, *second_moments(plain, log_weights(plain) + 2 * np.log(gammas)[:, None]))))
        best = float(f"{gammas[at]:.4g}")
        gammas = np.geomspace(gammas[max(at - 1, 0)], gammas[min(at + 1, len(gammas) - 1)], 101)
    tuned = replace(plain, gamma=best)
    return tuned, _drifts([tuned])[0]


def _worst(p: ProbeParams, log_q: np.ndarray, log_grad2: np.ndarray) -> np.ndarray:
    """How far the signal or the gradient wanders, by candidate; inf where one is not finite."""
    wandered = np.full(len(log_q), math.inf)
    there = np.isfinite(log_q).all(axis=1) & np.isfinite(log_grad2).all(axis=1)
    wandered[there] = np.maximum(*(_wandered(p, logs[there]) for logs in (log_q, log_grad2)))
    return wandered


def _wandered(p: ProbeParams, logs: np.ndarray) -> np.ndarray:
    """The largest difference between two layers, the last axis: of mean squares or of their sums over the units."""
    return np.minimum(np.ptp(logs, axis=-1), np.ptp(logs + np.log(p.widths[1:]), axis=-1))


def _drifts(candidates: list[ProbeParams]) -> list[Drift]:
    """Of parameter sets that differ in initializer and gamma only."""
    p = candidates[0]
    log_w = np.array([log_weights(candidate) for candidate in candidates])
    if p.normalization != "batch":
        return [_drift(p, q, g) for q, g in zip(*second_moments(p, log_w), strict=True)]
    found: dict[bytes, Drift] = {}  # initializers of one variance share their mean field
    for candidate, row in zip(candidates, log_w, strict=True):
        if (key := row.tobytes()) not in found:
            found[key] = _foreseen(_theory(candidate))
    return [found[row.tobytes()] for row in log_w]


def _present(p: ProbeParams) -> tuple[Drift, bool]:
    """The drift of what is there, and whether it had to be measured."""
    if p.initializer != "identity":
        return _drifts([p])[0], False
    found = probe(replace(p, seeds=1, batch=min(p.batch, MEASURED_BATCH)))
    with np.errstate(divide="ignore"):
        return _drift(p, np.log(found.q[0]), np.log(found.grad2[0])), True


def _theory(p: ProbeParams) -> Prediction:
    return predict(replace(p, batch=LARGE_BATCH) if p.normalization == "batch" and p.batch <= FEW else p)


def _scatter(theory: Prediction | None) -> float:
    if theory is None:
        return math.nan
    variance = max(theory.band_q.variance[-1], theory.band_grad2.variance[0])
    return NormalDist().inv_cdf(0.975) * math.sqrt(variance) / LN10 if variance >= 0 else math.nan


def _foreseen(theory: Prediction) -> Drift:
    return _drift(theory.params, theory.log10_q * LN10, theory.log10_grad2 * LN10)


def _drift(p: ProbeParams, log_q: np.ndarray, log_grad2: np.ndarray) -> Drift:
    if not (np.isfinite(log_q).all() and np.isfinite(log_grad2).all()):
        forward, backward = (float(x / LN10) if x == x else -math.inf for x in (_end(log_q), _end(log_grad2[::-1])))
        return Drift(forward, backward, math.inf)
    return Drift(float(log_q[-1] - log_q[0]) / LN10, float(log_grad2[0] - log_grad2[-1]) / LN10,
                 float(max(_wandered(p, log_q), _wandered(p, log_grad2))) / LN10)


def _end(values: np.ndarray) -> float:
    """Last minus first, and the infinity itself where one of them is infinite."""
    return values[-1] - values[0] if np.isfinite(values[0]) else values[0]


# ---- words

def _why(p: ProbeParams, present: Drift, choice: ProbeParams, drift: Drift, named: list[Candidate], theory: Prediction | None,
         scatter: float) -> tuple[str, ...]:
    said = [f"{_name(p)}: {_words(present, p.depth)}."]
    said += [f"{_name(choice)}: {_words(drift, p.depth)}."] if choice != p else ["Nothing else here is clearly better: leave it."]
    if p.normalization == "batch" and p.batch <= FEW:
        said.append(f"These are the factors of large batches: with {p.batch} inputs the gradient has no mean, and no theory.")
    if p.normalization == "none" and p.residual == "none" and p.rescale == "none":
        said.append(_cause(p))
    if choice.gamma != 1 and named[0][1].worst > STEADY:
        best, best_drift = named[0]
        said.append(f"No named initializer is steady here: the best, {_name(best)}, {_words(best_drift, p.depth)}.")
    if drift.worst > STEADY:
        others = ["another activation", *(["skip connections"] if p.residual == "none" else []),
                  *(["normalization"] if p.normalization == "none" else [])]
        said.append(f"Not even the best choice is steady: take {', '.join(['fewer layers', *others[:-1]])} or {others[-1]}.")
    if theory and (flat := float(theory.saturated[-1])) > SATURATED and drift.worst < math.inf and ACTIVATIONS[p.activation].kinks == ():
        said.append(f"It has a price: {flat:.0%} of the units of the last layer are saturated. "
                    "Another activation is the better remedy.")
    if scatter > UNSTABLE:
        said.append("The balance is unstable: at this width single nets stray far from it, in either direction.")
    elif scatter >= 0.1:
        said.append(f"Finite width: 19 of 20 nets lie within ±{scatter:.1f} decades of their middle.")
    if (twin := _steadier(choice, named, scatter)):
        said.append(twin)
    return tuple(said)


def _name(p: ProbeParams) -> str:
    bias = f", σ_b² = {p.sigma_b2:g}" if p.sigma_b2 else ""
    return p.initializer + (f" with γ = {p.gamma:g}{bias}" if p.gamma != 1 else f" with{bias[1:]}" if bias else "")


def _words(drift: Drift, depth: int) -> str:
    if drift.worst <= STEADY:
        return f"signal and gradient stay within {drift.worst:.2f} decades over {_layers(depth)}"
    return f"E[z²] {_moves(drift.forward)} and E[δ²] {_moves(drift.backward)} on the way back, over {_layers(depth)}"


def _layers(depth: int) -> str:
    return f"{depth} layers" if depth > 1 else "1 layer"


def _moves(decades: float) -> str:
    if math.isinf(decades):
        return "is 0" if decades < 0 else "overflows"
    if abs(decades) < 0.005:
        return "stays"
    return f"{'grows' if decades > 0 else 'shrinks'} by {abs(decades):.2f} decades"


def _cause(p: ProbeParams) -> str:
    forward, backward = (p.keep * float(np.exp(-log(p.activation, 0.0))) for log in (log_moment, log_slope))
    agree = "the same number" if abs(forward - backward) < 0.01 * forward else "one number cannot be both"
    dropout = f" with {p.keep:.0%} of its units kept" if p.keep < 1 else ""
    return (f"At E[z²] = 1, {p.activation}{dropout} wants n_in·Var(w) = {forward:.3g} forward and n_out·Var(w) = {backward:.3g} "
            f"backward: {agree}.")


def _steadier(choice: ProbeParams, named: list[Candidate], scatter: float) -> str:
    """Orthogonal weights, where they drift as the choice does and scatter less."""
    worst = {p.initializer: drift.worst for p, drift in named}
    taken = choice.initializer in ("orthogonal", "identity") or not scatter <= UNSTABLE
    if taken or not abs(worst["orthogonal"] - worst[choice.initializer]) <= EQUAL:
        return ""
    other = _scatter(_theory(replace(choice, initializer="orthogonal")))
    if not other < scatter - 0.05:
        return ""
    return f"Orthogonal weights drift the same and scatter less: ±{other:.2f} decades, not ±{scatter:.2f}."
