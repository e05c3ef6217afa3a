"""Recommended initializer and gamma: the start of least difficulty, if it is worth the change; and remedies.

Difficulty is the sum of an ``Outlook``, in decades. A change must save ``CHANGE`` of them, and an unusual
choice its price besides: of starts that learn alike the usual one is chosen, or the present one kept; of
gammas that do, the one nearest to 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from vgdash.activations import ACTIVATIONS
from vgdash.diagnosis.deciding import deciding
from vgdash.diagnosis.nets import expected_dead, units_stay_equal
from vgdash.diagnosis.outlook import FEW_FEATURES, FORGIVEN, Outlook, judge, only_neighbours, outlooks
from vgdash.diagnosis.words import EQUAL, NEIGHBOURS
from vgdash.formula_shape import sine_frequency
from vgdash.initializers import INITIALIZERS
from vgdash.params import ParamError
from vgdash.probe.params import ProbeParams
from vgdash.records import Record
from vgdash.spelling import number, ten_to
from vgdash.theory.averages import log_moment, log_slope
from vgdash.theory.layerwise import bias_moments, log_weights

EASY = 1.0  # decades up to which all nets learned: the present start is kept
CHANGE = 0.2  # decades that a change must save: starts within it learn alike
TUNING = 0.2  # that a gamma must save besides, to be worth a hyperparameter
PRICES = {"orthogonal": 0.1, "identity": 0.5}  # that these must save besides
MODEST = 2.0  # decades up to which other weights learn as well as W = I, or better
HIDING = 2.0  # that W = I must save to hide as many inputs as it hands on
NAMED = ("lecun_normal", "lecun_uniform", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform",
         "orthogonal")  # they follow the width of the layers; the first of equals is chosen
TUNED = ("lecun_normal", "orthogonal")  # those whose gamma is tuned
GAMMAS = np.geomspace(0.02, 50.0, 57)  # 15 % steps, twice refined between the neighbours of the best
HARD = 2.5  # decades of difficulty from which remedies are looked for: below, nearly all nets learned
WINS = 1.0  # decades that a remedy must save; and SGD must be expected to learn from it
WIDER, WIDENED = 4, "wider layers"  # times as many units in each hidden layer
NOTABLE = 0.5  # decades of a figure from which it is said
DEAD = 0.02  # share of dead nets from which wider layers are offered
NEAR_NEED = 0.15  # relative distance of a Var(w) from the one needed: 7 % of the weights, too little to see
SKIPS = "skip connections"
OTHERS = ("relu", "tanh", "gelu")  # activations that are offered in place of one that is harder


@dataclass(frozen=True)
class Remedy:
    """Change of the net beyond its weights, with its own best start; ``figure`` says what it wins."""

    name: str  # skip connections, normalization, another activation, wider layers
    choice: ProbeParams
    outlook: Outlook
    figure: str


@dataclass(frozen=True, eq=False)
class Recommendation(Record):
    """Best start among the initializers that follow the width, one tuned gamma and the net as it is."""

    params: ProbeParams  # the net as it is
    choice: ProbeParams  # the same net with the recommended initializer, gamma and sigma_b2
    outlook: Outlook  # of the choice
    present: Outlook
    remedies: tuple[Remedy, ...]  # the one that wins most first
    why: tuple[str, ...]  # short sentences
    names: tuple[str, ...]  # of the ranking: initializers, best first
    gammas: np.ndarray  # (candidates,)
    sigma_b2: np.ndarray  # (candidates,)
    outlooks: np.ndarray  # (candidates, 7): the fields of ``Outlook``

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

    def frame(self) -> pd.DataFrame:
        """One row a candidate, best first: initializer, gamma, sigma_b2, its outlook, and the difficulty."""
        return pd.DataFrame({"initializer": self.names, "gamma": self.gammas, "sigma_b2": self.sigma_b2,
                             **dict(zip(Outlook._fields, self.outlooks.T, strict=True)),
                             "difficulty": self.outlooks[:, 2:].sum(axis=1)})


Candidate = tuple[ProbeParams, Outlook]


def recommend(p: ProbeParams) -> Recommendation:
    """Find the initializer, gamma and bias variance from which ``p`` learns best, by theory.

    Candidates: ``NAMED`` at gamma 1 and without bias; Gaussian and orthogonal weights with the gamma, from
    0.02 to 50, of least difficulty, with and without the present bias; where all these are more than
    ``MODEST``, the identity, which is measured. If the best is hard, remedies are looked for.
    """
    present, = outlooks([p])
    named = _named(p)
    usual = [*named, *_tuned(p)]
    unusual = _identity(p) if min(seen.difficulty for _, seen in [*usual, (p, present)]) > MODEST else []
    ranking = sorted([*usual, *unusual], key=_price)
    best = ranking[0] = _nearest_to_1(ranking[0])
    here = math.inf if units_stay_equal(p) else present.difficulty + _hiding(p)
    worth = here > EASY and _price(best) < here - CHANGE
    choice, chosen = best if worth else (p, present)
    remedies = tuple(sorted(_remedies(choice, chosen), key=lambda remedy: remedy.outlook.difficulty))
    sets, figures = zip(*ranking, strict=True)
    return Recommendation(p, choice, chosen, present, remedies,
                          _explain(p, present, choice, chosen, min(named, key=_price), remedies),
                          tuple(c.initializer for c in sets),
                          np.array([c.gamma for c in sets]), np.array([c.sigma_b2 for c in sets]),
                          np.array(figures))


# ---- candidates

def _price(candidate: Candidate) -> float:
    """Difficulty, and what makes the choice unusual."""
    p, seen = candidate
    return seen.difficulty + PRICES.get(p.initializer, 0.0) + TUNING * (p.gamma != 1) + _hiding(p)


def _hiding(p: ProbeParams) -> float:
    """Return the decades that W = I pays for inputs that it does not hand on: theory holds all to be alike.

    On digits in the middle of 32 x 32 pixels it lost 7 points where it handed on half of them; with a tenth
    it learned nothing (``datasets/ADVICE.md``).
    """
    return HIDING * (p.widths[0] / min(p.widths[:-1]) - 1) if p.initializer == "identity" else 0.0


def _starts(p: ProbeParams, names: tuple[str, ...], bias: float = 0.0) -> Iterator[ProbeParams]:
    """Yield the net with other weights, but for those whose draw would take too long for so large a net."""
    for name in names:
        with suppress(ParamError):
            yield replace(p, initializer=name, gamma=1.0, sigma_b2=bias)


def _named(p: ProbeParams) -> list[Candidate]:
    sets = list(_starts(p, NAMED))
    return list(zip(sets, outlooks(sets), strict=True))


def _tuned(p: ProbeParams) -> list[Candidate]:
    """Weights with their best gamma; normalization and rescaling divide it out again."""
    if p.normalization != "none" or p.rescale != "none":
        return []
    plain = [one for bias in sorted({0.0, p.sigma_b2}) for one in _starts(p, TUNED, bias)]
    if not plain:
        return []
    sets = [replace(one, gamma=gamma) for one, gamma in zip(plain, _best_gammas(plain), strict=True)]
    return list(zip(sets, outlooks(sets), strict=True))


def _best_gammas(nets: list[ProbeParams]) -> list[float]:
    each, gammas, best = np.arange(len(nets)), np.tile(GAMMAS, (len(nets), 1)), []
    for _ in range(3):
        at = _difficulties(nets, gammas).argmin(axis=1)
        best = [float(f"{gamma:.3g}") for gamma in gammas[each, at]]
        below, above = np.maximum(at - 1, 0), np.minimum(at + 1, gammas.shape[1] - 1)
        gammas = np.geomspace(gammas[each, below], gammas[each, above], 17, axis=1)
    return best


def _nearest_to_1(best: Candidate) -> Candidate:
    """Move the gamma of the best candidate as near to 1 as ``CHANGE`` allows."""
    p, seen = best
    if p.gamma == 1:
        return best
    gammas = np.geomspace(1.0, p.gamma, 33)
    alike = _difficulties([replace(p, gamma=1.0)], gammas[None])[0] <= seen.difficulty + CHANGE
    usual = replace(p, gamma=float(f"{gammas[alike.argmax()]:.3g}")) if alike.any() else p
    return usual, outlooks([usual])[0]


def _difficulties(nets: list[ProbeParams], gammas: np.ndarray) -> np.ndarray:
    """Return the difficulty of ``nets``, of gamma 1, with each of ``gammas`` ``(nets, …)``.

    They differ in initializer and biases only.
    """
    plain, tried = [replace(one, last_scale=1.0) for one in nets], gammas.shape[1]
    log_w = np.array([log_weights(one) for one in plain])[:, None] + 2 * np.log(gammas)[..., None]
    biases = np.stack([bias_moments(one) for one in plain], axis=1).repeat(tried, axis=1)
    orthogonal = np.repeat([one.initializer == "orthogonal" for one in plain], tried)
    figures = judge(plain[0], log_w.reshape(-1, plain[0].depth), orthogonal, biases, nets[0].last_scale)
    return figures[:, 2:].sum(axis=1).reshape(gammas.shape)


def _identity(p: ProbeParams) -> list[Candidate]:
    """The identity, where it fills half of each layer, beside no skip connection, which is one anyway.

    Under batch normalization no theory tells related inputs from others.
    """
    half_empty = (np.array(p.widths[1:-1]) > 2 * np.minimum.accumulate(p.widths)[:-2]).any()
    if any(skip is not None for skip in p.skips) or p.normalization == "batch" or half_empty:
        return []
    starts = list(_starts(p, ("identity",)))
    return list(zip(starts, outlooks(starts), strict=True))


# ---- remedies

def _remedies(p: ProbeParams, seen: Outlook) -> Iterator[Remedy]:
    """Yield changes of the net that learn and win ``WINS`` decades, and wider layers where nets die.

    The best of each kind; equal widths, which skip connections need, where those alone do not win.
    """
    if p.depth < 2:
        return
    best: dict[str, Remedy] = {}
    f = ACTIVATIONS[p.activation]  # a sine of few features that learns was taken for its high frequency
    sine = p.widths[0] <= FEW_FEATURES and seen.learns and (sine_frequency(f.f, f.df) or 0.0) > 1
    for kind, name, change in _changes(p) if seen.difficulty > HARD else []:
        if ("widths" in change and SKIPS in best) or (sine and kind == "activation"):
            continue
        try:
            start, there = min(_named(replace(p, **change)), key=_price)
        except ParamError:  # the change does not go with the rest of the net
            continue
        if there.learns and there.difficulty < min(
                seen.difficulty - WINS, best[kind].outlook.difficulty if kind in best else math.inf):
            best[kind] = Remedy(name, start, there, f"the difficulty is {number(there.difficulty)}, "
                                                    f"not {number(seen.difficulty)}")
    yield from best.values()
    if (share := expected_dead(p)) > DEAD:
        widths = (p.widths[0], *(min(WIDER * n, 4096) for n in p.widths[1:-1]), p.widths[-1])
        try:
            wide = replace(p, widths=widths)
        except ParamError:
            return
        yield Remedy(WIDENED, wide, outlooks([wide])[0],
                     f"{expected_dead(wide):.0%} of the nets are dead, not {share:.0%}")


def _changes(p: ProbeParams) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the kind of each change, its name, and the fields that it sets."""
    if p.residual in ("none", "plain"):
        scaled = "" if p.residual == "none" else " with branches scaled by 1/√L"
        yield SKIPS, f"{SKIPS}{scaled}", {"residual": "scaled"}
    if len(set(p.widths[1:-1])) > 1 and not p.kernels:
        equal = (p.widths[0], *(max(p.widths[1:-1]),) * (p.depth - 1), p.widths[-1])
        yield SKIPS, f"equal widths and {SKIPS} around every layer", {"residual": "scaled", "widths": equal}
    if p.normalization == "none" and p.rescale == "none" and p.last_scale == 1 and not p.last_bias:
        yield "normalization", "layer normalization", {"normalization": "layer"}
        yield "normalization", "batch normalization", {"normalization": "batch"}
    present = ACTIVATIONS[p.activation].said
    for name in OTHERS:
        if name != p.activation:
            yield "activation", f"{ACTIVATIONS[name].said} in place of {present}", {"activation": name}


# ---- words

def _explain(p: ProbeParams, present: Outlook, choice: ProbeParams, seen: Outlook, usual: Candidate,
             remedies: tuple[Remedy, ...]) -> tuple[str, ...]:
    """Short sentences: what stands in the way of the net as it is and of the choice, why, and what helps.

    ``usual``: the best of ``NAMED``, for those who do not want the identity.
    """
    said, is_identity = [*_offer(choice, seen, remedies)], choice.initializer == "identity"
    if choice != p:
        hands_on = " With W = I every layer hands on what it gets, until training moves it." * is_identity
        said.append(f"{_name(choice)}: {_describe(choice, seen)}.{hands_on}")
    if choice != p and _describe(p, present) == _describe(choice, seen):
        said.append(f"{_name(p)}: the same. " + deciding(present, seen, (_name(p), _name(choice)),
                                                         (_hiding(p), _hiding(choice))))
    else:
        said.append(f"{_name(p)}: {_describe(p, present)}.")
    if choice == p:
        said.append("No other first weights are clearly better.")
    elif is_identity:
        said.append(f"Of the usual formulas {_name(usual[0])} comes closest: {_describe(*usual)}.")
    if p.normalization == "none" and p.residual == "none" and p.rescale == "none" and p.depth > 1:
        said += _explain_gains(choice)
    return tuple(said)


def _offer(p: ProbeParams, seen: Outlook, remedies: tuple[Remedy, ...]) -> Iterator[str]:
    """Yield sentences on what helps more than the weights of ``p``; its start is said if it is another."""
    easier = [f"With {one.name}" + f", from {_name(one.choice)}" * (one.choice.initializer != p.initializer)
              + f": {number(one.outlook.difficulty)}." for one in remedies if one.name != WIDENED]
    if easier:
        yield (f"More than weights helps here. Difficulty with these weights: {number(seen.difficulty)}. "
               f"{' '.join(easier)} Below {EASY:g} is easy.")
    yield from (f"With {one.name} {one.figure}." for one in remedies if one.name == WIDENED)


def _name(p: ProbeParams) -> str:
    gamma = [f"γ = {p.gamma:g}"] if p.gamma != 1 else []
    bias = [f"σb² = {p.sigma_b2:g}"] if p.sigma_b2 else []
    return INITIALIZERS[p.initializer].short + (f" with {', '.join(gamma + bias)}" if gamma or bias else "")


def _describe(p: ProbeParams, seen: Outlook) -> str:
    """Say what is amiss, the worst first."""
    if units_stay_equal(p):
        return EQUAL
    if seen.forward == math.inf:
        return "the numbers overflow"
    large = max(0.0, seen.forward - FORGIVEN)
    texts = [
        (seen.gradient, "no gradient reaches the first layers" if math.isinf(seen.gradient) else
         f"the squared gradient of one layer is {ten_to(seen.gradient)} times that of another"),
        (seen.difference, "all inputs become one" if math.isinf(seen.difference) else
         NEIGHBOURS if only_neighbours(p, seen) else
         f"only {ten_to(-seen.difference)} of the difference between inputs is left"),
        (large, f"the last layer starts {ten_to(seen.forward)} times too large (mean square)"),
        (seen.scale - large if large < math.inf else 0.0, "the signal stays where the activation is linear"),
        (seen.unevenness, "some directions are stretched, others lost"),
        (seen.hidden, "normalization hides part of what so few features say"),
        (_hiding(p), f"W = I hands on only the first {min(p.widths[:-1]):,} of {p.widths[0]:,} inputs")]
    wrong = [text for decades, text in sorted(texts, reverse=True) if decades > NOTABLE]
    if math.isinf(seen.gradient) and not math.isinf(seen.difference):
        wrong = wrong[:1]
    return "; ".join(wrong) or "signal, gradient and the difference between inputs arrive"


def _explain_gains(p: ProbeParams) -> Iterator[str]:
    """Say which Var(w) keeps E[z²] = 1 forward, and which one keeps the gradient.

    One that keeps both is a reason for weights that have it, and for no others.
    """
    activation = ACTIVATIONS[p.activation]
    forward, backward = (p.keep * float(np.exp(-log(p.activation, 0.0))) for log in (log_moment, log_slope))
    dropout = f" with {p.keep:.0%} of its units kept" if p.keep < 1 else ""
    needs = f"{activation.said}{dropout} needs Var(w) = {forward:.3g}"
    agree = abs(forward - backward) < 0.01 * forward
    at = (p.depth - 1) // 2
    fan_in, fan_out = p.widths[at:at + 2]
    wanted, has = sorted((forward / fan_in, backward / fan_out)), math.exp(log_weights(p)[at])
    if INITIALIZERS[p.initializer].no_theory or (
            agree and not wanted[0] * (1 - NEAR_NEED) < has < wanted[1] * (1 + NEAR_NEED)):
        return
    if agree and len(set(p.widths)) == 1:
        yield f"{needs}/n in both directions, so one choice fixes both."
        return
    either = "They agree where widths are equal." if agree else "No choice fixes both."
    where = "" if activation.homogeneous else "At E[z²] = 1, "
    yield f"{where}{needs}/nᵢₙ forward and {backward:.3g}/nₒᵤₜ backward. {either}"
