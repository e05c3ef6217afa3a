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
from pages.parts.text import count, layers, listed, markdown_table, number, plain, times
from pages.parts.views.phase_plane import (
    cell_size,
    plane_tables,
    right_end,
    shorten_names,
    spell_variance,
)
from pages.parts.views.seed_points import seed_points
from vgdash.activations import ACTIVATIONS
from vgdash.diagnosis.diagnosis import diagnose
from vgdash.initializers import INITIALIZERS
from vgdash.theory.phase_diagram import STARTS, Landmark, PhaseMap, PhaseParams, phase_map

WHY = r"""
**Why.** With $\sigma_w^2 = n_{in}\mathrm{Var}(w)$ and $\sigma_b^2 = \mathrm{Var}(b)$ a wide layer does this
to a signal and to two inputs:

$$q' = \sigma_w^2\,E[f(\sqrt q z)^2] + \sigma_b^2 \qquad c'q' = \sigma_w^2\,E[f(u)f(v)] + \sigma_b^2$$

Two inputs must stay different. Near its end $c^*$ the correlation forgets by a factor a layer,

$$\chi = \sigma_w^2\,E[f'(u)f'(v)], \qquad |c_l - c^*| \sim \chi^{\,l} = e^{-l/\xi_c}.$$

Where inputs become the same ($c^* = 1$), $\chi = \chi_1 = \sigma_w^2 E[f'^2]$ is the factor of the squared
gradient too: it shrinks over the same scale. At $\chi_1 = 1$, the edge of chaos, $\xi_c$ diverges. Nets were
found to train down to about $6\,\xi_c$ layers (Schoenholz et al. 2017).

These are factors at the end, $q^*$ and $c^*$. Real inputs start elsewhere, and may come near only after
hundreds of layers. So the depth named here follows $q$ and $c$ from the input on: it ends where two inputs
have forgotten how alike they were (down to $e^{-6}$, as $6\,\xi_c$ layers do near the end), or where
squared gradients have fallen below $10^{-5}$ or grown beyond $10^{3.5}$, as in nets that did not learn.

By layer, lines are this theory; points are measured, with the range of the nets.
"""
NEAR_EDGE = 1e-3  # |chi_1 - 1| that counts as on the edge: xi_c is a thousand layers there
STEADY = 0.005  # a factor a layer this near to 1 reads ×1.00
SAME = 1e-5  # relative distance at which the opened point is an initializer's
WIDEST = 256  # of the nets that a link compares: a point of the plane is the same at every width
SERIES = ("uncorrelated", "related", "nearly equal")  # styles of the pairs of inputs, in the order of STARTS
LINE, POINTS = 31, 13  # layers of a line and of the measured points, at most
DECADES = 2.0  # q that moves farther is drawn on a log axis
LANDMARKS_HEADER = """\
| starts at | σw² | σb² | phase | trains to, layers | deep down: χ₁ |
|---|--:|--:|---|--:|--:|"""


@dataclass(frozen=True)
class PhaseView:
    verdict: str
    remarks: str
    plane: dict[str, pa.Table]  # cells and marks
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
    return PhaseView(_verdict(found), _remarks(found), plane_tables(found), right_end(found.plane),
                     cell_size(found.plane), course, decades, _numbers(found), _landmarks(found), _links(p))


# ---- words

def _initializers_at(found: PhaseMap) -> list[Landmark]:
    """Initializers that stand on the opened point."""
    at = found.opened
    return [mark for mark in found.landmarks
            if math.isclose(mark.sigma_w2, at.sigma_w2, rel_tol=SAME, abs_tol=1e-12)
            and math.isclose(mark.sigma_b2, at.sigma_b2, rel_tol=SAME, abs_tol=1e-12)]


def _verdict(found: PhaseMap) -> str:
    """Say where the point is, how deep it trains, and the diagnosis of the nets that are drawn."""
    at, measured = found.opened, found.profile.measured
    place = f"σw² = {spell_variance(at.sigma_w2)}, σb² = {spell_variance(at.sigma_b2)}"
    subject = f"{ACTIVATIONS[at.activation].said} at {place}"
    diagnosis = diagnose(measured.params, measured)
    sentence = diagnosis.sentence
    said = f"{count(found.params.depth, 'layer')}: {sentence[0].lower()}{sentence[1:]}"
    fades = {"vanishes", "explodes"} & {diagnosis.signal.behaviour, diagnosis.gradient.behaviour}
    if fades and found.params.depth <= found.depth:
        said = f"{said[:-1]}, which is still enough to train."
    trains = f"trains to **{layers(found.depth)}**"
    if _runs_away(found):
        first = number(10 ** found.profile.log10_q[0], 2)
        return (f"{subject}: **unit inputs start beyond an unstable point, and E[z²] runs away from {first}**"
                f"; smaller ones would come to q\\* = {number(at.q_star, 2)}; {trains}. {said}")
    if math.isinf(at.q_star):
        return f"{subject}: **{_readable(at.reason)}**; {trains}. {said}"
    if math.isinf(at.xi_c):
        return f"{subject}: **on the edge of chaos**, ξc is infinite; {trains}. {said}"
    place = "on the edge of chaos" if abs(at.chi_1 - 1) < NEAR_EDGE else at.phase
    return f"{subject}: **{place}**, ξc = {plain(at.xi_c)} layers, {trains}. {said}"


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


def _remarks(found: PhaseMap) -> str:
    """Name the initializers on the opened point, and the limits of the theory there."""
    p, at, said = found.params, found.opened, []
    if marks := _initializers_at(found):
        scaled = f" and γ = {p.gamma:g}" if p.gamma != 1 else ""
        notes = "; ".join(mark.note for mark in marks if mark.note)
        said.append(f"This is {listed(shorten_names(marks))} with {p.fan_in:,} inputs{scaled}"
                    f"{f' ({notes})' if notes else ''}.")
    if np.isnan(found.profile.correlation).all():
        said.append("Every z is 0 there, so there is no correlation to draw.")
    if at.reason and not math.isinf(at.q_star) and not _runs_away(found):
        said.append(_readable(at.reason[0].upper() + at.reason[1:]) + ".")
    if found.depth > p.fan_in:
        said.append(f"Nets deeper than they are wide ({p.fan_in:,}) meet another limit first: "
                    "the fluctuations of finite width, which grow with depth/width.")
    return " ".join(said)


def _numbers(found: PhaseMap) -> str:
    """Markdown: the opened point in numbers, and the last layer, predicted and measured."""
    at, profile, depth = found.opened, found.profile, found.params.depth
    said = [f"there a squared gradient's factor a layer is χ₁ = {times(at.chi_1)}"]
    if math.isinf(at.q_star):
        said.insert(0, "E[z²] settles nowhere")
    else:
        q = f"settles at q\\* = {number(at.q_star, 2)} (ξq = {_or_dash(at.xi_q)} layers)"
        c = f"settles at c\\* = {number(at.c_star, 2)} (ξc = {_or_dash(at.xi_c)} layers)"
        said[:0] = [f"{what} {'stays what it is at first' if math.isnan(limit) else settles}"
                    for what, limit, settles in (("E[z²]", at.q_star, q), ("the correlation", at.c_star, c))]
    seen = profile.measured.correlation[:, -1]
    predicted = profile.correlation[0, -1].round(3) + 0.0  # no minus before a 0
    if np.isfinite(seen).all() and math.isfinite(predicted):
        said.append(f"correlation at layer {depth}: {predicted:.3f} predicted, {seen.mean():.3f} measured on "
                    f"{len(seen)} nets of width {profile.measured.params.width}".replace("-", "−"))
    return f"**The opened point**{', from E[z²] = 1 on' if _runs_away(found) else ''}: {'; '.join(said)}."


def _links(p: PhaseParams) -> str:
    """Markdown: links to the opened point on other pages, as lecun_normal with its gamma."""
    there = {"activation": p.activation, "initializers": "lecun_normal",
             "gamma": f"{math.sqrt(p.sigma_w2):.6g}"}
    compared = urlencode({**there, "sigma_b2": f"{p.sigma_b2:.6g}", "depth": p.depth,
                          "width": min(p.fan_in, WIDEST)})
    return (f"**Go on from this point**: [compare initializers there](initializers?{compared}), "
            f"or [train nets with these weights](training?{urlencode(there)}), whose biases start at 0.")


def _or_dash(value: float) -> str:
    return "–" if math.isnan(value) else number(value, 2)


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
            depth = layers(marks[0].depth).removeprefix("about ").split(" layer")[0]
            gradient = times(at.chi_1)
        rows.append([names, spell_variance(sigma_w2), spell_variance(sigma_b2), phase, depth, gradient])
    return markdown_table(LANDMARKS_HEADER, rows)


# ---- the opened point by layer

def _correlation(found: PhaseMap) -> pa.Table:
    """Correlation of pairs of inputs by layer: predicted from each of STARTS, measured from 0."""
    profile, at = found.profile, found.opened
    along = charts.evenly_spaced(found.params.depth, LINE)
    layer = along + 1
    parts = [charts.rows("extent", "", layer[[0, -1]], [0, 1])]
    empty = 0.62 if at.c_star < 0.5 else 0.14  # the lines end elsewhere
    for i, (series, start, glyph) in enumerate(zip(SERIES, STARTS, "━┅╍", strict=True)):
        parts += [charts.rows("line", series, layer, profile.correlation[i, along]),
                  charts.rows("label", series, [0.72 * layer[-1]], [empty + 0.13 * i],
                              text=[f"{glyph} from {start:g}"])]
    parts.append(_points(SERIES[0], profile.measured.correlation, "correlation"))
    scales = [(at.xi_c, "ξc"), (found.depth, "trains to here")]
    scale_names = _scales(found, scales, 1.0 if at.c_star < 0.5 else 0.12)
    return charts.table([*parts, *_limit("c*", at.c_star, at.c_star), *scale_names])


def _moment(found: PhaseMap, decades: bool) -> pa.Table:
    """E[z²] by layer, or its log10 if it crosses ``decades``, predicted and measured."""
    log10, at = found.profile.log10_q, found.opened
    values = log10 if decades else 10**log10
    seen = found.profile.measured.log10("q") if decades else found.profile.measured.q
    along = charts.evenly_spaced(len(log10), LINE)
    layer = along + 1
    there = math.isfinite(at.q_star) and at.q_star > 0
    limit = _limit("q*", at.q_star, math.log10(at.q_star) if decades else at.q_star) if there else []
    points = _points("activation", seen, "log10 E[z²]" if decades else "E[z²]")
    return charts.table([
        charts.rows("extent", "", layer[[0, -1]], [0, 0]),
        charts.rows("line", "activation", layer, values[along]),
        points, *limit, *_scales(found, [(at.xi_q, "ξq")], float(np.max(values)))])


def _points(series: str, values: np.ndarray, what: str) -> charts.Rows:
    return seed_points(series, values, POINTS, f"{what} {{:.3f}} measured".format)


def _limit(name: str, value: float, y: float) -> list[charts.Rows]:
    text = f"{name} = {number(value, 2)}"
    return [charts.rows("limit", "", [1], [y], text=[text])] if math.isfinite(y) else []


def _scales(found: PhaseMap, scales: Sequence[tuple[float, str]], y: float) -> list[charts.Rows]:
    """Depth scales on the chart as upright rules with their names at the height ``y``."""
    return [charts.rows("scale", "", [layer], [y], text=[name])
            for layer, name in scales if 1 <= layer <= found.params.depth]
