"""Plane of weight and bias variances as tables: cells, critical line, and initializers with their names."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pages.parts import charts, names
from pages.parts.text import layers, listed, number
from vgdash.spelling import ENDLESS
from vgdash.theory.phase_diagram import HIGHEST_BIAS, Landmark, PhaseMap, Plane

DIVERGED = 9.0  # log10 of a xi_c that counts as infinite; the colours end far below
CLOSE = 0.012  # of the plane's width and height: closer initializers share one label
# A badge takes this much of the plane's width, on a phone, and of its height.
BADGE_WIDTH, BADGE_HEIGHT = 0.08, 0.145
SIDES = {"ordered": ("ordered", "gradients vanish"), "chaotic": ("chaotic", "gradients explode"),
         "none": ("no fixed point", "signals explode")}
LEAST_SIDE = 0.3  # of the plane's width: a smaller side has no room for its name


def spell_variance(variance: float) -> str:
    return number(variance, 2) if variance and not 1e-4 <= variance < 1000 else f"{variance:.4g}"


def plane_tables(found: PhaseMap) -> dict[str, pa.Table]:
    """Tables of ``charts.phase_plane``: its cells, and the marks on them with the opened point."""
    plane, opened = found.plane, found.opened
    names = _initializers(plane, found.landmarks)
    highest = max(rows["y"].max() for rows in names)
    marks = [critical_line(plane), *sides(plane, highest), *names,
             charts.plane_rows("extent", right_end(plane), [0.0, HIGHEST_BIAS]),
             charts.plane_rows("opened", *on_plane(plane, opened.sigma_w2, opened.sigma_b2))]
    return {"cells": cells(plane), "marks": charts.plane_table(marks)}


def cells(plane: Plane) -> pa.Table:
    """Middles of the cells and their colours; a cell where the variance grows without bound has none."""
    w, b = (values.ravel() for values in np.meshgrid(plane.sigma_w2, plane.sigma_b2))
    with np.errstate(divide="ignore"):
        value = np.clip(np.log10(plane.xi_c.ravel()), -DIVERGED, DIVERGED).astype(np.float32)
    value[plane.phase.ravel() == "none"] = np.nan
    return pa.table({"sigma_w2": w, "sigma_b2": b, "value": pa.array(value, from_pandas=True)})


def critical_line(plane: Plane) -> charts.Rows:
    """Edge of chaos."""
    there = np.isfinite(plane.critical_sigma_w2)
    return charts.plane_rows("line", plane.critical_sigma_w2[there], plane.critical_sigma_b2[there])


def sides(plane: Plane, highest: float = 0.0) -> list[charts.Rows]:
    """Name of each side where it is widest, above the ``highest`` of the initializers' numbers."""
    lowest = max(HIGHEST_BIAS / 2, highest + BADGE_HEIGHT * HIGHEST_BIAS) + BADGE_HEIGHT * HIGHEST_BIAS
    above = slice(min(int(np.searchsorted(plane.sigma_b2, lowest)), len(plane.sigma_b2) - 3), -2)
    phases, b = plane.phase[above], plane.sigma_b2[above]
    found = []
    for phase, (name, what) in SIDES.items():
        widths = (phases == phase).sum(axis=1)
        if widths.max() < LEAST_SIDE * phases.shape[1]:
            continue
        widest = np.flatnonzero(widths == widths.max())
        row = widest[len(widest) // 2]
        middle = float(plane.sigma_w2[phases[row] == phase].mean())
        found.append(charts.plane_rows("side", middle, b[row], name=f"{name}:\n{what}"))
    return found


def cell_size(plane: Plane) -> tuple[float, float]:
    """Width and height of a cell."""
    return float(plane.sigma_w2[0]), float(plane.sigma_b2[1])


def right_end(plane: Plane) -> float:
    return float(plane.sigma_w2[-1] + plane.sigma_w2[0] / 2)


def on_plane(plane: Plane, sigma_w2: float, sigma_b2: float) -> tuple[float, float]:
    """Position of a point: at the edge if it lies beyond."""
    return min(sigma_w2, right_end(plane)), min(sigma_b2, HIGHEST_BIAS)


def _initializers(plane: Plane, marks: Sequence[Landmark]) -> list[charts.Rows]:
    """Draw a numbered badge for initializers that stand together: on their point, or on a stem above it.

    No badge lies on another one. A point beyond the plane is an arrow at its edge.
    """
    drawn, taken = [], []
    wide, high = BADGE_WIDTH * right_end(plane), BADGE_HEIGHT * HIGHEST_BIAS
    for badge, group in enumerate(_groups(plane, marks), 1):
        first = group[0]
        x, y = on_plane(plane, first.sigma_w2, first.sigma_b2)
        beyond = x < first.sigma_w2
        height = y + high * beyond
        while any(abs(x - there) < wide and abs(height - up) < 0.99 * high for there, up in taken):
            height += high
        taken.append((x, height))
        text = "; ".join(map(_describe, group))
        at = {"sigma_w2": first.sigma_w2, "sigma_b2": first.sigma_b2, "text": text}
        drawn += [charts.plane_rows("stem", x, y, x, height),
                  charts.plane_rows("beyond" if beyond else "point", x, y, **at),
                  charts.plane_rows("badge", x, height, **at, name=str(badge))]
    return drawn


def legend(plane: Plane, marks: Sequence[Landmark]) -> str:
    """Markdown: the names of the initializers at each number, and where a point beyond the plane lies."""
    said = []
    for badge, group in enumerate(_groups(plane, marks), 1):
        sigma_w2 = group[0].sigma_w2
        beyond = f" (at {spell_variance(sigma_w2)} →)" if sigma_w2 > right_end(plane) else ""
        said.append(f"**{badge}**\u00a0{listed(shorten_names(group))}{beyond}")
    return "  ·  ".join(said)


def _describe(mark: Landmark) -> str:
    place = f"σw² {spell_variance(mark.sigma_w2)}, σb² {spell_variance(mark.sigma_b2)}"
    return f"{names.long(mark.name)}: {place}, {_trains(mark.depth)}"


def _trains(depth: float) -> str:
    return "no limit from theory" if depth >= ENDLESS else f"trains to {layers(depth)}"


def _groups(plane: Plane, marks: Sequence[Landmark]) -> list[list[Landmark]]:
    """Group initializers that are too close to tell apart, from left to right."""
    order = {mark.name: i for i, mark in enumerate(marks)}
    groups: list[list[Landmark]] = []
    for mark in sorted(marks, key=lambda mark: mark.sigma_w2):
        if groups and _are_close(plane, groups[-1][0], mark):
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return [sorted(group, key=lambda mark: order[mark.name]) for group in groups]


def _are_close(plane: Plane, one: Landmark, other: Landmark) -> bool:
    (x, y), (x2, y2) = (on_plane(plane, mark.sigma_w2, mark.sigma_b2) for mark in (one, other))
    if x < one.sigma_w2 or x2 < other.sigma_w2:
        return math.isclose(one.sigma_w2, other.sigma_w2) and one.sigma_b2 == other.sigma_b2
    return abs(x2 - x) < CLOSE * plane.sigma_w2[-1] and abs(y2 - y) < CLOSE * HIGHEST_BIAS


def shorten_names(marks: Sequence[Landmark]) -> list[str]:
    """Join twins: LeCun and LeCun uniform together are LeCun."""
    shorts = [names.short(mark.name) for mark in marks]
    families = [re.sub(" (uniform|fan-out)$", "", short) for short in shorts]
    return list(dict.fromkeys(family if families.count(family) > 1 else short
                              for short, family in zip(shorts, families, strict=True)))
