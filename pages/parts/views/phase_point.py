"""Opened point of the plane of variances: its verdict, numbers and links, and its course by layer."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa

from pages.parts import charts
from pages.parts.text import count, layers, listed, markdown_table, number, rate
from pages.parts.views.phase_plane import (
    cell_size,
    legend,
    plane_tables,
    right_end,
    shorten_names,
    spell_variance,
)
from pages.parts.views.seed_points import seed_points
from vgdash.activations import ACTIVATIONS
from vgdash.diagnosis.courses import Course
from vgdash.diagnosis.diagnosis import diagnose
from vgdash.diagnosis.record import Diagnosis
from vgdash.diagnosis.words import figure, spell_power
from vgdash.initializers import INITIALIZERS
from vgdash.spelling import ENDLESS
from vgdash.theory.fixed_points import FixedPoint, keeps_correlations
from vgdash.theory.phase_diagram import STARTS, Landmark, PhaseMap, PhaseParams, phase_map

WHY = r"""
**Why.** Let $\sigma_w^2 = n_{in}\mathrm{Var}(w)$ and $\sigma_b^2 = \mathrm{Var}(b)$. A wide layer changes the
mean square $q$ of the signal, and the correlation $c$ of two inputs, like this (mean-field theory):

$$q' = \sigma_w^2\,E[f(\sqrt q z)^2] + \sigma_b^2 \qquad c'q' = \sigma_w^2\,E[f(u)f(v)] + \sigma_b^2$$

Two inputs must stay different, or the net cannot tell them apart. Their correlation approaches a limit $c^*$.
Each layer shrinks the gap by a factor $\chi$:

$$\chi = \sigma_w^2\,E[f'(u)f'(v)], \qquad |c_l - c^*| \sim \chi^{\,l} = e^{-l/\xi_c}$$

So $\xi_c$ layers shrink the gap to $1/e$, about a third.

*Ordered*: all inputs become the same, $c^* = 1$. Then $\chi = \chi_1 = \sigma_w^2 E[f'^2]$ is also the factor
of the squared gradient, and gradients vanish. *Chaotic*: $\chi_1 > 1$. Nearly equal inputs move apart, and
gradients explode. Between them, at $\chi_1 = 1$, lies the *edge of chaos*. There $\xi_c$ is infinite.
Schoenholz et al. (2017) found that nets train down to about $6\,\xi_c$ layers.

Real inputs start far from these limits, and may need hundreds of layers to come near. So the depth named here
follows $q$ and $c$ from the input on. It ends at the first of two layers:

- Two inputs have forgotten how alike they were: the gap is down to $e^{-6}$, as after $6\,\xi_c$ layers.
- The squared gradient has fallen below $10^{-5}$, or grown beyond $10^{3.5}$. Such nets did not learn.

Lines by layer: theory. Points: nets we measured, with their range.
"""
NEAR_EDGE = 1e-3  # |chi_1 - 1| that counts as on the edge: xi_c is a thousand layers there
ORDERED, CHAOTIC = "Ordered: all inputs become alike.", "Chaotic: nearly equal inputs move apart."
STEADY = 0.005  # a factor of numbers a layer this near to 1 changes them by a fourth in 50 layers
SAME = 1e-5  # relative distance at which the opened point is an initializer's
WIDEST = 256  # of the nets that a link compares: a point of the plane is the same at every width
SERIES = ("uncorrelated", "related", "nearly equal")  # styles of the pairs of inputs, in the order of STARTS
LINE, POINTS = 31, 13  # layers of a line and of the measured points, at most
DECADES = 2.0  # q that moves farther is drawn on a log axis
LANDMARKS_HEADER = """\
| initializer | σw² | σb² | phase | layers that train | squared gradient, per layer |
|---|--:|--:|---|--:|--:|"""
DEPENDS = "depends on where they start"
SETTLED = 1e-6  # a limit nearer to 0 than this is 0: the solver is exact to 1e-8


@dataclass(frozen=True)
class PhaseView:
    verdict: str
    remarks: str
    plane: dict[str, pa.Table]  # cells and marks
    legend: str  # names to the numbers on the plane
    right: float  # end of the plane, sigma_w2
    cell: tuple[float, float]  # width and height of a cell
    course: dict[str, pa.Table]  # correlation and moment by layer
    decades: bool  # moment holds log10 values
    numbers: str
    landmarks: str
    links: str


def phase_view(p: PhaseParams) -> PhaseView:
    """Show the plane of ``p`` and its opened point."""
    found = phase_map(p)
    log10_q = found.profile.log10_q[np.isfinite(found.profile.log10_q)]
    decades = log10_q.size > 0 and bool(np.ptp(log10_q) > DECADES)
    course = {"correlation": _correlation(found), "moment": _moment(found, decades)}
    return PhaseView(_verdict(found), _remarks(found), plane_tables(found),
                     legend(found.plane, found.landmarks), right_end(found.plane),
                     cell_size(found.plane), course, decades, _numbers(found), _landmarks(found), _links(p))


# ---- words

def _initializers_at(found: PhaseMap) -> list[Landmark]:
    """Initializers that stand on the opened point."""
    at = found.opened
    return [mark for mark in found.landmarks
            if math.isclose(mark.sigma_w2, at.sigma_w2, rel_tol=SAME, abs_tol=1e-12)
            and math.isclose(mark.sigma_b2, at.sigma_b2, rel_tol=SAME, abs_tol=1e-12)]


def _verdict(found: PhaseMap) -> str:
    """Say how deep nets train from here, what a layer does to their gradient, and to two inputs."""
    at, gradient = found.opened, _diagnosis(found).gradient
    place = f"With σw² = {spell_variance(at.sigma_w2)} and σb² = {spell_variance(at.sigma_b2)}"
    nets = f"{ACTIVATIONS[at.activation].said} nets"
    if found.depth >= ENDLESS:
        depth = f"{place}, theory sets **no limit** to the depth of {nets}."
    elif found.depth < 1:
        depth = f"{place}, **no depth** of {nets} trains."
    else:
        depth = f"{place}, {nets} train up to **{layers(found.depth)}**."
    return f"{depth} {_gradient(gradient, found.params.depth)} {_place(found)}"


def _diagnosis(found: PhaseMap) -> Diagnosis:
    """Diagnose the nets that are drawn."""
    measured = found.profile.measured
    return diagnose(measured.params, measured)


def _gradient(course: Course, depth: int) -> str:
    """Say what a layer does to the squared gradient on its way through the layers that are drawn."""
    if course.behaviour == "dies":
        return "No gradient comes back."
    if course.behaviour == "power_law":
        return f"The squared gradient changes only like {spell_power(course.power)}."
    if course.behaviour in ("holds", "settles") or (course.factor and abs(course.factor - 1) < 2 * STEADY):
        return "The gradient keeps its size."
    if course.factor is None:
        said = figure(course)
        changes = f"is multiplied by {said[1:]}" if said.startswith("×") else f"goes {said}"
        return f"Over {count(depth, 'layer')} the squared gradient {changes}."
    factor = rate(course.factor).removeprefix("×")
    return f"Over {count(depth, 'layer')}, each multiplies the squared gradient by {factor}."


def _place(found: PhaseMap) -> str:
    """Say what becomes of the signal and of two inputs."""
    at = found.opened
    if _runs_away(found):
        return "Inputs of mean square 1 run away. Smaller ones would settle."
    if math.isinf(at.q_star):
        return "No fixed point: the signal grows without bound."
    if at.q_star == 0 and at.chi_1 < 1 - NEAR_EDGE:
        return "Ordered: the signal dies out."
    if math.isinf(at.xi_c) or abs(at.chi_1 - 1) < NEAR_EDGE:
        return "This is the edge of chaos."
    return ORDERED if at.phase == "ordered" else CHAOTIC


def _runs_away(found: PhaseMap) -> bool:
    """Test if E[z²] of unit inputs moves away from the fixed point."""
    log10_q, q_star = found.profile.log10_q[:2], found.opened.q_star
    if len(log10_q) < 2 or not np.isfinite(log10_q).all() or not math.isfinite(q_star):
        return False
    return bool(log10_q[1] > log10_q[0] and 10 ** log10_q[0] > q_star * (1 + STEADY))


def _readable(reason: str) -> str:
    """Spell a reason of ``fixed_point`` with the letters and numbers of the page."""
    for theirs, ours in (("chi_1", "χ₁"), ("xi_", "ξ"), ("(x", "(×"), ("c_star", "c*"), ("*", r"\*")):
        reason = reason.replace(theirs, ours)
    return re.sub(r"\d[\d.]*e[+-]\d+", lambda found: number(float(found[0]), 2), reason)


def _begun(sentence: str) -> str:
    """Begin a sentence with a capital, but not where a symbol begins it: c* is no C*."""
    return sentence if re.match(r"\w\\?\*|[ξχ]", sentence) else f"{sentence[0].upper()}{sentence[1:]}"


def _remarks(found: PhaseMap) -> str:
    """Give the diagnosis of the drawn nets, the initializers on the point, and the limits of the theory."""
    p, at, diagnosis = found.params, found.opened, _diagnosis(found)
    said = [f"**Drawn here, {count(p.depth, 'layer')}, in mean squares:** {diagnosis.sentence}"]
    if marks := _initializers_at(found):
        scaled = f" and γ = {p.gamma:g}" if p.gamma != 1 else ""
        said.append(f"This is {listed(shorten_names(marks))} with {count(p.fan_in, 'input')}{scaled}.")
        said += [f"{mark.note[0].upper()}{mark.note[1:]}." for mark in marks if mark.note]
    if np.isnan(found.profile.correlation).all():
        said.append("Every z is 0 here, so there is no correlation to draw.")
    if at.reason and not _runs_away(found):
        said += [f"{_begun(reason)}." for reason in _readable(at.reason).split("; ")]
    if found.depth > p.fan_in:
        said.append(f"Nets deeper than they are wide ({count(p.fan_in, 'unit')}) meet another limit first: "
                    "single nets scatter more and more.")
    return " ".join(said)


def _numbers(found: PhaseMap) -> str:
    """Markdown: the opened point in numbers, and its last layer, predicted and measured."""
    at, profile, depth = found.opened, found.profile, found.params.depth
    _, xi_c = _correlation_limit(at)
    settles = "smaller inputs settle at" if _runs_away(found) else "settles at"
    rows = [[what, DEPENDS if letter == "c" and _fades_first(at) else _limit_cell(f"{letter}\\*", limit),
             "–" if math.isnan(scale) else f"ξ{letter} = {number(scale, 2)}"]
            for what, letter, limit, scale in (
                ("mean square of the signal, E[z²]", "q", at.q_star, at.xi_q),
                ("correlation of two inputs", "c", at.c_star, xi_c))]
    said = markdown_table(f"| this point | {settles} | layers for a factor e |\n|---|--:|--:|", rows)
    drawn, moves = _diagnosis(found).gradient.factor, not ACTIVATIONS[at.activation].homogeneous
    where = r"At the limit q\*, a" if moves and math.isfinite(at.q_star) else "A"
    said += f"\n\n{where} layer multiplies the squared gradient by χ₁ = {rate(at.chi_1).removeprefix('×')}."
    if moves:  # always, so that nothing below moves with a slider
        said += f" On the way there it is {rate(drawn).removeprefix('×') if drawn else 'not one number'}."
    seen = profile.measured.correlation[:, -1]
    predicted = profile.correlation[0, -1]
    if np.isfinite(seen).all() and math.isfinite(predicted):
        at_last = f"{predicted:z.3f} in theory, {seen.mean():z.3f} measured".replace("-", "−")
        said += (f" Correlation at layer {depth}: {at_last} on {count(len(seen), 'net')} of width "
                 f"{profile.measured.params.width}.")
    return said


def _dies_without_bias(at: FixedPoint) -> bool:
    """Test if the limits of the correlation are those of a bias that is not there."""
    return at.q_star == 0 and at.sigma_b2 == 0


def _fades_first(at: FixedPoint) -> bool:
    """Test if the signal is gone before two inputs come to their limit."""
    return _dies_without_bias(at) and keeps_correlations(at.activation) is True


def _correlation_limit(at: FixedPoint) -> tuple[float, float]:
    """Return the correlation that two inputs reach, and the layers for a factor e; nan for what is not so."""
    if not _dies_without_bias(at):
        return at.c_star, at.xi_c
    return math.nan if _fades_first(at) else at.c_star, math.nan


def _limit_cell(name: str, limit: float) -> str:
    return ("its first value" if math.isnan(limit) else "nowhere" if math.isinf(limit) else
            f"{name} = {_settled(limit)}")


def _settled(limit: float) -> str:
    """Spell a limit; what the solver cannot tell from 0 is 0."""
    return number(limit, 2) if abs(limit) >= SETTLED else "0"


def _links(p: PhaseParams) -> str:
    """Markdown: links to the opened point on other pages, as lecun_normal with its gamma."""
    there = {"activation": p.activation, "initializers": "lecun_normal",
             "gamma": f"{math.sqrt(p.sigma_w2):.6g}"}
    compared = urlencode({**there, "sigma_b2": f"{p.sigma_b2:.6g}", "depth": p.depth,
                          "width": min(p.fan_in, WIDEST)})
    return (f"**Go on from here:** [compare initializers](initializers?{compared}), or "
            f"[train such nets](training?{urlencode(there)}). Their biases start at 0.")


def _landmarks(found: PhaseMap) -> str:
    """Markdown: every initializer and default, its place and the depth to which it trains."""
    places: dict[tuple[float, float, bool], list[Landmark]] = {}
    for mark in sorted(found.landmarks, key=lambda mark: mark.sigma_w2):
        fixed = bool(INITIALIZERS[mark.name].no_theory)
        places.setdefault((mark.sigma_w2, mark.sigma_b2, fixed), []).append(mark)
    rows = []
    for (sigma_w2, sigma_b2, fixed), marks in places.items():
        at, names = marks[0].at, ", ".join(shorten_names(marks))
        phase, depth, gradient = "not random", "–", "–"
        if not fixed:
            phase = "no fixed point" if math.isinf(at.q_star) else at.phase
            depth = ("no limit" if marks[0].depth >= ENDLESS else
                     layers(marks[0].depth).removeprefix("about ").split(" layer")[0])
            gradient = rate(at.chi_1)
        rows.append([names, spell_variance(sigma_w2), spell_variance(sigma_b2), phase, depth, gradient])
    return markdown_table(LANDMARKS_HEADER, rows)


# ---- the opened point by layer

def _correlation(found: PhaseMap) -> pa.Table:
    """Correlation of pairs of inputs by layer: predicted from each of STARTS, measured from 0."""
    profile, at = found.profile, found.opened
    along = charts.evenly_spaced(found.params.depth, LINE)
    layer = along + 1
    parts = [charts.rows("extent", "", layer[[0, -1]], [0, 1])]
    for series, curve in zip(SERIES, profile.correlation, strict=True):
        parts.append(charts.rows("line", series, layer, curve[along]))
    for series, start, glyph in reversed([*zip(SERIES, STARTS, "━┅╍", strict=True)]):  # from the top down
        parts.append(charts.rows("name", series, [0], [0], text=[f"{glyph} from {start:g}"]))
    parts.append(_points(SERIES[0], profile.measured.correlation, "correlation"))
    c_star, xi_c = _correlation_limit(at)
    if math.isfinite(c_star):
        parts += [charts.rows("limit", "", [1], [c_star], text=[""]),
                  charts.rows("name", "limit", [0], [0], text=[f"┈ c* = {_settled(c_star)}"])]
    return charts.table([*parts, *_scales(found, [(xi_c, "ξc"), (found.depth, "trains to here")])])


def _moment(found: PhaseMap, decades: bool) -> pa.Table:
    """E[z²] by layer, or its log10 if it crosses ``decades``, predicted and measured."""
    log10, at = found.profile.log10_q, found.opened
    values = log10 if decades else 10**log10
    seen = found.profile.measured.log10("q") if decades else found.profile.measured.q
    along = charts.evenly_spaced(len(log10), LINE)
    layer = along + 1
    there = math.isfinite(at.q_star) and at.q_star > 0
    limit = charts.rows("limit", "", [1], [math.log10(at.q_star) if decades else at.q_star],
                        text=[f"q* = {_settled(at.q_star)}"]) if there else charts.rows("limit", "", [], [])
    points = _points("activation", seen, "log10 E[z²]" if decades else "E[z²]")
    return charts.table([
        charts.rows("extent", "", layer[[0, -1]], [0, 0]),
        charts.rows("line", "activation", layer, values[along]),
        points, limit, *_scales(found, [(at.xi_q, "ξq")])])


def _points(series: str, values: np.ndarray, what: str) -> charts.Rows:
    return seed_points(series, values, POINTS, f"{what} {{:z.3f}} measured".format)


def _scales(found: PhaseMap, scales: Sequence[tuple[float, str]]) -> list[charts.Rows]:
    """Depth scales on the chart as upright rules with their names, from right to left."""
    return [charts.rows("scale", "", [layer], [0], text=[name])
            for layer, name in sorted(scales, reverse=True) if 1 <= layer <= found.params.depth]
